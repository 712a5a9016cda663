"""Writes an image onto a medium, and sees that it is there.

Steps, each of which leaves a medium that either boots whole or does not boot at all:
    1. The first block is a mark: it says that writing has begun.
    2. All other blocks are written, each one while the next is unpacked, and settled.
    3. They are read back from the medium, and compared by SHA-256.
    4. The first block of the image takes the mark's place, and is read back as well.
"""

import hashlib
import struct
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgeagent.provision.compression import DOWNLOAD_AGAIN, Unpacked, opened
from edgeagent.provision.devices import UNFINISHED, Medium
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash_progress import Pace, Told
from edgeagent.provision.flash_target import BLOCK_BYTES, Target, opened_target

_SECTOR = 512
_TABLE, _ENTRY, _SIGNATURE = 446, 16, b"\x55\xaa"
_GPT = 0xEE


@dataclass(frozen=True, slots=True)
class Flashed:
    """What was written: bytes of the image, its SHA-256, and how long both halves took."""

    size_bytes: int
    sha256: str
    wrote_s: float
    checked_s: float


@dataclass(frozen=True, slots=True)
class Previewed:
    """What would be written; `size_bytes` is None where the archive does not say."""

    packing: str
    size_bytes: int | None


def preview(image: Path) -> Previewed:
    """Look at an image's beginning. Raise ImageError if it is none, or cut off as far as that can be seen."""
    with opened(image) as stream:
        check_table(_block(stream), stream.size_hint)
        return Previewed(stream.packing, stream.size_hint)


def flash(image: Path, medium: Medium, told: Told, now: Callable[[], float] = time.monotonic) -> Flashed:
    """Write an image onto a medium that nothing speaks against (see `devices.refusals`), and check it.

    Raise ImageError if the image is damaged, the medium does not take it, or does not give back what was written.
    """
    if medium.path.exists() and image.exists() and medium.path.samefile(image):
        raise ImageError(f"{image}: is image and medium at once", remedy="Name the card.")
    with opened(image) as stream:
        first = _block(stream)
        check_table(first, stream.size_hint)
        with opened_target(medium) as target:
            return _Flashing(target, stream, told, now).run(first)


def check_table(first: bytes, size: int | None) -> None:
    """Look at an image's first block, and its size. Raise ImageError if it is no image of a card, or cut off."""
    if first[510:512] != _SIGNATURE:
        raise ImageError(
            "no partition table: expected 55 aa at byte 510 of the image", remedy="Name the image of a whole card."
        )
    for number in range(1, 5):
        raw = first[_TABLE + (number - 1) * _ENTRY :][:_ENTRY]
        begin, count = struct.unpack("<II", raw[8:16])
        end = (begin + count) * _SECTOR
        if raw[4] not in {0, _GPT} and size is not None and end > size:
            raise ImageError(
                f"the image is cut off: partition {number} ends at byte {end}, the image at {size}",
                remedy=DOWNLOAD_AGAIN,
            )


class _Flashing:
    """One run; it keeps a hash of each block, so that it can say where a card is bad."""

    def __init__(self, target: Target, stream: Unpacked, told: Told, now: Callable[[], float]) -> None:
        self._target, self._stream, self._told, self._now = target, stream, told, now
        self._digests: list[bytes] = []
        self._whole = hashlib.sha256()
        self._size = 0

    def run(self, first: bytes) -> Flashed:
        began = self._now()
        self._target.write(0, UNFINISHED.ljust(len(first), b"\0"))
        self._target.settle()
        self._count(first)
        self._write_rest(began)
        self._target.settle()
        check_table(first, self._size)
        wrote = self._now()
        self._check_rest(wrote)
        self._target.write(0, first)
        self._target.settle()
        self._check_first()
        return Flashed(self._size, self._whole.hexdigest(), wrote - began, self._now() - wrote)

    def _write_rest(self, began: float) -> None:
        pace = Pace("write", self._stream.size_hint, began)
        with closing(_ahead(self._stream)) as blocks:
            for block in blocks:
                self._target.write(self._size, block)
                self._count(block)
                share = None if pace.total_bytes else self._stream.packed_done / self._stream.packed_size
                self._told(pace.at(self._now(), self._size, share))

    def _count(self, block: bytes) -> None:
        self._whole.update(block)
        self._digests.append(hashlib.sha256(block).digest())
        self._size += len(block)

    def _check_rest(self, began: float) -> None:
        pace = Pace("check", self._size, began)
        for (at, block), digest in zip(self._target.blocks(self._size), self._digests, strict=True):
            if at:
                _compare(self._target.path, at, block, digest)
            self._told(pace.at(self._now(), at + len(block)))

    def _check_first(self) -> None:
        for at, block in self._target.blocks(min(self._size, BLOCK_BYTES)):
            _compare(self._target.path, at, block, self._digests[0])


def _compare(path: Path, at: int, block: bytes, digest: bytes) -> None:
    if hashlib.sha256(block).digest() != digest:
        raise ImageError(
            f"{path}: does not give back what was written, between byte {at} and {at + len(block)}",
            remedy="Take another card: this one is worn out, or smaller than it says.",
        )


def _ahead(stream: Unpacked) -> Generator[bytes, None, None]:
    """Read blocks; the next one is unpacked while this one is written."""
    with ThreadPoolExecutor(1, thread_name_prefix="unpack") as pool:
        coming = pool.submit(_block, stream)
        while block := coming.result():
            coming = pool.submit(_block, stream)
            yield block


def _block(stream: Unpacked) -> bytes:
    """Return the next block, which only the last one is shorter than."""
    pieces, wanted = [], BLOCK_BYTES
    while wanted and (piece := stream.read(wanted)):
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)
