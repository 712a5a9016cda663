"""`growroot` on real images: sfdisk and resize2fs write them, fsck and sfdisk tell what came of it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "provisioning/first-boot/growroot"
PROGRAMS = ("sfdisk", "mke2fs", "resize2fs", "e2fsck", "blkid", "debugfs")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)) and "EDGEAGENT_CI" not in os.environ,
    reason="not installed: apt-get install fdisk e2fsprogs",
)
MIB = 1 << 20
START, SIZE = 10 * MIB, 16 * MIB
LAYOUT = "label: dos\nlabel-id: 0x1234abcd\n2048,16384,c\n20480,32768,83\n"


@dataclass(frozen=True)
class Image:
    """A card with a boot partition and a root of ext4, and room behind."""

    path: Path

    def grows(self, number: object = 2) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", str(SCRIPT), str(self.path), str(number)], capture_output=True, text=True, check=False
        )

    @property
    def partitions(self) -> list[tuple[int, int]]:
        """Start and size of each, in sectors."""
        shown = subprocess.run(["sfdisk", "-J", str(self.path)], capture_output=True, check=True)
        return [(one["start"], one["size"]) for one in json.loads(shown.stdout)["partitiontable"]["partitions"]]

    @property
    def root(self) -> str:
        return f"{self.path}?offset={START}"

    def system_mib(self) -> float:
        """Return how large the file system is; fsck finds nothing wrong with it."""
        subprocess.run(["e2fsck", "-fn", self.root], check=True, capture_output=True)
        shown = subprocess.run(["debugfs", "-R", "stats", self.root], check=True, capture_output=True, text=True)
        facts = dict(line.split(":", 1) for line in shown.stdout.splitlines() if ":" in line)
        return int(facts["Block count"]) * int(facts["Block size"]) / MIB


def image(folder: Path, *, mib: int = 64, layout: str = LAYOUT) -> Image:
    made, system, hello = Image(folder / "card.img"), folder / "root.ext4", folder / "hello"
    with made.path.open("wb") as file:
        file.truncate(mib * MIB)
    subprocess.run(["sfdisk", "-q", str(made.path)], input=layout, text=True, check=True)
    hello.write_text("here\n")
    with system.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(system)], check=True)
    subprocess.run(["debugfs", "-w", "-R", f"write {hello} hello", str(system)], check=True, capture_output=True)
    with made.path.open("r+b") as file:
        file.seek(2048 * 512)
        file.write(b"boot" * 1000)
        file.seek(START)
        file.write(system.read_bytes())
    return made


def test_the_root_grows_to_the_end_of_the_card_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    card = image(tmp_path)
    boot = card.path.read_bytes()[:START]
    done = card.grows()
    assert done.returncode == 0, done.stderr
    assert "grows from 16 MiB to 54 MiB" in done.stdout
    assert card.partitions == [(2048, 16384), (20480, 64 * MIB // 512 - 20480)]
    assert card.system_mib() == 54
    shown = subprocess.run(["debugfs", "-R", "cat hello", card.root], check=True, capture_output=True)
    assert shown.stdout == b"here\n"
    after = card.path.read_bytes()[:START]
    assert (after[:446], after[512:]) == (boot[:446], boot[512:]), "but for the table, nothing before it has changed"
    assert after[440:444] == boot[440:444], "PARTUUID names the root in cmdline.txt"


def test_the_second_time_nothing_changes(tmp_path: Path) -> None:
    card = image(tmp_path)
    card.grows()
    before = card.path.read_bytes()
    done = card.grows()
    assert done.returncode == 0
    assert "fills the card already" in done.stdout
    assert "Nothing to do" in done.stdout
    assert card.partitions[1][1] == 64 * MIB // 512 - 20480
    assert card.system_mib() == 54
    assert card.path.read_bytes()[:START] == before[:START]


def test_a_cut_between_table_and_file_system_is_mended(tmp_path: Path) -> None:
    card = image(tmp_path)
    subprocess.run(["sfdisk", "-q", "-N", "2", str(card.path)], input=", +\n", text=True, check=True)
    assert card.system_mib() == 16
    assert card.grows().returncode == 0
    assert card.system_mib() == 54


def test_a_partition_that_another_follows_is_left_alone(tmp_path: Path) -> None:
    card = image(tmp_path, layout=f"{LAYOUT}100000,8192,83\n")
    before = card.path.read_bytes()
    done = card.grows()
    assert done.returncode == 0
    assert "followed by another one" in done.stdout
    assert card.path.read_bytes() == before


@pytest.mark.parametrize(
    ("layout", "number", "said"),
    [
        ("label: gpt\n2048,16384,L\n20480,32768,L\n", 2, "has no MBR table"),
        (LAYOUT, 7, "has no partition 7"),
        (LAYOUT, "2; reboot", "is no number"),
        (LAYOUT, 1, "followed"),
    ],
)
def test_what_is_not_meant_is_refused_and_unchanged(tmp_path: Path, layout: str, number: object, said: str) -> None:
    card = image(tmp_path, layout=layout)
    before = card.path.read_bytes()
    done = card.grows(number)
    assert said in done.stdout + done.stderr
    assert card.path.read_bytes() == before


def test_a_root_that_is_no_ext4_is_refused_before_the_table_is_written(tmp_path: Path) -> None:
    card = image(tmp_path)
    with card.path.open("r+b") as file:
        file.seek(START)
        file.write(b"\0" * 8192)
    before = card.path.read_bytes()
    done = card.grows()
    assert done.returncode == 1
    assert "expected ext4" in done.stderr
    assert card.path.read_bytes() == before


def test_a_disk_without_a_table_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.img"
    empty.write_bytes(b"\0" * MIB)
    done = Image(empty).grows()
    assert done.returncode == 1
    assert "no table of partitions" in done.stderr
