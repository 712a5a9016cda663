"""The flow of one utterance: perceive() turns sound into interpretations, obey() turns those into outcomes.

perceive() runs on the listening thread and never touches asyncio; obey() runs in the event loop.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edgeagent.grammar.automaton import Automaton
from edgeagent.hear.endpointing import IsSpeech, Utterance, utterances
from edgeagent.hear.recognizer import Recognizer
from edgeagent.messages import Frame, Interpretation, Transcript
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter


@dataclass(frozen=True, slots=True)
class Heard:
    """A final transcript and what it was taken for; `position_s` is how much of the source had been read by then."""

    transcript: Transcript
    interpretation: Interpretation


def perceive(
    frames: Iterable[Frame],
    is_speech: IsSpeech,
    recognizer: Recognizer,
    current: Callable[[], Interpreter],
    settings: HearingSettings,
    report: Callable[[Transcript], None] = lambda _: None,
) -> Iterator[Heard]:
    """Yield what is said in the frames. `current` gives the interpreter to use from the next utterance on.

    `report` gets every partial transcript whose words differ from the one before.
    """
    interpreter = current()
    for utterance in utterances(frames, is_speech, settings):
        latest = current()
        if latest is not interpreter:
            interpreter = latest
            recognizer.use(interpreter.automaton.flat())
        said = ""
        for transcript in recognizer.transcribe(utterance):
            if transcript.is_final:
                yield Heard(transcript, interpreter.interpret(transcript))
                break
            if transcript.text != said:
                said = transcript.text
                report(transcript)
            _be_patient(utterance, transcript, interpreter.automaton, settings)


def _be_patient(utterance: Utterance, partial: Transcript, automaton: Automaton, settings: HearingSettings) -> None:
    """Set how long a pause the words so far are worth, and end the utterance where the pause has been that long.

    The recognizer's own silence after the last word counts as much as the detector's: in noise it is the better one.
    """
    words = [word.text for word in partial.words]
    state = automaton.walk(words) if words else None
    if state is None or not automaton.is_final(state):
        utterance.patience_s = settings.unfinished_s
        return
    is_complete = not automaton.follow(state)
    utterance.patience_s = settings.complete_s if is_complete else settings.could_go_on_s
    if partial.heard_s - partial.words[-1].end_s >= utterance.patience_s:
        utterance.end("complete" if is_complete else "silence")
