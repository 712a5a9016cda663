"""The owner's clips are kept whole or not at all, for the owner alone, and no more of them than there is room for."""

import fcntl
import json
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from synthesised import spoken

from edgeagent.errors import SettingsError
from edgeagent.hear import clips
from edgeagent.hear.clip_files import flac
from edgeagent.hear.clips import MOST_CLIPS, Clip, Clips, Meaning, Understood, add_clip, delete_clip, load_clips
from edgeagent.hear.files import frames_of
from edgeagent.messages import FRAME_BYTES, Frame

LIGHT = Meaning(intent="turn_on", slots={"name": "kitchen light", "brightness": 40.0})


def clip(name: str = "light", number: int = 1, **changes: Any) -> Clip:
    kept = {
        "id": f"{number:012x}",
        "name": name,
        "said": "turn on the kitchen light",
        "when": datetime(2026, 11, 21, 12, 5, tzinfo=UTC),
        "meaning": LIGHT,
        "heard": "turn on the kitchen light",
        "understood": Understood(meanings=(LIGHT,)),
        "recognizer": "pocketsphinx",
        "names": {"light": (("kitchen light", "Kitchen Light"), ("lamp two", "Lamp 2"))},
        "kinds": frozenset({"light"}),
    }
    return Clip.model_validate(kept | changes)


def complaint(folder: Path, *arguments: Any, **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        add_clip(folder, *arguments, **more)
    assert caught.value.remedy
    return str(caught.value)


def only_damage(folder: Path) -> str:
    (damaged,) = load_clips(folder).damaged
    return damaged.reason


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_clip_is_kept_as_it_is_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "clips"
    assert load_clips(folder) == Clips()
    add_clip(folder, clip(), b"sound")
    assert load_clips(folder) == Clips((clip(),))
    assert load_clips(folder).named("light") == clip()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (folder / "000000000001.json", clips.sound_file(folder, clip())):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    delete_clip(folder, "light")
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_sound_comes_back_bit_by_bit(tmp_path: Path) -> None:
    data = spoken("turn on the kitchen light").astype("<i2").tobytes()
    sound: list[Frame] = [data[at : at + FRAME_BYTES] for at in range(0, len(data) - FRAME_BYTES, FRAME_BYTES)]
    add_clip(tmp_path, clip(), flac(sound))
    kept = clips.sound_file(tmp_path, clip())
    assert list(frames_of(kept)) == sound
    assert kept.stat().st_size < 0.7 * len(data)


def test_a_clip_may_mean_that_nothing_must_be_done(tmp_path: Path) -> None:
    add_clip(tmp_path, clip(said=None, meaning=None, understood=Understood()), b"sound")
    (kept,) = load_clips(tmp_path).whole
    assert kept.meaning is None
    assert kept.meant == kept.understood.in_words() == "nothing"


def test_what_a_clip_means_can_be_read() -> None:
    assert clip().meant == "turn on: name kitchen light, brightness 40"
    stop = Meaning(intent="emergency_stop")
    assert Understood(meanings=(stop, LIGHT)).in_words().startswith("emergency stop; then turn on: name")
    assert Understood(meanings=(stop,), is_asked=True).in_words() == "asks first: emergency stop"


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    add_clip(tmp_path, clip(), b"first")
    assert complaint(tmp_path, clip(number=2), b"second") == "there is a clip 'light' already"
    add_clip(tmp_path, clip(number=2), b"second", replaces=True)
    assert load_clips(tmp_path).whole == (clip(number=2),)
    assert sorted(path.name for path in tmp_path.glob("0*")) == ["000000000002.flac", "000000000002.json"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/", "a/b", "..", "a.json", "Küche 💡"])
def test_a_name_is_a_name_and_no_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "state" / "clips"
    add_clip(folder, clip(name), b"sound")
    assert [one.name for one in load_clips(folder).whole] == [name]
    assert {path.name for path in tmp_path.rglob("*")} == {
        *("state", "clips", ".lock", "000000000001.json", "000000000001.flac")
    }
    delete_clip(folder, name)
    assert load_clips(folder) == Clips()


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "\x1b[2J", "two\nlines"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is no name for a clip"):
        clips.check_name(tmp_path, name)


def test_no_more_clips_are_kept_than_there_is_room_for(tmp_path: Path) -> None:
    for number in range(MOST_CLIPS):
        one = clip(f"clip {number}", number)
        (tmp_path / f"{one.id}.json").write_text(one.model_dump_json())
    assert f"holds {MOST_CLIPS} clips" in complaint(tmp_path, clip("one more", MOST_CLIPS), b"sound")
    add_clip(tmp_path, clip("clip 7", MOST_CLIPS), b"sound", replaces=True)
    assert len(load_clips(tmp_path).whole) == MOST_CLIPS


def test_a_record_that_is_too_large_is_refused(tmp_path: Path) -> None:
    many = {"light": tuple((f"lamp {number}", "x" * 50) for number in range(100_000))}
    assert "the names of this house take 6 MiB" in complaint(tmp_path, clip(names=many), b"sound")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b'{"version": 2}', "it is of version 2, and this edgeagent reads 1: update edgeagent"),
        (b'{"version": "soon"}', "it is of version 'soon'"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"name": "%s"}' % (b"x" * (5 << 20)), "it is larger than any record"),
    ],
)
def test_a_damaged_record_is_told_and_does_not_hide_the_others(tmp_path: Path, content: bytes, expected: str) -> None:
    add_clip(tmp_path, clip(), b"sound")
    (tmp_path / "00000000000f.json").write_bytes(content)
    assert load_clips(tmp_path).whole == (clip(),)
    assert expected in only_damage(tmp_path)
    delete_clip(tmp_path, "00000000000f")
    assert load_clips(tmp_path) == Clips((clip(),))


def test_what_is_wrong_in_a_record_is_named(tmp_path: Path) -> None:
    record = json.loads(clip().model_dump_json()) | {"meaning": {"intent": "", "slots": {}}}
    (tmp_path / "000000000001.json").write_text(json.dumps(record))
    assert only_damage(tmp_path) == "meaning.intent: String should have at least 1 character"
    (tmp_path / "000000000001.json").write_text(json.dumps(record | {"meaning": None, "mood": "good"}))
    assert only_damage(tmp_path) == "mood: Extra inputs are not permitted"


def test_a_record_under_another_files_name_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "copy.json").write_text(clip().model_dump_json())
    assert only_damage(tmp_path) == "it is the record of 000000000001"


def test_a_clip_that_is_not_there_cannot_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no clip 'light'"):
        delete_clip(tmp_path, "light")


def test_sound_that_a_killed_process_has_left_is_removed_at_the_next_change(tmp_path: Path) -> None:
    for name in ("00000000000a.flac", ".00000000000b.flac.x7zq", ".00000000000b.json.x7zq", "readme.txt"):
        (tmp_path / name).write_bytes(b"sound")
    add_clip(tmp_path, clip(), b"sound")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(".lock", "000000000001.flac", "000000000001.json", "readme.txt")
    ]


def test_two_do_not_change_the_clips_at_once(tmp_path: Path) -> None:
    add_clip(tmp_path, clip(), b"sound")
    with (tmp_path / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another edgeagent record is at work" in complaint(tmp_path, clip("other", 2), b"sound")
    add_clip(tmp_path, clip("other", 2), b"sound")


def test_a_folder_that_cannot_be_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    folder = tmp_path / "state" / "clips"
    assert complaint(folder, clip(), b"sound") == f"{folder}: clips cannot be kept or read here: Not a directory"


def test_where_the_disk_is_full_nothing_half_is_left(tmp_path: Path) -> None:
    add_clip(tmp_path, clip(), b"sound")
    with files_no_larger_than(10_000):
        told = complaint(tmp_path, clip("long", 2), bytes(20_000))
        assert "clips cannot be kept or read here: File too large" in told
        complaint(tmp_path, clip("light", 2, heard="x" * 2000, said="y" * 2000), bytes(20_000), replaces=True)
    assert load_clips(tmp_path) == Clips((clip(),))
    assert clips.sound_file(tmp_path, clip()).read_bytes() == b"sound"
    assert not list(tmp_path.glob(".0*"))
