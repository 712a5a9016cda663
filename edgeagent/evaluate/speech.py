"""One spoken case through the whole listening path: what was heard, what was decided on, and where the time went."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from edgeagent.evaluate.cases import Case, Meaning, meaning_of
from edgeagent.evaluate.noise import Noise
from edgeagent.grammar.spoken import Phrase
from edgeagent.hear.endpointing import IsSpeech
from edgeagent.hear.files import frames_of
from edgeagent.hear.recognizer import Recognizer
from edgeagent.messages import FRAME_S, Command, Frame, Interpretation, Transcript
from edgeagent.pipeline import Heard, perceive
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

Verdict = Literal["right", "wrong", "rejected"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A command, and what passed between the end of its last word (as the recognizer places it) and the decision.

    `waiting_s` is sound that had to be waited for; the others are computing after its last frame.
    """

    words: Phrase
    meaning: Meaning
    waiting_s: float
    recognising_s: float
    understanding_s: float

    @property
    def took_s(self) -> float:
        """Return the time to decision."""
        return self.waiting_s + self.recognising_s + self.understanding_s


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case; `snr_db` is None where no noise was mixed in."""

    case: Case
    snr_db: float | None
    heard: tuple[Heard, ...]
    decisions: tuple[Decision, ...]
    sound_s: float
    work_s: float

    @property
    def got(self) -> tuple[Meaning, ...]:
        """Return the meanings of the commands."""
        return tuple(decision.meaning for decision in self.decisions)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict: right is exactly the expected command and no other; wrong is any other command."""
        if self.case.expected is None:
            return "wrong" if self.got else "right"
        if not self.got:
            return "rejected"
        return "right" if self.got == (self.case.expected,) else "wrong"

    @property
    def words(self) -> Phrase:
        """Return the words of all transcripts."""
        return tuple(word.text for one in self.heard for word in one.transcript.words)

    @property
    def premature(self) -> tuple[Decision, ...]:
        """Return what was decided on before the person had finished.

        Where the words are known: its own are only the beginning of them. Elsewhere: the first command lacks slots
        that were said, and something is heard after it.
        """
        said, expected = self.case.said, self.case.expected
        if said is not None:
            return tuple(one for one in self.decisions if one.words != said and one.words == said[: len(one.words)])
        if expected is None or not self._goes_on_after_a_command():
            return ()
        return tuple(one for one in self.decisions[:1] if set(one.meaning.slots) < set(expected.slots))

    def _goes_on_after_a_command(self) -> bool:
        is_command = [isinstance(one.interpretation, Command) for one in self.heard]
        after = self.heard[is_command.index(True) + 1 :] if any(is_command) else ()
        return any(one.transcript.words for one in after)


@dataclass(frozen=True, slots=True)
class Listener:
    """The parts of the listening path that all cases share; each gets its own speech detector."""

    recognizer: Recognizer
    interpreter: Interpreter
    detector: Callable[[], IsSpeech]
    settings: HearingSettings


def judge(case: Case, listener: Listener, noise: Noise | None) -> Result:
    """Play one case, with the noise in it if there is one."""
    frames = frames_of(case.path)
    sound = _Clocked(noise.over(frames) if noise else frames)
    timed = _Timed(listener.interpreter)
    began = time.perf_counter()
    heard, decisions = [], []
    path = perceive(sound, listener.detector(), listener.recognizer, timed.prepared, listener.settings)
    for one in path:
        computed_s = time.perf_counter() - sound.last_at
        heard.append(one)
        if isinstance(one.interpretation, Command):
            words = one.transcript.words
            waiting_s = one.transcript.heard_s - words[-1].end_s
            spoken = tuple(word.text for word in words)
            meaning = meaning_of(one.interpretation)
            decisions.append(Decision(spoken, meaning, waiting_s, computed_s - timed.took_s, timed.took_s))
    work_s = time.perf_counter() - began
    snr_db = noise.snr_db if noise else None
    return Result(case, snr_db, tuple(heard), tuple(decisions), sound.count * FRAME_S, work_s)


class _Timed:
    """An interpreter, and how long it has worked on the utterance."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self.automaton = interpreter.automaton
        self.unique_names = interpreter.unique_names
        self.took_s = 0.0

    def prepared(self) -> Interpreter:
        """Return what perceive() asks of an interpreter, for the next utterance."""
        self.took_s = 0.0
        return cast("Interpreter", self)

    def interpret(self, transcript: Transcript) -> Interpretation:
        began = time.perf_counter()
        found = self._interpreter.interpret(transcript)
        self.took_s += time.perf_counter() - began
        return found


class _Clocked:
    """Frames, counted, with the time at which the last one was handed out."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = frames
        self.count = 0
        self.last_at = time.perf_counter()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.count += 1
            self.last_at = time.perf_counter()
            yield frame
