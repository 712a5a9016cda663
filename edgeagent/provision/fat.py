"""A FAT16 or FAT32 volume inside an image: read, and changed all at once.

Rules:
    - Until `flush`, nothing changes that the volume leads to: new content goes to free clusters, the rest waits in
      memory. So a full partition, or any other refusal, leaves every file as it was.
    - `flush` goes data, table, folders, then zeros over what was given up, then the table again: after a power cut at
      any point each file is the old or the new one, and at most some clusters belong to nobody.
    - While it lasts the volume is marked as in use. One that is found marked is read, but not changed.
    - What is replaced or removed is overwritten with zeros.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import BinaryIO

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat_folder import Folder
from edgeagent.provision.fat_layout import Layout
from edgeagent.provision.fat_names import ARCHIVE, FOLDER, Entry, checked, dots
from edgeagent.provision.fat_volume import Volume

LARGEST_READ_BYTES = 16 << 20
"""For `read`, which returns all at once; `pieces` has no bound."""
LARGEST_FILE_BYTES = 0xFFFFFFFF
DEEPEST = 16
"""Folders within folders."""
EPOCH = datetime(1980, 1, 1)  # noqa: DTZ001  # FAT's clock has no zone
"""The first moment that FAT can tell: what is written is the same whenever it is written."""


class FatPartition:
    """Files by their paths, as in "edgeagent/seed.toml", on the volume that begins at an offset of an open file."""

    def __init__(self, file: BinaryIO, offset: int, size: int | None = None, *, moment: datetime = EPOCH) -> None:
        """Read geometry and table. Raise ImageError if there is no sound FAT, or the file ends before it."""
        self._volume = Volume(file, offset, size)
        self._moment = moment
        self._folders: dict[int, Folder] = {}
        self._given_up: list[tuple[Sequence[int], bool]] = []
        self._fresh: list[Sequence[int]] = []

    @property
    def layout(self) -> Layout:
        """Its geometry."""
        return self._volume.layout

    @property
    def free_bytes(self) -> int:
        """How much more fits in; what is given up counts only after `flush`."""
        return self._volume.table.free * self.layout.cluster

    @property
    def is_dirty(self) -> bool:
        """Whether somebody was writing to it and did not end."""
        return self._volume.is_dirty

    def listing(self, path: str = "") -> Sequence[Entry]:
        """Return what is in a folder; nothing if there is no such folder."""
        found = self._walk(_parts(path))
        return found.entries() if found else ()

    def find(self, path: str) -> Entry | None:
        """Return the entry of a file or folder."""
        *above, name = _parts(path)
        folder = self._walk(above)
        return folder.find(name) if folder else None

    def read(self, path: str, *, largest: int = LARGEST_READ_BYTES) -> bytes | None:
        """Return a file's content, or None if there is no such file. Raise ImageError if it is too large."""
        entry = self.find(path)
        if entry is None or entry.is_folder:
            return None
        if entry.size > largest:
            raise ImageError(f"{path}: {entry.size:,} bytes, expected at most {largest:,}", remedy="Look what it is.")
        return b"".join(self._volume.pieces(entry))

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield a file's content bit by bit; nothing if there is no such file."""
        entry = self.find(path)
        if entry is not None and not entry.is_folder:
            yield from self._volume.pieces(entry)

    def write(self, path: str, data: bytes | BinaryIO) -> bool:
        """Make or replace a file, and the folders above it. Say whether that changed anything.

        Raise ImageError if the partition is full, or a folder is in the way.
        """
        self._refuse_dirty()
        source = BytesIO(data) if isinstance(data, bytes) else data
        size = source.seek(0, os.SEEK_END)
        *above, name = _parts(path)
        folder = self._walk(above, make=True)
        entry = folder.find(name) if folder else None
        if folder is None or (entry and entry.is_folder):
            raise ImageError(f"{path}: a folder is there, or a file where its folder should be", remedy="Rename it.")
        if entry and entry.size == size and self._equals(entry, source):
            return False
        if size > LARGEST_FILE_BYTES:
            raise ImageError(f"{path}: {size:,} bytes are more than FAT holds in a file", remedy="Split it.")
        if entry is None:
            self._make_room(folder, name)
        clusters = self._volume.table.take(-(-size // self.layout.cluster)) if size else []
        self._fresh.append(clusters)
        source.seek(0)
        self._volume.fill(clusters, source)
        first = clusters[0] if clusters else 0
        if entry is None:
            folder.add(name, ARCHIVE, first, size, self._moment)
        else:
            folder.change(entry, first, size, self._moment)
            self._give_up(entry, erase=True)
        return True

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it, where they are not there."""
        self._refuse_dirty()
        if self._walk(_parts(path), make=True) is None:
            raise ImageError(f"{path}: a file is where a folder should be", remedy="Rename it.")

    def remove(self, path: str, *, erase: bool = True) -> bool:
        """Delete a file, or an empty folder, and overwrite what it held. Say whether it was there."""
        self._refuse_dirty()
        *above, name = _parts(path)
        folder = self._walk(above)
        entry = folder.find(name) if folder else None
        if folder is None or entry is None:
            return False
        if entry.is_folder:
            if self.listing(path):
                raise ImageError(f"{path}: the folder is not empty", remedy="Delete what is in it first.")
            self._folders.pop(entry.cluster, None)
        folder.drop(entry)
        self._give_up(entry, erase=erase)
        return True

    def flush(self) -> None:
        """Bring all changes to the disk, in the order that a power cut cannot harm."""
        volume, folders = self._volume, tuple(self._folders.values())
        if not self._given_up and not any(one.is_changed for one in folders):
            return
        self._fresh.clear()
        volume.mark(in_use=True)
        for folder in folders:
            if folder.is_new:
                volume.put_folder(folder)
        volume.settle()
        volume.put_table()
        for folder in folders:
            if folder.is_changed:
                volume.put_folder(folder)
        volume.settle()
        for clusters, erase in self._given_up:
            if erase:
                volume.fill(clusters, None)
            volume.table.release(clusters)
        self._given_up.clear()
        volume.settle()
        volume.put_table()
        volume.put_fsinfo()
        volume.mark(in_use=False)

    def abandon(self) -> None:
        """Overwrite what was written and not flushed: it may be secret. Nothing more can be done with the partition."""
        for clusters in self._fresh:
            self._volume.fill(clusters, None)
        if self._fresh:
            self._volume.settle()
        self._fresh.clear()

    def _refuse_dirty(self) -> None:
        if self.is_dirty:
            raise ImageError(
                "the boot partition is marked as in use: it was not unmounted, or a change was cut off",
                remedy="Take a fresh image; or put the card away properly, or run fsck.vfat -a on the partition.",
            )

    def _walk(self, parts: Sequence[str], *, make: bool = False) -> Folder | None:
        """Return the folder at the end of a path."""
        at = self._folder(0)
        for depth, name in enumerate(parts):
            entry = at.find(name)
            if entry is None and make:
                at = self._new_folder(at, name, is_top=depth == 0)
            elif entry is None or not entry.is_folder:
                return None
            else:
                at = self._folder(entry.cluster)
        return at

    def _folder(self, cluster: int) -> Folder:
        """Return the folder that begins at a cluster, 0 for the root, as it is to be."""
        if cluster not in self._folders:
            self._folders[cluster] = self._volume.folder(cluster) if cluster else self._volume.root()
        return self._folders[cluster]

    def _new_folder(self, above: Folder, name: str, *, is_top: bool) -> Folder:
        self._make_room(above, name)
        (cluster,) = self._volume.table.take(1)
        first = dots(cluster, 0 if is_top else above.first, self._moment)
        raw = bytearray(first.ljust(self.layout.cluster, b"\0"))
        above.add(name, FOLDER, cluster, 0, self._moment)
        self._folders[cluster] = Folder(raw, [cluster], is_new=True, is_changed=True)
        return self._folders[cluster]

    def _make_room(self, folder: Folder, name: str) -> None:
        """Let a folder grow until a new entry fits in."""
        while not folder.room_for(name):
            if not folder.clusters:
                raise ImageError("the root folder is full", remedy="Delete files from it, or take an image with FAT32.")
            (cluster,) = self._volume.table.take(1)
            self._volume.fill([cluster], None)
            self._volume.table.join(folder.clusters[-1], cluster)
            folder.grow(cluster, self.layout.cluster)
            folder.is_changed = True

    def _give_up(self, entry: Entry, *, erase: bool) -> None:
        if entry.cluster:
            self._given_up.append((self._volume.table.chain(entry.cluster), erase))

    def _equals(self, entry: Entry, source: BinaryIO) -> bool:
        source.seek(0)
        return all(source.read(len(piece)) == piece for piece in self._volume.pieces(entry))


def _parts(path: str) -> Sequence[str]:
    parts = [part for part in path.split("/") if part]
    if len(parts) > DEEPEST:
        raise ImageError(f"{path!r:.60}: more than {DEEPEST} folders deep", remedy="Give a shorter path.")
    return [checked(part) for part in parts]
