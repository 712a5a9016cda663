"""The recognizer hears what its grammar expects, tells how sure it is, and follows a change of grammar."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest
from homes import known
from synthesised import Sound, silence, spoken

from edgeagent.act.vocabulary import lists_of
from edgeagent.errors import ModelError
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear.endpointing import Utterance, utterances
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer, speech_detector
from edgeagent.hear.pronounce import pronounce
from edgeagent.messages import FRAME_BYTES, FRAME_S, Frame, Transcript
from edgeagent.settings import HearingSettings
from edgeagent.simulate.house import small_house

SETTINGS = HearingSettings()

LIGHTS = (
    "turn on the kitchen light",
    "turn off the kitchen light",
    "turn on the bedroom lamp",
    "close the garage door",
)
DRINKS = ("a large iced coffee please", "two small lattes with sugar", "an espresso and a cappuccino")


def grammar(sentences: Sequence[str]) -> Acyclic:
    return phrases(sentence.split() for sentence in sentences)


def recognizer(sentences: Sequence[str] = LIGHTS) -> PocketsphinxRecognizer:
    return PocketsphinxRecognizer(grammar(sentences), pronounce)


def frames(sound: Sound) -> Iterator[Frame]:
    pcm = sound.tobytes()
    for at in range(0, len(pcm), FRAME_BYTES):
        yield pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def heard(
    sound: Sound,
    engine: PocketsphinxRecognizer,
    attend: Callable[[Utterance, Transcript], None] = lambda *_: None,
) -> list[list[Transcript]]:
    found = []
    for utterance in utterances(frames(sound), speech_detector(SETTINGS.vad_mode), SETTINGS):
        transcripts = []
        for transcript in engine.transcribe(utterance):
            transcripts.append(transcript)
            attend(utterance, transcript)
        found.append(transcripts)
    return found


@pytest.fixture(scope="module")
def light() -> PocketsphinxRecognizer:
    """The recognizer of a small board, with a whole house to listen for."""
    named = commands.built_in(("home",)).with_names(dict(lists_of(known(small_house()).names())))
    return PocketsphinxRecognizer(compile_commands(named).flat(), pronounce, "light")


@pytest.mark.parametrize("sentence", ["turn on the kitchen light", "close the living room blinds", "what time is it"])
def test_a_small_board_hears_what_is_said_in_a_house(light: PocketsphinxRecognizer, sentence: str) -> None:
    (transcripts,) = heard(spoken(sentence), light)
    final = transcripts[-1]
    assert " ".join(word.text for word in final.words) == sentence
    assert all(one.end_s > one.start_s for one in final.words)
    assert final.confidence > 0.5


@pytest.mark.parametrize("sentence", LIGHTS)
def test_it_hears_what_is_said(sentence: str) -> None:
    (transcripts,) = heard(spoken(sentence), recognizer())
    *partials, final = transcripts
    assert final.text == sentence
    assert final.ended_by == "silence"
    assert not any(partial.is_final for partial in partials)


def test_partial_transcripts_grow_while_the_person_speaks() -> None:
    (transcripts,) = heard(spoken(LIGHTS[0]), recognizer())
    *partials, final = transcripts
    lengths = [len(partial.words) for partial in partials]
    assert lengths[-1] == len(final.words) == 5
    assert len(set(lengths)) >= 3
    assert lengths.index(5) < len(lengths) - 10
    times = [partial.heard_s for partial in partials]
    assert all(after - before == pytest.approx(FRAME_S) for before, after in pairwise(times))


def test_words_have_times_that_rise_within_the_utterance() -> None:
    (transcripts,) = heard(spoken(LIGHTS[0]), recognizer())
    final = transcripts[-1]
    assert final.began_s < 0.7
    for word in final.words:
        assert 0 <= word.start_s < word.end_s <= final.heard_s + 0.1
        assert 0 <= word.confidence <= 1
    for before, after in pairwise(final.words):
        assert before.end_s <= after.start_s + 1e-6


def test_it_is_sure_of_its_own_sentences_and_not_of_others() -> None:
    engine = recognizer()
    right = [heard(spoken(sentence), engine)[0][-1].confidence for sentence in LIGHTS]
    wrong = [one[-1].confidence for sentence in DRINKS for one in heard(spoken(sentence), engine)]
    assert min(right) > 0.5
    assert max(wrong) < 0.5 < min(right)


def test_silence_alone_gives_nothing() -> None:
    assert heard(silence(3.0), recognizer()) == []


def test_an_utterance_of_silence_has_no_words() -> None:
    engine = recognizer()
    utterance = Utterance("u1", 0.0, frames(silence(1.5)), SETTINGS)
    final = list(engine.transcribe(utterance))[-1]
    assert final.is_final
    assert final.words == () or final.confidence < SETTINGS.unsure_below


def test_an_utterance_without_a_frame_has_no_words() -> None:
    transcripts = list(recognizer().transcribe(Utterance("u1", 0.0, iter(()), SETTINGS)))
    assert [(one.words, one.is_final, one.confidence) for one in transcripts] == [((), True, 0.0)]


def test_a_new_grammar_is_obeyed_at_the_next_utterance() -> None:
    engine = recognizer()
    found = []
    for utterance in utterances(frames(spoken(LIGHTS[3], DRINKS[0])), speech_detector(2), SETTINGS):
        found.append(list(engine.transcribe(utterance))[-1].text)
        engine.use(grammar(DRINKS))
    assert found == [LIGHTS[3], DRINKS[0]]


def test_a_name_that_no_dictionary_has_is_heard() -> None:
    names = ("turn on the zorblatt", "turn on the kitchen light")
    (transcripts,) = heard(spoken(names[0]), recognizer(names))
    assert transcripts[-1].text == names[0]


def test_a_name_that_cannot_be_pronounced_is_an_error_and_the_old_grammar_goes_on() -> None:
    engine = recognizer()
    with pytest.raises(ModelError) as caught:
        engine.use(grammar(["turn on the 灯"]))
    assert caught.value.remedy
    assert heard(spoken(LIGHTS[0]), engine)[0][-1].text == LIGHTS[0]


def test_two_utterances_do_not_leak_into_one_another() -> None:
    found = heard(spoken(LIGHTS[1], LIGHTS[3]), recognizer())
    assert [transcripts[-1].text for transcripts in found] == [LIGHTS[1], LIGHTS[3]]
    assert [transcripts[-1].utterance for transcripts in found] == ["u1", "u2"]


def test_ending_an_utterance_early_gives_what_was_heard_till_then() -> None:
    def interrupt(utterance: Utterance, transcript: Transcript) -> None:
        if len(transcript.words) == 5:
            utterance.end("complete")

    transcripts = heard(spoken(LIGHTS[0]), recognizer(), interrupt)[0]
    assert transcripts[-1].ended_by == "complete"
    assert transcripts[-1].text.startswith("turn on")


def test_a_reader_that_leaves_does_not_break_the_recognizer() -> None:
    engine = recognizer()
    for utterance in utterances(frames(spoken(LIGHTS[0])), speech_detector(2), SETTINGS):
        next(engine.transcribe(utterance))
    assert heard(spoken(LIGHTS[1]), engine)[0][-1].text == LIGHTS[1]


def test_the_detector_tells_speech_from_silence() -> None:
    is_speech = speech_detector(2)
    assert not any(is_speech(frame) for frame in list(frames(silence(2.0)))[5:])
    assert sum(is_speech(frame) for frame in frames(spoken(LIGHTS[0]))) > 20
