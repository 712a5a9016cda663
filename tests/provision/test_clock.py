"""A clock that is behind, and what is waited for."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provision.first_boots import TurnedClock

from edgeagent.provision.clock import SYNCHRONIZED, SystemClock, raise_to, state_of, wait_for_time

FLOOR = 1_800_000_000.0


def test_the_system_s_clock_is_synchronized_when_timesyncd_says_so(tmp_path: Path) -> None:
    clock = SystemClock(tmp_path)
    assert not clock.is_synchronized()
    (tmp_path / SYNCHRONIZED).parent.mkdir(parents=True)
    (tmp_path / SYNCHRONIZED).touch()
    assert clock.is_synchronized()
    assert abs(clock.now() - time.time()) < 60


@given(shows=st.floats(0, 4e9), may_be_set=st.booleans())
def test_a14_after_waiting_no_clock_is_behind_the_floor_and_none_went_back(shows: float, *, may_be_set: bool) -> None:
    clock = TurnedClock(shows=shows, synchronized_after_s=None, may_be_set=may_be_set)
    state = wait_for_time(clock, FLOOR, 5.0, lambda: None)
    assert clock.waited_s == 5.0
    assert clock.shows >= shows
    assert state == ("wrong" if clock.shows < FLOOR else "plausible")
    assert may_be_set is False or state == "plausible"


def test_who_is_told_at_once_does_not_wait_and_says_nothing() -> None:
    told: list[str] = []
    clock = TurnedClock(shows=FLOOR, synchronized_after_s=0.0)
    assert wait_for_time(clock, FLOOR, 60.0, lambda: told.append("waiting")) == "synchronized"
    assert (clock.waited_s, told) == (0.0, [])


def test_waiting_is_said_once_and_ends_when_a_server_has_told_the_time() -> None:
    told: list[str] = []
    clock = TurnedClock(shows=0.0, synchronized_after_s=2.0)
    assert wait_for_time(clock, 1_700_000_000.0, 60.0, lambda: told.append("waiting")) == "synchronized"
    assert (clock.waited_s, told) == (2.0, ["waiting"])


@pytest.mark.parametrize("ahead", [0.0, 1.0, 2e9])
def test_a_clock_that_is_not_behind_is_left_alone(ahead: float) -> None:
    clock = TurnedClock(shows=FLOOR + ahead, synchronized_after_s=None, may_be_set=False)
    assert raise_to(clock, FLOOR)
    assert clock.shows == FLOOR + ahead
    assert state_of(clock, FLOOR) == "plausible"
