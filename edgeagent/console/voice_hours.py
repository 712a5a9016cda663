"""Counters that only grow, sample by sample, to what was counted in between. Pure.

Rules:
    - Counters belong to a start of the device (`boot`), and only grow with its uptime: a sample that comes late or
      again changes nothing; one that is lost costs resolution, no counts.
    - A device that we did not know is counted from now on, unless it has just started.
    - No device can count for more than a person could say, or spoil the sum of all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeagent.fleet.wire import HEALTH_BUCKETS_MS, Sample

BUCKETS = len(HEALTH_BUCKETS_MS) + 1
COUNTED = ("decisions", "rejected", "repeated", "ended_by_cap")
MOST_AT_ONCE = 100_000
"""Counts between two samples, of a week's absence at most: a decision every six seconds."""
MOST_IN_AN_HOUR = 1_000_000_000
JUST_STARTED_S = 2 * 3_600.0
DECAY = 0.9
"""Of what is recent, from sample to sample: about the last ten."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted between two samples, and what is kept for the next one's difference."""

    counts: Mapping[str, int]
    decision_ms: tuple[int, ...]
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_anything(self) -> bool:
        """Whether there is anything to add."""
        return any(self.counts.values()) or any(self.decision_ms)


def between(kept: Mapping[str, Any], sample: Sample) -> Counted | None:
    """Return what was counted since the sample that `kept` is of; None where this one is late, or a repetition."""
    is_same_boot = kept.get("boot") == sample.boot
    if is_same_boot and sample.uptime_s <= kept.get("uptime_s", 0.0):
        return None
    before: Mapping[str, Any] = kept.get("counters", {}) if is_same_boot else {}
    buckets: list[int] = kept.get("decision_ms", []) if is_same_boot else []
    now = dict(sample.counters)
    decision_ms = list(sample.decision_ms[:BUCKETS]) if len(sample.decision_ms) >= BUCKETS else []
    if not kept and sample.uptime_s > JUST_STARTED_S:
        before, buckets = now, decision_ms
    counts = {name: _difference(before.get(name, 0), now.get(name, 0)) for name in COUNTED}
    times = tuple(
        _difference(buckets[place] if place < len(buckets) else 0, count) for place, count in enumerate(decision_ms)
    )
    recent = {name: round(kept.get("recent", {}).get(name, 0.0) * DECAY + counts[name], 3) for name in COUNTED}
    following = {
        "boot": sample.boot,
        "uptime_s": sample.uptime_s,
        "counters": now,
        "decision_ms": decision_ms,
        "recent": recent,
        "recent_ms": _decayed(kept.get("recent_ms", []), times),
    }
    return Counted(counts, times, following)


def added(hour: Mapping[str, Any], counted: Counted, gauges: Mapping[str, float]) -> dict[str, Any]:
    """Return an hour's columns with what was counted in it; an hour without columns is empty."""
    sums = {name: min(hour.get(name, 0) + counted.counts[name], MOST_IN_AN_HOUR) for name in COUNTED}
    was = [*hour.get("decision_ms", ()), *[0] * BUCKETS][:BUCKETS]
    more = [*counted.decision_ms, *[0] * BUCKETS][:BUCKETS]
    decision_ms = [min(a + b, MOST_IN_AN_HOUR) for a, b in zip(was, more, strict=True)]
    return {**sums, "decision_ms": decision_ms, "gauges": {**hour.get("gauges", {}), **gauges}}


def percentile_ms(decision_ms: list[int] | list[float], share: float) -> float | None:
    """Return below which time this share of decisions was: a bucket's upper bound; None where there are none."""
    total = sum(decision_ms)
    if not total:
        return None
    reached = 0.0
    for bound, count in zip(HEALTH_BUCKETS_MS, decision_ms, strict=False):
        reached += count
        if reached >= share * total:
            return float(bound)
    return float("inf")


def _difference(before: int, now: int) -> int:
    return max(0, min(now - before, MOST_AT_ONCE))


def _decayed(before: list[float], more: tuple[int, ...]) -> list[float]:
    was = [*before, *[0.0] * BUCKETS][:BUCKETS]
    new = [*more, *[0] * BUCKETS][:BUCKETS]
    return [round(a * DECAY + b, 2) for a, b in zip(was, new, strict=True)]
