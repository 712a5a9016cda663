"""Answers that come when nobody counted on them any more: they count."""

from pathlib import Path

import pytest
from console import telling
from console.rollouts.worlds import World, plan
from sqlalchemy import update

from edgeagent.console import jobs
from edgeagent.console.rollouts import service
from edgeagent.console.tables import Device
from edgeagent.messages import Message

DAY_S = 86_400.0
ALL_AT_ONCE = {"pace": "shares", "shares": [1.0]}


def test_what_devices_say_beats_the_time_outs_of_a_console_that_was_away(tmp_path: Path) -> None:
    world = World(tmp_path, 30)
    rollout = world.begin(plan(timeout_s=600.0, pace=ALL_AT_ONCE))
    world.now += 1
    world.conduct()
    said = world.publish()
    world.conduct()
    said += world.work()
    world.now += 1_200.0
    world.conduct()
    assert world.counts(rollout).failed == 30
    world.hear(said)
    for _ in range(5):
        world.tick()
    counts = world.counts(rollout)
    assert (counts.succeeded, counts.failed) == (30, 0)
    assert world.rollout(rollout).state == "stopped", "nobody starts it again behind one's back"
    assert set(world.retained.values()) == {b""}
    world.check(rollout)


@pytest.mark.parametrize(
    ("state", "told", "said", "expected"),
    [
        ("timed out", None, "confirmed", "confirmed"),
        ("timed out", 5.0, "failed", "failed"),
        ("timed out", 5.0, "cancelled", "timed out"),  # it took too long, whatever came of it
        ("timed out", 5.0, "testing", "timed out"),
        ("cancelled", 5.0, "confirmed", "confirmed"),
        ("cancelled", None, "accepted", "cancelled"),
        ("skipped", None, "done", "done"),
        ("lost", 5.0, "failed", "failed"),
        ("confirmed", 10.0, "failed", "confirmed"),  # this is what the device has said itself
        ("cancelled", 10.0, "confirmed", "cancelled"),
    ],
)
def test_only_an_end_changes_what_has_ended_and_only_where_the_console_has_ended_it(
    state: str, told: float | None, said: str, expected: str
) -> None:
    row = {"state": state, "ended": 10.0, "told": told}
    assert (said if jobs.may_still_tell(row, said) and jobs.is_news(row, said) else state) == expected


def race(world: World, rollout: str) -> list[Message]:
    """The device takes its job; before that is heard the rollout is paused, and the job taken off its pointer."""
    world.now += 1
    world.conduct()
    said = world.publish()
    world.change(service.pause, rollout)
    world.now += 1
    world.conduct()
    world.publish()
    return said


def test_a_job_that_was_begun_while_it_was_taken_off_has_its_time_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, 1, build=lambda _number: {"takes": 10**9})
    (device,) = world.devices.values()
    rollout = world.begin(plan(timeout_s=60.0))
    world.hear(race(world, rollout))
    world.change(service.resume, rollout)
    world.tick()
    assert world.job_of(rollout, device).until is not None
    world.tick(61.0)
    world.tick()
    assert world.job_of(rollout, device).state == "timed out"
    assert world.rollout(rollout).state == "done"


def test_a_device_that_is_retired_in_that_race_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path, 1, build=lambda _number: {"takes": 10**9})
    (device,) = world.devices.values()
    rollout = world.begin(plan())
    world.hear(race(world, rollout))
    world.change(service.resume, rollout)
    with world.database.session() as session:
        session.execute(update(Device).values(retired=world.now))
    world.tick()
    world.tick()
    assert world.job_of(rollout, device).state == "lost"
    assert world.rollout(rollout).state == "done"


def test_settings_that_gave_way_to_an_operators_wish_have_not_failed(tmp_path: Path) -> None:
    world = World(tmp_path, 1, build=lambda _number: {"takes": 10**9})
    (device,) = world.devices.values()
    rollout = world.begin(plan(what={"kind": "settings", "settings": {"hearing.unsure_below": 0.4}}))
    world.tick()
    world.tick()
    job = world.job_of(rollout, device).id
    why = "version 2 has taken its place"
    world.hear([telling.progress("d0000", job, 9, "failed", code="superseded", problem=why)])
    world.tick()
    counts = world.counts(rollout)
    assert (counts.failed, counts.undone) == (0, 1)
    with world.reading() as session:
        assert session.get_one(Device, 1).job_problem == ""
