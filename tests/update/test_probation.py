"""What is confirmed, gone on with, and rolled back: by figures alone."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.update.probation import DEFAULT, Figures, judge

BEFORE = Figures(86_400, 1, 0, 200, 40.0, 20, 4, 2, is_fleet_reachable=True)
AFTER = replace(BEFORE, observed_s=1_000.0, decisions=50, rejected=5, repeated=1, ended_by_cap=1)


def _with(figures: Figures, name: str, count: int) -> Figures:
    return Figures(**{**asdict(figures), name: count})


def test_what_does_as_well_as_before_is_confirmed() -> None:
    assert judge(BEFORE, AFTER).decision == "confirm"


def test_a_quarter_of_an_hour_at_least_is_waited() -> None:
    assert judge(BEFORE, replace(AFTER, observed_s=DEFAULT.least_s - 1)).decision == "go on"


def test_a33_twice_as_slow_is_rolled_back_with_both_figures() -> None:
    slow = replace(BEFORE, p95_ms=100.0), replace(AFTER, p95_ms=200.0)
    verdict = judge(*slow)
    assert (verdict.decision, verdict.code) == ("roll back", "slower")
    assert verdict.evidence is not None
    assert (verdict.evidence["was"], verdict.evidence["found"]) == (100.0, 200.0)
    assert verdict.evidence["after"]["decisions"] == 50


def test_what_nobody_notices_is_no_reason() -> None:
    assert judge(replace(BEFORE, p95_ms=1.0), replace(AFTER, p95_ms=2.5)).decision == "confirm"


def test_a30_crashes_are_rolled_back_at_once_but_one_is_forgiven() -> None:
    assert judge(BEFORE, replace(AFTER, observed_s=10.0, crashes=2)).code == "crashes"
    assert judge(BEFORE, replace(AFTER, crashes=1)).decision == "confirm"


@pytest.mark.parametrize(
    ("name", "code"),
    [("rejected", "more-rejected"), ("repeated", "more-repeated"), ("ended_by_cap", "more-ended-by-cap")],
)
def test_a_share_that_is_much_worse_is_rolled_back(name: str, code: str) -> None:
    assert judge(BEFORE, _with(AFTER, name, 20)).code == code


@pytest.mark.parametrize("name", ["rejected", "repeated", "ended_by_cap"])
def test_a_few_bad_sentences_are_no_evidence(name: str) -> None:
    few = _with(replace(AFTER, decisions=DEFAULT.least_decisions - 1), name, 19)
    assert judge(BEFORE, few).decision == "go on"
    assert judge(replace(BEFORE, decisions=3), _with(AFTER, name, 50)).decision == "confirm"


def test_a_fleet_that_cannot_be_reached_any_more_is_rolled_back_after_a_while() -> None:
    away = replace(AFTER, is_fleet_reachable=False, unreachable_s=DEFAULT.unreachable_s)
    assert judge(BEFORE, away).code == "fleet-unreachable"
    assert judge(BEFORE, replace(away, unreachable_s=60.0)).decision == "go on"  # a broker that is started anew
    assert judge(replace(BEFORE, is_fleet_reachable=False), away).decision == "confirm"
    assert (
        judge(replace(BEFORE, is_fleet_reachable=None), replace(AFTER, is_fleet_reachable=None)).decision == "confirm"
    )


def test_a_quiet_house_confirms_after_a_day() -> None:
    quiet = replace(AFTER, decisions=0, rejected=0, repeated=0, ended_by_cap=0)
    assert judge(BEFORE, quiet).decision == "go on"
    assert judge(BEFORE, replace(quiet, observed_s=DEFAULT.quiet_s)).decision == "confirm"


FIGURES = st.builds(
    Figures,
    observed_s=st.floats(0, 1e6),
    starts=st.integers(0, 9),
    crashes=st.integers(0, 9),
    decisions=st.integers(0, 500),
    p95_ms=st.floats(0, 1e4),
    rejected=st.integers(0, 500),
    repeated=st.integers(0, 500),
    ended_by_cap=st.integers(0, 500),
    is_fleet_reachable=st.sampled_from([None, True, False]),
)


@given(FIGURES, FIGURES)
def test_every_verdict_has_a_reason_or_needs_none(before: Figures, after: Figures) -> None:
    verdict = judge(before, after)
    assert bool(verdict.code) == (verdict.decision == "roll back")
    if verdict.decision == "confirm":
        assert after.crashes <= DEFAULT.most_crashes
        assert after.observed_s >= DEFAULT.least_s
