"""How the board is now: what the kernel tells of heat, memory, disk and load; what it does not tell is left out."""

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edgeagent.board.thermal import temperatures, throttling

_LONGEST_READ = 4_096


def gauges(state: Path, root: Path = Path("/")) -> dict[str, float]:
    """Return what is measured now; `state` is a folder on the disk that matters. Never raises."""
    return {name: round(value, 2) for name, value in _all(state, root)}


def hardware(root: Path = Path("/")) -> tuple[str, str]:
    """Return model and serial number of the board, empty where it has none."""
    model = _text(root / "proc/device-tree/model") or _text(root / "sys/class/dmi/id/product_name")
    return model, _text(root / "proc/device-tree/serial-number")


def system(root: Path = Path("/")) -> str:
    """Return the name of the operating system, its kernel and its processor."""
    lines = _text(root / "etc/os-release").splitlines()
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return " ".join([*names[:1], platform.release(), platform.machine()])[:200]


def _all(state: Path, root: Path) -> Iterator[tuple[str, float]]:
    hottest = max(temperatures(root).values(), default=None)
    if hottest is not None:
        yield "temperature_c", hottest
    slowed = throttling(root)
    if slowed is not None:
        yield "throttled", float(bool(slowed.now))
    memory = _fields(root / "proc/meminfo")
    own = _fields(root / "proc/self/status")
    if "MemAvailable" in memory:
        yield "memory_free_mb", memory["MemAvailable"] / 1_024
    if "VmRSS" in own:
        yield "memory_used_mb", own["VmRSS"] / 1_024
    with suppress(OSError):
        found = os.statvfs(next(one for one in (state, *state.parents) if one.exists()))
        yield "disk_free_mb", found.f_bavail * found.f_frsize / (1 << 20)
    with suppress(OSError):
        yield "load", os.getloadavg()[0]


def _fields(path: Path) -> dict[str, float]:
    """Return the numbers of a file with lines as `MemFree:  123 kB`."""
    pairs = (line.partition(":") for line in _text(path).splitlines())
    words = ((name, rest.split()) for name, _, rest in pairs)
    return {name: float(rest[0]) for name, rest in words if rest and rest[0].isdecimal()}


def _text(path: Path) -> str:
    """Return what a small file holds, empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_READ).decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""
