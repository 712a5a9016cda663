import asyncio
import threading
from pathlib import Path

import pytest

from edgeagent.answer.voice import LONGEST_LETTERS, Spoken, voices_for
from edgeagent.messages import Answer
from edgeagent.settings import AnswerSettings


def program(folder: Path, script: str) -> tuple[str, ...]:
    path = folder / "speak"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return (str(path), "-v", "en-us", "--stdin")


def say(voice: Spoken, *answers: Answer) -> None:
    async def run() -> None:
        await asyncio.gather(*(voice.say(answer) for answer in answers))

    asyncio.run(run())


def test_answers_are_spoken_one_at_a_time_and_we_are_deaf_meanwhile(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    deaf = threading.Event()
    voice = Spoken(program(tmp_path, f'echo "$2: $(cat)" >> {heard}'), AnswerSettings(voice="en-us"), deaf)
    say(voice, Answer("u1", "Kettle on."), Answer("u2", "x" * 1000))
    assert heard.read_text().splitlines() == ["en-us: Kettle on.", f"en-us: {'x' * LONGEST_LETTERS}"]
    assert not deaf.is_set()


def test_with_only_trouble_what_went_well_is_not_spoken_but_questions_are(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    settings = AnswerSettings(only_trouble=True)
    voice = Spoken(program(tmp_path, f"cat >> {heard}; echo >> {heard}"), settings, threading.Event())
    say(voice, Answer("u1", "Kettle on."), Answer("u2", "Offline.", is_trouble=True), Answer("u3", "Shall I? Say yes."))
    assert heard.read_text().splitlines() == ["Offline.", "Shall I? Say yes."]


@pytest.mark.parametrize("script", ["exit 1", "exec false"])
def test_a_speech_program_that_fails_never_stops_the_agent(
    tmp_path: Path, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    deaf = threading.Event()
    say(Spoken(program(tmp_path, script), AnswerSettings(), deaf), Answer("u1", "Kettle on."))
    say(Spoken((str(tmp_path / "nowhere"),), AnswerSettings(), deaf), Answer("u1", "Kettle on."))
    assert [record.message for record in caplog.records] == ["cannot speak", "cannot speak"]
    assert not deaf.is_set()


def test_a_speech_program_is_ended_when_the_agent_is(tmp_path: Path) -> None:
    deaf = threading.Event()
    voice = Spoken(program(tmp_path, "exec sleep 60"), AnswerSettings(), deaf)

    async def run() -> None:
        async with asyncio.timeout(0.2):
            await voice.say(Answer("u1", "Kettle on."))

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert not deaf.is_set()


def test_speech_that_is_off_has_no_voice() -> None:
    assert voices_for(AnswerSettings(speech="off"), threading.Event()) == ()
