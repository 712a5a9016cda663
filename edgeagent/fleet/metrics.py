"""Steps of utterances to counters and a histogram: how voice control goes, without a word of what was said. Pure."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping

from edgeagent.fleet.wire import HEALTH_BUCKETS_MS, Sample
from edgeagent.messages import Command, Outcome, Published, Question, Rejection, Step, Transcript

REPEATED_WITHIN_S = 10.0
MOST_WAITING = 64
"""Utterances whose verdict is to come."""
ALWAYS = ("decisions", "rejected", "repeated", "ended_by_cap", "orders", "outcomes_done", "outcomes_failed")
"""Told also while they are 0, so that who reads them knows that they are counted."""


class Counted:
    """What was counted since the start. `clock` goes only forward, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._began = clock()
        self.counters: Counter[str] = Counter(dict.fromkeys(ALWAYS, 0))
        self.decision_ms = [0] * (len(HEALTH_BUCKETS_MS) + 1)
        self._spoken: deque[str] = deque(maxlen=MOST_WAITING)
        self._last: tuple[str, float] | None = None

    def note(self, step: Step) -> None:
        """Count a step; what was typed says nothing of hearing, and is not counted as a decision."""
        match step:
            case Transcript() if step.ended_by not in {None, "text"} and step.words:
                self._decided(step)
            case Rejection() if step.utterance in self._spoken:
                self._spoken.remove(step.utterance)
                self.counters["rejected"] += 1
            case Command():
                self.counters["commands"] += 1
            case Question():
                self.counters["questions"] += 1
            case Published():
                self.counters["orders"] += 1
            case Outcome():
                self.counters[f"outcomes_{step.status}"] += 1

    def sample(self, boot: str, at: float, more: Mapping[str, int], gauges: Mapping[str, float]) -> Sample:
        """Return what is told; `more` are counters that others keep."""
        return Sample(
            boot=boot,
            at=round(at, 3),
            uptime_s=round(self._clock() - self._began, 1),
            counters={**self.counters, **more},
            gauges=dict(gauges),
            decision_ms=tuple(self.decision_ms),
        )

    def _decided(self, transcript: Transcript) -> None:
        now, said = self._clock(), transcript.text
        is_repeated = self._last is not None and self._last[0] == said and now - self._last[1] < REPEATED_WITHIN_S
        self._last = said, now
        self._spoken.append(transcript.utterance)
        self.counters["decisions"] += 1
        self.counters["repeated"] += is_repeated
        self.counters["ended_by_cap"] += transcript.ended_by == "cap"
        took_ms = round(1_000 * (transcript.heard_s - transcript.words[-1].end_s))
        self.decision_ms[bisect_left(HEALTH_BUCKETS_MS, took_ms)] += 1
