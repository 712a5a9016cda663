"""Mute outlives every start."""

from pathlib import Path

from edgeagent.muting import MUTED, is_muted, keep_muted


def test_what_was_muted_stays_so_over_a_start(tmp_path: Path) -> None:
    assert not is_muted(tmp_path)
    for on in (True, True, False, False):
        keep_muted(tmp_path, on=on)
        assert is_muted(tmp_path) is on


def test_where_it_cannot_be_seen_the_microphone_stays_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert is_muted(tmp_path / "file")  # what is there is no folder
    keep_muted(tmp_path / "file", on=True)
    assert (tmp_path / "file").read_text() == ""
    (tmp_path / MUTED).symlink_to("/nowhere")
    assert is_muted(tmp_path)
