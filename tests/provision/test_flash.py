"""Images onto media: whole, checked, and never half a card that boots."""

import gzip
import hashlib
import lzma
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from backports import zstd
from provision.media import MIB, card_image, loop, mounted

from edgeagent.provision.devices import HEAD_BYTES, UNFINISHED, Medium, contents_of
from edgeagent.provision.devices_linux import medium_at
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash import Flashed, check_table, flash, preview
from edgeagent.provision.flash_progress import Pace, Progress, quietly
from edgeagent.provision.flash_target import Target, file_medium

IMAGE = card_image()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    path.write_bytes(IMAGE)
    return path


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda raw: raw,
    "xz": lambda raw: lzma.compress(raw, preset=0),
    "gz": gzip.compress,
    "zst": zstd.compress,
}


@pytest.mark.parametrize("packing", PACK)
def test_an_image_is_on_the_medium_byte_by_byte(tmp_path: Path, packing: str) -> None:
    image, card = tmp_path / "image", tmp_path / "card"
    image.write_bytes(PACK[packing](IMAGE))
    seen: list[Progress] = []
    done = flash(image, file_medium(card), seen.append)
    assert card.read_bytes() == IMAGE
    assert (done.size_bytes, done.sha256) == (len(IMAGE), hashlib.sha256(IMAGE).hexdigest())
    assert [one.phase for one in seen] == ["write"] * 5 + ["check"] * 6
    for phase in ("write", "check"):
        shares = [one.share for one in seen if one.phase == phase]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
    assert seen[0].total_bytes == (None if packing == "gz" else len(IMAGE))


def test_a_card_that_is_larger_keeps_its_size(image: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.touch()
    os.truncate(card, 64 * MIB)
    flash(image, file_medium(card), quietly)
    assert card.stat().st_size == 64 * MIB
    assert card.read_bytes()[: len(IMAGE)] == IMAGE


def test_an_image_smaller_than_a_block_is_written_too(tmp_path: Path) -> None:
    image, card = tmp_path / "image", tmp_path / "card"
    image.write_bytes(card_image(2 * MIB))
    flash(image, file_medium(card), quietly)
    assert card.read_bytes() == image.read_bytes()


def test_until_all_else_is_checked_nothing_boots_from_the_medium(image: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    heads: list[bytes] = []
    flash(image, file_medium(card), lambda _: heads.append(head(card)))
    assert len(heads) == 11
    assert all(one.startswith(UNFINISHED) and one[510:512] == bytes(2) for one in heads)
    assert head(card)[510:512] == b"\x55\xaa"


def test_onto_a_real_block_device(image: Path, tmp_path: Path) -> None:
    backing = tmp_path / "card"
    backing.touch()
    os.truncate(backing, 32 * MIB)
    with loop(backing) as device:
        flash(image, medium_at(device), quietly)
        assert medium_at(device).contents == ("a partition table",)
    assert backing.read_bytes()[: len(IMAGE)] == IMAGE


def test_an_archive_that_does_not_say_how_large_it_is_may_fill_the_medium(tmp_path: Path) -> None:
    image, backing = tmp_path / "image.gz", tmp_path / "card"
    image.write_bytes(gzip.compress(IMAGE))
    backing.touch()
    os.truncate(backing, 10 * MIB)
    with loop(backing) as device:
        with pytest.raises(ImageError, match=f"is full at byte {10 * MIB}, and the image goes on") as caught:
            flash(image, medium_at(device), quietly)
        assert caught.value.remedy == "Take a larger card."
        assert medium_at(device).contents == ()


def test_a_device_that_is_always_full_takes_nothing() -> None:
    descriptor = os.open("/dev/full", os.O_RDWR)
    try:
        with pytest.raises(ImageError, match="/dev/full: is full at byte 0"):
            Target(Path("/dev/full"), descriptor).write(0, b"x" * 4096)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", [9 * MIB, 9 * MIB + 512, 9 * MIB + 17])
def test_onto_a_file_system_in_memory_that_knows_no_direct_writing(tmp_path: Path, size: int) -> None:
    image = tmp_path / "image"
    image.write_bytes(card_image(9 * MIB) + b"x" * (size - 9 * MIB))
    with mounted("tmpfs", "size=16m", "none", tmp_path / "memory") as folder:
        flash(image, file_medium(folder / "card"), quietly)
        assert (folder / "card").read_bytes() == image.read_bytes()


def test_a_card_with_less_inside_than_it_says_is_found_out(image: Path, tmp_path: Path) -> None:
    with mounted("tmpfs", "size=8m", "none", tmp_path / "small") as folder:
        backing = folder / "card"
        backing.touch()
        os.truncate(backing, 32 * MIB)
        with loop(backing) as device:
            with pytest.raises(ImageError, match=r"cannot be written at byte|is full at byte|does not keep"):
                flash(image, medium_at(device), quietly)
            assert head(device).startswith(UNFINISHED)


def test_a_card_that_fails_while_it_is_read_back_is_told(image: Path, tmp_path: Path) -> None:
    backing = tmp_path / "card"
    backing.touch()
    os.truncate(backing, 32 * MIB)

    def break_it(at: Progress) -> None:
        if at.phase == "check":
            os.truncate(backing, 6 * MIB)  # the loop device answers with EIO behind that

    with loop(backing) as device, pytest.raises(ImageError, match=r"cannot be read back at byte|does not give back"):
        flash(image, medium_at(device), break_it)
    assert head(backing).startswith(UNFINISHED)


def test_a_card_that_forgets_is_found_out_and_does_not_boot(image: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"

    def forget(at: Progress) -> None:
        if at.phase == "check" and at.done_bytes == 4 * MIB:
            with card.open("r+b") as file:
                file.seek(13 * MIB)
                file.write(b"\xff")
                os.fsync(file.fileno())

    with pytest.raises(ImageError, match=f"between byte {12 * MIB} and {16 * MIB}") as caught:
        flash(image, file_medium(card), forget)
    assert "Take another card" in caught.value.remedy
    assert head(card).startswith(UNFINISHED)


def test_a_damaged_archive_leaves_nothing_that_boots(tmp_path: Path) -> None:
    image, card = tmp_path / "image.xz", tmp_path / "card"
    whole = bytearray(lzma.compress(IMAGE, preset=0))
    whole[-200_000] ^= 1
    image.write_bytes(whole)
    with pytest.raises(ImageError, match="is damaged"):
        flash(image, file_medium(card), quietly)
    assert contents_of(head(card)) == ()


def test_a_truncated_image_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    image, card = tmp_path / "image", tmp_path / "card"
    image.write_bytes(IMAGE[: -2 * MIB])
    with pytest.raises(ImageError, match=f"partition 1 ends at byte {21 * MIB + 512}, the image at {19 * MIB + 512}"):
        flash(image, file_medium(card), quietly)
    assert not card.exists()
    image.write_bytes(gzip.compress(IMAGE[: -2 * MIB]))
    with pytest.raises(ImageError, match="the image is cut off"):
        flash(image, file_medium(card), quietly)
    assert head(card).startswith(UNFINISHED)


@pytest.mark.parametrize("content", [b"<html>404</html>", bytes(8 * MIB), b"x"], ids=["a page", "zeros", "a byte"])
def test_what_is_no_image_of_a_card_is_refused(tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(content)
    with pytest.raises(ImageError, match="no partition table"):
        preview(image)
    with pytest.raises(ImageError, match="no partition table"):
        flash(image, file_medium(tmp_path / "card"), quietly)
    assert not (tmp_path / "card").exists()


def test_a_gpt_says_nothing_of_the_size_and_is_let_in() -> None:
    sector = bytearray(card_image(2 * MIB)[:512])
    sector[450], sector[458:462] = 0xEE, b"\xff\xff\xff\xff"
    check_table(bytes(sector), 2 * MIB)


def test_an_image_is_not_flashed_onto_itself(image: Path) -> None:
    with pytest.raises(ImageError, match="image and medium at once"):
        flash(image, file_medium(image), quietly)
    assert image.read_bytes() == IMAGE


def test_a_disk_that_somebody_has_for_himself_is_left_alone(image: Path, tmp_path: Path) -> None:
    backing = tmp_path / "card"
    backing.write_bytes(bytes(32 * MIB))
    with loop(backing) as device:
        descriptor = os.open(device, os.O_RDWR | os.O_EXCL)
        try:
            with pytest.raises(ImageError, match="cannot be written: Device or resource busy") as caught:
                flash(image, medium_at(device), quietly)
        finally:
            os.close(descriptor)
    assert "unmount" in caught.value.remedy
    assert not any(backing.read_bytes())


KILLED = """
import sys
from pathlib import Path
from edgeagent.provision.flash import flash
from edgeagent.provision.flash_target import file_medium
def told(progress):
    print(progress.phase, progress.done_bytes, flush=True)
    sys.stdin.readline()
flash(Path(sys.argv[1]), file_medium(Path(sys.argv[2])), told)
"""


@pytest.mark.parametrize("blocks", [1, 4, 6])
def test_who_is_killed_leaves_a_card_that_does_not_boot_and_can_be_flashed_again(
    image: Path, tmp_path: Path, blocks: int
) -> None:
    card = tmp_path / "card"
    card.write_bytes(card_image(24 * MIB, seed=9))
    command = [sys.executable, "-c", KILLED, str(image), str(card)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdin
        for _ in range(blocks):
            assert child.stdout.readline()
            child.stdin.write("\n")
            child.stdin.flush()
        child.stdout.readline()
        child.kill()
        assert child.wait() == -signal.SIGKILL
    assert contents_of(head(card)) == ()
    assert head(card)[510:512] == bytes(2)
    flash(image, file_medium(card), quietly)
    assert card.read_bytes()[: len(IMAGE)] == IMAGE


def test_what_may_not_be_written_is_an_error(image: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be written"):
        flash(image, replace(file_medium(tmp_path / "card"), path=tmp_path), quietly)
    with pytest.raises(ImageError, match="none can be made there"):
        file_medium(tmp_path / "none" / "card")
    with pytest.raises(ImageError, match="none can be made there"):
        file_medium(tmp_path)


def test_a_file_with_something_in_it_is_a_medium_with_something_on_it(image: Path, tmp_path: Path) -> None:
    assert file_medium(image).contents == ("a partition table",)
    assert file_medium(tmp_path / "new").contents == ()


def test_an_image_is_looked_at_without_a_medium(image: Path) -> None:
    assert (preview(image).packing, preview(image).size_bytes) == ("raw", len(IMAGE))


def test_the_rate_is_that_of_the_last_seconds() -> None:
    pace = Pace("write", 1_000, began=0.0)
    assert pace.at(0.5, 100).remaining_s is None
    assert pace.at(0.5, 100).rate_bytes_s == 200.0
    for second in range(1, 5):
        fast = pace.at(second, 100 * second)
    assert fast.rate_bytes_s == pytest.approx(300 / 3.5)
    assert fast.share == 0.4
    for second in range(5, 25):
        slow = pace.at(second, 400 + second)
    assert slow.rate_bytes_s == pytest.approx(1.0)
    assert slow.remaining_s == pytest.approx(1_000 - 424)


def test_where_the_size_is_not_known_the_archive_tells_how_long_it_takes() -> None:
    pace = Pace("write", None, began=100.0)
    found = pace.at(110.0, 5_000, share=0.25)
    assert (found.total_bytes, found.share) == (None, 0.25)
    assert found.remaining_s == pytest.approx(30.0)


def test_a_moment_without_time_has_no_rate() -> None:
    assert Pace("check", 0, began=1.0).at(1.0, 0) == Progress("check", 0, 0, 0.0, 0.0, None)


def test_what_was_done_is_told(image: Path, tmp_path: Path) -> None:
    ticks = iter(range(1_000))
    done = flash(image, file_medium(tmp_path / "card"), quietly, now=lambda: float(next(ticks)))
    assert isinstance(done, Flashed)
    assert done.wrote_s > 0
    assert done.checked_s > 0
    assert Medium(Path("x"), 0, "file", is_removable=True).force_name == "0"


def test_another_disk_at_the_same_path_is_left_alone(image: Path, tmp_path: Path) -> None:
    backing = tmp_path / "card"
    backing.write_bytes(bytes(32 * MIB))
    with loop(backing) as device, pytest.raises(ImageError, match="this is another disk"):
        flash(image, replace(medium_at(device), size_bytes=64 * MIB), quietly)
    assert not any(backing.read_bytes())


def test_an_image_that_changes_while_it_is_read_leaves_nothing_that_boots(image: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"

    def change(at: Progress) -> None:
        if at.phase == "write" and at.done_bytes < 12 * MIB:
            with image.open("r+b") as file:
                file.seek(20 * MIB)
                file.write(b"another image")

    with pytest.raises(ImageError, match="was changed while it was read"):
        flash(image, file_medium(card), change)
    assert head(card).startswith(UNFINISHED)
