"""An image to copies of it, each of which has its name only once it is whole, and is for its owner alone.

Rules:
    - Until then it is `.NAME.part`: what a power cut leaves of it boots nowhere by mistake, and goes the next time.
    - It holds secrets: nobody else may read it, from its first byte on.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeagent.provision.compression import unpack
from edgeagent.provision.customise import Report, customise
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash import preview
from edgeagent.provision.flash_progress import Told, quietly
from edgeagent.provision.wishes import Wishes

_BLOCK = 512
"""Of st_blocks (stat(2)), whatever the file system has."""


def customised_copy(
    image: Path, output: Path, wishes: Wishes, *, booted_too: bool = False, told: Told = quietly
) -> Report:
    """Copy an image, packed or not, and put wishes onto the copy. Raise ImageError, with nothing left of it."""
    with _appearing(output) as part:
        unpack(image, part, told)
        return customise(part, wishes, booted_too=booted_too)


@contextmanager
def unpacked(image: Path, folder: Path) -> Iterator[Path]:
    """Yield an image that is not packed: this one, or a file in the folder that goes afterwards. Raise ImageError."""
    if preview(image).packing == "raw":
        yield image
        return
    part = _part(folder / image.name)
    part.unlink(missing_ok=True)
    unpack(image, part)
    try:
        yield part
    finally:
        part.unlink()


def room_needed(image: Path) -> int:
    """Return how many bytes a copy takes: of an archive what it says, or the least. Raise ImageError for no image."""
    looked, found = preview(image), image.stat()
    if looked.packing == "raw":
        return getattr(found, "st_blocks", -(-found.st_size // _BLOCK)) * _BLOCK
    return looked.size_bytes or found.st_size


def room_at(folder: Path) -> int:
    """Return how many bytes are free where a folder is, or will be."""
    return shutil.disk_usage(next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())).free


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Yield where to write a file that has its name when all went well, and is gone otherwise."""
    if target.exists() or not target.parent.is_dir():
        why = "there is something already" if target.exists() else "no such folder"
        raise ImageError(f"{target}: cannot be made: {why}", remedy="Name a file that is not there yet.")
    part = _part(target)
    part.unlink(missing_ok=True)
    try:
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")
