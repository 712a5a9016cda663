"""Bytes and moments to how fast it goes and how long it still takes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

WINDOW_S = 10.0
"""The rate is that of the last seconds: cards slow down once their cache is full."""
SURE_AFTER_S = 1.0
"""Before that, no remaining time is told."""
MOST_SAMPLES = 1_000

Phase = Literal["unpack", "write", "check"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a phase has come. `total_bytes` is None where nobody knows; `share` is of 1, of the archive then."""

    phase: Phase
    done_bytes: int
    total_bytes: int | None
    share: float
    rate_bytes_s: float
    remaining_s: float | None


Told = Callable[[Progress], None]


def quietly(_: Progress) -> None:
    """Tell nobody."""


@dataclass
class Pace:
    """Makes progress of samples, in one phase."""

    phase: Phase
    total_bytes: int | None
    began: float
    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))

    def at(self, now: float, done_bytes: int, share: float | None = None) -> Progress:
        """Return the progress at a moment; `share` is asked for where the total is not known."""
        self._samples.append((now, done_bytes))
        while len(self._samples) > 1 and self._samples[0][0] < now - WINDOW_S:
            self._samples.popleft()
        if share is None:
            share = done_bytes / self.total_bytes if self.total_bytes else 0.0
        since, before = self._samples[0] if self._samples[0][0] < now else (self.began, 0)
        rate = (done_bytes - before) / (now - since) if now > since else 0.0
        return Progress(
            self.phase, done_bytes, self.total_bytes, min(share, 1.0), rate, self._remaining(now, share, rate)
        )

    def _remaining(self, now: float, share: float, rate: float) -> float | None:
        took = now - self.began
        if took < SURE_AFTER_S or share <= 0:
            return None
        if self.total_bytes is not None and rate > 0:
            return max(self.total_bytes * (1 - share), 0.0) / rate
        return max(took / share - took, 0.0)
