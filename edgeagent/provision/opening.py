"""An image, or a card, opened: one error that says what to do, whatever the system has against it.

Rules:
    - A card that is to be changed is opened for us alone (O_EXCL): while anything of it is mounted, the kernel
      refuses it.
    - An image that is to be changed is locked (lockf): of two that customise it, one is refused.
    - What goes wrong later, as a disk that is full or a card that is pulled out, is such an error as well.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgeagent.provision.errors import ImageError

_REMEDIES = {
    errno.EBUSY: "Something uses it: unmount what is on it, also in other programs.",
    errno.EAGAIN: "Another program has it: wait until that is done.",
    errno.EACCES: "Check who may write it; for a card, run it as root: sudo.",
    errno.EPERM: "Check who may write it; for a card, run it as root: sudo.",
    errno.EROFS: "Look for the slide at the card's side, or copy the image to where it can be written.",
    errno.ENOSPC: "Make room on the disk that it lies on, and take a fresh image.",
    errno.ENOENT: "Check the path.",
    errno.EISDIR: "Check the path.",
}


@contextmanager
def opened_image(image: Path, *, for_change: bool = False) -> Iterator[BinaryIO]:
    """Open an image or a card. Raise ImageError if that cannot be, or if it cannot be read or written later."""
    if image.is_fifo():
        raise ImageError(f"{image}: is no file and no disk", remedy="Check the path.")
    try:
        file = open(image, "r+b", opener=_alone) if for_change else image.open("rb")  # noqa: SIM115  # Path has no opener
    except OSError as error:
        does = "changed" if for_change else "read"
        raise ImageError(
            f"{image}: cannot be {does}: {error.strerror}", remedy=remedy(error, "Check the path.")
        ) from error
    try:
        with file:
            yield file
    except OSError as error:
        left = "Take a fresh image: this one may be half changed, and is marked as in use then."
        if not for_change:
            left = "Copy it anew."
        raise ImageError(f"{image}: failed: {error.strerror}", remedy=remedy(error, left)) from error


def remedy(error: OSError, otherwise: str) -> str:
    """Return what to do about an error of the system."""
    return _REMEDIES.get(error.errno or 0, otherwise)


def _alone(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | (os.O_EXCL if Path(path).is_block_device() else 0))
    try:
        if hasattr(os, "lockf"):  # not on Windows, which lets nobody else write what is open
            os.lockf(descriptor, os.F_TLOCK, 0)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            os.close(descriptor)
            raise OSError(errno.EAGAIN, "in use") from error
    return descriptor
