"""A file in the making: its space is reserved, and how far it is on the disk is written down.

`<sha256>.part` has its full length from the first moment, so that a full disk is seen early; `<sha256>.at` holds the
offset up to which its bytes are known to be on the disk.
"""

import errno
import hashlib
import os
import re
import stat
from contextlib import suppress

from edgeagent.errors import UpdateError
from edgeagent.update.nouns import Target

CHECKPOINT_BYTES = 4 << 20
"""After so many bytes the part is synced and the offset written: what a power cut can cost."""
NO_LINKS = os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20
_OFFSET = re.compile(rb"([0-9]{1,16})\n")


class WrongError(Exception):
    """What was fetched is not what was signed."""


class Partial:
    """A file in the making: `have` is how much of it is there, `name` what it is called until it is whole."""

    def __init__(self, folder: int, target: Target) -> None:
        """Open or make the part in a folder, and reserve its space. Raise UpdateError "planted", OSError."""
        self._folder, self._target = folder, target
        self.name, self._offset_name = f"{target.sha256}.part", f"{target.sha256}.at"
        self._file = opened(folder, self.name, os.O_RDWR | os.O_CREAT)
        self.have = self._kept = 0
        try:
            self.have = self._kept = self._resumed()
            self._reserve()
        except OSError:
            self.discard()
            raise
        except UpdateError:
            self.close()
            raise

    def _reserve(self) -> None:
        if self._target.length:
            os.posix_fallocate(self._file, 0, self._target.length)

    def _resumed(self) -> int:
        try:
            descriptor = opened(self._folder, self._offset_name, os.O_RDONLY)
        except FileNotFoundError:
            return self._emptied()
        with os.fdopen(descriptor, "rb") as file:
            told = _OFFSET.fullmatch(file.read(32))
        if told is None or int(told[1]) > min(self._target.length, os.fstat(self._file).st_size):
            return self._emptied()
        return int(told[1])

    def _emptied(self) -> int:
        os.ftruncate(self._file, 0)
        return 0

    def write(self, piece: bytes) -> None:
        """Append, never beyond the length that was signed. Raise OSError."""
        left = memoryview(piece)[: self._target.length - self.have]
        while left:
            count = os.pwrite(self._file, left, self.have)
            self.have += count
            left = left[count:]
        if self.have - self._kept >= CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Bring what is there to the disk, then say so on the disk. Raise OSError."""
        if self.have == self._kept:
            return
        os.fsync(self._file)
        name = f"{self._offset_name}.new"
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)
        descriptor = opened(self._folder, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(descriptor, b"%d\n" % self.have)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(name, self._offset_name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)
        self._kept = self.have

    def verify(self) -> None:
        """Read back what was written. Raise WrongError, OSError."""
        os.fsync(self._file)
        # So that the disk is asked, and not only the memory.
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)
        if os.fstat(self._file).st_size != self._target.length or hash_of(self._file) != self._target.sha256:
            raise WrongError(f"expected {self._target.length} bytes with SHA-256 {self._target.sha256}")
        os.fchmod(self._file, 0o444)

    def restart(self) -> None:
        """Begin anew with nothing of what was there. Raise OSError."""
        self.have = self._kept = 0
        self.forget_offset()
        os.ftruncate(self._file, 0)
        self._reserve()

    def discard(self) -> None:
        """Give the space back."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)
        for name in (self._offset_name, f"{self._offset_name}.new", self.name):
            with suppress(OSError):
                os.unlink(name, dir_fd=self._folder)
        self.close()

    def forget_offset(self) -> None:
        """Remove the offset: nothing is to be resumed. Raise OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self._offset_name, dir_fd=self._folder)
        os.fsync(self._folder)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def opened(folder: int, name: str, flags: int) -> int:
    """Open a plain file of our own. Raise OSError, or UpdateError if it is something else, which is removed."""
    try:
        descriptor = os.open(name, flags | NO_LINKS | os.O_NONBLOCK, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        os.unlink(name, dir_fd=folder)
        raise UpdateError(f"{name}: something else was in its place, removed", code="planted") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        os.close(descriptor)
        os.unlink(name, dir_fd=folder)
        raise UpdateError(f"{name}: not a file of our own, removed", code="planted")
    return descriptor


def hash_of(descriptor: int) -> str:
    """Return the SHA-256 of an open file, from its beginning. Raise OSError."""
    digest, place = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _PIECE_BYTES, place):
        digest.update(piece)
        place += len(piece)
    return digest.hexdigest()
