"""The file allocation table: which cluster follows which, which are free; changed in memory, written sector by sector.

Rules:
    - A chain that leads outside, to a free cluster, or round in a circle is damage, and said so.
    - What is given up stays taken until it is released: nothing that the disk still points to is written over.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat_layout import FAT32, FIRST, Layout

_MASK = {16: 0xFFFF, 32: 0x0FFFFFFF}
_LAST = {16: 0xFFFF, 32: 0x0FFFFFFF}
_ENDS_AT = {16: 0xFFF8, 32: 0x0FFFFFF8}
_CLEAN = {16: 0x8000, 32: 0x08000000}
_SOUND = {16: 0x4000, 32: 0x04000000}
_MEND = "Run fsck.vfat on the partition, or take a fresh image."


class Table:
    """One volume's table. Both copies on the disk become what this is."""

    def __init__(self, raw: bytes, layout: Layout) -> None:
        """Take the bytes of one copy."""
        self._bits = layout.bits
        self._end = layout.clusters + FIRST
        self._sector = layout.sector
        self._entries = array("I" if layout.bits == FAT32 else "H", raw)
        if sys.byteorder == "big":
            self._entries.byteswap()
        self._on_disk = raw
        self._search = FIRST
        mask = _MASK[layout.bits]  # the upper four bits of 32 are not ours
        self._free = sum(1 for one in self._entries[FIRST : self._end] if not one & mask)

    @property
    def free(self) -> int:
        """How many clusters nobody uses."""
        return self._free

    @property
    def search(self) -> int:
        """Where the next free cluster is looked for; FSInfo tells it to others."""
        return self._search

    @property
    def is_dirty(self) -> bool:
        """Whether the volume was not put away properly, or a driver has met read errors."""
        return not (self._entries[1] & _CLEAN[self._bits] and self._entries[1] & _SOUND[self._bits])

    def chain(self, first: int) -> Sequence[int]:
        """Return the clusters of a file. Raise ImageError if the chain is broken."""
        found: list[int] = []
        at = first
        while at < _ENDS_AT[self._bits]:
            if not FIRST <= at < self._end or len(found) > self._end:
                raise ImageError(f"damaged FAT: the chain from cluster {first} leads to {at}", remedy=_MEND)
            found.append(at)
            at = self._entries[at] & _MASK[self._bits]
        return found

    def take(self, count: int) -> Sequence[int]:
        """Chain free clusters together. Raise ImageError, with nothing changed, if there are not as many."""
        if count > self._free:
            raise ImageError(
                f"the partition is full: {count} clusters are needed, {self._free} are free",
                remedy="Take a smaller bundle, or an image with a larger boot partition.",
            )
        found = list(self._unused(count))
        for one, following in zip(found, [*found[1:], _LAST[self._bits]], strict=True):
            self._set(one, following)
        self._free -= count
        return found

    def join(self, last: int, first: int) -> None:
        """Let a chain go on with another one."""
        self._set(last, first)

    def release(self, clusters: Sequence[int]) -> None:
        """Make clusters free."""
        for one in clusters:
            self._set(one, 0)
        self._free += len(clusters)
        self._search = min([self._search, *clusters])

    def changes(self) -> Iterator[tuple[int, bytes]]:
        """Yield the sectors that differ from the disk's, by their offset in a copy, and hold them for written."""
        entries = self._entries
        if sys.byteorder == "big":
            entries = entries[:]
            entries.byteswap()
        now, before = entries.tobytes(), self._on_disk
        self._on_disk = now
        if now == before:
            return
        for at in range(0, len(now), self._sector):
            if now[at : at + self._sector] != before[at : at + self._sector]:
                yield at, now[at : at + self._sector]

    def _set(self, cluster: int, value: int) -> None:
        kept = self._entries[cluster] & ~_MASK[self._bits]
        self._entries[cluster] = kept | value

    def _unused(self, count: int) -> Iterator[int]:
        """Yield free clusters, from where the last search ended, once round."""
        mask = _MASK[self._bits]
        for at in (*range(self._search, self._end), *range(FIRST, self._search)):
            if count == 0:
                return
            if not self._entries[at] & mask:
                self._search = at + 1
                count -= 1
                yield at
