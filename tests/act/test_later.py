"""Orders for later: when they are due, what ends them, and what is told of them."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from homes import NOON, announce, command, known, told
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.later import (
    LONGEST_S,
    MISSED_S,
    MOST_PLANNED,
    Planned,
    Schedule,
    due_at,
    ending_of,
    told_of,
    told_when,
)
from edgeagent.act.safety import is_stop
from edgeagent.messages import Action, Capability, Device, Kind, Value, When
from edgeagent.understand.extended import extended

NOW_S = NOON.timestamp()


@pytest.fixture
def berlin() -> Iterator[None]:
    """Let the local time be that of Berlin."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def device(name: str = "Kettle", kind: Kind = "switch", can: Capability = "power") -> Device:
    return Device(f"x:{name}", name, kind, frozenset({can}), "Kitchen", aliases=(f"{name} two",))


def order(value: Value = "on", name: str = "Kettle", can: Capability = "power", kind: Kind = "switch") -> Action:
    return Action("u1.1", "u1", device(name, kind, can), can, value)


def add(
    schedule: Schedule, due_s: float = NOW_S + 600, value: Value = "on", name: str = "Kettle", *, is_end: bool = False
) -> Planned:
    one = schedule.add((order(value, name),), due_s, f"{name} {value}", is_end=is_end)
    assert isinstance(one, Planned)
    return one


def local(*clock: int) -> datetime:
    return datetime(*clock).astimezone()  # type: ignore[arg-type]


def clock_of(due_s: float) -> str:
    return f"{datetime.fromtimestamp(due_s):%a %H:%M}"  # noqa: DTZ006 - local time is the point


@pytest.mark.parametrize(
    ("now", "when", "due"),
    [
        ((2026, 11, 21, 12, 5), When(clock="07:00", is_either_half=True), "Sat 19:00"),
        ((2026, 11, 21, 6, 59), When(clock="07:00", is_either_half=True), "Sat 07:00"),
        ((2026, 11, 21, 7, 0), When(clock="07:00", is_either_half=True), "Sat 19:00"),
        ((2026, 11, 21, 19, 0), When(clock="07:00", is_either_half=True), "Sun 07:00"),
        ((2026, 11, 21, 20, 0), When(clock="07:00", is_either_half=True), "Sun 07:00"),
        ((2026, 11, 21, 20, 0), When(clock="19:30"), "Sun 19:30"),
        ((2026, 11, 21, 20, 0), When(clock="00:00"), "Sun 00:00"),
        ((2026, 11, 21, 0, 30), When(clock="12:15", is_either_half=True), "Sat 12:15"),
        ((2026, 11, 21, 12, 5), When(clock="07:00", days=1), "Sun 07:00"),
        ((2026, 11, 21, 0, 5), When(clock="07:00", days=1), "Sun 07:00"),
        ((2026, 12, 31, 23, 59), When(clock="00:30", days=1), "Fri 00:30"),
        ((2028, 2, 28, 12, 0), When(clock="07:00", days=1), "Tue 07:00"),
    ],
)
def test_a_time_of_day_is_the_next_one(now: tuple[int, ...], when: When, due: str) -> None:
    assert clock_of(due_at(when, local(*now))) == due


def test_a_delay_counts_from_now() -> None:
    assert due_at(When(delay_s=90.5), NOON) == NOW_S + 90.5
    assert due_at(When(lasts_s=60.0), NOON) == NOW_S


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "clock", "due"),
    [
        ((2026, 3, 28, 23, 0), "07:00", "2026-03-29T05:00:00+00:00"),  # the night is an hour shorter
        ((2026, 10, 24, 23, 0), "07:00", "2026-10-25T06:00:00+00:00"),  # and longer
        ((2026, 3, 28, 23, 0), "02:30", "2026-03-29T01:30:00+00:00"),  # there is no such time: half past three
        ((2026, 10, 24, 23, 0), "02:30", "2026-10-25T00:30:00+00:00"),  # there are two: the first
    ],
)
def test_a_time_of_day_is_what_the_clock_on_the_wall_will_say(now: tuple[int, ...], clock: str, due: str) -> None:
    due_s = due_at(When(clock=clock), local(*now))
    assert datetime.fromtimestamp(due_s, UTC).isoformat() == due


@pytest.mark.usefixtures("berlin")
def test_in_the_second_of_two_hours_of_one_name_the_time_to_come_is_meant() -> None:
    second = datetime(2026, 10, 25, 2, 30, fold=1).astimezone()
    due_s = due_at(When(clock="02:45"), second)
    assert 0 < due_s - second.timestamp() == 15 * 60


@pytest.mark.usefixtures("berlin")
def test_a_delay_over_the_change_of_summer_time_is_as_long_as_it_was_said() -> None:
    now = local(2026, 3, 29, 1, 30)
    assert due_at(When(delay_s=7200.0), now) == now.timestamp() + 7200


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - local time is the point
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    is_either=st.booleans(),
    days=st.integers(0, 1),
)
def test_what_is_for_later_is_always_later_and_never_more_than_two_days(
    now: datetime,
    hour: int,
    minute: int,
    *,
    is_either: bool,
    days: int,
) -> None:
    when = When(clock=f"{hour:02}:{minute:02}", is_either_half=is_either and 0 < hour <= 12, days=days)
    here = now.astimezone()
    assert 0 < due_at(when, here) - here.timestamp() <= 49 * 3600


def test_what_is_due_is_given_once_in_its_order() -> None:
    schedule = Schedule()
    late, early = add(schedule, NOW_S + 20), add(schedule, NOW_S + 10)
    assert schedule.due(NOW_S + 9.9) == ((), ())
    assert schedule.due(NOW_S + 20) == ((early, late), ())
    assert schedule.due(NOW_S + 1e6) == ((), ())


def test_what_begins_is_missed_after_a_minute_and_what_ends_is_done_however_late() -> None:
    schedule = Schedule()
    begin = add(schedule, NOW_S)
    end = add(schedule, NOW_S, "off", is_end=True)
    assert schedule.due(NOW_S + MISSED_S + 0.1) == ((end,), (begin,))
    schedule.remove([end])
    just = add(schedule, NOW_S)
    assert schedule.due(NOW_S + MISSED_S) == ((just,), ())
    end = add(schedule, NOW_S, is_end=True)
    assert schedule.due(NOW_S + 30 * 24 * 3600) == ((end,), ())


def test_a_clock_that_is_set_forward_misses_what_begins_and_one_that_is_set_back_waits() -> None:
    schedule = Schedule()
    begin, end = add(schedule, NOW_S + 600), add(schedule, NOW_S + 1200, "off", is_end=True)
    assert schedule.due(NOW_S - 1e6) == ((), ())
    assert schedule.due(NOW_S + 1e6) == ((end,), (begin,))


def test_no_more_is_planned_than_there_is_room_for() -> None:
    schedule = Schedule()
    for _ in range(MOST_PLANNED):
        add(schedule)
    assert schedule.add((order(),), NOW_S, "one more") == "100 orders are planned already"
    schedule.remove(schedule.planned[:1])
    assert isinstance(schedule.add((order(),), NOW_S, "one more"), Planned)


def test_what_was_said_is_kept_short() -> None:
    schedule = Schedule()
    one = schedule.add((order(),), NOW_S, "x" * 10_000)
    assert isinstance(one, Planned)
    assert len(one.text) == 200


def test_plans_are_told_the_next_first() -> None:
    schedule = Schedule()
    assert told(schedule.obey(command("list_plans"), NOON)) == "Nothing is planned."
    for number in range(5, 0, -1):
        add(schedule, NOW_S + number * 60, name=f"Lamp {number}")
    text = told(schedule.obey(command("list_plans"), NOON))
    assert text == "Lamp 1 on in 1 minute. Lamp 2 on in 2 minutes. Lamp 3 on in 3 minutes. And 2 more."
    assert told(schedule.obey(command("list_plans", name="lamp 4"), NOON)) == "Lamp 4 on in 4 minutes."
    assert told(schedule.obey(command("list_plans", name="kettle"), NOON)) == "Nothing is planned for kettle."


def test_a_plan_is_cancelled_by_its_device_or_all_of_them() -> None:
    schedule = Schedule()
    for name in ("Kettle", "Lamp", "Kettle"):
        add(schedule, name=name)
    assert told(schedule.obey(command("cancel_plans", name="kettle two"), NOON)) == "Cancelled: 2 plans."
    assert [one.actions[0].device.name for one in schedule.planned] == ["Lamp"]
    assert told(schedule.obey(command("cancel_plans", scope="all"), NOON)) == "Cancelled: Lamp on in 10 minutes."
    assert told(schedule.obey(command("cancel_plans"), NOON)) == "Nothing is planned."


def test_the_plan_is_the_one_that_was_made_last() -> None:
    schedule = Schedule()
    add(schedule, NOW_S + 5000, name="Lamp")
    add(schedule, NOW_S + 10, name="Kettle")
    assert told(schedule.obey(command("cancel_plans"), NOON)) == "Cancelled: Kettle on in 10 seconds."


@pytest.mark.parametrize(
    ("left_s", "text"),
    [
        (-5.0, "in 1 second"),
        (1.0, "in 1 second"),
        (480.0, "in 8 minutes"),
        (3599.0, "in 59 minutes 59 seconds"),
        (2 * 3600.0, "at 14:05"),
        (12 * 3600.0, "on Sunday at 00:05"),
    ],
)
def test_a_time_to_come_in_words(left_s: float, text: str) -> None:
    assert told_when(NOW_S + left_s, NOON) == text


def test_several_devices_are_counted() -> None:
    one = Planned(1, NOW_S + 60, (order(), order(name="Lamp"), order(name="Fan")), "")
    assert told_of(one, NOON) == "Kettle and 2 more on in 1 minute"
    assert told_of(Planned(1, NOW_S + 60, (order(21.5),), ""), NOON) == "Kettle 21.5 in 1 minute"


@pytest.mark.parametrize(
    ("can", "value", "back"),
    [
        ("power", "on", "off"),
        ("power", "off", "on"),
        ("opening", "open", "closed"),
        ("opening", "closed", "open"),
        ("lock", "unlocked", "locked"),
        ("lock", "locked", "unlocked"),
        ("run", "running", "stopped"),
        ("playback", "playing", "paused"),
        ("cleaning", "cleaning", "docked"),
    ],
)
def test_what_has_an_opposite_ends_in_it(can: Capability, value: str, back: str) -> None:
    end = ending_of(order(value, can=can), lambda _: {})
    assert isinstance(end, Action)
    assert (end.capability, end.value, end.allowed_by) == (can, back, "")
    assert end.id != order().id


def test_a_number_ends_in_what_it_was_and_a_lamp_that_was_off_goes_off() -> None:
    end = ending_of(order(80.0, can="brightness"), lambda _: {"brightness": 30.0})
    assert isinstance(end, Action)
    assert (end.capability, end.value) == ("brightness", 30.0)
    lamp = Device("l", "Lamp", "light", frozenset({"power", "brightness"}))
    off = ending_of(Action("a", "u", lamp, "brightness", 80.0), lambda _: {"brightness": 30.0, "power": "off"})
    assert isinstance(off, Action)
    assert (off.capability, off.value) == ("power", "off")


def test_what_nobody_knows_the_way_back_from_cannot_be_for_a_while() -> None:
    assert ending_of(order(80.0, can="brightness"), lambda _: {}) == "nobody knows what Kettle was before"
    assert ending_of(order("now", can="activate"), lambda _: {}) == "nobody knows what Kettle was before"


@given(st.sampled_from(get_args(Capability)), st.sampled_from(["on", "open", "stopped", "running", "now", "heat", 5.0]))
def test_no_end_starts_again_what_was_stopped_and_none_is_what_it_ends(can: Capability, value: Value) -> None:
    end = ending_of(order(value, can=can), lambda _: {"power": "on", "brightness": 40.0, "run": "running"})
    if is_stop(can, value):
        assert end == "Kettle is not started again by itself"
    else:
        assert not isinstance(end, Action) or (end.capability, end.value) != (can, value)


def test_a_plan_for_a_device_with_its_area_is_listed() -> None:
    devices = known()
    kettle = announce(devices, "switch", "kettle", "Kettle", "Kitchen")
    schedule = Schedule()
    schedule.add((Action("u", "u", kettle, "power", "on"),), NOW_S + 60, "x")
    assert told(schedule.obey(command("list_plans", name="Kettle"), NOON)) == "Kettle on in 1 minute."


def test_a_plan_is_found_by_area_and_name() -> None:
    schedule = Schedule()
    add(schedule)
    assert told(schedule.obey(command("cancel_plans", name="kitchen kettle"), NOON)).startswith("Cancelled")


def test_who_cancels_the_plan_cancels_its_beginning_with_its_end() -> None:
    schedule = Schedule()
    text = "turn on the kettle in ten minutes for ten minutes"
    schedule.add((order("on"),), NOW_S + 600, text)
    schedule.add((order("off"),), NOW_S + 1200, text, is_end=True)
    schedule.obey(command("cancel_plans"), NOON)
    assert [one.is_end for one in schedule.planned] != [False]


def test_what_did_not_begin_does_not_end() -> None:
    schedule = Schedule()
    closes = Action("u1.1", "u1", device("Valve", "valve", "opening"), "opening", "closed")
    opens = ending_of(closes, lambda _: {})
    assert isinstance(opens, Action)
    schedule.add((closes,), NOW_S, "close the valve at noon for two minutes")
    schedule.add((opens,), NOW_S + 120, "close the valve at noon for two minutes", is_end=True)
    _, missed = schedule.due(NOW_S + 90)
    assert missed
    assert schedule.due(NOW_S + 120) == ((), ())


@pytest.mark.parametrize(("clock", "due"), [("12:00", "Sun 00:00"), ("12:30", "Sun 00:30")])
def test_twelve_has_two_halves_too(clock: str, due: str) -> None:
    now = local(2026, 11, 21, 13, 0)
    assert clock_of(due_at(When(clock=clock, is_either_half=True), now)) == due


def test_a_day_a_week_from_now_is_not_told_like_tomorrow() -> None:
    assert told_when(NOW_S + LONGEST_S + 24 * 3600, NOON) != told_when(NOW_S + 24 * 3600, NOON)


@pytest.mark.usefixtures("berlin")
def test_a_time_beyond_the_change_of_summer_time_is_told_as_it_was_said() -> None:
    now = local(2026, 10, 24, 23, 0)
    assert told_when(due_at(When(clock="07:00"), now), now) == "on Sunday at 07:00"


def test_tonight_at_one_is_in_the_night() -> None:
    said = ["tonight", "at", "one", "x", "y"]
    found = extended(said, lambda words: command("turn_on") if words == ("x", "y") else None)
    assert found is not None
    assert found.when is not None
    assert clock_of(due_at(found.when, local(2026, 11, 21, 20, 0))) == "Sun 01:00"


def test_a_number_is_not_used_again() -> None:
    schedule = Schedule()
    first = add(schedule, NOW_S)
    schedule.due(NOW_S + timedelta(seconds=1).total_seconds())
    assert add(schedule).number != first.number


def test_an_end_that_was_cancelled_while_it_was_tried_is_not_tried_again() -> None:
    schedule = Schedule()
    end = add(schedule, NOW_S, "off", is_end=True)
    assert schedule.due(NOW_S) == ((end,), ())
    schedule.remove([end])
    schedule.postpone(end, NOW_S + 60)
    assert schedule.planned == ()
