"""The tiny model that the tests of Vosk listen with: what they may rely on it to understand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tinyvosk.corpus import PHRASES, WORDS
from tinyvosk.fixture import tiny_model
from tinyvosk.speech import RATE, speak, speech

vosk = pytest.importorskip("vosk", reason="Vosk is not installed: pip install vosk")
pytestmark = pytest.mark.timeout(900)  # the first run on a machine builds the model, half a minute on an idle one

UNKNOWN = "[unk]"
FRAME_BYTES = 1024


@pytest.fixture(scope="module")
def model() -> Any:
    vosk.SetLogLevel(-1)
    return vosk.Model(str(tiny_model()))


def results(recognizer: Any, pcm: bytes) -> Iterator[str]:
    """Feed a sound by the frame; a pause after a likely command ends a result early, so all of them count."""
    for begin in range(0, len(pcm), FRAME_BYTES):
        if recognizer.AcceptWaveform(pcm[begin : begin + FRAME_BYTES]):
            yield recognizer.Result()
    yield recognizer.FinalResult()


def words_heard(recognizer: Any, pcm: bytes) -> list[dict[str, Any]]:
    recognizer.SetWords(enable_words=True)
    return [word for result in results(recognizer, pcm) for word in json.loads(result).get("result", [])]


def heard(recognizer: Any, text: str, speed: int = 150) -> str:
    return " ".join(word["word"] for word in words_heard(recognizer, speak(text, speed)))


def test_the_model_opens_and_has_the_vocabulary(model: Any) -> None:
    assert not [word for word in (*WORDS, UNKNOWN) if model.vosk_model_find_word(word) < 0]
    assert model.vosk_model_find_word("xylophone") < 0


@pytest.mark.parametrize("speed", [120, 150, 175])
def test_every_phrase_is_understood_with_a_grammar_and_without(model: Any, speed: int) -> None:
    closed = vosk.KaldiRecognizer(model, RATE, json.dumps([*PHRASES, UNKNOWN]))
    of_its_own = vosk.KaldiRecognizer(model, RATE)
    for recognizer in (closed, of_its_own):
        assert [heard(recognizer, phrase, speed) for phrase in PHRASES] == list(PHRASES)


def test_words_begin_when_espeak_says_them(model: Any) -> None:
    for phrase in PHRASES:
        said = speech(phrase)
        words = words_heard(vosk.KaldiRecognizer(model, RATE), said.pcm)
        for word, start_s in zip(words, said.word_starts_s, strict=True):
            assert start_s is None or abs(word["start"] - start_s) < 0.06, (phrase, word, start_s)


@pytest.mark.parametrize("text", ["elephants and chocolate", "breakfast in the garden", "my brother has a car"])
def test_other_speech_is_unknown_words(model: Any, text: str) -> None:
    grammar = json.dumps(["turn on the light", "turn off the light", "stop", UNKNOWN])
    assert set(heard(vosk.KaldiRecognizer(model, RATE, grammar), text).split()) == {UNKNOWN}
