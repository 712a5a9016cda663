from pathlib import Path

import pytest

from edgeagent.files import write_durably


def test_a_file_is_written_whole_private_and_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    write_durably(path, b"", mode=0o644)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"", 0o644)


def test_a_failure_leaves_neither_a_temporary_file_nor_a_changed_one(tmp_path: Path) -> None:
    path = tmp_path / "folder-in-the-way"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder-in-the-way"):
        write_durably(path, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder-in-the-way"]
    assert (path / "inside").is_dir()


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(OSError, match="state"):
        write_durably(tmp_path / "state" / "file", b"x")
