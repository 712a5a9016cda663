"""Which device is in which wave."""

import pytest
from console.rollouts.worlds import plan
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.console.rollouts.nouns import Constant, Exponential, Shares
from edgeagent.console.rollouts.waves import in_waves, joining, place, sizes

PACES = st.one_of(
    st.lists(st.floats(0.001, 0.999), max_size=6, unique=True).map(
        lambda shares: Shares(shares=(*sorted(shares), 1.0))
    ),
    st.integers(1, 500).map(lambda count: Constant(per_minute=count)),
    st.tuples(st.integers(1, 50), st.floats(1, 10)).map(lambda it: Exponential(base=it[0], factor=it[1])),
)


@pytest.mark.parametrize(
    ("total", "expected"),
    [(0, ()), (1, (1,)), (4, (1, 3)), (10, (1, 2, 7)), (100, (1, 4, 20, 75)), (10_000, (100, 400, 2_000, 7_500))],
)
def test_shares_add_up_and_the_first_wave_has_at_least_one(total: int, expected: tuple[int, ...]) -> None:
    assert sizes(Shares(), total) == expected


def test_a_constant_rate_has_waves_of_one_size() -> None:
    assert sizes(Constant(per_minute=4), 10) == (4, 4, 2)


def test_an_exponential_rate_has_waves_that_grow() -> None:
    assert sizes(Exponential(base=2, factor=3), 30) == (2, 6, 18, 4)


@given(PACES, st.integers(0, 2_000))
def test_every_device_is_in_one_wave_and_no_wave_is_empty(pace: Shares | Constant | Exponential, total: int) -> None:
    found = sizes(pace, total)
    assert sum(found) == total
    assert all(size > 0 for size in found)


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=200), st.text("abc", max_size=5))
def test_the_order_is_stable_and_does_not_depend_on_who_is_asked_first(numbers: set[int], rollout: str) -> None:
    names = [f"d{number}" for number in numbers]
    found = in_waves(rollout, names, Shares())
    assert found == in_waves(rollout, names[::-1], Shares())
    ordered = sorted(names, key=lambda name: place(rollout, name))
    assert [found[name] for name in ordered] == sorted(found.values())


def test_another_rollout_begins_with_other_devices() -> None:
    names = [f"d{number}" for number in range(1_000)]
    first = {
        frozenset(name for name, wave in in_waves(rollout, names, Shares()).items() if wave == 0)
        for rollout in ("a", "b", "c")
    }
    assert len(first) == 3


@given(st.lists(st.integers(0, 500), min_size=1, max_size=8), st.data())
def test_who_joins_is_in_the_running_wave_or_in_a_later_one(totals: list[int], data: st.DataObject) -> None:
    running = data.draw(st.integers(0, len(totals) - 1))
    assert running <= joining("r", data.draw(st.text(max_size=5)), totals, running) < len(totals)


def test_those_who_join_are_spread_as_the_waves_are() -> None:
    waves = [joining("r", f"late{number}", [10, 40, 200, 750], 0) for number in range(2_000)]
    assert 5 < waves.count(0) < 45
    assert 1_300 < waves.count(3) < 1_700


def test_the_default_plan_has_four_waves() -> None:
    assert plan().pace == Shares(shares=(0.01, 0.05, 0.25, 1.0))
