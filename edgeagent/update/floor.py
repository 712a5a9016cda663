"""The durable floor: the highest versions that were ever trusted, kept twice, never lowered by losing metadata.

- An entry holds as long as those who signed it could still sign: when a newer root has taken their keys away, TUF
  begins anew with that role (client workflow 5.3.11), and so does the floor. The root's own version holds for ever.
- Each write is numbered; of two copies the later one counts, and the highest root and time of both.
- A copy that cannot be read is set aside; the other serves.
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.update.on_disk import make_folder, read_bounded, set_aside
from edgeagent.update.trusted_time import never

log = logging.getLogger(__name__)

LARGEST_BYTES = 4 << 20
MOST_ROLES = 20_000
LARGEST_NUMBER = 2**53
"""No version is as high as this: what could not be read back would be a floor that is lost."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Signed:
    """The versions that one role's metadata told, and the fingerprints of the keys that had signed it."""

    versions: Mapping[str, int] = field(default_factory=dict)
    signers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Floor:
    """Nothing below this is trusted.

    `timestamp` holds the versions "timestamp" and "snapshot", `snapshot` those of all targets roles, as `targets.json`.
    """

    serial: int = 0
    root: int = 0
    timestamp: Signed = field(default_factory=Signed)
    snapshot: Signed = field(default_factory=Signed)
    good: datetime = field(default_factory=never)


class Shelf(Protocol):
    """A place where a copy of the floor is kept."""

    def load(self) -> bytes | None:
        """Return the copy, or None if there is none. Raise OSError."""
        ...

    def save(self, content: bytes) -> None:
        """Keep the copy: it is on the disk when this returns. Raise OSError."""
        ...


@dataclass(frozen=True, slots=True)
class FileShelf:
    """A copy in a file."""

    path: Path

    def load(self) -> bytes | None:
        """Return the file's content. Raise OSError."""
        try:
            return read_bounded(self.path, LARGEST_BYTES)
        except FileNotFoundError:
            return None

    def save(self, content: bytes) -> None:
        """Replace the file durably. Raise OSError."""
        make_folder(self.path.parent)
        write_durably(self.path, content)


class FloorKeeper:
    """The floor on its shelves."""

    def __init__(self, *shelves: Shelf) -> None:
        """Load all copies; what is damaged is set aside."""
        self._shelves = shelves
        copies = [copy for shelf in shelves if (copy := _loaded(shelf)) is not None]
        self.floor = max(copies, key=lambda copy: copy.serial, default=Floor())
        if copies:
            root, good = max(copy.root for copy in copies), max(copy.good for copy in copies)
            self.floor = replace(self.floor, root=root, good=good)

    def keep(self, floor: Floor) -> None:
        """Write every copy before this returns, if something has changed. Raise OSError."""
        if replace(floor, serial=self.floor.serial) == self.floor:
            return
        floor = replace(floor, serial=self.floor.serial + 1)
        content = encode(floor)
        for shelf in self._shelves:
            shelf.save(content)
        self.floor = floor


def _loaded(shelf: Shelf) -> Floor | None:
    try:
        content = shelf.load()
        return None if content is None else decode(content)
    except (OSError, UpdateError) as error:
        log.warning("floor damaged", extra={"reason": str(error)})
        if isinstance(shelf, FileShelf) and os.path.lexists(shelf.path):
            set_aside(shelf.path)
        return None


def encode(floor: Floor) -> bytes:
    """Return the floor as JSON."""
    told = {
        "format": 1,
        "serial": floor.serial,
        "root": floor.root,
        "timestamp": _told(floor.timestamp),
        "snapshot": _told(floor.snapshot),
        "good": int(floor.good.timestamp()),
    }
    # Not escaped: a name takes no more room here than in the snapshot that told it, so that it can be read back.
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _told(signed: Signed) -> dict[str, Any]:
    return {"versions": dict(signed.versions), "signers": sorted(signed.signers)}


def decode(content: bytes) -> Floor:
    """Return the floor. Raise UpdateError "bad-floor" if it is not what `encode` writes."""
    try:
        told = json.loads(content)
        if told["format"] != 1:
            raise ValueError(f"format {told['format']!r}")  # noqa: TRY301
        return Floor(
            serial=_number(told["serial"]),
            root=_number(told["root"]),
            timestamp=_signed(told["timestamp"]),
            snapshot=_signed(told["snapshot"]),
            good=datetime.fromtimestamp(_number(told["good"]), UTC),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, OSError) as error:
        raise UpdateError(f"floor: expected what edgeagent wrote: {error}"[:300], code="bad-floor") from error


def _signed(told: Any) -> Signed:
    versions = {str(name): _number(version) for name, version in told["versions"].items()}
    signers = told["signers"]
    if len(versions) > MOST_ROLES or not isinstance(signers, list):
        raise ValueError("too many roles, or no list of signers")
    if not all(isinstance(one, str) and _FINGERPRINT.fullmatch(one) for one in signers):
        raise ValueError("expected fingerprints of keys")
    return Signed(versions, frozenset(signers))


def _number(told: Any) -> int:
    if type(told) is not int or not 0 <= told < LARGEST_NUMBER:
        raise ValueError(f"expected a number, found {told!r:.40}")
    return told
