"""How simulated devices are used and what goes wrong with them, from one seed: the same seed, the same fleet. Pure.

Rules:
    - A draw hangs on the seed, the device and what it is for, on nothing else: not on time, nor on other devices.
    - How a device is used does not hang on the release, but for the share that gets worse by it.
"""

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgeagent.fleet.wire import HEALTH_BUCKETS_MS

SLOWER = 4.0
"""A slow device takes so many times as long for an update."""
WORSE = 4.0
"""A device whose hearing has got worse refuses so many times as much."""
_USUAL_MS = 260.0
_LOG_SPREAD = 0.45
_MEDIAN_LOG = 5.56
"""The logarithm of `_USUAL_MS`."""
FAILING_STATES: Sequence[str] = ("downloading", "verifying", "staging", "testing", "switching", "probation")
Heard = Literal["done", "failed", "rejected"]


@dataclass(frozen=True, slots=True)
class Habits:
    """What a fleet is like. Shares are 0..1.

    `bad_version`: only this release fails on devices, or makes them worse; without it every release does.
    """

    seed: int = 1
    fail_share: float = 0.0
    slow_share: float = 0.0
    worse_share: float = 0.0
    bad_version: str = ""
    utterances_per_hour: float = 6.0
    update_s: float = 30.0
    """How long an update takes on a device that is not slow, on average."""
    restart_s: float = 2.0
    """How long a device is away for a new start of its program."""

    def draw(self, index: int, what: str) -> random.Random:
        """Return what is random for a device and a purpose."""
        return random.Random(f"{self.seed}:{index}:{what}")  # noqa: S311  # no secret hangs on it

    def fails_at(self, index: int, version: str) -> str:
        """Return the state in which an update to `version` fails on this device; empty where it succeeds."""
        drawn = self.draw(index, f"fails:{version}")
        if not self._concerns(version) or drawn.random() >= self.fail_share:
            return ""
        return drawn.choice(FAILING_STATES)

    def is_slow(self, index: int) -> bool:
        """Tell whether this device takes long for everything."""
        return self.draw(index, "slow").random() < self.slow_share

    def is_worse(self, index: int, version: str) -> bool:
        """Tell whether this device hears worse with a version."""
        return self._concerns(version) and self.draw(index, "worse").random() < self.worse_share

    def step_s(self, index: int, job: str, step: int) -> float:
        """Return how long a step of a job takes: an update has ten."""
        slower = SLOWER if self.is_slow(index) else 1.0
        return self.draw(index, f"{job}:{step}").uniform(0.4, 1.6) * slower * self.update_s / 10

    def until_speech_s(self, index: int, uttered: int) -> float:
        """Return how long nobody speaks after so many utterances."""
        if self.utterances_per_hour <= 0:
            return 1e9
        return self.draw(index, f"pause:{uttered}").expovariate(self.utterances_per_hour / 3600)

    def _concerns(self, version: str) -> bool:
        return self.bad_version in {"", version}


@dataclass(slots=True)
class Use:
    """What a device has counted since its start; `decision_ms` for the wire's buckets and the one above."""

    decisions: int
    rejected: int
    repeated: int
    ended_by_cap: int
    orders: int
    outcomes_failed: int
    decision_ms: list[int]

    @classmethod
    def none(cls) -> "Use":
        """Return what has been counted at a start."""
        return cls(0, 0, 0, 0, 0, 0, [0] * (len(HEALTH_BUCKETS_MS) + 1))

    @property
    def counters(self) -> dict[str, int]:
        """Return the counters as a sample has them."""
        return {
            "decisions": self.decisions,
            "rejected": self.rejected,
            "repeated": self.repeated,
            "ended_by_cap": self.ended_by_cap,
            "orders": self.orders,
            "outcomes_failed": self.outcomes_failed,
        }

    def hear(self, drawn: random.Random, *, is_worse: bool) -> Heard:
        """Count an utterance, and return what came of it."""
        self.decisions += 1
        self.decision_ms[bisect_left(HEALTH_BUCKETS_MS, drawn.lognormvariate(_MEDIAN_LOG, _LOG_SPREAD))] += 1
        if drawn.random() < 0.02:  # noqa: PLR2004  # a share
            self.ended_by_cap += 1
        if drawn.random() < (0.06 * WORSE if is_worse else 0.06):
            self.rejected += 1
            self.repeated += drawn.random() < 0.5  # noqa: PLR2004  # who is not understood says it again
            return "rejected"
        self.orders += 1
        if drawn.random() < 0.01:  # noqa: PLR2004  # a share
            self.outcomes_failed += 1
            return "failed"
        return "done"


def gauges(drawn: random.Random) -> dict[str, float]:
    """Return how it stands in a device that stands in a room."""
    return {
        "temperature_c": round(drawn.gauss(52, 5), 1),
        "memory_free_mb": round(drawn.uniform(180, 320)),
        "disk_free_mb": round(drawn.uniform(2_000, 9_000)),
        "noise_floor_db": round(drawn.gauss(35, 4), 1),
        "load": round(drawn.uniform(0.1, 0.6), 2),
        "throttled": 0.0,
    }
