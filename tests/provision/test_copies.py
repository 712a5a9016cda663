"""Copies of images: whole under their name or not there at all, and nobody else's to read."""

import gzip
import lzma
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from provision.media import MIB, card_image
from provision_cards import TRIXIE, made
from provision_images import get, needs_fat_tools
from provision_wishes import FULL, SEED, small_bundle

from edgeagent.provision.copies import customised_copy, room_at, room_needed, unpacked
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash_progress import Progress
from edgeagent.provision.wishes import Wishes

pytestmark = needs_fat_tools
WISHES = Wishes(seed=SEED)
KILLED = """
import os, signal, sys
from pathlib import Path
from provision_wishes import SEED
from edgeagent.provision.copies import customised_copy
from edgeagent.provision.wishes import Wishes
def told(progress):
    if progress.done_bytes >= 8 << 20:
        os.kill(os.getpid(), signal.SIGKILL)
customised_copy(Path(sys.argv[1]), Path(sys.argv[2]), Wishes(seed=SEED), told=told)
"""


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_a_copy_is_customised_and_its_image_stays(tmp_path: Path, out: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    before = image.read_bytes()
    told: list[Progress] = []
    report = customised_copy(image, out / "kitchen.img", WISHES, told=told.append)
    assert "edgeagent/seed.toml" in report.changed
    assert get(out / "kitchen.img", "edgeagent/seed.toml").startswith(b"version = 1\n")
    assert image.read_bytes() == before
    assert (out / "kitchen.img").stat().st_mode & 0o777 == 0o600
    assert names(out) == ["kitchen.img"]
    assert [(one.phase, one.done_bytes) for one in told] == [("unpack", at * 4 * MIB) for at in range(1, 4)]
    assert told[-1].share == pytest.approx(12 / 14)


def test_who_is_killed_leaves_nothing_under_the_name_and_can_begin_again(tmp_path: Path, out: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    path = {"PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}"}
    command = [sys.executable, "-c", KILLED, str(image), str(out / "kitchen.img")]
    assert subprocess.run(command, env=os.environ | path, check=False).returncode == -signal.SIGKILL
    assert names(out) == [".kitchen.img.part"]
    assert (out / ".kitchen.img.part").stat().st_mode & 0o777 == 0o600
    customised_copy(image, out / "kitchen.img", WISHES)
    assert names(out) == ["kitchen.img"]


def test_what_could_not_be_customised_leaves_nothing(tmp_path: Path, out: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    full = replace(FULL, bundle=small_bundle(tmp_path, "3.13", more=bytes(13 * MIB)))
    with pytest.raises(ImageError, match="the partition is full"):
        customised_copy(image, out / "kitchen.img", full)
    cut = tmp_path / "cut.img.xz"
    cut.write_bytes(lzma.compress(image.read_bytes(), preset=0)[:-100])
    with pytest.raises(ImageError, match="is cut off"):
        customised_copy(cut, out / "kitchen.img", WISHES)
    assert names(out) == []


def test_nothing_is_written_over(tmp_path: Path, out: Path) -> None:
    image = made(tmp_path / "pi.img", TRIXIE)
    before = image.read_bytes()
    for target in (image, out):
        with pytest.raises(ImageError, match="there is something already"):
            customised_copy(image, target, WISHES)
    with pytest.raises(ImageError, match="no such folder"):
        customised_copy(image, out / "none" / "kitchen.img", WISHES)
    assert image.read_bytes() == before


def test_a_packed_image_is_unpacked_once_and_goes_afterwards(tmp_path: Path, out: Path) -> None:
    image = tmp_path / "pi.img.gz"
    image.write_bytes(gzip.compress(card_image(5 * MIB)))
    with unpacked(image, out) as whole:
        assert whole.read_bytes() == card_image(5 * MIB)
    assert names(out) == []
    raw = tmp_path / "raw.img"
    raw.write_bytes(card_image(5 * MIB))
    with unpacked(raw, out) as whole:
        assert whole == raw
    assert raw.exists()


def test_how_much_room_a_copy_needs_is_known_before(tmp_path: Path) -> None:
    content = card_image(5 * MIB)
    raw, holes, xz = tmp_path / "raw.img", tmp_path / "holes.img", tmp_path / "pi.img.xz"
    raw.write_bytes(content)
    xz.write_bytes(lzma.compress(content, preset=0))
    holes.write_bytes(content[:MIB])
    os.truncate(holes, 5 * MIB)
    assert room_needed(raw) == room_needed(xz) == 5 * MIB
    assert room_needed(holes) == MIB
    with pytest.raises(ImageError, match="cannot be read"):
        room_needed(tmp_path / "none.img")
    assert room_at(tmp_path / "not" / "there") > 0
