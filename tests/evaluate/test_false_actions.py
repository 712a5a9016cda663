"""Sound that is addressed to nobody is played, and what would have been done is counted, with its uncertainty."""

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from synthesised import silence, spoken
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.evaluate.scores import poisson_interval
from edgeagent.messages import FRAME_S

FIELDS = [
    *("hours", "actions", "actions_per_hour", "ci95", "per_24h", "asked", "refused", "woken", "recognizer", "rtf"),
    "heard",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "talk" / "late").mkdir(parents=True)
    soundfile.write(tmp_path / "talk" / "a.wav", spoken("turn on the bed light", "a large iced coffee please"), 16_000)
    soundfile.write(tmp_path / "talk" / "late" / "B.FLAC", spoken("yes"), 16_000)
    (tmp_path / "talk" / "notes.txt").write_text("no sound")
    (tmp_path / "devices.yaml").write_text("- {name: Bed Light, kind: light, area: Bedroom}")
    (tmp_path / "settings.toml").write_text('[understanding]\nmodel = "off"')
    return tmp_path


def invoked(folder: Path, *options: str | Path) -> Any:
    common = ("--settings", folder / "settings.toml", "--devices", folder / "devices.yaml")
    return CliRunner().invoke(app, [*map(str, ("evaluate", "false-actions", *common, *options))])


def figures(folder: Path, *options: str | Path) -> dict[str, Any]:
    ran = invoked(folder, *options, "--json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert isinstance(found, dict)
    return found


def test_what_would_be_done_is_told_with_file_and_place(folder: Path) -> None:
    found = figures(folder, folder / "talk")
    assert list(found) == FIELDS
    (action,) = found["heard"]
    assert action["file"] == str(folder / "talk" / "a.wav")
    assert 0.4 < action["at_s"] < 1.0
    assert (action["text"], action["intent"], action["outcome"]) == ("turn on the bed light", "turn_on", "obeyed")
    assert 0.5 < action["confidence"] <= 1
    assert found["actions"] == 1
    assert found["actions_per_hour"] == pytest.approx(1 / found["hours"], rel=0.01)
    assert found["per_24h"] == pytest.approx(24 * found["actions_per_hour"], rel=0.001)
    assert found["ci95"] == pytest.approx([0.0253 / found["hours"], 5.572 / found["hours"]], rel=0.01)
    assert found["refused"]["nothing-to-confirm"] == 1
    assert (found["asked"], found["woken"], found["recognizer"]) == (0, 0, "pocketsphinx")
    assert 0 < found["rtf"] < 1


def test_a_file_is_played_again_until_the_hours_are_full_and_each_time_the_same(folder: Path) -> None:
    hours = 0.003
    first, second = (figures(folder, folder / "talk" / "a.wav", "--hours", str(hours)) for _ in range(2))
    assert first["hours"] == pytest.approx(hours, abs=FRAME_S / 3600 + 0.00005)
    assert first["actions"] > 1
    del first["rtf"], second["rtf"]
    assert first == second


def test_playing_ends_in_the_middle_of_a_file_when_the_hours_are_full(folder: Path) -> None:
    once = figures(folder, folder / "talk" / "a.wav", "--hours", "0.0001")
    assert (once["hours"], once["heard"]) == (0.0001, [])


def test_silence_does_nothing_for_as_long_as_is_told(folder: Path) -> None:
    soundfile.write(folder / "quiet.wav", silence(3), 16_000)
    ran = invoked(folder, folder / "quiet.wav")
    assert ran.exit_code == 0
    assert "actions: 0" in ran.stdout
    assert "per 24h: 0" in ran.stdout


def test_who_waits_for_a_wake_word_is_not_spoken_to_without_it(folder: Path) -> None:
    pytest.importorskip("pymicro_wakeword", reason="the extra `wake` is not installed: pip install 'edgeagent[wake]'")
    (folder / "settings.toml").write_text('[understanding]\nmodel = "off"\n[waking]\nwords = ["okay_nabu"]')
    found = figures(folder, folder / "talk")
    assert (found["actions"], found["woken"], found["heard"]) == (0, 0, [])


def test_the_recognizer_of_the_command_line_wins(folder: Path) -> None:
    (folder / "settings.toml").write_text('[hearing]\nrecognizer = "vosk"\n[understanding]\nmodel = "off"')
    found = figures(folder, folder / "talk" / "late", "--recognizer", "pocketsphinx")
    assert found["recognizer"] == "pocketsphinx"


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "1e9"])
def test_hours_that_are_none_are_refused(folder: Path, hours: str) -> None:
    ran = invoked(folder, folder / "talk", "--hours", hours)
    assert ran.exit_code == 2
    assert "expected more than 0 and at most 10000" in " ".join(ran.stderr.split())


def test_an_unknown_recognizer_is_refused(folder: Path) -> None:
    ran = invoked(folder, folder / "talk", "--recognizer", "siri")
    assert ran.exit_code == 2
    assert "'siri' is not one of" in " ".join(ran.stderr.split())


def test_where_there_is_no_sound_it_is_said(folder: Path) -> None:
    (folder / "empty").mkdir()
    with_sound = folder / "talk"
    for path, message in (
        (folder / "empty", "empty: holds no sound file"),
        (folder / "talk" / "notes.txt", "notes.txt: no sound that can be read"),
        (folder / "gone.wav", "gone.wav: No such file"),
    ):
        ran = invoked(folder, with_sound, path)
        assert ran.exit_code == 1
        assert message in str(ran.exception)


@pytest.mark.parametrize(
    ("count", "least", "most"),  # from the table of Garwood's intervals
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (2, 0.2422, 7.225), (10, 4.795, 18.39), (100, 81.36, 121.63)],
)
def test_the_interval_of_a_count_is_the_exact_one(count: int, least: float, most: float) -> None:
    assert poisson_interval(count) == pytest.approx((least, most), rel=5e-4, abs=5e-5)


def test_the_interval_of_a_large_count_comes_near_the_normal_one() -> None:
    least, most = poisson_interval(10_000)
    assert least == pytest.approx(10_000 - 196, abs=3)
    assert most == pytest.approx(10_000 + 196, abs=5)
