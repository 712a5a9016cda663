"""The first sector of an image to its partitions, each checked against the size of the file.

Rules:
    - Only the MBR's four primary entries are read: that is what boards with SD cards boot from.
    - A protective or hybrid entry (type 0xee) means GPT: refused, whatever else stands in the table.
    - A partition that begins or ends behind the end of the file means a truncated image: refused.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from edgeagent.provision.errors import ImageError

SECTOR = 512
"""Bytes; MBRs on cards count in no other."""
FAT_KINDS = frozenset({0x04, 0x06, 0x0B, 0x0C, 0x0E})
LINUX = 0x83
_EXTENDED = frozenset({0x05, 0x0F, 0x85})
_GPT = 0xEE
_TABLE, _ENTRY, _SIGNATURE = 446, 16, b"\x55\xaa"
_AGAIN = "Download the image again and compare its SHA-256 with the one published."


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry of the table: number from 1, type byte, first byte and size in bytes."""

    number: int
    kind: int
    start: int
    size: int

    @property
    def is_fat(self) -> bool:
        """Say whether the type byte promises a FAT file system."""
        return self.kind in FAT_KINDS


def size_of(image: BinaryIO) -> int:
    """Return how many bytes an open image or device has."""
    return image.seek(0, os.SEEK_END)


def partitions(image: BinaryIO) -> Sequence[Partition]:
    """Read the table. Raise ImageError for what is no MBR, for GPT, and for a truncated image."""
    size = size_of(image)
    image.seek(0)
    sector = image.read(SECTOR)
    if len(sector) < SECTOR or sector[510:512] != _SIGNATURE:
        raise ImageError(
            f"no partition table: expected 55 aa at byte 510, found {_shown(sector[510:])}",
            remedy="Give the unpacked .img of a whole card, not a compressed file and not a single partition.",
        )
    found = [_entry(number, sector) for number in range(1, 5)]
    used = [one for one in found if one is not None]
    _refuse_gpt(image, used)
    if not used:
        raise ImageError("the partition table is empty", remedy=_AGAIN)
    for one in used:
        _check(one, used, size)
    return tuple(used)


def boot_partition(image: BinaryIO) -> Partition:
    """Return the first FAT partition: the one a board's firmware reads. Raise ImageError if there is none."""
    found = partitions(image)
    for one in found:
        if one.is_fat:
            return one
    kinds = ", ".join(f"{one.number} of type {one.kind:#04x}" for one in found)
    raise ImageError(
        f"no FAT partition, found only {kinds}",
        remedy="Only images with a FAT boot partition can be customised.",
    )


def _shown(raw: bytes) -> str:
    return raw[:2].hex(" ") or "nothing"


def _entry(number: int, sector: bytes) -> Partition | None:
    raw = sector[_TABLE + (number - 1) * _ENTRY :][:_ENTRY]
    kind = raw[4]
    first, count = struct.unpack("<II", raw[8:16])
    if kind == 0 or count == 0:
        return None
    if raw[0] not in {0x00, 0x80}:
        raise ImageError(
            f"partition {number}: the status byte is {raw[0]:#04x}, expected 0x00 or 0x80: this is no partition table",
            remedy="Give the image of a whole card, not that of a single partition.",
        )
    return Partition(number, kind, first * SECTOR, count * SECTOR)


def _refuse_gpt(image: BinaryIO, used: Sequence[Partition]) -> None:
    protective = [one for one in used if one.kind == _GPT]
    if not protective:
        return
    image.seek(SECTOR)
    header = image.read(8) == b"EFI PART"
    what = "a hybrid of GPT and MBR" if len(used) > 1 else "GPT"
    raise ImageError(
        f"the partition table is {what}, expected MBR" + ("" if header else "; its GPT header is damaged as well"),
        remedy="Take an image with an MBR, as all for SD cards are, or turn it into one: sgdisk --gpttombr=1:2 IMAGE.",
    )


def _check(one: Partition, used: Sequence[Partition], size: int) -> None:
    if one.start < SECTOR:
        raise ImageError(f"partition {one.number} begins in the partition table itself", remedy=_AGAIN)
    if one.start + one.size > size:
        raise ImageError(
            f"the image is truncated: partition {one.number} ends at {one.start + one.size:,}, the file at {size:,}",
            remedy=_AGAIN,
        )
    for other in used:
        apart = one.start + one.size <= other.start or other.start + other.size <= one.start
        if other.number > one.number and not apart and not {one.kind, other.kind} & _EXTENDED:
            raise ImageError(f"partitions {one.number} and {other.number} overlap", remedy=_AGAIN)
