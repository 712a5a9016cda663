"""What stands in the way of a first boot, left in memory: for the daemon's lamps, and for `edgeagent doctor`.

The first boot ends, or is tried again every few minutes, while the daemon has lamps and microphone. A power cut forgets
it, and the next start finds it anew.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeagent.files import write_durably

PLACE = Path("run/edgeagent-firstboot/trouble.json")
"""RuntimeDirectory= of systemd/edgeagent-firstboot.service."""
_LONGEST = 1 << 14


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the way, and what to do, in words for a person."""

    said: str
    remedy: str


def is_left(root: Path = Path("/")) -> bool:
    """Tell whether anything stands in the way. Never raises."""
    with suppress(OSError):
        return (root / PLACE).exists()
    return False


def left(root: Path = Path("/")) -> Standing | None:
    """Return what stands in the way; None: nothing, or nothing that can be read."""
    with suppress(OSError, ValueError, TypeError), (root / PLACE).open("rb") as file:
        return Standing(**json.loads(file.read(_LONGEST)))
    return None


def leave(standing: Standing | None, root: Path = Path("/")) -> bool:
    """Leave what stands in the way, or nothing; return whether it was something else before. Never raises."""
    is_new = standing != left(root)
    with suppress(OSError):
        if standing is None:
            (root / PLACE).unlink(missing_ok=True)
        elif is_new:
            write_durably(root / PLACE, json.dumps(asdict(standing)).encode(), mode=0o644)
    return is_new
