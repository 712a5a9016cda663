"""What every recognizer does alike, whichever engine is behind it: the contract of the seam.

Vosk listens with a tiny model that the tests make; with EDGEAGENT_VOSK_MODEL, the same is asked of the model named.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from synthesised import say, silence
from tinyvosk.fixture import tiny_model
from tinyvosk.speech import speak

from edgeagent.errors import ModelError
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.hear.endpointing import Utterance, utterances
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer, speech_detector
from edgeagent.hear.pronounce import pronounce
from edgeagent.hear.recognizer import Recognizer
from edgeagent.hear.vosk import VoskRecognizer
from edgeagent.messages import FRAME_BYTES, FRAME_S, Frame, Transcript
from edgeagent.settings import HearingSettings

pytestmark = pytest.mark.timeout(900)  # the tiny model is made once on a machine

SETTINGS = HearingSettings()
LIGHTS = ("turn on the light", "turn off the light", "turn on the kitchen light", "turn off the bedroom light")
DOORS = ("open the door", "close the door please")
ELSE = "the elephant remembers a banana"

Make = Callable[[Acyclic], Recognizer]
Say = Callable[[str], bytes]


def grammar(sentences: Sequence[str]) -> Acyclic:
    return phrases(sentence.split() for sentence in sentences)


def _flite(text: str) -> bytes:
    return np.concatenate([silence(0.5), say(text), silence(1.5)]).tobytes()


def _espeak(text: str) -> bytes:
    return speak(text) + silence(1.5).tobytes()


ENGINES: dict[str, tuple[Make, Say]] = {
    "pocketsphinx": (lambda sentences: PocketsphinxRecognizer(sentences, pronounce), _flite),
    "pocketsphinx, light": (lambda sentences: PocketsphinxRecognizer(sentences, pronounce, "light"), _flite),
    "vosk": (lambda sentences: VoskRecognizer(tiny_model(), sentences), _espeak),
}
if "EDGEAGENT_VOSK_MODEL" in os.environ:
    NAMED = Path(os.environ["EDGEAGENT_VOSK_MODEL"])
    ENGINES["vosk, the model named"] = (lambda sentences: VoskRecognizer(NAMED, sentences), _flite)


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> tuple[Make, Say]:
    return ENGINES[request.param]


def frames(sound: bytes) -> Iterator[Frame]:
    for at in range(0, len(sound), FRAME_BYTES):
        yield sound[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def heard(recognizer: Recognizer, sound: bytes) -> list[list[Transcript]]:
    found = utterances(frames(sound), speech_detector(SETTINGS.vad_mode), SETTINGS)
    return [list(recognizer.transcribe(utterance)) for utterance in found]


def test_it_hears_what_is_said_and_is_sure_of_it(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    recognizer = make(grammar(LIGHTS))
    for sentence in LIGHTS:
        (transcripts,) = heard(recognizer, tell(sentence))
        assert transcripts[-1].text == sentence
        assert transcripts[-1].confidence > SETTINGS.unsure_below
        assert transcripts[-1].ended_by == "silence"


def test_transcripts_are_partial_until_the_last_and_grow_with_the_sound(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    (transcripts,) = heard(make(grammar(LIGHTS)), tell(LIGHTS[2]))
    *partials, final = transcripts
    assert final.is_final
    assert partials
    assert not any(partial.is_final for partial in partials)
    assert all(later.heard_s - earlier.heard_s == pytest.approx(FRAME_S) for earlier, later in pairwise(partials))
    assert len(partials[0].words) < len(partials[-1].words) == len(final.words)


def test_words_have_times_that_rise_within_what_was_heard(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    recognizer = make(grammar(LIGHTS))
    for _ in range(2):  # times begin anew with each utterance
        (transcripts,) = heard(recognizer, tell(LIGHTS[2]))
        final = transcripts[-1]
        times = [time for word in final.words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert 0.1 <= times[0] < 0.9
        assert 1.0 < times[-1] <= final.heard_s
        assert all(0 <= word.confidence <= 1 for word in final.words)


def test_what_is_no_sentence_of_the_grammar_is_not_sure(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    for transcripts in heard(make(grammar(LIGHTS)), tell(ELSE)):
        assert transcripts[-1].confidence < SETTINGS.unsure_below


def test_another_grammar_counts_from_the_next_utterance_on(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    recognizer = make(grammar(LIGHTS))
    heard(recognizer, tell(LIGHTS[0]))
    recognizer.use(grammar(DOORS))
    for sentence in DOORS:
        (transcripts,) = heard(recognizer, tell(sentence))
        assert transcripts[-1].text == sentence
    for transcripts in heard(recognizer, tell(LIGHTS[0])):
        assert transcripts[-1].text != LIGHTS[0]


def test_an_utterance_that_is_ended_reads_no_further_and_says_by_what(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    recognizer = make(grammar(LIGHTS))
    sound = list(frames(tell(LIGHTS[0])))
    (utterance, *_) = list(_ended_after(recognizer, sound, 1.2))
    assert utterance[-1].ended_by == "complete"
    assert utterance[-1].heard_s < 1.4


def _ended_after(recognizer: Recognizer, sound: Sequence[Frame], seconds: float) -> Iterator[list[Transcript]]:
    for utterance in utterances(sound, speech_detector(SETTINGS.vad_mode), SETTINGS):
        told = []
        for transcript in recognizer.transcribe(utterance):
            told.append(transcript)
            if transcript.heard_s >= seconds:
                utterance.end("complete")
        yield told


def test_no_sound_is_a_final_transcript_without_words(engine: tuple[Make, Say]) -> None:
    make, _ = engine
    utterance = Utterance("u1", 0.0, iter(()), SETTINGS)
    (only,) = list(make(grammar(LIGHTS)).transcribe(utterance))
    assert only.is_final
    assert only.words == ()
    assert only.confidence == 0


@pytest.mark.parametrize("noise", ["silence", "hiss", "clipped", "offset"])
def test_noise_is_no_sentence(engine: tuple[Make, Say], noise: str) -> None:
    make, _ = engine
    random = np.random.default_rng(3)
    samples = {
        "silence": np.zeros(48_000),
        "hiss": random.normal(0, 2000, 48_000),
        "clipped": np.sign(random.normal(0, 1, 48_000)) * 32_767,
        "offset": random.normal(9000, 30, 48_000),
    }[noise]
    utterance = Utterance("u1", 0.0, frames(samples.astype("<i2").tobytes()), SETTINGS)
    *_, final = make(grammar(LIGHTS)).transcribe(utterance)
    assert final.confidence < SETTINGS.unsure_below


def test_what_is_said_freely_is_told_of_the_last_utterance_or_not_at_all(engine: tuple[Make, Say]) -> None:
    make, tell = engine
    recognizer = make(grammar(LIGHTS))
    for utterance in utterances(frames(tell(LIGHTS[0])), speech_detector(SETTINGS.vad_mode), SETTINGS):
        *_, final = recognizer.transcribe(utterance)
        for way in recognizer.freely(utterance):
            assert way.utterance == final.utterance
            assert way.is_final
            assert way.words
            assert 0 <= way.confidence <= 1


def test_a_grammar_of_no_known_word_is_refused_in_words(engine: tuple[Make, Say]) -> None:
    make, _ = engine
    with pytest.raises(ModelError) as caught:
        make(grammar(["打 开 灯"]))
    assert caught.value.remedy
