"""A disk, or a file in its place, that is written and read in blocks past the system's cache.

Rules:
    - A disk is opened for us alone (O_EXCL): the kernel refuses it while anything of it is mounted, wherever that is.
    - Each block has left this machine before the next one is written: progress is true. Where the system has O_DIRECT,
      it goes straight to the medium, at its speed; else it goes by the cache, and is settled at once.
    - What is read back comes from the medium as well: by O_DIRECT, else after the cache was dropped.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from edgeagent.provision.devices import HEAD_BYTES, Medium, contents_of
from edgeagent.provision.errors import ImageError
from edgeagent.provision.opening import remedy

BLOCK_BYTES = 4 << 20
"""What cards erase at once, or a multiple of it; a multiple of every page and sector."""
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux alone has it
_ALIGNED = 4096
"""What is written past the cache is whole sectors, of any disk."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is written to; `descriptor` is open for reading and writing, `direct` for writing past the cache."""

    path: Path
    descriptor: int
    direct: int | None = None

    def write(self, at: int, block: bytes | memoryview) -> None:
        """Put a block onto the medium; straight if it is of `rooms`. Raise ImageError if it does not take it."""
        if self.direct is None or len(block) % _ALIGNED or not self._written_past_the_cache(self.direct, at, block):
            self._write(self.descriptor, at, block)
            self.settle()
            self._forget(at, len(block))

    def settle(self) -> None:
        """See that the medium has all that it was given. Raise ImageError if it has not."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise ImageError(
                f"{self.path}: does not keep what was written: {error.strerror}", remedy="Take another card."
            ) from error

    def _written_past_the_cache(self, direct: int, at: int, block: bytes | memoryview) -> bool:
        """Write a block by O_DIRECT; tell whether the system has taken it so."""
        try:
            self._write(direct, at, block)
        except ImageError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EINVAL:
                return False
            raise
        return True

    def _write(self, descriptor: int, at: int, block: bytes | memoryview) -> None:
        done = 0
        try:
            os.lseek(descriptor, at, os.SEEK_SET)
            while done < len(block):
                with memoryview(block)[done:] as rest:
                    done += os.write(descriptor, rest)
        except OSError as error:
            raise self._not_taken(at + done, error) from error

    def blocks(self, size: int) -> Iterator[tuple[int, memoryview]]:
        """Read the medium from its beginning, past the cache: where each block begins, and what it holds.

        A block is there until the second after it is. Raise ImageError if it cannot be read.
        """
        with _uncached(self) as descriptor:
            for at, room in zip(range(0, size, BLOCK_BYTES), cycle(rooms()), strict=False):
                yield at, self._read(descriptor, at, room)[: size - at]

    def _read(self, descriptor: int, at: int, room: memoryview) -> memoryview:
        try:
            os.lseek(descriptor, at, os.SEEK_SET)
            with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                count = file.readinto(room) or 0
        except OSError as error:
            raise ImageError(
                f"{self.path}: cannot be read back at byte {at}: {error.strerror}", remedy="Take another card."
            ) from error
        return room[:count]

    def _forget(self, at: int, count: int) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.descriptor, at, count, os.POSIX_FADV_DONTNEED)

    def _not_taken(self, at: int, error: OSError) -> ImageError:
        if error.errno == errno.ENOSPC:
            return ImageError(f"{self.path}: is full at byte {at}, and the image goes on", remedy="Take a larger card.")
        return ImageError(
            f"{self.path}: cannot be written at byte {at}: {error.strerror}",
            remedy="Put the card in again; if it fails once more, take another one.",
        )


def rooms() -> tuple[memoryview, memoryview]:
    """Return memory for two blocks, to be used in turn: it begins with a page, as O_DIRECT wants."""
    return memoryview(mmap.mmap(-1, BLOCK_BYTES)), memoryview(mmap.mmap(-1, BLOCK_BYTES))


@contextmanager
def opened_target(medium: Medium) -> Iterator[Target]:
    """Open what an image is written to, for us alone. Raise ImageError if somebody uses it, or we may not."""
    flags = os.O_RDWR | _BINARY | (os.O_CREAT if medium.kind == "file" else os.O_EXCL)
    try:
        descriptor = os.open(medium.path, flags, 0o600)
    except OSError as error:
        raise ImageError(
            f"{medium.path}: cannot be written: {error.strerror}", remedy=remedy(error, "Put the card in again.")
        ) from error
    direct = None
    try:
        _refuse_another(medium, os.lseek(descriptor, 0, os.SEEK_END))
        direct = _direct(medium.path)
        yield Target(medium.path, descriptor, direct)
    finally:
        os.close(descriptor)
        if direct is not None:
            os.close(direct)


def _refuse_another(medium: Medium, size: int) -> None:
    """Raise ImageError if another disk has come to this path since it was looked at. macOS tells no size here."""
    if medium.kind != "file" and size not in {0, medium.size_bytes}:
        raise ImageError(
            f"{medium.path}: has {size} bytes now, it had {medium.size_bytes}: this is another disk",
            remedy="Look which disk is meant, and flash it again.",
        )


def _direct(path: Path) -> int | None:
    try:
        return os.open(path, os.O_WRONLY | _DIRECT) if _DIRECT else None
    except OSError:  # a file system in memory knows no O_DIRECT
        return None


def file_medium(path: Path) -> Medium:
    """Return the facts of a file that is written in a disk's place, as large as it is, or as there is room for."""
    folder = path.parent
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        size = path.stat().st_size
        if size:
            return Medium(path, size, "file", is_removable=True, contents=contents_of(head))
    elif path.exists() or not folder.is_dir():
        raise ImageError(f"{path}: is no file, and none can be made there", remedy="Name a file after --to-file.")
    room = os.statvfs(folder)
    return Medium(path, room.f_bavail * room.f_frsize, "file", is_removable=True)


@contextmanager
def _uncached(target: Target) -> Iterator[int]:
    """Open it once more for reading past the cache, where that can be had."""
    target._forget(0, 0)  # noqa: SLF001  # of this module: 0 means up to the end
    try:
        descriptor = os.open(target.path, os.O_RDONLY | _BINARY | _DIRECT)
    except OSError:  # a file system in memory knows no O_DIRECT
        descriptor = os.open(target.path, os.O_RDONLY | _BINARY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
