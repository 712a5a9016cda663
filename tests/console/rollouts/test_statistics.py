"""Voice health compared: against known values, and by simulation of fleets that differ, and that do not."""

import random
from collections.abc import Sequence

import pytest

from edgeagent.console.rollouts.statistics import (
    LEAST_DEVICES,
    Comparison,
    Hours,
    Tally,
    compare,
    incomplete_beta,
    is_time_to_look,
    level_of,
    upper_tail,
)
from edgeagent.fleet.wire import HEALTH_BUCKETS_MS


def compared(with_it: Sequence[Tally], without: Sequence[Tally], *, alpha: float, look: int) -> tuple[Comparison, ...]:
    """Compare what was counted in one hour."""
    return compare([{0: one} for one in with_it], [{0: one} for one in without], alpha=alpha, look=look)


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [  # tables of Student's t
        (12.706, 1, 0.025),
        (31.821, 1, 0.01),
        (2.228, 10, 0.025),
        (4.144, 10, 0.001),
        (1.812, 10, 0.05),
        (2.750, 30, 0.005),
        (1.960, 1e7, 0.025),
        (3.0902, 1e7, 0.001),
        (0.0, 5, 0.5),
        (-1.812, 10, 0.95),
    ],
)
def test_students_t_is_as_in_the_tables(t: float, freedom: float, tail: float) -> None:
    assert upper_tail(t, freedom) == pytest.approx(tail, rel=2e-3)


def test_far_tails_keep_their_digits() -> None:
    # With 2 degrees of freedom the tail is (1 - t / sqrt(t^2 + 2)) / 2, and incomplete beta has closed forms.
    assert upper_tail(1_000.0, 2) == pytest.approx(1 / (2 * 1_000.0**2), rel=1e-5)
    assert incomplete_beta(2, 1, 0.3) == pytest.approx(0.09)
    assert incomplete_beta(1, 3, 0.3) == pytest.approx(1 - 0.7**3)


def test_a_comparison_by_hand() -> None:
    # With: 20 devices, shares alternate 0.3 and 0.5; without: 20 with 0.1 and 0.3; 100 decisions each.
    with_it = [Tally(100, 30 if number % 2 else 50) for number in range(20)]
    without = [Tally(100, 10 if number % 2 else 30) for number in range(20)]
    rejected = compared(with_it, without, alpha=0.05, look=1)[0]
    error = 2 * (0.1**2 * 20 / 19 / 20)
    assert (rejected.rate_with, rejected.rate_without) == (0.4, 0.2)
    assert rejected.statistic == pytest.approx(0.2 / error**0.5)
    assert rejected.p == pytest.approx(upper_tail(0.2 / error**0.5, 38.0))
    assert rejected.verdict == "worse"
    assert "40.0% with it (2000 decisions of 20 devices), 20.0% without" in rejected.words


def test_mean_times_come_from_the_buckets() -> None:
    quick, slow = [0] * 15, [0] * 15
    quick[HEALTH_BUCKETS_MS.index(300)] = slow[HEALTH_BUCKETS_MS.index(500)] = 30
    with_it = [Tally(30, decision_ms=tuple(slow)) for _ in range(20)]
    without = [Tally(30, decision_ms=tuple(quick)) for _ in range(20)]
    took = compared(with_it, without, alpha=0.01, look=1)[3]
    assert (took.rate_with, took.rate_without, took.verdict) == (450.0, 250.0, "worse")


def test_little_says_nothing() -> None:
    few = [Tally(1_000, 900) for _ in range(LEAST_DEVICES - 1)]
    many = [Tally(1_000, 100) for _ in range(100)]
    assert {one.verdict for one in compared(few, many, alpha=0.05, look=1)} == {"too little"}
    assert {one.verdict for one in compared([], [], alpha=0.05, look=1)} == {"too little"}


def test_what_is_certain_and_small_is_not_called_worse() -> None:
    with_it = [Tally(10_000, 1_010 + number % 3) for number in range(50)]
    without = [Tally(10_000, 1_000 + number % 3) for number in range(50)]
    rejected = compared(with_it, without, alpha=0.01, look=1)[0]
    assert rejected.p < rejected.level
    assert rejected.verdict == "not worse"


def test_one_talkative_house_does_not_decide() -> None:
    well = [Tally(100, 8 + number % 5) for number in range(100)]
    loud = [*well[:30], Tally(20_000, 12_000)]
    rejected = compared(loud, well, alpha=0.01, look=1)[0]
    assert rejected.rate_with < 0.2, "it weighs as four others do"
    assert rejected.verdict == "not worse"


def test_all_looks_together_cost_alpha_and_no_more() -> None:
    assert 4 * sum(level_of(0.01, look) for look in range(1, 10_000)) == pytest.approx(0.01, rel=1e-3)
    assert not is_time_to_look(100, 0)
    assert is_time_to_look(300, 0)
    assert not is_time_to_look(370, 300)
    assert is_time_to_look(375, 300)


def hour(chance: random.Random, devices: int, rejected: float) -> list[Tally]:
    """What devices count in an hour: few talk much, and each has a share of its own."""
    found = []
    for _ in range(devices):
        decisions = int(chance.lognormvariate(2.0, 1.0))
        own = min(1.0, max(0.0, chance.betavariate(4, 4 / rejected - 4)))
        found.append(Tally(decisions, sum(chance.random() < own for _ in range(decisions)), decisions // 9))
    return found


def is_ever_worse(chance: random.Random, with_it: float, without: float, *, alpha: float, evening: float = 0.0) -> bool:
    """Whether one of the looks of a wave of two days calls it worse.

    In the last of its hours more is rejected by `evening` in both groups, and half of those with it have it only then.
    """
    one: list[dict[int, Tally]] = [{} for _ in range(40)]
    other: list[dict[int, Tally]] = [{} for _ in range(80)]
    looks, at_last = 0, 0
    for now in range(12):
        more = evening if now >= 8 else 0.0
        for group, heard in ((one, hour(chance, 40, with_it + more)), (other, hour(chance, 80, without + more))):
            for number, (hours, tally) in enumerate(zip(group, heard, strict=True)):
                if group is other or now >= 8 or not evening or number % 2:
                    hours[now] = tally
        cases = sum(tally.decisions for hours in one for tally in hours.values())
        if is_time_to_look(cases, at_last):
            looks, at_last = looks + 1, cases
            if any(found.verdict == "worse" for found in compare(one, other, alpha=alpha, look=looks)):
                return True
    return False


def test_without_a_difference_there_is_hardly_an_alarm_over_many_looks() -> None:
    chance = random.Random(7)  # noqa: S311  # a simulation
    alarms = sum(is_ever_worse(chance, 0.1, 0.1, alpha=0.1) for _ in range(80))
    assert alarms <= 13, f"{alarms} of 80: expected at most 8, and 13 by chance in 1 of 30"


def test_a_real_difference_is_found() -> None:
    chance = random.Random(8)  # noqa: S311  # a simulation
    assert sum(is_ever_worse(chance, 0.25, 0.1, alpha=0.01) for _ in range(15)) >= 13


def test_an_evening_that_is_worse_for_all_is_no_difference_though_those_with_it_have_it_mostly_then() -> None:
    chance = random.Random(9)  # noqa: S311  # a simulation
    alarms = sum(is_ever_worse(chance, 0.1, 0.1, alpha=0.1, evening=0.4) for _ in range(40))
    assert alarms <= 8, f"{alarms} of 40: expected at most 4, and 8 by chance in 1 of 24"


def test_a_real_difference_is_found_beside_an_evening_that_is_worse_for_all() -> None:
    chance = random.Random(10)  # noqa: S311  # a simulation
    assert sum(is_ever_worse(chance, 0.25, 0.1, alpha=0.01, evening=0.3) for _ in range(15)) >= 12


def test_hours_in_which_only_one_group_was_heard_say_nothing() -> None:
    day = {hour: Tally(20, 2) for hour in range(10)}
    evening = {hour: Tally(20, 10 + hour % 2) for hour in range(10, 14)}
    without: list[Hours] = [day | evening for _ in range(30)]
    with_it: list[Hours] = [evening for _ in range(30)]
    rejected = compare(with_it, without, alpha=0.05, look=1)[0]
    assert rejected.rate_with == rejected.rate_without == pytest.approx(0.525)
    assert (rejected.cases_with, rejected.cases_without, rejected.verdict) == (2_400, 2_400, "not worse")
    assert {one.verdict for one in compare(with_it, [day] * 30, alpha=0.05, look=1)} == {"too little"}
