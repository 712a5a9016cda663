"""Jobs of single devices: one pointer each, repeated while nobody answers, taken away when all is told."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from console.rollouts.worlds import SimulatedDevice, World
from sqlalchemy import update

from edgeagent.console import jobs
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Device, Job
from edgeagent.jobs import CancelJob, job_of
from edgeagent.update.course import Job as UpdateWanted

UPDATE = {"family": "command-en", "version": "2.0"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, 2)


def ask(world: World, kind: str, options: dict[str, Any] | None = None, *, device: int = 1) -> str:
    with world.database.session() as session:
        return jobs.ask(session, session.get_one(Device, device), kind, options or {}, by="ann", now=world.now).id


def job(world: World, job_id: str) -> Job:
    with world.reading() as session:
        return session.get_one(Job, job_id)


def only(world: World) -> SimulatedDevice:
    return world.devices[1]


def pointer(world: World) -> dict[str, Any]:
    payload = world.retained[only(world).address.job]
    return dict(json.loads(payload)) if payload else {}


def test_a_job_is_asked_done_and_its_pointer_taken_away(world: World) -> None:
    wanted = ask(world, "update", UPDATE)
    world.hear(world.publish())
    assert isinstance(job_of(world.retained[only(world).address.job], world.now), UpdateWanted)
    assert job(world, wanted).state == "accepted"
    world.tick()
    world.tick()
    assert job(world, wanted).state == "confirmed"
    assert pointer(world) == {}


def test_a51_a_newer_update_takes_the_place_of_the_older_one(world: World) -> None:
    old = ask(world, "update", UPDATE)
    world.hear(world.publish())
    new = ask(world, "update", {"family": "command-en", "version": "2.1"})
    world.hear(world.publish())
    assert job(world, old).state == "superseded"
    assert f"Superseded by job {new}, which ann asked for." in job(world, old).reason
    assert pointer(world)["id"] == new
    assert job(world, new).body["created"] > job(world, old).body["created"]


def test_a_job_beside_an_update_gives_the_pointer_back(world: World) -> None:
    only(world).is_online = False
    world.hear([only(world).says()])
    long = ask(world, "update", UPDATE)
    world.publish()
    short = ask(world, "identify", {"seconds": 5})
    world.publish()
    assert pointer(world)["id"] == short
    with world.database.session() as session:
        session.execute(update(Job).where(Job.id == short).values(state="done", told=world.now, ended=world.now))
    world.publish()
    assert pointer(world)["id"] == long
    assert job(world, long).ended is None


def test_a_silent_device_that_is_there_is_told_again_ever_more_seldom(world: World) -> None:
    ask(world, "update", UPDATE)
    times = []
    for _ in range(400):
        world.now += 10.0
        with world.database.session() as session:
            jobs.sweep(session, world.now)
        before = len(world.published)
        world.publish()
        if len(world.published) > before:
            times.append(world.now)
    assert [later - earlier for earlier, later in pairwise(times)] == [
        30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0,
    ]  # fmt: skip


def test_a_device_whose_last_word_was_lost_is_told_again_and_says_it_once_more(world: World) -> None:
    wanted = ask(world, "update", UPDATE)
    world.hear(world.publish())
    world.now += 1.0
    assert world.work()  # its end, which nobody hears: the broker had acknowledged it, and dropped it
    for _ in range(25):
        world.tick(10.0)
    assert job(world, wanted).state == "accepted"
    assert len(world.published) == 1
    for _ in range(10):
        world.tick(10.0)
    assert job(world, wanted).state == "confirmed"
    assert only(world).done[wanted] == 1


def test_a_device_that_is_away_is_not_told_again_until_it_comes(world: World) -> None:
    world.goes(only(world))
    ask(world, "update", UPDATE)
    for _ in range(100):
        world.tick(60.0)
    assert len(world.published) == 1
    only(world).is_online = True
    world.hear([only(world).says()])  # it comes, and the broker has lost its pointer
    world.tick()
    assert len(world.published) == 2


def test_a_birth_that_names_another_pointer_is_answered_at_once(world: World) -> None:
    only(world).takes = 10_000
    wanted = ask(world, "update", UPDATE)
    world.hear(world.publish())
    for _ in range(3):
        world.tick(100.0)
    count = len(world.published)
    only(world).states.clear()  # its disk was lost
    world.now += 1
    world.hear([only(world).is_born()])
    world.hear(world.publish())
    world.tick()
    assert len(world.published) == count + 1
    assert only(world).states == {wanted: "accepted"}
    world.tick()
    assert len(world.published) == count + 1


def test_a_job_that_is_cancelled_ends_as_the_device_says(world: World) -> None:
    only(world).takes = 10_000
    wanted = ask(world, "update", UPDATE)
    world.hear(world.publish())
    with world.database.session() as session:
        jobs.cancel(session, session.get_one(Job, wanted), by="bob", now=world.now)
    said = world.publish()
    assert isinstance(job_of(world.retained[only(world).address.job], world.now), CancelJob)
    world.hear(said)
    assert job(world, wanted).state == "cancelled"
    world.tick()
    assert pointer(world) == {}
    with pytest.raises(ConsoleError, match="has ended already"), world.database.session() as session:
        jobs.cancel(session, session.get_one(Job, wanted), by="bob", now=world.now)


def test_a_cancellation_that_nobody_answers_ends_and_stays_on_the_pointer_for_a_week(world: World) -> None:
    only(world).takes = 10_000
    wanted = ask(world, "update", UPDATE)
    world.hear(world.publish())
    world.goes(only(world))
    with world.database.session() as session:
        jobs.cancel(session, session.get_one(Job, wanted), by="bob", now=world.now)
    world.tick()
    assert job(world, wanted).ended is None
    world.tick(jobs.CANCEL_WAIT_S + 1)
    assert job(world, wanted).state == "cancelled"
    assert "has not said how it ended" in job(world, wanted).reason
    world.tick(86_400.0)
    assert pointer(world) == {"v": 1, "id": wanted, "kind": "cancel"}
    world.tick(7 * 86_400.0)
    assert pointer(world) == {}


def test_a_job_that_nobody_comes_for_times_out(world: World) -> None:
    world.goes(only(world))
    wanted = ask(world, "identify")
    world.tick(600.0 + jobs.ENDS_WITHIN_S + 1)
    assert job(world, wanted).state == "timed out"
    assert job(world, wanted).reason == "It was not reached in time."


def test_a_job_of_a_retired_device_is_lost_and_it_can_be_asked_no_more(world: World) -> None:
    wanted = ask(world, "update", UPDATE)
    world.publish()
    with world.database.session() as session:
        session.execute(update(Device).where(Device.id == 1).values(retired=world.now))
    world.tick()
    assert job(world, wanted).state == "lost"
    assert pointer(world) == {}
    with pytest.raises(ConsoleError, match="d0000 is retired"):
        ask(world, "restart")


def test_a62_versions_of_settings_only_grow_and_those_wanted_before_stay_wanted(world: World) -> None:
    first = ask(world, "settings", {"hearing.unsure_below": 0.5})
    ask(world, "settings", {"answering.earcons": "beside"})
    world.publish()
    document = json.loads(world.retained[f"ea/1/home/d/{only(world).address.device}/dn/desired"])
    assert document["version"] == 2
    assert document["settings"] == {"hearing.unsure_below": 0.5, "answering.earcons": "beside"}
    assert job(world, first).state == "superseded"


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("dance", {}, "there is no job 'dance'"),
        ("update", {"family": "Command EN", "version": "1"}, "family"),
        ("update", {}, "family"),
        ("logs", {"lines": 0}, "lines"),
        ("logs", {"lines": "many"}, "lines"),
        ("restart", {"now": True}, "restart has no option 'now'"),
        ("settings", {"hearing.unsure_below": 7}, "hearing.unsure_below"),
        ("settings", {"hearing.nothing": 7}, "hearing.nothing: there is no such setting"),
        ("settings", {"broker.password": "secret"}, "not for the fleet to change"),
        ("settings", {"Bad Key": 1}, "Bad Key"),
    ],
)
def test_what_cannot_be_asked_says_why_and_changes_nothing(
    world: World, kind: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConsoleError, match=words) as raised:
        ask(world, kind, options)
    assert raised.value.remedy
    assert "secret" not in str(raised.value)
    assert world.publish() == []
    assert world.published == []


def test_a_batch_is_bounded_and_operators_are_not_behind_a_rollout(tmp_path: Path) -> None:
    world = World(tmp_path, 60)
    with world.database.session() as session:
        for number in range(1, 51):
            jobs.ask(session, session.get_one(Device, number), "update", UPDATE, by="ann", now=world.now)
        session.flush()
        session.execute(update(Job).values(due=world.now - 100.0))
    urgent = ask(world, "identify", device=55)
    seen = 0
    for _ in range(5):
        world.now += 1
        before = len(world.published)
        world.publish(12)
        assert len(world.published) - before <= 12
        seen = len(world.published)
    assert seen == 51
    assert job(world, urgent).sent is not None
