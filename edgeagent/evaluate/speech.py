"""A spoken test set through the whole listening path: accuracy, real-time factor, time to decision, what failed."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgeagent.evaluate.cases import Case, Meaning, meaning_of
from edgeagent.evaluate.noise import Noise
from edgeagent.hear.endpointing import IsSpeech
from edgeagent.hear.files import frames_of
from edgeagent.hear.recognizer import Recognizer
from edgeagent.messages import FRAME_S, Command, Frame
from edgeagent.pipeline import Heard, perceive
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

Verdict = Literal["right", "wrong", "rejected"]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case.

    `decision_s` are the times to decision of its commands: from the end of the last word (as the recognizer places it)
    to the decision, which is the sound that had to be waited for plus the computing time after its last frame.
    """

    case: Case
    verdict: Verdict
    got: tuple[Meaning, ...]
    heard: str
    ended_by: tuple[str, ...]
    decision_s: tuple[float, ...]
    sound_s: float
    work_s: float


@dataclass(frozen=True, slots=True)
class Listener:
    """The parts of the listening path that all cases share; each gets its own speech detector."""

    recognizer: Recognizer
    interpreter: Interpreter
    detector: Callable[[], IsSpeech]
    settings: HearingSettings
    noise: Noise | None = None


def judge(case: Case, listener: Listener) -> Result:
    """Play one case. Right is exactly the expected command and no other; wrong is any other command."""
    frames = frames_of(case.path)
    sound = _Clocked(listener.noise.over(frames) if listener.noise else frames)
    began = time.perf_counter()
    heard, decision_s = [], []
    path = perceive(sound, listener.detector(), listener.recognizer, lambda: listener.interpreter, listener.settings)
    for one in path:
        heard.append(one)
        if isinstance(one.interpretation, Command) and one.transcript.words:
            waited_s = one.transcript.heard_s - one.transcript.words[-1].end_s
            decision_s.append(waited_s + time.perf_counter() - sound.last_at)
    got = tuple(meaning_of(one.interpretation) for one in heard if isinstance(one.interpretation, Command))
    return Result(
        case,
        _verdict(case.expected, got),
        got,
        " / ".join(_line(one) for one in heard),
        tuple(str(one.transcript.ended_by) for one in heard),
        tuple(decision_s),
        sound.count * FRAME_S,
        time.perf_counter() - began,
    )


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Return the figures of a test set, ready for JSON."""
    verdicts = Counter(result.verdict for result in results)
    decisions = [1000 * seconds for result in results for seconds in result.decision_s]
    sound_s = sum(result.sound_s for result in results)
    return {
        "n": len(results),
        "right": verdicts["right"],
        "wrong": verdicts["wrong"],
        "rejected": verdicts["rejected"],
        "accuracy": round(verdicts["right"] / len(results), 4) if results else 0.0,
        "rtf": round(sum(result.work_s for result in results) / sound_s, 4) if sound_s else 0.0,
        "time_to_decision_ms": {f"p{q}": _percentile(decisions, q) for q in (50, 95)},
        "ended_by": dict(Counter(by for result in results for by in result.ended_by)),
        "failures": [_failure(result) for result in results if result.verdict != "right"],
    }


def _verdict(expected: Meaning | None, got: tuple[Meaning, ...]) -> Verdict:
    if expected is None:
        return "wrong" if got else "right"
    if not got:
        return "rejected"
    return "right" if got == (expected,) else "wrong"


def _failure(result: Result) -> dict[str, Any]:
    return {
        "file": result.case.path.name,
        "expected": result.case.expected.as_json() if result.case.expected else None,
        "got": [meaning.as_json() for meaning in result.got] or None,
        "heard": result.heard,
    }


def _line(one: Heard) -> str:
    return f"{one.transcript.text} ({one.transcript.confidence:.2f}, {one.transcript.ended_by})"


def _percentile(values: Sequence[float], q: int) -> float | None:
    return round(float(np.percentile(values, q)), 1) if values else None


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
