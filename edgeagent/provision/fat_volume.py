"""The bytes of a FAT volume: clusters, tables, folders and marks, each read from and put to its place in a file."""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat_folder import Folder
from edgeagent.provision.fat_layout import BOOT_BYTES, ENTRY_BYTES, FAT32, Layout, layout
from edgeagent.provision.fat_names import Entry
from edgeagent.provision.fat_table import Table

PIECE_BYTES = 1 << 20
"""What is read or written at once."""
_MARK = 0x01
_FSINFO = ((0, b"RRaA"), (484, b"rrAa"))


class Volume:
    """A volume that begins at an offset of an open file. Nobody else may write to it meanwhile."""

    def __init__(self, file: BinaryIO, start: int, size: int | None) -> None:
        """Read geometry and table. Raise ImageError if there is no FAT16 or FAT32, or the file ends before it does."""
        self._file = file
        self._start = start
        room = file.seek(0, os.SEEK_END) - start
        file.seek(start)
        boot = file.read(BOOT_BYTES)
        self.layout: Layout = layout(boot, room if size is None else min(size, room))
        self.table = Table(self._get(self.layout.fats[0], self.layout.fat_bytes), self.layout)
        self._marked = bool(boot[self.layout.dirty_byte] & _MARK)

    @property
    def is_dirty(self) -> bool:
        """Whether somebody was writing to it and did not end."""
        return self._marked or self.table.is_dirty

    def root(self) -> Folder:
        """Read the root folder."""
        if self.layout.bits == FAT32:
            return self.folder(self.layout.root)
        return Folder(bytearray(self._get(self.layout.root, self.layout.root_entries * ENTRY_BYTES)))

    def folder(self, cluster: int) -> Folder:
        """Read the folder that begins at a cluster."""
        clusters = self.table.chain(cluster)
        raw = bytearray().join(self._get(self.layout.offset_of(one), self.layout.cluster) for one in clusters)
        return Folder(raw, list(clusters))

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Yield what a file holds. Raise ImageError if its clusters end before it does."""
        left = entry.size
        clusters = self.table.chain(entry.cluster) if entry.cluster else ()
        if len(clusters) * self.layout.cluster < left:
            raise ImageError(
                f"damaged FAT: {entry.name!r} is shorter than its folder says",
                remedy="Run fsck.vfat on the partition, or take a fresh image.",
            )
        for first, count in self._runs(clusters):
            size = min(count * self.layout.cluster, left)
            left -= size
            if size:
                yield self._get(self.layout.offset_of(first), size)

    def fill(self, clusters: Sequence[int], source: BinaryIO | None) -> None:
        """Write what a source holds into clusters, zeros behind it; without a source, zeros alone."""
        for first, count in self._runs(clusters):
            size = count * self.layout.cluster
            piece = source.read(size) if source else b""
            self._put(self.layout.offset_of(first), piece.ljust(size, b"\0"))

    def put_folder(self, folder: Folder) -> None:
        """Write all slots of a folder."""
        size = self.layout.cluster
        for number, cluster in enumerate(folder.clusters):
            self._put(self.layout.offset_of(cluster), bytes(folder.raw[number * size : (number + 1) * size]))
        if not folder.clusters:
            self._put(self.layout.root, bytes(folder.raw))
        folder.is_new = folder.is_changed = False

    def put_table(self) -> None:
        """Write what has changed in the table, to both copies."""
        for at, sector in self.table.changes():
            for copy in self.layout.fats:
                self._put(copy + at, sector)
        self.settle()

    def put_fsinfo(self) -> None:
        """Tell others how much is free, and where to look for it (FAT32)."""
        at = self.layout.fsinfo
        if at is None or any(self._get(at + place, len(sign)) != sign for place, sign in _FSINFO):
            return
        self._put(at + 488, struct.pack("<II", self.table.free, min(self.table.search, self.layout.clusters + 1)))

    def mark(self, *, in_use: bool) -> None:
        """Note in the boot sector whether somebody is writing."""
        self.settle()
        byte = self._get(self.layout.dirty_byte, 1)[0]
        self._put(self.layout.dirty_byte, bytes([byte & ~_MARK | (_MARK if in_use else 0)]))
        self.settle()

    def settle(self) -> None:
        """Return when what was written so far is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _runs(self, clusters: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield clusters that follow one another as (first, count), about a piece at most."""
        longest = PIECE_BYTES // self.layout.cluster or 1
        begin = 0
        for at in range(1, len(clusters) + 1):
            if at == len(clusters) or clusters[at] != clusters[at - 1] + 1 or at - begin == longest:
                yield clusters[begin], at - begin
                begin = at

    def _get(self, at: int, size: int) -> bytes:
        self._file.seek(self._start + at)
        found = self._file.read(size)
        if len(found) < size:
            raise ImageError("the image is truncated within its boot partition", remedy="Download it again.")
        return found

    def _put(self, at: int, data: bytes) -> None:
        self._file.seek(self._start + at)
        self._file.write(data)
