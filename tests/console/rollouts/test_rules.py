"""What a rollout does next, as tables; and what holds for all of them."""

from typing import Any

import pytest
from console.rollouts.worlds import plan
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts.nouns import (
    Counts,
    Decision,
    Finish,
    GoOn,
    Health,
    Pause,
    Standing,
    Stop,
    Wait,
    plan_of,
)
from edgeagent.console.rollouts.rules import decide
from edgeagent.console.rollouts.statistics import Tally, compare
from edgeagent.console.rollouts.windows import is_open, opens

NOW = 1_000_000.0
REST = Counts(pending=900)
COUNTS = st.builds(
    Counts,
    **{name: st.integers(0, 60) for name in ("pending", "waiting", "under_way", "succeeded", "failed", "undone")},
)


def after(counts: Counts, *, rest: Counts | None = REST, began: float = NOW, **how: Any) -> Decision:
    """What is decided with the default plan, changed, in the first wave of two; or in the last one."""
    forgiven = how.pop("forgiven", 0)
    settled = how.pop("settled", None)
    standing = Standing((counts,) if rest is None else (counts, rest), 0, began, settled, forgiven)
    return decide(plan(**how), standing, NOW)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(pending=100), Wait),
        (Counts(under_way=100), Wait),
        (Counts(succeeded=97, under_way=3), Wait),
        (Counts(succeeded=98, under_way=2), GoOn),
        (Counts(succeeded=100), GoOn),
        (Counts(already=100), GoOn),
        (Counts(skipped=40), GoOn),
        (Counts(skipped=40, undone=60), Pause),
        (Counts(succeeded=40, undone=60), GoOn),
        (Counts(succeeded=90, waiting=10), GoOn),
        (Counts(succeeded=89, waiting=11), Wait),
        (Counts(waiting=100), Wait),
        (Counts(succeeded=9, failed=1), Pause),
        (Counts(failed=1), Pause),
        (Counts(succeeded=5, failed=14), Pause),
        (Counts(succeeded=19, failed=1), Stop),
        (Counts(succeeded=97, failed=3), Stop),
        (Counts(succeeded=98, failed=2), GoOn),
        (Counts(succeeded=18, failed=1, under_way=81), Wait),
        (Counts(succeeded=19, failed=1, under_way=80), Stop),
    ],
)
def test_a_wave_goes_on_waits_pauses_or_stops(counts: Counts, expected: type[Decision]) -> None:
    assert isinstance(after(counts), expected)


def test_failures_of_all_waves_together_stop_it_too() -> None:
    standing = Standing((Counts(succeeded=18, failed=1), Counts(succeeded=12), REST), 1, NOW)
    assert isinstance(decide(plan(), standing, NOW), Stop)


def test_the_bake_time_counts_from_when_it_did_well() -> None:
    assert after(Counts(succeeded=100), bake_s=60.0) == Wait(
        "Wave 1 has done well and is being watched.", until=NOW + 60.0, settled=NOW
    )
    assert isinstance(after(Counts(succeeded=100), bake_s=60.0, settled=NOW - 60.0), GoOn)


def test_a_late_failure_ends_the_bake_time() -> None:
    found = after(Counts(succeeded=19, under_way=1), bake_s=60.0, settled=NOW - 30.0)
    assert isinstance(found, Wait)
    assert found.settled is None


def test_forgiven_failures_count_no_more_but_the_next_one_does() -> None:
    assert isinstance(after(Counts(succeeded=9, failed=1), forgiven=1), GoOn)
    assert isinstance(after(Counts(succeeded=8, failed=2), forgiven=1), Pause)


def test_nobody_can_forgive_what_stops_it() -> None:
    assert isinstance(after(Counts(succeeded=90, failed=10), forgiven=10), Stop)


def test_those_who_are_not_reached_are_waited_for_a_while() -> None:
    assert isinstance(after(Counts(waiting=5, succeeded=5), began=NOW - 86_400.0), GoOn)


def test_the_last_wave_is_done_with_its_failures() -> None:
    found = after(Counts(succeeded=8, failed=2, already=3), rest=None)
    assert found == Finish("8 of 10 devices have succeeded, 2 have failed, 3 had it already.")


def test_the_last_wave_waits_for_those_who_are_away_until_their_time_is_over() -> None:
    assert isinstance(after(Counts(succeeded=97, waiting=3), rest=None), Wait)
    assert isinstance(after(Counts(succeeded=97, waiting=3), rest=None, began=NOW - 14 * 86_400.0), Finish)


def test_worse_voice_health_pauses_it_until_somebody_accepts_it() -> None:
    ill = [Tally(100, 30 + number % 5) for number in range(50)]
    well = [Tally(100, 10 + number % 5) for number in range(200)]
    compared = compare([{0: one} for one in ill], [{0: one} for one in well], alpha=0.01, look=1)
    standing = Standing((Counts(succeeded=50), REST), 0, NOW)
    guarded = plan(health={"on": True})
    found = decide(guarded, standing, NOW, Health(compared))
    assert isinstance(found, Pause)
    assert "rejected: 32.0% with it" in found.reason
    assert isinstance(decide(guarded, standing, NOW, Health(compared, is_accepted=True)), GoOn)
    assert isinstance(decide(plan(), standing, NOW, Health(compared)), GoOn)


@given(COUNTS, COUNTS, st.integers(0, 30), st.floats(0, 1e6))
def test_what_harms_always_stops_and_what_was_not_asked_yet_never_goes_on(
    counts: Counts, rest: Counts, forgiven: int, age_s: float
) -> None:
    found = decide(plan(), Standing((counts, rest), 0, NOW - age_s, None, forgiven), NOW)
    is_harm = counts.ended >= 20 and counts.failed >= 0.03 * counts.ended
    assert isinstance(found, Stop) == is_harm
    if isinstance(found, GoOn):
        assert counts.pending == 0
        assert counts.succeeded + min(forgiven, counts.failed) >= 0.98 * counts.reached - 1
    assert not isinstance(found, Finish), "it is not the last wave"


@given(COUNTS)
def test_one_failure_more_never_makes_it_go_on(counts: Counts) -> None:
    def turned(one: Counts) -> bool:
        return isinstance(decide(plan(), Standing((one, REST), 0, NOW), NOW), GoOn)

    worse = Counts(
        counts.pending, counts.waiting, counts.under_way, counts.succeeded, 0, counts.failed + 1, counts.undone
    )
    assert turned(counts) or not turned(worse)


@pytest.mark.parametrize(
    ("window", "zone", "moment", "expected"),
    [
        (None, "UTC", NOW, 0.0),
        ("13:00-14:00", "UTC", NOW, 0.0),  # 13:46:40
        ("14:00-15:00", "UTC", NOW, 800.0),
        ("13:00-13:30", "UTC", NOW, 23 * 3_600.0 + 800.0),
        ("14:00-15:00", "Europe/Berlin", NOW, 0.0),  # an hour ahead in January
        ("23:00-01:00", "UTC", NOW, 9 * 3_600.0 + 800.0),
    ],
)
def test_windows_are_hours_of_the_wall_clock(window: str | None, zone: str, moment: float, expected: float) -> None:
    found = opens(window, zone, moment)
    assert is_open(window, zone, found)
    assert found - moment == expected


@given(st.integers(0, 1_439), st.integers(1, 1_439), st.floats(0, 4e9))
def test_a_window_opens_within_two_days(begins: int, lasts: int, moment: float) -> None:
    ends = (begins + lasts) % 1_440
    window = f"{begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
    assert 0 <= opens(window, "Europe/Berlin", moment) - moment <= 2 * 86_400.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"what": {"kind": "dance"}}, "does not match any of the expected tags"),
        ({"what": {"kind": "update", "family": "A B", "version": "1"}}, "what.update.family"),
        ({"window": "02:00"}, "window"),
        ({"window": "02:00-02:00"}, "has no length"),
        ({"time_zone": "Mars"}, "there is no time zone 'Mars'"),
        ({"pace": {"pace": "shares", "shares": [0.5, 0.1, 1]}}, "shares add up"),
        ({"pace": {"pace": "shares", "shares": [0.5]}}, "the last share must be 1"),
        ({"success_share": 1.5}, "success_share"),
        ({"sucess_share": 0.5}, "sucess_share"),
        ({"bake_s": float("nan")}, "bake_s"),
    ],
)
def test_a_plan_that_is_wrong_says_where(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConsoleError, match=words) as raised:
        plan(**changes)
    assert raised.value.remedy


def test_a_plan_comes_back_from_json_as_it_was() -> None:
    one = plan(window="02:00-05:00", pace={"pace": "exponential", "base": 3, "factor": 1.5})
    assert plan_of(one.model_dump(mode="json")) == one
