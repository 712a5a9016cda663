"""Why an update does not begin now: the hour, the battery, the heat.

Rules:
- what cannot be read is no reason: most boards have neither a battery nor a sensor that says "throttled";
- the owner who asks on the device itself has chosen the moment.
"""

from dataclasses import dataclass
from datetime import time
from pathlib import Path

from edgeagent.hours import is_within
from edgeagent.settings import UpdateSettings

SUPPLIES = Path("/sys/class/power_supply")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""What the Raspberry Pi's firmware says, in hexadecimal; `vcgencmd get_throttled` shows the same."""
_THROTTLED_NOW = 0b1111
"""Too little voltage, frequency capped, throttled, soft limit of temperature: now, not once."""


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


def power_of(supplies: Path = SUPPLIES, throttled: Path = THROTTLED) -> Power:
    """Return how the board is supplied, as far as the kernel says."""
    kinds = {path.parent: _read(path) for path in supplies.glob("*/type")}
    mains = [_read(folder / "online") for folder, kind in kinds.items() if kind in {"Mains", "USB", "Wireless"}]
    drains = [_read(folder / "status") == "Discharging" for folder, kind in kinds.items() if kind == "Battery"]
    try:
        bits = int(_read(throttled) or "0", 16)
    except ValueError:
        bits = 0
    return Power(any(drains) and "1" not in mains, bool(bits & _THROTTLED_NOW))


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
