"""How hot the board is and whether it slows itself down, as the kernel tells it; what it does not tell is left out.

Rules:
- a Raspberry Pi's firmware tells in bits, for now and for some time since the start (raspberrypi/linux#2397);
- elsewhere a processor or a graphics unit that is being cooled by running slower is throttled (the kernel's thermal
  framework), and Jetsons count how often the supply was too weak (hwmon's oc*_event_cnt);
- fans are no throttling.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_THERMAL = "sys/class/thermal"
_FIRMWARE = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
"""What the firmware says, in hexadecimal; `vcgencmd get_throttled` shows the same. The folder has an address in its
name on Raspberry Pi 5."""
_OVER_CURRENT = "sys/class/hwmon/hwmon*/oc*_event_cnt"
_SLOWED_DOWN = ("cpufreq", "devfreq", "cpu-throttle", "gpu-throttle")
_LONGEST_READ = 256
_MOST_FILES = 32
_PLAUSIBLE_C = (-60.0, 200.0)
_REASONS = ("too little voltage", "frequency capped", "throttled", "soft limit of temperature")
"""Bits 0 to 3 for now, 16 to 19 for some time since the start."""
_SINCE_START = 16


@dataclass(frozen=True, slots=True)
class Throttling:
    """Why the board is slowed down now, and why it was at some time since it started."""

    now: tuple[str, ...] = ()
    since_start: tuple[str, ...] = ()


def temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Return degrees Celsius by the name of the zone. Never raises."""
    found = {}
    for file in _files(root, f"{_THERMAL}/thermal_zone*/temp"):
        celsius = _number(file, 10)
        if celsius is not None and _PLAUSIBLE_C[0] < celsius / 1_000 < _PLAUSIBLE_C[1]:
            zone = file.parent.name
            kind = _text(file.parent / "type")
            found[f"{kind} {zone.removeprefix('thermal_zone')}" if kind else zone] = celsius / 1_000
    return found


def throttling(root: Path = Path("/")) -> Throttling | None:
    """Return what slows the board down; None where nothing tells. Never raises."""
    told = [*_by_firmware(root), *_by_cooling(root), *_by_current(root)]
    if not told:
        return None
    return Throttling(
        tuple(dict.fromkeys(reason for one in told for reason in one.now)),
        tuple(dict.fromkeys(reason for one in told for reason in one.since_start)),
    )


def _by_firmware(root: Path) -> Iterator[Throttling]:
    for file in _files(root, _FIRMWARE):
        bits = _number(file, 16)
        if bits is not None and bits >= 0:
            yield Throttling(_reasons(bits), _reasons(bits >> _SINCE_START))


def _by_cooling(root: Path) -> Iterator[Throttling]:
    for file in _files(root, f"{_THERMAL}/cooling_device*/cur_state"):
        kind, state = _text(file.parent / "type"), _number(file, 10)
        if state is not None and kind.lower().startswith(_SLOWED_DOWN):
            yield Throttling((f"{kind} cooled by running slower",) if state > 0 else ())


def _by_current(root: Path) -> Iterator[Throttling]:
    for file in _files(root, _OVER_CURRENT):
        count = _number(file, 10)
        if count is not None:
            yield Throttling((), ("too much current",) if count > 0 else ())


def _reasons(bits: int) -> tuple[str, ...]:
    return tuple(reason for number, reason in enumerate(_REASONS) if bits >> number & 1)


def _files(root: Path, pattern: str) -> list[Path]:
    with suppress(OSError):
        return sorted(root.glob(pattern))[:_MOST_FILES]
    return []


def _number(file: Path, base: int) -> int | None:
    try:
        return int(_text(file), base)
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST_READ).decode("ascii", "replace").strip("\0 \n")
    except OSError:
        return ""
