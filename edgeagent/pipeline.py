"""Sound to interpretations, on the listening thread: it never touches asyncio. What is done with them: `obeying.py`."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edgeagent.grammar.tails import JOINTS
from edgeagent.hear.before import Before
from edgeagent.hear.endpointing import IsSpeech, Utterance, utterances
from edgeagent.hear.recognizer import Recognizer
from edgeagent.messages import Command, Frame, Interpretation, Rejection, Report, Transcript
from edgeagent.patience import pause_after
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

_MAYBE_SAID_FREELY = frozenset({"no-words", "not-a-command", "not-speech-we-know"})

HARDLY_HEARD = 0.25
"""The confidence of a word below which a sentence is doubted. Of 74 commands in free wordings, spoken by flite, 55 are
done and 3 done wrong (`edgeagent evaluate heard tests/data/natural/*.jsonl -n 80 --seed 2`); without it 8 were wrong.
"""
FREELY_SURE = 0.7
"""The least confidence of what is heard freely: it has no grammar to bear it out. The right ones measured 0.73 and
more, and two thirds of what was asked about in talk that was for somebody else, less."""
ALONE_SURE = 0.6
"""With two words that the sound hardly bears out, a sentence must be so sure where nothing is recognized freely."""
WEIGHTY = 4
"""Letters; shorter words are swallowed, and hardly ever decide."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A final transcript and what it was taken for."""

    transcript: Transcript
    interpretation: Interpretation


def perceive(
    frames: Iterable[Frame],
    is_speech: IsSpeech,
    recognizer: Recognizer,
    prepared: Callable[[], Interpreter],
    settings: HearingSettings,
    report: Report = lambda _: None,
) -> Iterator[Heard]:
    """Yield what is said in the frames.

    `prepared` gives the interpreter for the next utterance, for whose grammar the recognizer is ready. `report` gets
    every partial transcript whose words differ from the one before.
    """
    before = Before()
    for utterance in utterances(frames, is_speech, settings):
        interpreter = prepared()
        said = ""
        for transcript in recognizer.transcribe(utterance):
            if transcript.is_final:
                heard = _understood(transcript, utterance, recognizer, interpreter)
                if objection := before.objection(transcript):
                    heard = Heard(transcript, _refused(transcript, objection))
                before.note(transcript, is_order=isinstance(heard.interpretation, Command))
                yield heard
                break
            if transcript.text != said:
                said = transcript.text
                report(transcript)
            _be_patient(utterance, transcript, interpreter, settings)


def _understood(
    transcript: Transcript, utterance: Utterance, recognizer: Recognizer, interpreter: Interpreter
) -> Heard:
    """Return what was said. What is no sentence of the grammar, or hardly one, is recognized again, freely.

    A sentence with a word that the sound hardly bears out stands if it means the same freely; else whichever is borne
    out better is taken, and if only the grammar has one, it is asked about: "every light in the house" is heard as "in
    the office" by a grammar that has no such sentence.
    """
    found = interpreter.interpret(transcript)
    weak_words = _weak_words(transcript) if isinstance(found, Command) else ()
    weak = next(iter(weak_words), None)
    if isinstance(found, Command) and transcript.words[-1].text in JOINTS:
        return _joined(transcript, found, recognizer.freely(utterance), interpreter)
    if weak is None and not (isinstance(found, Rejection) and found.reason in _MAYBE_SAID_FREELY):
        return Heard(transcript, found)
    ways = recognizer.freely(utterance)
    otherwise = _freely(ways, interpreter)
    if otherwise is not None and isinstance(found, Rejection):
        return otherwise
    if weak is None or not isinstance(found, Command):
        return Heard(transcript, found)
    if not ways:  # nobody else has heard it
        is_doubtful = len(weak_words) > 1 and transcript.confidence < ALONE_SURE
        return Heard(transcript, _refused(transcript, f'"{weak}" was hardly heard') if is_doubtful else found)
    if otherwise is not None and isinstance(otherwise.interpretation, Command):
        if _mean_the_same(found, otherwise.interpretation):
            return Heard(transcript, found)
        if otherwise.transcript.confidence > transcript.confidence:
            return otherwise
    return Heard(transcript, _doubted(found, f'"{weak}" was hardly heard'))


def _joined(transcript: Transcript, found: Command, ways: Sequence[Transcript], interpreter: Interpreter) -> Heard:
    """Return what was said where something was joined to an order: all of it if it is understood, else a question."""
    otherwise = _freely(ways, interpreter)
    if otherwise is not None and isinstance(otherwise.interpretation, Command):
        return otherwise
    return Heard(transcript, _doubted(found, f'something followed "{transcript.words[-1].text}"'))


def _freely(ways: Sequence[Transcript], interpreter: Interpreter) -> Heard | None:
    """Return what was heard freely, if it is sure and understood; asked about if it may have been another order.

    Only the likeliest way is ever obeyed: to obey the next one where that is not understood measured no gain, and more
    was done that nobody wanted.
    """
    best, *others = ways or (None,)
    if best is None or best.confidence < FREELY_SURE:
        return None
    found = interpreter.interpret(best)
    if isinstance(found, Rejection):
        return None
    rivals = (interpreter.interpret(other) for other in others if other.confidence >= FREELY_SURE)
    rival = next((one for one in rivals if isinstance(one, Command) and _differs(one, found)), None)
    if isinstance(found, Command) and rival is not None:
        found = _doubted(found, f'it may have been "{rival.text}"')
    return Heard(best, found)


def _doubted(command: Command, why: str) -> Command:
    return command if command.doubt else replace(command, doubt=why, why=(*command.why, why))


def _differs(rival: Command, found: Interpretation) -> bool:
    """Tell whether another way to hear it is another order, and not only a part of what was understood."""
    if not isinstance(found, Command):
        return False
    wholes = (found,) if rival.then else (found, *found.parts)
    return not any(_mean_the_same(rival, one) for one in wholes)


def _weak_words(transcript: Transcript) -> tuple[str, ...]:
    """Return the words of weight that the sound hardly bears out."""
    words = transcript.words
    return tuple(word.text for word in words if len(word.text) >= WEIGHTY and word.confidence < HARDLY_HEARD)


def _mean_the_same(one: Command, other: Command) -> bool:
    def meanings(command: Command) -> list[Hashable]:
        slots = (frozenset((slot.name, slot.value) for slot in part.slots) for part in command.parts)
        return [(part.intent, part.when, said) for part, said in zip(command.parts, slots, strict=True)]

    return meanings(one) == meanings(other)


def _refused(transcript: Transcript, objection: str) -> Rejection:
    return Rejection(transcript.utterance, "not-speech-we-know", transcript.text, objection)


def _be_patient(utterance: Utterance, partial: Transcript, interpreter: Interpreter, settings: HearingSettings) -> None:
    """Set how long a pause the words so far are worth, and end the utterance where the pause has been that long.

    The recognizer's own silence after the last word counts as much as the detector's: in noise it is the better one.
    """
    pause = pause_after([word.text for word in partial.words], interpreter, settings)
    utterance.patience_s, utterance.pause_means = pause.lasts_s, pause.means
    if partial.words and partial.heard_s - partial.words[-1].end_s >= pause.wordless_s:
        utterance.end(pause.means)
