"""Voice health of those who have a release, against that of those who have not, to a verdict that can be shown. Pure.

Rules:
    - What is compared: rejected, repeated and ended by the cap, each per decision; and the mean time of a decision.
    - The same hours are compared: an evening with the television on is no release's fault. In each hour both groups
      have a rate; an hour weighs n m / (n + m) for n decisions with it and m without (as Mantel and Haenszel weigh),
      so that an hour in which only one group was heard weighs nothing. The rates that are shown are the means of the
      hours' rates by these weights, and what is tested is their difference.
    - Devices are the units, not decisions: the variance is that by which the mean changes when one device is left out
      of all its hours (the jackknife; with one hour that of a ratio: Cochran, Sampling Techniques, 3rd ed., 6.4). None
      weighs more than LOUDEST says, so that one talkative house neither decides nor makes sure. Tested by Student's t
      with Satterthwaite's degrees of freedom, one-sided.
    - A group of fewer than LEAST_DEVICES devices or LEAST_CASES decisions says nothing.
    - It is looked several times, so each look gets its part of alpha: the k-th 6 / (pi k)^2 of it, which is all of it
      for endlessly many looks; and each measure gets a fourth of that (Bonferroni). The chance of any false alarm in
      the whole rollout is alpha at most, however often it is looked, and however the looks depend on one another.
    - A look is made when a quarter more was decided than at the last one: more often would only make each less sure.
    - What is certain may still be small: below the least effect it is not called worse.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from edgeagent.fleet.wire import HEALTH_BUCKETS_MS

LEAST_DEVICES = 15
LEAST_CASES = 300
LEAST_IN_AN_HOUR = 5
"""Devices of each group that were heard in an hour before it counts: of fewer the variance is not known."""
LOUDEST = 4.0
"""Times the median of its group that a device's decisions weigh at most: a ratio follows who dominates it, and then its
variance does not see that (only what differs from the ratio counts)."""
MORE_TO_LOOK_AGAIN = 1.25
Verdict = Literal["worse", "not worse", "too little"]
_TOP_MS = 1.2 * HEALTH_BUCKETS_MS[-1]
_MIDDLES_MS = (*((low + high) / 2 for low, high in pairwise((0, *HEALTH_BUCKETS_MS))), _TOP_MS)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one device counted while it was watched; `decision_ms` in the buckets of the wire."""

    decisions: int = 0
    rejected: int = 0
    repeated: int = 0
    ended_by_cap: int = 0
    decision_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure in both groups; what is higher is worse. `p` is one-sided: that chance alone makes it so much worse.

    `level`: the p below which this look at this measure calls it worse. Shares are of 1, times in milliseconds.
    """

    measure: str
    devices_with: int
    devices_without: int
    cases_with: int
    cases_without: int
    rate_with: float
    rate_without: float
    statistic: float
    p: float
    level: float
    verdict: Verdict
    words: str

    @property
    def difference(self) -> float:
        """Return how much worse it is with it."""
        return self.rate_with - self.rate_without


@dataclass(frozen=True, slots=True)
class _Group:
    devices: int
    cases: int
    rate: float
    error: float
    """Variance of the rate."""


Hours = Mapping[int, Tally]
"""What one device counted, by hours since 1970."""
_Counted = Mapping[int, tuple[float, float]]
"""What one device counted of one measure, and of how many, by hours."""


@dataclass(frozen=True, slots=True)
class _Measure:
    title: str
    of: Callable[[Tally], tuple[float, float]]
    """What is counted, and of how many decisions."""
    least: float
    unit: Callable[[float], str]


def compare(with_it: Sequence[Hours], without: Sequence[Hours], *, alpha: float, look: int) -> tuple[Comparison, ...]:
    """Compare those who have it with those who have not, in the same hours, at the `look`-th look, from 1."""
    level = level_of(alpha, look)
    return tuple(_compared(name, one, with_it, without, level) for name, one in MEASURES.items())


def level_of(alpha: float, look: int) -> float:
    """Return the p below which the `look`-th look at one measure calls it worse."""
    return alpha * 6 / (math.pi * look) ** 2 / len(MEASURES)


def is_time_to_look(cases: int, at_last_look: int) -> bool:
    """Tell whether enough was decided by those who have it since the last look."""
    return cases >= max(LEAST_CASES, MORE_TO_LOOK_AGAIN * at_last_look)


def upper_tail(t: float, freedom: float) -> float:
    """Return the chance that Student's t with so many degrees of freedom is above `t`."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    both = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return both / 2 if t > 0 else 1 - both / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function (DLMF 8.17.22: a continued fraction, by Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1), tiny)
    whole = d
    for m in range(1, 500):
        for part in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + part * d, tiny)
            c = _not_zero(1 + part / c, tiny)
            whole *= c * d
        if abs(c * d - 1) < 1e-14:  # noqa: PLR2004  # what a double holds
            break
    return whole


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def _counted(devices: Sequence[Hours], of: Callable[[Tally], tuple[float, float]]) -> list[_Counted]:
    by_hour = ({hour: of(tally) for hour, tally in hours.items()} for hours in devices)
    found = ({hour: one for hour, one in hours.items() if one[1] > 0} for hours in by_hour)
    return [hours for hours in found if hours]


def _weighed(devices: Sequence[_Counted]) -> list[_Counted]:
    """Return what was counted, with those scaled down who say very much."""
    totals = [math.fsum(cases for _, cases in hours.values()) for hours in devices]
    loudest = LOUDEST * median(totals) if totals else 0.0
    scales = [min(1.0, loudest / total) for total in totals]
    return [
        {hour: (part * scale, cases * scale) for hour, (part, cases) in hours.items()}
        for hours, scale in zip(devices, scales, strict=True)
    ]


def _groups(measure: _Measure, with_it: Sequence[Hours], without: Sequence[Hours]) -> tuple[_Group, _Group]:
    one, other = _counted(with_it, measure.of), _counted(without, measure.of)
    weights = _in_common(_weighed(one), _weighed(other))
    return _group(one, weights), _group(other, weights)


def _in_common(one: Sequence[_Counted], other: Sequence[_Counted]) -> dict[int, float]:
    """Return the hours in which enough devices of both groups were heard, with their weights, which add up to 1."""
    sums = []
    for group in (one, other):
        found: dict[int, tuple[int, float]] = {}
        for device in group:
            for hour, (_, cases) in device.items():
                devices, together = found.get(hour, (0, 0.0))
                found[hour] = devices + 1, together + cases
        sums.append({hour: cases for hour, (devices, cases) in found.items() if devices >= LEAST_IN_AN_HOUR})
    weights = {hour: n * sums[1][hour] / (n + sums[1][hour]) for hour, n in sums[0].items() if hour in sums[1]}
    whole = math.fsum(weights.values())
    return {hour: weight / whole for hour, weight in weights.items()}


def _group(devices: Sequence[_Counted], weights: Mapping[int, float]) -> _Group:
    """Return the mean of the hours' rates, and how much it changes with the devices."""
    heard = [device.keys() & weights.keys() for device in devices]
    cases = round(math.fsum(device[hour][1] for device, hours in zip(devices, heard, strict=True) for hour in hours))
    count = sum(map(bool, heard))
    if not count:
        return _Group(0, 0, 0.0, 0.0)
    weighed = list(zip(_weighed(devices), heard, strict=True))
    sums = dict.fromkeys(weights, (0.0, 0.0))
    for device, hours in weighed:
        for hour in hours:
            sums[hour] = sums[hour][0] + device[hour][0], sums[hour][1] + device[hour][1]
    rates = {hour: part / of for hour, (part, of) in sums.items()}
    changes = (
        math.fsum(
            weights[hour] * (device[hour][0] - rates[hour] * device[hour][1]) / (sums[hour][1] - device[hour][1])
            for hour in hours
        )
        for device, hours in weighed
    )
    error = (count - 1) / count * math.fsum(change**2 for change in changes)
    return _Group(count, cases, math.fsum(weight * rates[hour] for hour, weight in weights.items()), error)


def _time(tally: Tally) -> tuple[float, float]:
    counts = zip(tally.decision_ms, _MIDDLES_MS, strict=False)
    return math.fsum(count * middle for count, middle in counts), float(sum(tally.decision_ms))


MEASURES: Mapping[str, _Measure] = {
    "rejected": _Measure("rejected", lambda one: (one.rejected, one.decisions), 0.02, "{:.1%}".format),
    "repeated": _Measure("said again", lambda one: (one.repeated, one.decisions), 0.01, "{:.1%}".format),
    "ended_by_cap": _Measure("cut off", lambda one: (one.ended_by_cap, one.decisions), 0.01, "{:.1%}".format),
    "decision_ms": _Measure("mean time of a decision", _time, 40.0, "{:.0f} ms".format),
}
"""What is compared, with the least difference that matters."""


def _compared(
    name: str, measure: _Measure, with_it: Sequence[Hours], without: Sequence[Hours], level: float
) -> Comparison:
    one, other = _groups(measure, with_it, without)
    is_little = min(one.devices, other.devices) < LEAST_DEVICES or min(one.cases, other.cases) < LEAST_CASES
    statistic, p = (0.0, 1.0) if is_little else _tested(one, other)
    is_worse = p < level and one.rate - other.rate >= measure.least
    verdict: Verdict = "too little" if is_little else "worse" if is_worse else "not worse"
    words = (
        f"{measure.title}: {measure.unit(one.rate)} with it ({one.cases} decisions of {one.devices} devices),"
        f" {measure.unit(other.rate)} without in the same hours ({other.cases} of {other.devices})"
    )
    words += "; too little to judge." if is_little else f"; t = {statistic:.2f}, p = {p:.2g}, worse below {level:.2g}."
    return Comparison(
        measure=name,
        devices_with=one.devices,
        devices_without=other.devices,
        cases_with=one.cases,
        cases_without=other.cases,
        rate_with=one.rate,
        rate_without=other.rate,
        statistic=statistic,
        p=p,
        level=level,
        verdict=verdict,
        words=words,
    )


def _tested(one: _Group, other: _Group) -> tuple[float, float]:
    difference, error = one.rate - other.rate, one.error + other.error
    if error <= 0:  # not one device differs from its group
        return (math.copysign(1e9, difference), 0.0 if difference > 0 else 1.0) if difference else (0.0, 0.5)
    t = difference / math.sqrt(error)
    freedom = error**2 / (one.error**2 / (one.devices - 1) + other.error**2 / (other.devices - 1))
    return t, upper_tail(t, freedom)
