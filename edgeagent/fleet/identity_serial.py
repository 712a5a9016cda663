"""What names this board for ever: its maker's serial number, or else a number made of the system's own."""

import hashlib
import re
from pathlib import Path

from edgeagent.fleet.identity_keys import IdentityError

_SERIAL = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_CPU = re.compile(r"^Serial\s*:\s*(\S+)\s*$", re.MULTILINE)
_LARGEST_CHARACTERS = 1 << 20


def serial_of(root: Path = Path("/")) -> str:
    """Return this board's serial number, from below `root`. Raise IdentityError if nothing names it."""
    tree = _text(root / "proc/device-tree/serial-number").strip("\0 \n")
    cpu = _CPU.search(_text(root / "proc/cpuinfo"))
    for found in (tree, cpu[1] if cpu else ""):
        if _SERIAL.fullmatch(found) and set(found) != {"0"}:
            return found
    machine = _text(root / "etc/machine-id").strip()
    if not machine:
        raise IdentityError(
            "this machine has no serial number", remedy="Give one with --serial, as the token was made for."
        )
    # machine-id(5): it is confidential, and is told only as a hash.
    return "m-" + hashlib.sha256(f"edgeagent {machine}".encode()).hexdigest()[:24]


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_CHARACTERS)
    except OSError:
        return ""
