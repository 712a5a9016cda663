"""Why an update does not begin now: the hour, the battery, the heat.

Rules:
- what cannot be read is no reason: most boards have neither a battery nor a sensor that says "throttled";
- the owner who asks on the device itself has chosen the moment.
"""

from dataclasses import dataclass
from datetime import time
from pathlib import Path

from edgeagent.board.thermal import throttling
from edgeagent.hours import is_within
from edgeagent.settings import UpdateSettings

_SUPPLIES = "sys/class/power_supply"


@dataclass(frozen=True, slots=True)
class Power:
    """How the board is supplied: from a battery, and whether it is slowed down by heat or a weak supply."""

    is_on_battery: bool = False
    is_throttled: bool = False


def why_wait(settings: UpdateSettings, now: time, power: Power) -> str:
    """Return why nothing may begin at this local time of day; nothing if it may."""
    if settings.window is not None and not is_within(settings.window, now):
        return f"it is not {settings.window}"
    if settings.on_battery:
        return ""
    if power.is_on_battery:
        return "it runs on a battery"
    return "the board is throttled" if power.is_throttled else ""


def power_of(root: Path = Path("/")) -> Power:
    """Return how the board is supplied, as far as the kernel says."""
    kinds = {path.parent: _read(path) for path in (root / _SUPPLIES).glob("*/type")}
    mains = [_read(folder / "online") for folder, kind in kinds.items() if kind in {"Mains", "USB", "Wireless"}]
    drains = [_read(folder / "status") == "Discharging" for folder, kind in kinds.items() if kind == "Battery"]
    slowed = throttling(root)
    return Power(any(drains) and "1" not in mains, slowed is not None and bool(slowed.now))


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
