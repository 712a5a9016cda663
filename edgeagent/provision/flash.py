"""Writes an image onto a medium, and sees that it is there.

Steps, each of which leaves a medium that either boots whole or does not boot at all:
    1. The first block is a mark: it says that writing has begun.
    2. All other blocks are written, each one while it is hashed and the next is unpacked, and settled.
    3. They are read back from the medium, each one while the last is hashed, and compared by SHA-256.
    4. The first block of the image takes the mark's place, and is read back as well.
"""

import hashlib
import struct
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeVar

from edgeagent.provision.compression import DOWNLOAD_AGAIN, Unpacked, opened
from edgeagent.provision.devices import UNFINISHED, Medium
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash_progress import Pace, Told
from edgeagent.provision.flash_target import Target, opened_target, rooms

_SECTOR = 512
_TABLE, _ENTRY, _SIGNATURE = 446, 16, b"\x55\xaa"
_GPT = 0xEE
Item = TypeVar("Item")


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
        check_table(next(_blocks(stream), b""), stream.size_hint)
        return Previewed(stream.packing, stream.size_hint)


def flash(image: Path, medium: Medium, told: Told, now: Callable[[], float] = time.monotonic) -> Flashed:
    """Write an image onto a medium that nothing speaks against (see `devices.refusals`), and check it.

    Raise ImageError if the image is damaged, the medium does not take it, or does not give back what was written.
    """
    if medium.path.exists() and image.exists() and medium.path.samefile(image):
        raise ImageError(f"{image}: is image and medium at once", remedy="Name the card.")
    with opened(image) as stream, closing(_ahead(_blocks(stream))) as blocks:
        first = bytes(next(blocks, b""))
        check_table(first, stream.size_hint)
        with opened_target(medium) as target:
            return _Flashing(target, stream, told, now).run(first, blocks)


def check_table(first: bytes | memoryview, size: int | None) -> None:
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
    """One run; it keeps the hash of all up to each block, so that it can say where a card is bad."""

    def __init__(self, target: Target, stream: Unpacked, told: Told, now: Callable[[], float]) -> None:
        self._target, self._stream, self._told, self._now = target, stream, told, now
        self._digests: list[bytes] = []
        self._whole = hashlib.sha256()
        self._size = 0

    def run(self, first: bytes, rest: Iterator[memoryview]) -> Flashed:
        began = self._now()
        self._target.write(0, UNFINISHED.ljust(len(first), b"\0"))
        self._target.settle()
        self._count(first)
        self._write_rest(rest, began)
        self._target.settle()
        check_table(first, self._size)
        wrote = self._now()
        self._check_rest(first, wrote)
        self._target.write(0, first)
        self._target.settle()
        self._check_first(first)
        return Flashed(self._size, self._whole.hexdigest(), wrote - began, self._now() - wrote)

    def _write_rest(self, rest: Iterator[memoryview], began: float) -> None:
        pace = Pace("write", self._stream.size_hint, began)
        with ThreadPoolExecutor(1, thread_name_prefix="hash") as pool:
            for block in rest:
                at, counted = self._size, pool.submit(self._count, block)
                self._target.write(at, block)
                counted.result()
                share = None if pace.total_bytes else self._stream.packed_done / self._stream.packed_size
                self._told(pace.at(self._now(), self._size, share))

    def _count(self, block: bytes | memoryview) -> None:
        self._whole.update(block)
        self._digests.append(self._whole.copy().digest())
        self._size += len(block)

    def _check_rest(self, first: bytes, began: float) -> None:
        pace, whole = Pace("check", self._size, began), hashlib.sha256()
        with closing(_ahead(self._target.blocks(self._size))) as blocks:
            for (at, block), digest in zip(blocks, self._digests, strict=True):
                whole.update(block if at else first)
                if whole.copy().digest() != digest:
                    raise _not_given_back(self._target.path, at, len(block))
                self._told(pace.at(self._now(), at + len(block)))

    def _check_first(self, first: bytes) -> None:
        for at, block in self._target.blocks(len(first)):
            if block != first:
                raise _not_given_back(self._target.path, at, len(block))


def _not_given_back(path: Path, at: int, count: int) -> ImageError:
    return ImageError(
        f"{path}: does not give back what was written, between byte {at} and {at + count}",
        remedy="Take another card: this one is worn out, or smaller than it says.",
    )


def _ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield items; the next one is made while this one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _blocks(stream: Unpacked) -> Iterator[memoryview]:
    """Yield an image's blocks, of which only the last may be shorter; each is there until the second after it is."""
    for room in cycle(rooms()):
        size = 0
        while size < len(room) and (count := stream.readinto(room[size:])):
            size += count
        if not size:
            return
        yield room[:size]
