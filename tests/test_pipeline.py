"""From sound to interpretations: what belongs to one breath is one sentence."""

from pathlib import Path

import pytest
from synthesised import say, silence

from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer, speech_detector
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.messages import FRAME_BYTES, Command
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
