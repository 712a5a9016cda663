"""Images as they come: raw, xz, gz, zst, whole and not."""

import bz2
import gzip
import lzma
import os
import random
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from provision.media import mounted

from edgeagent.provision.compression import Unpacked, opened, unpack
from edgeagent.provision.errors import ImageError

IMAGE = random.Random(8).randbytes(300_000) + bytes(2_000_000) + b"\x55\xaa" * 5_000  # noqa: S311  # no secret
"""Some of it packs well, some does not."""


def zst(content: bytes) -> bytes:
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


PACK: dict[str, Callable[[bytes], bytes]] = {"xz": lzma.compress, "gz": gzip.compress, "zst": zst}


def all_of(path: Path) -> bytes:
    with opened(path) as stream:
        return b"".join(iter(lambda: stream.read(100_003), b""))


def image(folder: Path, content: bytes) -> Path:
    path = folder / "an image"
    path.write_bytes(content)
    return path


def hint(path: Path) -> int | None:
    with opened(path) as stream:
        return stream.size_hint


def test_what_is_not_packed_is_read_as_it_is(tmp_path: Path) -> None:
    path = image(tmp_path, IMAGE)
    assert all_of(path) == IMAGE
    with opened(path) as stream:
        assert (stream.packing, stream.size_hint) == ("raw", len(IMAGE))


@pytest.mark.parametrize("packing", PACK)
def test_an_archive_is_told_by_its_first_bytes_and_unpacked(tmp_path: Path, packing: str) -> None:
    path = image(tmp_path, PACK[packing](IMAGE))
    assert all_of(path) == IMAGE
    with opened(path) as stream:
        assert stream.packing == packing
        assert stream.size_hint == (None if packing == "gz" else len(IMAGE))
        while stream.read(1 << 20):
            pass
        assert stream.packed_done == stream.packed_size == path.stat().st_size


@pytest.mark.parametrize("packing", PACK)
def test_archives_behind_one_another_are_one_image(tmp_path: Path, packing: str) -> None:
    path = image(tmp_path, PACK[packing](IMAGE) + PACK[packing](b"more") + PACK[packing](b""))
    assert all_of(path) == IMAGE + b"more"
    assert hint(path) in {None, len(IMAGE) + 4}


def test_padding_between_streams_of_xz_is_skipped(tmp_path: Path) -> None:
    path = image(tmp_path, lzma.compress(IMAGE) + bytes(100_000) + lzma.compress(b"more") + bytes(8))
    assert all_of(path) == IMAGE + b"more"
    assert hint(path) == len(IMAGE) + 4


@pytest.mark.parametrize(
    "command",
    [["xz", "-T2", "--block-size=200000"], ["xz", "-0"], ["gzip", "-9"], ["zstd", "-19"], ["zstd", "--long=27"]],
    ids=" ".join,
)
def test_what_other_programs_have_packed_is_unpacked(tmp_path: Path, command: list[str]) -> None:
    if shutil.which(command[0]) is None and "EDGEAGENT_CI" not in os.environ:
        pytest.skip(f"{command[0]} is not installed: apt-get install xz-utils gzip zstd")
    raw = image(tmp_path, IMAGE)
    packed = tmp_path / "packed"
    with packed.open("wb") as file:
        subprocess.run([*command, "-c", raw], stdout=file, check=True)
    assert all_of(packed) == IMAGE
    assert hint(packed) == (None if command[0] == "gzip" else len(IMAGE))


def test_the_size_is_left_open_where_zstd_did_not_know_it(tmp_path: Path) -> None:
    packer = zstd.ZstdCompressor()
    path = image(tmp_path, packer.compress(IMAGE) + packer.flush())
    assert hint(path) is None
    assert all_of(path) == IMAGE


@pytest.mark.parametrize("size", [0, 1, 255, 256, 1_000, 65_791, 65_792, 200_000])
def test_the_size_of_zstd_is_read_however_wide_it_is_written(tmp_path: Path, size: int) -> None:
    assert hint(image(tmp_path, zst(b"x" * size))) == size


def test_remarks_of_zstd_count_for_nothing(tmp_path: Path) -> None:
    remark = bytes.fromhex("502a4d18") + (5).to_bytes(4, "little") + b"hello"
    path = image(tmp_path, zst(IMAGE) + remark)
    assert hint(path) == len(IMAGE)
    assert all_of(path) == IMAGE


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kept", [0.999, 0.5, 0.0001])
def test_an_archive_that_is_cut_off_is_an_error_that_names_the_byte(tmp_path: Path, packing: str, kept: float) -> None:
    whole = PACK[packing](IMAGE)
    path = image(tmp_path, whole[: max(int(len(whole) * kept), 7)])
    with pytest.raises(ImageError, match=rf"the {packing} archive is cut off at byte \d+ of \d+") as caught:
        all_of(path)
    assert f"byte {path.stat().st_size} of {path.stat().st_size}" in str(caught.value)
    assert "Download the image again" in caught.value.remedy


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("where", [0.3, 0.9])
def test_a_damaged_archive_is_an_error_that_names_the_byte(tmp_path: Path, packing: str, where: float) -> None:
    whole = bytearray(PACK[packing](IMAGE))
    whole[int(len(whole) * where)] ^= 0x10
    path = image(tmp_path, bytes(whole))
    with pytest.raises(ImageError, match=rf"the {packing} archive is damaged .* byte \d+ of {len(whole)}; \d+ bytes"):
        all_of(path)


@pytest.mark.parametrize("packing", PACK)
def test_what_lies_behind_the_end_of_an_archive_is_an_error(tmp_path: Path, packing: str) -> None:
    path = image(tmp_path, PACK[packing](IMAGE) + b"<html>not found</html>")
    with pytest.raises(ImageError, match=r"has something behind its end|is damaged"):
        all_of(path)


def test_no_cut_at_the_end_of_an_xz_file_makes_up_a_size(tmp_path: Path) -> None:
    whole = lzma.compress(IMAGE)
    for cut in range(1, 60):
        assert hint(image(tmp_path, whole[:-cut])) is None


def test_an_index_of_xz_that_lies_makes_no_size(tmp_path: Path) -> None:
    whole = bytearray(lzma.compress(b"x" * 100))
    whole[-8:-4] = b"\xff\xff\xff\x7f"
    assert hint(image(tmp_path, bytes(whole))) is None


def test_an_archive_that_wants_too_much_memory_is_refused(tmp_path: Path) -> None:
    huge = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    # Only the head says how large its window is: nothing of it has to be packed.
    path = image(tmp_path, _xz_that_wants(huge))
    with pytest.raises(ImageError, match="needs more than 256 MiB of memory"):
        all_of(path)
    window = zstd.compress(b"x", options={zstd.CompressionParameter.window_log: 30})
    frame = bytearray(window)
    assert frame[4] & 0x20  # one segment: its window is its size; a window of 2 GiB is written instead
    path = image(tmp_path, bytes.fromhex("28b52ffd") + bytes([0x00, 0xA8]) + bytes(60))
    with pytest.raises(ImageError, match="needs more than 256 MiB of memory"):
        all_of(path)


def _xz_that_wants(filters: list[dict[str, int]]) -> bytes:
    """Return an xz file whose head names a window, without the memory to make it: the byte is changed, with its CRC."""
    import zlib  # noqa: PLC0415  # here alone

    small = bytearray(lzma.compress(b"x", filters=[{**filters[0], "dict_size": 1 << 16}]))
    assert small[12 + 2 : 12 + 4] == b"\x21\x01"  # LZMA2, with one byte of properties (.xz 3.1)
    small[12 + 4] = 36  # 1 GiB (.xz 5.3.1)
    length = (small[12] + 1) * 4
    small[12 + length - 4 : 12 + length] = zlib.crc32(small[12 : 12 + length - 4]).to_bytes(4, "little")
    return bytes(small)


@pytest.mark.parametrize(
    ("content", "name"),
    [(bz2.compress(IMAGE), "bz2"), (b"7z\xbc\xaf\x27\x1c\0\0", "7z"), (b"Rar!\x1a\x07\0\0", "rar")],
    ids=["bz2", "7z", "rar"],
)
def test_other_archives_are_named(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=f"is a {name} archive") as caught, opened(image(tmp_path, content)):
        pass
    assert "Unpack it" in caught.value.remedy


def test_a_zip_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / "image.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("raspios.img", IMAGE)
    with pytest.raises(ImageError, match="is a zip archive"), opened(path):
        pass


def test_what_is_no_file_or_empty_is_an_error(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "is no file"), (image(tmp_path, b""), "empty")):
        with pytest.raises(ImageError, match=words), opened(path):
            pass


def test_an_image_that_packs_well_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "zeros.xz"
    packer = lzma.LZMACompressor(preset=0)
    with path.open("wb") as file:
        for _ in range(256):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.flush())
    program = (
        "import sys; from pathlib import Path; from edgeagent.provision.compression import opened\n"
        "with opened(Path(sys.argv[1])) as stream:\n"
        "    count = 0\n"
        "    while piece := stream.read(1 << 20): count += len(piece)\n"
        "print(count)"
    )
    limit = 200 << 20

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-c", program, path],
        preexec_fn=bounded,  # no threads run here
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{256 << 20}\n", done.stderr


def test_the_stream_is_one_that_other_code_can_read_from(tmp_path: Path) -> None:
    path = image(tmp_path, lzma.compress(b"abcdef"))
    with opened(path) as stream:
        assert isinstance(stream, Unpacked)
        room = bytearray(4)
        assert stream.readinto(room) == 4
        assert (bytes(room), stream.readall(), stream.read(1)) == (b"abcd", b"ef", b"")


def test_an_image_is_unpacked_into_a_file_with_holes(tmp_path: Path) -> None:
    content = IMAGE + bytes(64 << 20)
    target = tmp_path / "image.img"
    unpack(image(tmp_path, lzma.compress(content, preset=0)), target)
    assert target.read_bytes() == content
    assert target.stat().st_blocks * 512 < 4_000_000


@pytest.mark.parametrize("pack", [gzip.compress, lambda raw: lzma.compress(raw, preset=0), zstd.compress])
def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    bomb = image(tmp_path, pack(bytes(64 << 20)))
    target = tmp_path / "image.img"
    with pytest.raises(ImageError, match=r"more than 1\.0 MB come out of it"):
        unpack(bomb, target, largest=10**6)
    assert not target.exists()


def test_a_disk_that_an_archive_fills_is_told_and_left_empty(tmp_path: Path) -> None:
    noise = image(tmp_path, gzip.compress(random.Random(8).randbytes(4 << 20), 1))  # noqa: S311  # no secret
    with mounted("tmpfs", "size=1m", "none", tmp_path / "small") as folder:
        with pytest.raises(ImageError, match="cannot be written: No space left on device"):
            unpack(noise, folder / "image.img")
        assert not list(folder.iterdir())


def test_what_could_not_be_unpacked_whole_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "image.img"
    with pytest.raises(ImageError, match="is cut off"):
        unpack(image(tmp_path, lzma.compress(IMAGE)[:-9]), target)
    assert not target.exists()
    target.write_text("precious")
    with pytest.raises(ImageError, match="File exists"):
        unpack(image(tmp_path, IMAGE), target)
    assert target.read_text() == "precious"
