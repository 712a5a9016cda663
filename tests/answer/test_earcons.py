"""Tones, what is shown, and quiet hours."""

import asyncio
import json
import threading
from datetime import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edgeagent.answer.earcons import RATE_HZ, Player, Tones, tone
from edgeagent.answer.patterns import LOOKS, Pattern, pattern_of
from edgeagent.answer.quiet import is_quiet
from edgeagent.answer.voice import Spoken, voices_for
from edgeagent.errors import SettingsError
from edgeagent.messages import Action, Answer, Command, Device, Outcome, Question, Rejection, Step, Woken
from edgeagent.settings import AnswerSettings

LAMP = Device("lamp", "Lamp", "light", frozenset({"power"}))
ACTION = Action("u1.1", "u1", LAMP, "power", "on")


def pitches_of(pcm: bytes) -> list[float]:
    """Return the strongest pitch of the first and of the last third of a sound."""
    sound = np.frombuffer(pcm, np.int16).astype(np.float64)
    third = len(sound) // 3
    found = []
    for part in (sound[:third], sound[-third:]):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 16_384))
        found.append(float(np.argmax(spectrum)) * RATE_HZ / 16_384)
    return found


@pytest.mark.parametrize(
    ("pattern", "rises"), [("listening", True), ("done", True), ("question", True), ("failed", False)]
)
def test_what_goes_on_rises_and_what_ends_falls_and_nobody_waits_for_it(pattern: Pattern, rises: bool) -> None:  # noqa: FBT001
    pcm = tone(pattern)
    first, last = pitches_of(pcm)
    assert (last > first * 1.2) is rises
    assert len(pcm) / 2 / RATE_HZ < 0.35
    assert np.abs(np.frombuffer(pcm, np.int16)).max() < 0.3 * 32_767
    assert pcm[:2] == pcm[-2:] == b"\0\0"  # no click


def test_every_pattern_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(get_args(Pattern))
    assert len({(look.color, look.motion) for look in LOOKS.values()}) == len(LOOKS)
    assert tone("muted") == b""


@pytest.mark.parametrize(
    ("step", "pattern"),
    [
        (Woken("okay nabu"), "listening"),
        (Command("u1", "turn_on", (), "lamp on", 0, 1.0), "thinking"),
        (Question("u1", "confirm", "Shall I?", ("yes", "no")), "question"),
        (Outcome(ACTION, "done", 0.1), "done"),
        (Outcome(ACTION, "failed", 0.1, "is offline"), "failed"),
        (Rejection("u1", "not-allowed"), "failed"),
        (Rejection("u1", "not-a-command"), None),
        (Rejection("u1", "not-speech-we-know"), None),
        (Answer("u1", "It is noon."), None),
    ],
)
def test_a_step_is_shown_by_its_pattern_and_talk_for_others_by_none(step: Step, pattern: Pattern | None) -> None:
    assert pattern_of(step) == pattern


@pytest.mark.parametrize(
    ("hours", "now", "quiet"),
    [
        ("22:00-07:00", time(23, 30), True),
        ("22:00-07:00", time(6, 59), True),
        ("22:00-07:00", time(7, 0), False),
        ("22:00-07:00", time(21, 59), False),
        ("13:00-15:00", time(14, 0), True),
        ("13:00-15:00", time(15, 0), False),
        (None, time(3, 0), False),
    ],
)
def test_quiet_hours_may_go_over_midnight(hours: str | None, now: time, quiet: bool) -> None:  # noqa: FBT001
    assert is_quiet(AnswerSettings(quiet_hours=hours), now) is quiet


def recording(folder: Path) -> Player:
    """A player that keeps what it was to play, and the rate."""
    path = folder / "play"
    path.write_text(f'#!/bin/sh\ncat > {folder}/"$1".$(ls {folder} | wc -l)\n')
    path.chmod(0o755)
    return Player((str(path), "{rate}"))


def played(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob(f"{RATE_HZ}.*"))]


def test_an_answer_is_a_tone_and_we_are_deaf_meanwhile(tmp_path: Path) -> None:
    deaf = threading.Event()
    tones = Tones(recording(tmp_path), AnswerSettings(earcons="instead"), deaf)

    async def run() -> None:
        for answer in (
            Answer("u1", "Lamp on."),
            Answer("u2", "Lamp is offline.", is_trouble=True),
            Answer("u3", "Yes?"),
        ):
            await tones.say(answer)
            assert not deaf.is_set()

    asyncio.run(run())
    assert played(tmp_path) == [tone("done"), tone("failed"), tone("question")]


def test_the_tone_of_a_wake_word_holds_nobody_up(tmp_path: Path) -> None:
    tones = Tones(recording(tmp_path), AnswerSettings(earcons="beside"), threading.Event())

    async def run() -> None:
        tones.show("listening")
        tones.show("done")
        async with asyncio.timeout(5):
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(run())
    assert played(tmp_path) == [tone("listening")]


def test_a_player_that_fails_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    for command in (("false",), ("/nowhere/at/all",)):
        asyncio.run(Tones(Player(command), AnswerSettings(), threading.Event()).say(Answer("u1", "Lamp on.")))
    assert [record.message for record in caplog.records] == ["cannot play", "cannot play"]


def test_with_tones_instead_what_went_well_is_not_spoken_but_trouble_is(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    speak = tmp_path / "speak"
    speak.write_text(f"#!/bin/sh\ncat >> {heard}; echo >> {heard}\n")
    speak.chmod(0o755)
    voice = Spoken((str(speak),), AnswerSettings(earcons="instead"), threading.Event())

    async def run() -> None:
        await voice.say(Answer("u1", "Lamp on."))
        await voice.say(Answer("u2", "Lamp is offline.", is_trouble=True))

    asyncio.run(run())
    assert heard.read_text().splitlines() == ["Lamp is offline."]


def test_a_voice_that_gives_sound_is_played_at_its_own_rate(tmp_path: Path) -> None:
    speak = tmp_path / "speak"
    speak.write_text("#!/bin/sh\ncat\n")
    speak.chmod(0o755)
    voice = Spoken((str(speak),), AnswerSettings(), threading.Event(), recording(tmp_path), RATE_HZ)
    asyncio.run(voice.say(Answer("u1", "Lamp on.")))
    assert played(tmp_path) == [b"Lamp on."]


def test_a_piper_voice_that_is_not_there_or_says_nothing_of_its_rate_is_an_error(tmp_path: Path) -> None:
    voice = tmp_path / "amy.onnx"
    with pytest.raises(SettingsError, match="there is no such voice"):
        voices_for(AnswerSettings(piper_voice=voice), threading.Event())
    voice.write_bytes(b"x")
    with pytest.raises(SettingsError, match=r"not installed|no sample_rate"):
        voices_for(AnswerSettings(speech="piper", piper_voice=voice), threading.Event())
    voice.with_name("amy.onnx.json").write_text(json.dumps({"audio": {"sample_rate": 5}}))
    with pytest.raises(SettingsError, match=r"not installed|sample_rate is 5"):
        voices_for(AnswerSettings(speech="piper", piper_voice=voice), threading.Event())
