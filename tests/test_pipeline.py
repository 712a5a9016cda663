"""From sound to interpretations: one breath is one sentence, how long to wait, and what is heard a second time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from synthesised import say, silence

from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.hear.endpointing import Utterance
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer, speech_detector
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.messages import FRAME_BYTES, FRAME_S, Command, Rejection, Transcript, Word
from edgeagent.pipeline import Heard, perceive
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

DEVICES = Path(__file__).parent / "data" / "home_devices.yaml"


@pytest.fixture(scope="module")
def automaton() -> Automaton:
    return compile_commands(commands.built_in(["home"]).with_names(names_of(DEVICES)))


@pytest.fixture(scope="module")
def recognizer(automaton: Automaton) -> PocketsphinxRecognizer:
    return PocketsphinxRecognizer(automaton.flat(), Pronunciations())


def heard(automaton: Automaton, recognizer: PocketsphinxRecognizer, *sentences: str) -> list[Heard]:
    settings = HearingSettings()
    sound = b"".join(say(text).tobytes() + silence(1.5).tobytes() for text in sentences)
    frames = (sound[start : start + FRAME_BYTES] for start in range(0, len(sound) - FRAME_BYTES, FRAME_BYTES))
    interpreter = Interpreter(automaton, unsure_below=settings.unsure_below)
    detector = speech_detector(settings.vad_mode)
    return list(perceive(frames, detector, recognizer, lambda: interpreter, settings))


@pytest.mark.parametrize(
    "text", ["never turn on the lights in the office", "never turn on the kitchen lights", "never open the curtains"]
)
def test_the_rest_of_a_sentence_that_was_cut_is_not_obeyed(
    automaton: Automaton, recognizer: PocketsphinxRecognizer, text: str
) -> None:
    _, *rest = heard(automaton, recognizer, text)
    assert not [one for one in rest if isinstance(one.interpretation, Command)]


def test_two_sentences_with_a_pause_between_them_are_both_obeyed(
    automaton: Automaton, recognizer: PocketsphinxRecognizer
) -> None:
    said = heard(automaton, recognizer, "turn on the kitchen lights", "close the blinds in the office")
    assert [one.interpretation.intent for one in said if isinstance(one.interpretation, Command)] == [
        "turn_on",
        "close",
    ]


class Scripted:
    """Hears what it is told to have heard: partial words by the frame, then the final words, then freely."""

    def __init__(
        self, words: str, *freely: str, weak: str = "", confidence: float = 0.9, freely_sure: float = 0.95
    ) -> None:
        self._words, self._freely, self._weak = words.split(), freely, weak
        self._confidence, self._freely_sure = confidence, freely_sure
        self.times_asked = 0

    def use(self, sentences: Acyclic) -> None:
        raise NotImplementedError

    def transcribe(self, utterance: Utterance) -> Iterator[Transcript]:
        words = self._timed(self._words)
        for number, _ in enumerate(utterance.frames, start=1):
            heard_s = number * FRAME_S
            yield Transcript("u1", tuple(word for word in words if word.end_s <= heard_s), heard_s)
        self.heard_s = heard_s
        yield Transcript("u1", words, heard_s, 0.0, self._confidence, utterance.ended_by or "silence")

    def freely(self, utterance: Utterance) -> tuple[Transcript, ...]:
        self.times_asked += 1
        assert utterance.ended_by
        return tuple(
            Transcript(
                "u1", self._timed(way.split()), self.heard_s, 0.0, self._freely_sure - 0.05 * number, utterance.ended_by
            )
            for number, way in enumerate(self._freely)
        )

    def _timed(self, words: Sequence[str]) -> tuple[Word, ...]:
        return tuple(
            Word(text, 0.3 + 0.2 * at, 0.5 + 0.2 * at, 0.1 if text == self._weak else 0.9)
            for at, text in enumerate(words)
        )


def scripted(automaton: Automaton, script: Scripted) -> Heard:
    """Return what comes of the script over a second and a half of speech and silence after it."""
    loud = iter([b"s" * FRAME_BYTES] * 45 + [bytes(FRAME_BYTES)] * 120)
    interpreter = Interpreter(automaton, unsure_below=0.5)
    (one,) = perceive(loud, lambda frame: frame[0] > 0, script, lambda: interpreter, HearingSettings())
    return one


def test_what_is_no_sentence_of_the_grammar_is_heard_again_freely(automaton: Automaton) -> None:
    script = Scripted("turn on kitchen", "uh turn on the kitchen light", confidence=0.1)
    found = scripted(automaton, script)
    assert isinstance(found.interpretation, Command)
    assert found.transcript.text == "uh turn on the kitchen light"


def test_what_is_heard_freely_must_be_surer_than_the_grammar(automaton: Automaton) -> None:
    unsure = Scripted("turn on kitchen", "uh turn on the kitchen light", confidence=0.1, freely_sure=0.65)
    assert isinstance(scripted(automaton, unsure).interpretation, Rejection)


def test_what_is_no_sentence_freely_either_stays_refused_for_the_first_reason(automaton: Automaton) -> None:
    found = scripted(automaton, Scripted("turn on kitchen", "the colour of money", confidence=0.1))
    assert isinstance(found.interpretation, Rejection)
    assert found.transcript.text == "turn on kitchen"


def test_a_sure_sentence_is_not_heard_again(automaton: Automaton) -> None:
    script = Scripted("turn on the kitchen light")
    assert isinstance(scripted(automaton, script).interpretation, Command)
    assert script.times_asked == 0


def test_a_sentence_with_a_word_hardly_heard_stands_if_it_means_the_same_freely(automaton: Automaton) -> None:
    script = Scripted("turn on the kitchen light", "turn the kitchen light on", weak="kitchen")
    found = scripted(automaton, script)
    assert isinstance(found.interpretation, Command)
    assert not found.interpretation.doubt
    assert found.transcript.text == "turn on the kitchen light"


def test_a_sentence_with_a_word_hardly_heard_is_asked_about_if_only_the_grammar_has_it(automaton: Automaton) -> None:
    found = scripted(automaton, Scripted("turn on the kitchen light", "the weather is nice", weak="kitchen"))
    assert isinstance(found.interpretation, Command)
    assert "kitchen" in found.interpretation.doubt


def test_of_two_sentences_the_one_that_is_borne_out_better_is_taken(automaton: Automaton) -> None:
    found = scripted(automaton, Scripted("turn on the kitchen light", "turn off the kitchen light", weak="turn"))
    assert isinstance(found.interpretation, Command)
    assert found.interpretation.intent == "turn_off"


def test_short_words_may_be_swallowed(automaton: Automaton) -> None:
    script = Scripted("turn on the kitchen light", weak="the")
    assert isinstance(scripted(automaton, script).interpretation, Command)
    assert script.times_asked == 0


@pytest.mark.parametrize(
    ("sentence", "ended_by", "waited_s"),
    [
        ("is the front door locked", "complete", 0.09),
        ("set a timer for five minutes", "silence", 0.25),
        ("turn on the kitchen light", "silence", 0.5),
        ("unlock the front door", "silence", 0.55),
        ("turn on the", "silence", 1.2),
    ],
)
def test_the_pause_that_ends_a_sentence_is_worth_what_is_at_stake(
    automaton: Automaton, sentence: str, ended_by: str, waited_s: float
) -> None:
    found = scripted(automaton, Scripted(sentence))
    last_s = max(found.transcript.words[-1].end_s, 45 * FRAME_S if ended_by != "complete" and waited_s > 1 else 0)
    assert found.transcript.ended_by == ended_by
    assert found.transcript.heard_s - last_s == pytest.approx(waited_s, abs=2.5 * FRAME_S)


def test_what_may_have_been_another_order_is_asked_about(automaton: Automaton) -> None:
    script = Scripted("turn on kitchen", "turn on the kitchen light", "turn off the kitchen light", confidence=0.1)
    found = scripted(automaton, script)
    assert isinstance(found.interpretation, Command)
    assert found.interpretation.intent == "turn_on"
    assert "turn off the kitchen light" in found.interpretation.doubt


def test_other_ways_that_mean_the_same_are_no_doubt(automaton: Automaton) -> None:
    script = Scripted("turn on kitchen", "turn on the kitchen light", "turn the kitchen light on", confidence=0.1)
    found = scripted(automaton, script)
    assert isinstance(found.interpretation, Command)
    assert not found.interpretation.doubt


def test_only_the_likeliest_way_is_obeyed(automaton: Automaton) -> None:
    script = Scripted("turn on kitchen", "the colour of money", "turn on the kitchen light", confidence=0.1)
    assert isinstance(scripted(automaton, script).interpretation, Rejection)
