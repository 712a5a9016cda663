"""A disk that may fail: its errors as UpdateError; folders that survive a power cut; files read without links."""

import errno
import os
import stat
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably

_FULL = {errno.ENOSPC, errno.EDQUOT}


def disk_error(error: OSError, what: str) -> UpdateError:
    """Return the error for the fleet: code "disk-full" or "disk-error"."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return UpdateError(f"{what}: {reason}", code="disk-full", remedy="Make room on the device: df -h")
    return UpdateError(f"{what}: {reason}", code="disk-error", remedy="Is the disk failing or read-only? dmesg | tail")


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk. Raise OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on the disk when this returns. Raise OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o755, exist_ok=True)
    sync_folder(folder.parent)  # also where it is there: who made it may have been killed before this


def read_bounded(path: Path, most: int) -> bytes:
    """Return a plain file's bytes. Raise OSError if it is no plain file, a link, or larger than `most` bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
    return content


def write_once(path: Path, content: bytes) -> None:
    """Write a file durably if it has another content: flash memory is not worn for nothing. Raise OSError."""
    try:
        if read_bounded(path, len(content)) == content:
            return
    except OSError:
        pass  # missing, longer, a link, or unreadable: written anew
    make_folder(path.parent)
    write_durably(path, content, mode=0o644)


def set_aside(path: Path) -> None:
    """Move what is damaged out of the way, to be looked at: one of each name is kept, in `damaged/`. Raise OSError."""
    make_folder(path.parent / "damaged")
    path.replace(path.parent / "damaged" / path.name)
