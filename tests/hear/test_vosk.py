"""Vosk beyond what every recognizer does: its open vocabulary, words that it lacks, models and libraries that fail."""

import builtins
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthesised import silence
from tinyvosk.fixture import tiny_model
from tinyvosk.speech import speak

from edgeagent.errors import ModelError
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import phrases
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear.endpointing import Utterance
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.hear.vosk import VoskRecognizer
from edgeagent.messages import FRAME_BYTES, Command, Frame
from edgeagent.pipeline import Heard, perceive
from edgeagent.recognizers import recognizer_of
from edgeagent.settings import AgentSettings, DeviceSettings, HearingSettings
from edgeagent.understand.interpret import Interpreter

pytestmark = pytest.mark.timeout(900)  # the tiny model is made once on a machine

SETTINGS = HearingSettings()
SENTENCES = phrases(text.split() for text in ("turn on the light", "turn off the light", "open the door"))


@pytest.fixture(scope="module")
def recognizer() -> VoskRecognizer:
    return VoskRecognizer(tiny_model(), SENTENCES)


def frames(text: str) -> Iterator[Frame]:
    sound = speak(text) + silence(1.5).tobytes()
    for at in range(0, len(sound), FRAME_BYTES):
        yield sound[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def utterance(text: str) -> Utterance:
    return Utterance(text, 0.0, frames(text), SETTINGS)


def test_a_short_command_is_told_while_it_is_spoken(recognizer: VoskRecognizer) -> None:
    *partials, final = recognizer.transcribe(utterance("turn off the light"))
    seen_s = next(partial.heard_s for partial in partials if partial.text == "turn off the light")
    assert seen_s < final.words[-1].end_s + 0.5


def test_what_the_grammar_lacks_is_told_by_the_open_vocabulary(recognizer: VoskRecognizer) -> None:
    said = utterance("turn on the music")
    *_, final = recognizer.transcribe(said)
    ways = recognizer.freely(said)
    assert ways[0].text == "turn on the music"
    assert len({way.text for way in ways}) == len(ways)
    assert all(0 < way.confidence <= 1 for way in ways)
    assert final.confidence < ways[0].confidence


def test_the_open_vocabulary_tells_nothing_of_another_utterance(recognizer: VoskRecognizer) -> None:
    list(recognizer.transcribe(utterance("open the door")))
    assert recognizer.freely(utterance("turn on the light")) == ()


def test_what_was_abandoned_is_not_heard_in_the_next_utterance(recognizer: VoskRecognizer) -> None:
    abandoned = recognizer.transcribe(utterance("turn off the light"))
    for transcript in abandoned:
        if transcript.heard_s > 1.2:
            break
    abandoned.close()  # type: ignore[attr-defined]  # it is a generator
    *_, final = recognizer.transcribe(utterance("open the door"))
    assert final.text == "open the door"


def test_names_that_the_model_does_not_know_are_told_and_the_others_work(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    engine = VoskRecognizer(tiny_model(), phrases([("turn", "on", "the", "xylophone"), ("turn", "on", "the", "light")]))
    assert "xylophone" in caplog.text
    *_, final = engine.transcribe(utterance("turn on the light"))
    assert final.text == "turn on the light"


def test_a_sentence_is_obeyed_through_the_whole_path() -> None:
    automaton = compile_commands(
        commands.parse("intents: {turn_on: {data: [{sentences: ['turn on the [kitchen] light']}]}}", "here")
    )
    engine = VoskRecognizer(tiny_model(), automaton.flat())
    interpreter = Interpreter(automaton, unsure_below=SETTINGS.unsure_below)

    def heard(text: str) -> list[Heard]:
        detector = speech_detector(SETTINGS.vad_mode)
        return list(perceive(frames(text), detector, engine, lambda: interpreter, SETTINGS))

    (one,) = heard("turn on the kitchen light")
    assert isinstance(one.interpretation, Command)
    assert not [one for one in heard("the elephant remembers a banana") if isinstance(one.interpretation, Command)]


@pytest.mark.parametrize("damage", ["absent", "empty", "half", "truncated"])
def test_a_model_that_is_none_is_refused_before_the_library_sees_it(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    if damage == "empty":
        folder.mkdir()
    elif damage != "absent":
        shutil.copytree(tiny_model(), folder)
    if damage == "half":
        (folder / "conf" / "model.conf").unlink()
    if damage == "truncated":
        (folder / "am" / "final.mdl").write_bytes(b"")
    with pytest.raises(ModelError) as caught:
        VoskRecognizer(folder, SENTENCES)
    assert caught.value.remedy


def test_a_model_cut_in_the_middle_is_an_error_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model(), folder)
    whole = (folder / "am" / "final.mdl").read_bytes()
    (folder / "am" / "final.mdl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot open"):
        VoskRecognizer(folder, SENTENCES)


def test_a_model_that_is_not_installed_is_told_how_to_get(tmp_path: Path) -> None:
    settings = AgentSettings(device=DeviceSettings(state_dir=tmp_path), hearing=HearingSettings(recognizer="vosk"))
    with pytest.raises(ModelError) as caught:
        recognizer_of(settings, SENTENCES)
    assert "model fetch" in caught.value.remedy


def test_a_folder_can_be_named_in_the_settings() -> None:
    settings = AgentSettings(hearing=HearingSettings(recognizer="vosk", model=str(tiny_model())))
    *_, final = recognizer_of(settings, SENTENCES).transcribe(utterance("open the door"))
    assert final.text == "open the door"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ImportError("No module named 'vosk'"), "edgeagent[vosk]"),
        (OSError("libatomic.so.1: cannot open shared object file"), "apt-get install libatomic1"),
    ],
)
def test_a_library_that_is_missing_is_named_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str
) -> None:
    real = builtins.__import__

    def without_vosk(name: str, *rest: Any, **more: Any) -> Any:
        if name == "vosk":
            raise error
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_vosk)
    with pytest.raises(ModelError) as caught:
        VoskRecognizer(tiny_model(), SENTENCES)
    assert remedy in caught.value.remedy
