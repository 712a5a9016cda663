"""One folder of a FAT volume in memory: its slots, found by name, filled and emptied."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat_layout import ENTRY_BYTES
from edgeagent.provision.fat_names import (
    Entry,
    changed_entry,
    entries,
    free_slots,
    same,
    short_entry,
    slots_for,
)

LARGEST_BYTES = 65_536 * ENTRY_BYTES
"""The format's own bound for a folder."""
_END, _FREE = 0x00, 0xE5


@dataclass(slots=True)
class Folder:
    """Slots as they are to be. `clusters` is empty for the root of FAT16, which lies apart and cannot grow."""

    raw: bytearray
    clusters: list[int] = field(default_factory=list)
    is_new: bool = False
    """Nothing on the disk leads to it yet."""
    is_changed: bool = False

    @property
    def first(self) -> int:
        """The cluster that it begins at; 0 for the root of FAT16."""
        return self.clusters[0] if self.clusters else 0

    def entries(self) -> Sequence[Entry]:
        """Return what is in it."""
        return tuple(entries(bytes(self.raw)))

    def find(self, name: str) -> Entry | None:
        """Return the entry of this name, in whatever case."""
        return next((one for one in self.entries() if same(one.name, name)), None)

    def room_for(self, name: str) -> bool:
        """Say whether a new entry of this name fits in without another cluster."""
        return free_slots(bytes(self.raw), self._slots(name)) is not None

    def grow(self, cluster: int, size: int) -> None:
        """Go on in another cluster, of zeros. Raise ImageError at the format's bound."""
        if len(self.raw) + size > LARGEST_BYTES:
            raise ImageError("a folder holds 65,536 slots already", remedy="Delete files from it.")
        self.clusters.append(cluster)
        self.raw.extend(bytes(size))

    def add(self, name: str, attributes: int, cluster: int, size: int, moment: datetime) -> None:
        """Put a new entry in, where `room_for` has said that there is room."""
        long, short = slots_for(name, {one.short for one in self.entries()})
        slots = [*long, short_entry(short, attributes, cluster, size, moment)]
        at = free_slots(bytes(self.raw), len(slots))
        if at is None:
            raise ImageError(f"no room for {name!r} in its folder", remedy="Delete files from it.")
        after = (at + len(slots)) * ENTRY_BYTES
        was_end = any(self.raw[slot * ENTRY_BYTES] == _END for slot in range(at, at + len(slots)))
        self.raw[at * ENTRY_BYTES : after] = b"".join(slots)
        if was_end and after < len(self.raw):  # what stands behind the end may be anything
            self.raw[after] = _END
        self.is_changed = True

    def change(self, entry: Entry, cluster: int, size: int, moment: datetime) -> None:
        """Let an entry name other content."""
        at = slice(entry.slot * ENTRY_BYTES, (entry.slot + 1) * ENTRY_BYTES)
        self.raw[at] = changed_entry(bytes(self.raw[at]), cluster, size, moment)
        self.is_changed = True

    def drop(self, entry: Entry) -> None:
        """Mark an entry and its long name as deleted."""
        for slot in range(entry.first_slot, entry.slot + 1):
            self.raw[slot * ENTRY_BYTES] = _FREE
        self.is_changed = True

    def _slots(self, name: str) -> int:
        return len(slots_for(name, {one.short for one in self.entries()})[0]) + 1
