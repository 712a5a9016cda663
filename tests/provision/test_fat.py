"""Our FAT against Debian's programs: mtools read what we write, we what they write, and fsck.vfat finds nothing."""

import random
from io import BytesIO
from pathlib import Path

import pytest
from provision_images import complaints, fat_file, get, needs_fat_tools, put, run

from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition

pytestmark = needs_fat_tools
NAMES = (
    "cmdline.txt",
    "CONFIG.TXT",
    "a very long name that needs several slots.and.dots.toml",
    "kein Umlaut fehlt: äöü".replace(":", ""),
    "設定ファイル.toml",
    "надпись",
    "thirteen-char",
    "x" * 255,
    "UPPER.lower",
    ".hidden",
    "a+b=c,;e",
    "many.dots.in.it",
)
EMOJI = "emoji 😀 pair"
"""mtools know no letters beyond 16 bits."""


def fat16(path: Path) -> Path:
    return fat_file(path / "16.fat", bits=16, size=8 << 20, options=("-s", "2"))


def fat32(path: Path) -> Path:
    return fat_file(path / "32.fat", bits=32, size=40 << 20, options=("-s", "1"))


@pytest.fixture(params=[fat16, fat32], ids=["fat16", "fat32"])
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made: Path = request.param(tmp_path)
    return made


def tree(fat: FatPartition, folder: str = "") -> dict[str, bytes]:
    """Return all files, by path; of an empty folder its path with a stroke."""
    found: dict[str, bytes] = {}
    for one in fat.listing(folder):
        path = f"{folder}/{one.name}".lstrip("/")
        if one.is_folder:
            found |= tree(fat, path) or {f"{path}/": b""}
        else:
            content = fat.read(path)
            assert content is not None
            found[path] = content
    return found


def test_mtools_read_what_we_write(volume: Path) -> None:
    contents = {name: name.encode() * number for number, name in enumerate(NAMES)}
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        for name, content in contents.items():
            assert fat.write(f"folder/{name}", content)
        fat.flush()
    assert complaints(volume) == ""
    for name, content in contents.items():
        assert get(volume, f"folder/{name}", at=0) == content
    shown = run("mdir", "-b", "-i", volume, "::folder").decode()
    assert {line.removeprefix("::/folder/") for line in shown.splitlines()} == set(NAMES)


def test_letters_beyond_16_bits_are_sound(volume: Path) -> None:
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        fat.write(EMOJI, b"found")
        fat.flush()
        assert tree(FatPartition(file, 0)) == {EMOJI: b"found"}
    assert complaints(volume) == ""


def test_we_read_what_mtools_write(volume: Path) -> None:
    run("mmd", "-i", volume, "::folder")
    for name in NAMES:
        put(volume, f"folder/{name}", name.encode() * 100, at=0)
    with volume.open("rb") as file:
        found = tree(FatPartition(file, 0))
    assert found == {f"folder/{name}": name.encode() * 100 for name in NAMES}


@pytest.mark.parametrize("seed", range(4))
def test_random_trees_are_sound_after_each_flush(volume: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311  # the same trees each time
    expected: dict[str, bytes] = {}
    with volume.open("r+b") as file:
        for _ in range(4):
            fat = FatPartition(file, 0)
            for _ in range(12):
                step(fat, expected, draw)
            fat.flush()
            assert tree(FatPartition(file, 0)) == expected
            assert complaints(volume) == ""


def step(fat: FatPartition, expected: dict[str, bytes], draw: random.Random) -> None:
    """Write, replace or remove a file, and note what is expected then."""
    if expected and draw.random() < 0.3:
        path = draw.choice(sorted(expected))
        assert fat.remove(path)
        del expected[path]
        folder = path.rstrip("/").rpartition("/")[0]
        if folder and not any(one.startswith(f"{folder}/") for one in expected):
            expected[f"{folder}/"] = b""
        return
    folder = draw.choice(("", "a", "a/b", "über/ganz tief/unten"))
    path = f"{folder}/{draw.choice(NAMES)}".lstrip("/")
    content = draw.randbytes(draw.choice((0, 1, 511, 512, 1024, 1025, 40_000)))
    fat.write(path, content)
    expected[path] = content
    for above in range(1, path.count("/") + 1):
        expected.pop("/".join(path.split("/")[:above]) + "/", None)


def test_names_are_found_in_whatever_case(volume: Path) -> None:
    put(volume, "CMDLINE.TXT", b"old", at=0)
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        assert fat.read("cmdline.txt") == b"old"
        fat.write("Cmdline.txt", b"new")
        fat.flush()
    assert get(volume, "cmdline.txt", at=0) == b"new"
    assert run("mdir", "-b", "-i", volume, "::").decode().split() == ["::/CMDLINE.TXT"]


def test_many_files_let_a_folder_grow_and_aliases_count(volume: Path) -> None:
    names = [f"long name number {number} of many.toml" for number in range(150)]
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        for name in names:
            fat.write(f"many/{name}", name.encode())
        fat.flush()
        assert [one.name for one in FatPartition(file, 0).listing("many")] == names
    assert complaints(volume) == ""
    assert get(volume, f"many/{names[-1]}", at=0) == names[-1].encode()


def test_the_root_of_fat16_cannot_grow_and_says_so(tmp_path: Path) -> None:
    volume = fat_file(tmp_path / "16.fat", bits=16, size=8 << 20, options=("-s", "2", "-r", "64"))
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        for number in range(32):
            fat.write(f"file {number}", b"")
        with pytest.raises(ImageError, match="the root folder is full"):
            fat.write("file 32", b"")


def test_what_is_removed_or_replaced_is_gone_from_the_disk(volume: Path) -> None:
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        fat.write("edgeagent/enrol.toml", b"TOKEN-ONE" * 500)
        fat.write("edgeagent/other.toml", b"TOKEN-TWO" * 500)
        fat.flush()
        assert b"TOKEN-ONE" in volume.read_bytes()
        assert fat.remove("edgeagent/enrol.toml")
        fat.write("edgeagent/other.toml", b"fresh")
        fat.flush()
        assert fat.read("edgeagent/enrol.toml") is None
    assert b"TOKEN" not in volume.read_bytes()
    assert complaints(volume) == ""


def test_a_full_partition_is_told_before_anything_has_changed(volume: Path) -> None:
    put(volume, "kept.txt", b"kept", at=0)
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        room = fat.free_bytes
        fat.write("kept.txt", b"changed")
        with pytest.raises(ImageError, match=r"the partition is full: \d+ clusters are needed, \d+ are free") as one:
            fat.write("large", BytesIO(bytes(room)))
    assert "bundle" in one.value.remedy
    assert get(volume, "kept.txt", at=0) == b"kept"
    assert complaints(volume) == ""


def test_the_last_cluster_can_be_used(volume: Path) -> None:
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        fat.write("all.bin", BytesIO(b"\xa5" * fat.free_bytes))
        fat.flush()
        assert fat.free_bytes == 0
        assert all(set(piece) == {0xA5} for piece in FatPartition(file, 0).pieces("all.bin"))
    assert complaints(volume) == ""


def test_the_same_content_again_changes_nothing(volume: Path) -> None:
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        assert fat.write("a/b.txt", b"content")
        fat.flush()
        before = volume.read_bytes()
        again = FatPartition(file, 0)
        assert not again.write("a/b.txt", b"content")
        again.make_folder("a")
        again.flush()
    assert volume.read_bytes() == before


@pytest.mark.parametrize("name", ["a:b", "a\nb", "trailing.", "trailing ", "x" * 256, "\ud800", ".."])
def test_names_that_fat_cannot_hold_are_refused(volume: Path, name: str) -> None:
    with volume.open("r+b") as file, pytest.raises(ImageError, match="no name for a file"):
        FatPartition(file, 0).write(name, b"")


def test_files_and_folders_in_each_others_way_are_refused(volume: Path) -> None:
    put(volume, "file", b"", at=0)
    with volume.open("r+b") as file:
        fat = FatPartition(file, 0)
        with pytest.raises(ImageError, match="a file where its folder should be"):
            fat.write("file/inside", b"")
        with pytest.raises(ImageError, match="a file is where a folder should be"):
            fat.make_folder("file")
        fat.write("folder/inside", b"x")
        with pytest.raises(ImageError, match="a folder is there"):
            fat.write("folder", b"")
        with pytest.raises(ImageError, match="not empty"):
            fat.remove("folder")
        assert fat.remove("folder/inside")
        assert fat.remove("folder")
        assert not fat.remove("folder")
        assert fat.read("folder") is None
        fat.flush()
    assert complaints(volume) == ""


def test_a_long_name_that_is_not_of_its_entry_is_not_believed(volume: Path) -> None:
    put(volume, "a long name.txt", b"", at=0)
    raw = volume.read_bytes()
    at = raw.index(b"ALONGN~1TXT")
    with volume.open("r+b") as file:
        file.seek(at)
        file.write(b"OTHER   TXT")
        file.flush()
        assert [one.name for one in FatPartition(file, 0).listing()] == ["OTHER.TXT"]
