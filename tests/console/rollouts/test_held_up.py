"""What holds a rollout up, how long, and who wins where two want the same device."""

from pathlib import Path
from typing import Any

import pytest
from console import telling
from console.rollouts.worlds import FLEET, World, plan
from sqlalchemy import select, update

from edgeagent.console import jobs
from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts import service
from edgeagent.console.rollouts.service import Change
from edgeagent.console.tables import Device, Job, Rollout

DAY_S = 86_400.0
ALL_AT_ONCE = {"pace": "shares", "shares": [1.0]}


def in_wave(world: World, rollout: str, wave: int) -> int:
    with world.reading() as session:
        found = session.scalar(select(Job.device).where(Job.rollout == rollout, Job.wave == wave))
        assert found is not None
        return found


def test_a_canary_that_is_cancelled_at_the_device_proves_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, 30, build=lambda _number: {"takes": 10**9})
    rollout = world.begin(plan(bake_s=6 * 3_600.0))
    world.tick()
    world.tick()
    canary = world.devices[in_wave(world, rollout, 0)]
    world.hear([telling.progress(canary.address.device, world.job_of(rollout, canary).id, 5, "cancelled")])
    world.tick()
    world.tick()
    row = world.rollout(rollout)
    assert (row.state, row.wave) == ("paused", 0)
    assert row.reason.startswith("No device of wave 1 has succeeded; on 1 device it was cancelled, or superseded.")
    world.change(service.resume, rollout)
    world.tick()
    assert world.rollout(rollout).wave == 1


def test_a_canary_that_never_comes_pauses_it_and_who_resumes_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, 2)
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [0.01, 1.0]}))
    world.conduct()
    world.goes(world.devices[in_wave(world, rollout, 0)])
    for _ in range(12):
        world.tick(DAY_S)
    assert world.rollout(rollout).state == "running"
    for _ in range(3):
        world.tick(DAY_S)
    row = world.rollout(rollout)
    assert (row.state, row.reason) == (
        "paused",
        "No device has succeeded yet. Resume to go on all the same, or abort.",
    )
    world.change(service.resume, rollout)
    for _ in range(3):
        world.tick()
    assert world.counts(rollout).succeeded == 1


def test_pause_and_resume_after_a_day_goes_on_without_a_canary(tmp_path: Path) -> None:
    world = World(tmp_path, 2)
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [0.01, 1.0]}))
    world.conduct()
    world.goes(world.devices[in_wave(world, rollout, 0)])
    for days in (0.01, 2.0):
        world.tick(days * DAY_S)
        world.change(service.pause, rollout)
        world.change(service.resume, rollout)
        world.tick()
        assert world.rollout(rollout).wave == (1 if days > 1 else 0)


def test_a_constant_rate_in_a_small_fleet_pauses_at_the_first_failures_and_forgives_what_was_seen(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, 19, build=lambda _number: {"fails": True})
    rollout = world.begin(plan(pace={"pace": "constant", "per_minute": 1}))
    for _ in range(60):
        world.tick(30.0)
    assert world.rollout(rollout).state == "paused"
    assert world.counts(rollout).failed == 1
    for device in world.devices.values():
        device.fails = False
    world.change(service.resume, rollout)
    for _ in range(60):
        world.tick(30.0)
    assert world.rollout(rollout).state == "done"
    assert world.counts(rollout).succeeded == 18


def test_another_job_on_a_device_that_died_holds_a_rollout_up_no_longer_than_one_that_is_away(tmp_path: Path) -> None:
    world = World(tmp_path, 2, build=lambda number: {"takes": 10**9 if number == 0 else 1})
    with world.database.session() as session:
        other = {"family": "wake-en", "version": "1.0"}
        jobs.ask(session, session.get_one(Device, 1), "update", other, by="bob", now=world.now)
    world.tick()
    world.tick()
    world.goes(world.devices[1])
    rollout = world.begin(plan(pace=ALL_AT_ONCE))
    for _ in range(12):
        world.tick(DAY_S)
    assert world.rollout(rollout).state == "running"
    for _ in range(5):
        world.tick(DAY_S)
    assert world.rollout(rollout).state == "done"
    job = world.job_of(rollout, world.devices[1])
    assert job.state == "skipped"
    assert job.reason.startswith("Another job was at work on it")


@pytest.mark.parametrize("by_whom", ["rollout", "operator"])
def test_a51_the_newer_wish_wins_against_a_later_wave_of_the_older_rollout(tmp_path: Path, by_whom: str) -> None:
    world = World(tmp_path, 2)
    old = world.begin(plan(pace={"pace": "shares", "shares": [0.5, 1.0]}, bake_s=1_000.0))
    world.tick()
    world.tick()
    second = in_wave(world, old, 1)
    device = world.devices[second]
    world.goes(device)
    newer: dict[str, Any] = {"family": "command-en", "version": "3.0"}
    if by_whom == "rollout":
        what = {"kind": "update", **newer}
        world.begin(plan(what=what, filter=f"name:{device.address.device}", pace=ALL_AT_ONCE), title="third")
    else:
        with world.database.session() as session:
            jobs.ask(session, session.get_one(Device, second), "update", newer, by="bob", now=world.now)
    for _ in range(6):
        world.tick(600.0)
    assert b'"3.0"' in world.retained[device.address.job]
    job = world.job_of(old, device)
    assert job.state == "superseded"
    assert job.reason.startswith("Superseded by rollout third" if by_whom == "rollout" else "Superseded by job ")
    world.check(old)


def test_a_rollout_that_is_being_stopped_is_stopped_whatever_its_plan_says(tmp_path: Path) -> None:
    world = World(tmp_path, 30, build=lambda number: {"fails": number < 29, "takes": 1 if number < 29 else 10**9})
    rollout = world.begin(plan(pace=ALL_AT_ONCE))
    world.until("stopping", rollout)
    with world.database.session() as session:
        strange = {**world.rollout(rollout).plan, "a_field_of_a_newer_program": 1}
        session.execute(update(Rollout).where(Rollout.id == rollout).values(plan=strange))
    for _ in range(3):
        world.tick()
    assert world.rollout(rollout).state == "stopped"


def test_who_has_changed_or_begun_anothers_draft_cannot_agree_to_it(tmp_path: Path) -> None:
    world = World(tmp_path, 3)
    with world.database.session() as session:
        rollout = service.draft(session, FLEET, plan(), title="", by="ann", now=world.now).id
    with world.database.session() as session:
        service.replan(session, FLEET, rollout, Change("bob", world.now, 0), plan(needs_approval=True))
    world.change(service.start, rollout, by="cleo")
    for who, words in (("ann", "has made this"), ("bob", "changed or begun"), ("cleo", "changed or begun")):
        with pytest.raises(ConsoleError, match=words):
            world.change(service.approve, rollout, by=who)
    world.change(service.approve, rollout, by="dan")
    assert world.rollout(rollout).state == "running"
