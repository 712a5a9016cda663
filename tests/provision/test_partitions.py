"""The partition table of an image, and what is said of those that are none."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from provision_images import START, card, needs_fat_tools, run

from edgeagent.provision.errors import ImageError
from edgeagent.provision.partitions import LINUX, boot_partition, partitions


def table(*entries: tuple[int, int, int], size: int = 8 << 20) -> BytesIO:
    raw = bytearray(size)
    for number, (kind, first, count) in enumerate(entries):
        raw[446 + number * 16 : 462 + number * 16] = struct.pack("<B3xB3xII", 0, kind, first, count)
    raw[510:512] = b"\x55\xaa"
    return BytesIO(bytes(raw[:size]))


@needs_fat_tools
def test_what_sfdisk_writes_is_read(tmp_path: Path) -> None:
    with card(tmp_path / "card.img").open("rb") as image:
        boot, root = partitions(image)
        assert boot_partition(image) == boot
    assert (boot.number, boot.kind, boot.start, boot.size) == (1, 0x0C, START, 40 << 20)
    assert boot.is_fat
    assert (root.number, root.kind, root.size) == (2, LINUX, 8 << 20)


@needs_fat_tools
def test_a_truncated_image_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = card(tmp_path / "card.img")
    with path.open("r+b") as image:
        image.truncate(45 << 20)
        with pytest.raises(ImageError, match="partition 2 ends at 51,380,224, the file at 47,185,920") as one:
            partitions(image)
    assert "SHA-256" in one.value.remedy


@needs_fat_tools
def test_gpt_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "gpt.img"
    path.write_bytes(bytes(8 << 20))
    run("sfdisk", "-q", path, given=b"label: gpt\nsize=2M\n")
    with path.open("rb") as image, pytest.raises(ImageError, match="is GPT, expected MBR") as one:
        partitions(image)
    assert "gpttombr" in one.value.remedy


def test_a_hybrid_of_both_is_refused() -> None:
    with pytest.raises(ImageError, match="hybrid of GPT and MBR"):
        partitions(table((0xEE, 1, 100), (0x0C, 2048, 100)))


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (BytesIO(b""), "found nothing"),
        (BytesIO(b"\xfd7zXZ\0" + bytes(600)), "found 00 00"),
        (table(), "the partition table is empty"),
        (table((0x0C, 0, 100)), "begins in the partition table"),
        (table((0x0C, 2048, 1 << 20)), "truncated"),
        (table((0x0C, 2048, 100), (0x83, 2100, 100)), "partitions 1 and 2 overlap"),
    ],
)
def test_what_is_no_table_is_refused(image: BytesIO, found: str) -> None:
    with pytest.raises(ImageError, match=found):
        partitions(image)


def test_the_boot_sector_of_a_single_partition_is_no_table() -> None:
    raw = bytearray(table((0x0C, 2048, 100)).getvalue())
    raw[446] = 0x12
    with pytest.raises(ImageError, match="status byte is 0x12"):
        partitions(BytesIO(bytes(raw)))


def test_an_image_without_fat_says_what_it_has() -> None:
    with pytest.raises(ImageError, match="no FAT partition, found only 1 of type 0x83"):
        boot_partition(table((0x83, 2048, 100)))
