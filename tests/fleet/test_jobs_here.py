"""The rules of jobs that the fleet gives, as a table."""

from typing import Any, get_args

import pytest

from edgeagent.fleet import jobs_here as rules
from edgeagent.fleet.jobs_here import Doing
from edgeagent.fleet.wire import ENDS, FleetJob

NOW = 1_790_000_000.0


def job(name: str = "j1", kind: Any = "logs", created: float = NOW - 10, **more: Any) -> FleetJob:
    return FleetJob(id=name, kind=kind, created=created, **more)


OPEN = Doing(job("j0", created=NOW - 60), "working", 2, NOW - 50)


@pytest.mark.parametrize(
    ("asked", "is_open", "states"),
    [
        (job(), None, [("j1", "accepted", 1)]),
        (job(not_after=NOW - 11), None, [("j1", "timed out", 1)]),
        (job(), OPEN, [("j0", "superseded", 3), ("j1", "accepted", 1)]),  # A51
        (job(created=NOW - 90), OPEN, [("j1", "superseded", 1)]),  # A51: the newer one stays
        (job(not_after=NOW - 11), OPEN, [("j1", "timed out", 1)]),
        (job(created=NOW + 1e6), OPEN, [("j0", "superseded", 3), ("j1", "accepted", 1)]),
    ],
)
def test_what_comes_of_a_job_that_was_not_known(asked: FleetJob, is_open: Doing | None, states: Any) -> None:
    found = rules.taken(asked, is_open, NOW)
    assert [(one.job.id, one.state, one.step) for one in found] == states


@pytest.mark.parametrize("is_live", [True, False])
def test_no_clock_that_is_wrong_keeps_later_jobs_away_or_a_job_for_ever(*, is_live: bool) -> None:
    (found,) = rules.taken(job(created=NOW + 1e8, not_after=NOW + 1e9), None, NOW, is_live=is_live)
    assert found.job.not_after == NOW + rules.LONGEST_WAIT_S
    later = rules.taken(job("j2"), found, NOW)
    assert [(one.job.id, one.state) for one in later] == [("j1", "superseded"), ("j2", "accepted")]


HOUR = 3_600.0


@pytest.mark.parametrize("off_s", [-1e9, -3 * HOUR, -60.0, 0.0, 60.0, 2 * HOUR, 1e7])
def test_a_job_that_comes_when_it_is_sent_has_its_time_whatever_the_clock_here_says(off_s: float) -> None:
    here = NOW + off_s
    (found,) = rules.taken(job(created=NOW, not_after=NOW + HOUR), None, here)
    assert found.state == "accepted"
    assert 0 < rules.time_left_s(found, here) <= min(HOUR, rules.LIMITS_S["logs"])
    assert found.job.not_after is not None
    assert found.job.not_after - here <= HOUR


def test_a_job_that_has_waited_on_the_broker_past_its_time_is_too_late() -> None:
    asked = job(kind="restart", created=NOW - 7 * 24 * HOUR, not_after=NOW - 7 * 24 * HOUR + HOUR)
    assert [one.state for one in rules.taken(asked, None, NOW, is_live=False)] == ["timed out"]
    fresh = job(kind="restart", created=NOW - 60, not_after=NOW + HOUR)
    assert [one.state for one in rules.taken(fresh, None, NOW, is_live=False)] == ["accepted"]


@pytest.mark.parametrize("off_s", [-1e9, -3 * HOUR, 0.0, 3 * HOUR])
def test_a51_which_job_is_newer_does_not_hang_on_the_clock_here(off_s: float) -> None:
    (old,) = rules.taken(job("old", created=NOW), None, NOW)
    newer = rules.taken(job("new", created=NOW + 60), old, NOW + off_s)
    assert [(one.job.id, one.state) for one in newer] == [("old", "superseded"), ("new", "accepted")]
    older = rules.taken(job("older", created=NOW - 60), old, NOW + off_s)
    assert [(one.job.id, one.state) for one in older] == [("older", "superseded")]


@pytest.mark.parametrize("state", get_args(rules.State))
def test_an_end_is_an_end_and_every_step_has_a_number_that_grows(state: Any) -> None:
    doing = Doing(job(), state, 4, NOW)
    found = rules.stepped(doing, "working", NOW + 1)
    assert found == (doing if state in ENDS else Doing(job(), "working", 5, NOW + 1))
    assert found.progress().step == found.step


@pytest.mark.parametrize(
    ("kind", "state", "after"),
    [
        ("restart", "working", "done"),
        ("restart", "accepted", "accepted"),
        ("settings", "working", "working"),
        *((kind, "working", "failed") for kind in ("logs", "diagnostics", "self-test", "clips", "identify")),
        ("diagnostics", "accepted", "accepted"),
        ("diagnostics", "done", "done"),
    ],
)
def test_what_a_start_makes_of_a_job_that_was_under_way(kind: Any, state: Any, after: str) -> None:
    found = rules.restarted(Doing(job(kind=kind), state, 2, NOW), NOW + 5)
    assert found.state == after
    assert (found.code == "interrupted") == (after == "failed")


def test_a_job_has_no_longer_than_its_kind_may_take_nor_than_the_fleet_gives_it() -> None:
    assert rules.time_left_s(Doing(job(), "working"), NOW) == rules.LIMITS_S["logs"]
    assert rules.time_left_s(Doing(job(not_after=NOW + 5), "working"), NOW) == 5
    assert set(rules.LIMITS_S) == set(get_args(FleetJob.model_fields["kind"].annotation))
