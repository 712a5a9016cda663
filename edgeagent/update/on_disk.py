"""Folders, links and files that are on the disk when a function returns, and are what they say they are.

A folder that is there already may have been made by a process that was killed before it synced: everything here syncs
whether or not it changed something.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably

_BLOCK_BYTES = 1 << 20
_CODES = {errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EIO: "disk-error", errno.EROFS: "read-only"}
_REMEDIES = {
    "disk-full": "Make room where [device] state_dir lies, then update again.",
    "disk-error": "The storage fails: replace it.",
    "read-only": "Mount the file system of [device] state_dir so that it can be written to.",
}


@contextmanager
def disk(what: str) -> Iterator[None]:
    """Turn what the disk refuses into an UpdateError: "disk-full", "disk-error", "read-only" or "disk"."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, what) from error


def disk_error(error: OSError, what: str) -> UpdateError:
    """Return what the disk refuses as an error for the fleet: "disk-full", "disk-error", "read-only" or "disk"."""
    code = _CODES.get(error.errno or 0, "disk")
    return UpdateError(
        f"{what}: {error.strerror or error}", code=code, remedy=_REMEDIES.get(code, "Look at the message.")
    )


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk. Raise OSError, also if it is no folder but a link to one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Have a folder and those above it, durably.

    Raise UpdateError "planted" if something else has its name, OSError by the disk.
    """
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755)
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise UpdateError(
            f"{folder}: expected a folder, found something else", code="planted", remedy=f"Look at it: ls -l {folder}"
        )
    sync_folder(folder.parent)


def switch_link(link: Path, target: str) -> None:
    """Let a link name something else in one step that survives a power cut. Raise OSError."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync_folder(link.parent)


def remove(path: Path) -> None:
    """Have no such file or link, durably. Raise OSError."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def open_regular(path: Path, beneath: Path) -> int:
    """Return a descriptor of a regular file whose folders below `beneath` are no links.

    Raise UpdateError "planted" for a link or anything else that is no file, OSError where there is none.
    """
    parts = path.relative_to(beneath).parts
    folder = os.open(beneath, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # a pipe that was planted must not block us
        found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise _planted(path) from error
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise _planted(path)
    return found


def _planted(path: Path) -> UpdateError:
    return UpdateError(
        f"{path}: expected a file, found a link or something else", code="planted", remedy=f"Remove it: rm {path}"
    )


def sha256_of(descriptor: int) -> tuple[str, int]:
    """Return the hash and the length in bytes of an open file, read from its beginning. Raise OSError."""
    digest, offset = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK_BYTES, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest(), offset


def read_small(path: Path, beneath: Path, most: int) -> bytes:
    """Return a small file. Raise UpdateError "planted" or "damaged" (too large), OSError."""
    descriptor = open_regular(path, beneath)
    try:
        raw = os.pread(descriptor, most + 1, 0)
    finally:
        os.close(descriptor)
    if len(raw) > most:
        raise UpdateError(f"{path}: larger than {most} bytes", code="damaged", remedy="Update again.")
    return raw


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted. Raise OSError."""
    return sorted(entry.name for entry in folder.iterdir())


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
