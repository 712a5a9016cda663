"""FAT volumes that are damaged, in use, of another kind, or cut off in the middle of a change."""

import os
import struct
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from provision.media import CutFile
from provision_images import complaints, fat_file, needs_fat_tools, put, run

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition

pytestmark = needs_fat_tools
BITS = [16, 32]


def made(path: Path, bits: int) -> Path:
    size, per_cluster = (8 << 20, "2") if bits == 16 else (40 << 20, "1")
    volume = fat_file(path / "some.fat", bits=bits, size=size, options=("-s", per_cluster))
    put(volume, "kept.txt", b"kept" * 1000, at=0)
    return volume


def patched(volume: Path, at: int, raw: bytes) -> BinaryIO:
    content = bytearray(volume.read_bytes())
    content[at : at + len(raw)] = raw
    return BytesIO(bytes(content))


@pytest.mark.parametrize("bits", BITS)
def test_a_volume_in_use_is_read_but_not_changed(tmp_path: Path, bits: int) -> None:
    volume = made(tmp_path, bits)
    fat = FatPartition(patched(volume, 65 if bits == 32 else 37, b"\x01"), 0)
    assert fat.is_dirty
    assert fat.read("kept.txt") == b"kept" * 1000
    for change in (lambda: fat.write("new", b""), lambda: fat.remove("kept.txt"), lambda: fat.make_folder("new")):
        with pytest.raises(ImageError, match="marked as in use") as one:
            change()
        assert "fresh image" in one.value.remedy


@pytest.mark.parametrize("bits", BITS)
def test_the_mark_in_the_table_counts_as_well(tmp_path: Path, bits: int) -> None:
    volume = made(tmp_path, bits)
    with volume.open("rb") as file:
        table = FatPartition(file, 0).layout.fats[0]
    entry = struct.pack("<I", 0x07FFFFFF) if bits == 32 else struct.pack("<H", 0x7FFF)
    assert FatPartition(patched(volume, table + len(entry), entry), 0).is_dirty


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("where", ["free", "reserved", "outside", "circle"])
def test_a_broken_chain_is_told_and_not_followed_for_ever(tmp_path: Path, bits: int, where: str) -> None:
    volume = made(tmp_path, bits)
    with volume.open("rb") as file:
        fat = FatPartition(file, 0)
        entry = fat.find("kept.txt")
        assert entry is not None
    to = {"free": 0, "reserved": 1, "outside": 0xFF00, "circle": entry.cluster}[where]
    raw = struct.pack("<I" if bits == 32 else "<H", to + (0xFF_0000 if where == "outside" and bits == 32 else 0))
    broken = FatPartition(patched(volume, fat.layout.fats[0] + entry.cluster * bits // 8, raw), 0)
    with pytest.raises(ImageError, match=f"damaged FAT: the chain from cluster {entry.cluster} leads"):
        broken.read("kept.txt")


def test_a_file_longer_than_its_chain_is_told(tmp_path: Path) -> None:
    volume = made(tmp_path, 16)
    at = volume.read_bytes().index(b"KEPT    TXT") + 28
    fat = FatPartition(patched(volume, at, struct.pack("<I", 1 << 20)), 0)
    with pytest.raises(ImageError, match="shorter than its folder says"):
        fat.read("kept.txt")
    with pytest.raises(ImageError, match="1,048,576 bytes, expected at most 100"):
        fat.read("kept.txt", largest=100)


def test_fat12_exfat_and_noise_are_refused(tmp_path: Path) -> None:
    small = tmp_path / "12.fat"
    small.write_bytes(bytes(1 << 20))
    run("mkfs.vfat", "-F", "12", small)
    with small.open("rb") as file, pytest.raises(ImageError, match="FAT12, expected FAT16 or FAT32"):
        FatPartition(file, 0)
    for noise in (b"", bytes(4096), b"\xeb\x76\x90EXFAT   " + bytes(499) + b"\x55\xaa" + bytes(4096), b"\xeb" * 4096):
        with pytest.raises(ImageError, match="holds no FAT16 or FAT32"):
            FatPartition(BytesIO(noise), 0)


def test_a_table_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    volume = tmp_path / "huge.fat"
    boot = bytearray(512)
    boot[0], boot[510:512] = 0xEB, b"\x55\xaa"
    struct.pack_into("<HBHBHHBH", boot, 11, 512, 8, 32, 1, 0, 0, 0xF8, 0)
    struct.pack_into("<II", boot, 32, (9 << 30) // 512, (8 << 30) // 512)  # a table of 8 GiB for 1 GiB of data
    volume.write_bytes(boot)
    os.truncate(volume, 9 << 30)
    with volume.open("rb") as file, pytest.raises(ImageError, match="a table of 8,589,934,592 bytes"):
        FatPartition(file, 0)


@pytest.mark.parametrize("bits", BITS)
def test_a_volume_cut_short_is_refused(tmp_path: Path, bits: int) -> None:
    volume = made(tmp_path, bits)
    whole = volume.read_bytes()
    with pytest.raises(ImageError, match="the image is truncated"):
        FatPartition(BytesIO(whole[: len(whole) // 2]), 0)
    with pytest.raises(ImageError, match="its partition only"):
        FatPartition(BytesIO(whole), 0, len(whole) // 2)


@pytest.mark.parametrize("bits", BITS)
def test_a64_a_plug_pulled_at_any_write_leaves_old_or_new_files(tmp_path: Path, bits: int) -> None:
    volume = made(tmp_path, bits)
    put(volume, "gone.txt", b"secret" * 500, at=0)
    before, writes, ended = volume.read_bytes(), 0, False
    cut = tmp_path / "cut.fat"
    while not ended:
        with volume.open("rb") as file:
            disk = CutFile(before, writes, file.fileno())
            fat = FatPartition(disk, 0)
            fat.write("kept.txt", b"new" * 2000)
            fat.write("edgeagent/seed.toml", b"seed" * 300)
            fat.remove("gone.txt")
            fat.flush()
        ended = disk.left >= 0
        after = FatPartition(BytesIO(disk.getvalue()), 0)
        assert after.read("kept.txt") in {b"kept" * 1000, b"new" * 2000}, writes
        assert after.read("edgeagent/seed.toml") in {None, b"seed" * 300}, writes
        assert ended or disk.getvalue() == before or after.is_dirty or after.read("kept.txt") == b"kept" * 1000, writes
        cut.write_bytes(disk.getvalue())
        found = complaints(cut)
        assert not [line for line in found.splitlines() if is_damage(line)], (writes, found)
        writes += 1
    assert complaints(cut) == ""
    assert b"secret" not in disk.getvalue()


HARMLESS = (
    ("fsck.fat", "cut.fat:"),  # its head and its sum
    ("Dirty bit", "Automatically", "differences between boot", "mostly harmless", "(offset:", "65:", "37:"),  # the mark
    ("FATs differ but appear to be intact", "Using first FAT"),
    ("Reclaimed", "Free cluster summary", "Leaving filesystem unchanged", "Not automatically", "Auto-"),
)


def is_damage(line: str) -> bool:
    """Tell a complaint about files from those about clusters of nobody, the mark, and copies that differ."""
    return bool(line.strip()) and not any(one in line for group in HARMLESS for one in group)
