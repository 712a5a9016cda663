"""Counters that only grow, sample by sample, to what was counted in between. Pure.

Rules:
    - Counters belong to a start of the device (`boot`), and only grow with its uptime: a sample that comes again, or
      after a later one of its start, changes nothing; one that is lost costs resolution, no counts.
    - Samples of an earlier start may have waited: they are counted from what was last heard of that start.
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
STARTS_KEPT = 4
"""Earlier ones whose last sample is kept: more than a device keeps samples of."""
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


def between(kept: Mapping[str, Any], sample: Sample, *, is_current: bool = True) -> Counted | None:
    """Return what was counted since the last sample of the same start; None where this one is late, or a repetition.

    Of a start that is not the current one, counts are taken, and nothing else.
    """
    last = _last_of(kept, sample.boot)
    if sample.uptime_s <= last.get("uptime_s", -1.0):
        return None
    now = dict(sample.counters)
    decision_ms = list(sample.decision_ms[:BUCKETS]) if len(sample.decision_ms) >= BUCKETS else []
    if not kept and sample.uptime_s > JUST_STARTED_S:
        last = {"counters": now, "decision_ms": decision_ms}
    before, buckets = last.get("counters", {}), last.get("decision_ms", [])
    counts = {name: _difference(before.get(name, 0), now.get(name, 0)) for name in COUNTED}
    times = tuple(
        _difference(buckets[place] if place < len(buckets) else 0, count) for place, count in enumerate(decision_ms)
    )
    this = {"boot": sample.boot, "uptime_s": sample.uptime_s, "counters": now, "decision_ms": decision_ms}
    if not is_current:
        return Counted(counts, times, _beside(kept, this))
    recent = {name: round(kept.get("recent", {}).get(name, 0.0) * DECAY + counts[name], 3) for name in COUNTED}
    following = {
        **this,
        "recent": recent,
        "recent_ms": _decayed(kept.get("recent_ms", []), times),
        "earlier": [one for one in _starts(kept) if one["boot"] != sample.boot][:STARTS_KEPT],
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


def _starts(kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the last sample of each start that we remember, the current one's first."""
    current = {name: kept[name] for name in ("boot", "uptime_s", "counters", "decision_ms") if name in kept}
    return [*([current] if "boot" in current else []), *kept.get("earlier", ())]


def _last_of(kept: Mapping[str, Any], boot: str) -> Mapping[str, Any]:
    return next((one for one in _starts(kept) if one["boot"] == boot), {})


def _beside(kept: Mapping[str, Any], this: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept with the last sample of a start that is not the current one."""
    if kept.get("boot") in {None, this["boot"]}:
        return {**kept, **this}
    earlier = [this, *(one for one in kept.get("earlier", ()) if one["boot"] != this["boot"])]
    return {**kept, "earlier": earlier[:STARTS_KEPT]}


def _difference(before: int, now: int) -> int:
    return max(0, min(now - before, MOST_AT_ONCE))


def _decayed(before: list[float], more: tuple[int, ...]) -> list[float]:
    was = [*before, *[0.0] * BUCKETS][:BUCKETS]
    new = [*more, *[0] * BUCKETS][:BUCKETS]
    return [round(a * DECAY + b, 2) for a, b in zip(was, new, strict=True)]
