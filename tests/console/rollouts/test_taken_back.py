"""What a rollout that is over has left behind: settings that go back, jobs that are called back."""

import json
from pathlib import Path
from typing import Any

from console import telling
from console.rollouts.worlds import SimulatedDevice, World, plan
from sqlalchemy import select, update

from edgeagent.console import jobs
from edgeagent.console.rollouts import service
from edgeagent.console.tables import Device, Job
from edgeagent.fleet import settings_wanted, wire

KEY = "hearing.unsure_below"
ALL_AT_ONCE = {"pace": "shares", "shares": [1.0]}


def settings(value: float, **more: Any) -> dict[str, Any]:
    return {"what": {"kind": "settings", "settings": {KEY: value}}, "pace": ALL_AT_ONCE} | more


def wanted(world: World) -> list[dict[str, Any]]:
    with world.reading() as session:
        return list(session.scalars(select(Device.desired).order_by(Device.id)))


def on_the_broker(world: World, device: SimulatedDevice) -> dict[str, Any]:
    return dict(json.loads(world.retained[f"{device.address.job.removesuffix('job')}desired"]))


def want(world: World, device: int, changes: dict[str, Any]) -> int:
    with world.database.session() as session:
        return jobs.want_settings(session, session.get_one(Device, device), changes, "ann", world.now)


def test_a65_settings_that_stopped_a_rollout_are_taken_back_also_from_those_who_are_away(tmp_path: Path) -> None:
    world = World(tmp_path, 30, build=lambda number: {"is_online": number < 25, "fails": number != 3})
    want(world, 1, {KEY: 0.4, "device.area": "hall"})
    rollout = world.begin(plan(**settings(0.9)))
    world.until("stopped", rollout, most=50)
    world.tick()
    found = wanted(world)
    assert found[0] == {KEY: 0.4, "device.area": "hall"}
    assert found[3] == {KEY: 0.9}, "it has ended well, and keeps it"
    assert all(one == {} for number, one in enumerate(found) if number not in {0, 3})
    away = world.devices[30]
    assert on_the_broker(world, away) == {"v": 1, "version": 2, "settings": {}}
    assert on_the_broker(world, world.devices[1])["version"] == 3
    count = len(world.published)
    for _ in range(5):
        world.tick()
    assert len(world.published) == count, "once is enough"


def test_settings_of_an_aborted_rollout_go_back_where_they_have_not_ended_well(tmp_path: Path) -> None:
    world = World(tmp_path, 4, build=lambda number: {"takes": 1 if number < 2 else 10_000})
    rollout = world.begin(plan(**settings(0.9)))
    world.tick()
    world.tick()
    world.change(service.abort, rollout)
    assert wanted(world) == [{KEY: 0.9}, {KEY: 0.9}, {}, {}]
    world.until("aborted", rollout)
    assert wanted(world) == [{KEY: 0.9}, {KEY: 0.9}, {}, {}]


def test_who_was_not_reached_while_it_lasted_does_not_take_the_settings_later(tmp_path: Path) -> None:
    world = World(tmp_path, 20, build=lambda number: {"is_online": number != 0})
    rollout = world.begin(plan(**settings(0.9, unreached_s=100.0)))
    world.tick()
    world.tick(101.0)
    world.until("done", rollout)
    world.tick()
    assert wanted(world)[:2] == [{}, {KEY: 0.9}]
    assert on_the_broker(world, world.devices[1])["settings"] == {}


def test_what_somebody_wanted_since_stays_and_what_is_under_another_rollout_does_not_come_back(tmp_path: Path) -> None:
    world = World(tmp_path, 2, build=lambda _number: {"takes": 10_000})
    one = world.begin(plan(**settings(0.7)))
    world.tick()
    other = world.begin(plan(**settings(0.9)))
    for _ in range(3):
        world.tick()
    world.hear([telling.progress("d0000", f"{one}.1", 5, "failed"), telling.progress("d0001", f"{one}.2", 5, "failed")])
    for _ in range(3):
        world.tick()
    want(world, 2, {KEY: 0.5})
    assert [one_[KEY] for one_ in wanted(world)] == [0.9, 0.5]
    assert world.rollout(one).state == "done"
    world.change(service.abort, other)
    assert wanted(world) == [{}, {KEY: 0.5}]


def test_settings_that_an_operator_cancels_go_back(tmp_path: Path) -> None:
    world = World(tmp_path, 1, build=lambda _number: {"takes": 10_000})
    with world.database.session() as session:
        job = jobs.ask(session, session.get_one(Device, 1), "settings", {KEY: 0.9}, by="ann", now=world.now)
        jobs.cancel(session, job, by="ann", now=world.now)
    assert wanted(world) == [{}]


def test_settings_are_wanted_in_a_version_that_a_device_has_not_seen_after_a_restore(tmp_path: Path) -> None:
    world = World(tmp_path, 2)
    with world.database.session() as session:
        session.execute(update(Device).where(Device.id == 1).values(reported_version=50, standing="applied"))
        session.execute(update(Device).where(Device.id == 2).values(desired_seen=60))
    assert want(world, 1, {KEY: 0.4}) == 51
    rollout = world.begin(plan(**settings(0.4)))
    world.tick()
    world.tick()
    assert [on_the_broker(world, device)["version"] for device in world.devices.values()] == [52, 61]
    assert world.counts(rollout).already == 0, "50 is another wish than 51"
    kept = settings_wanted.Kept(version=50, standing="applied")
    heard = wire.Desired(version=52, settings={KEY: 0.4})
    assert settings_wanted.desired(kept, heard, "", is_reached=True).overlay == {KEY: 0.4}


def test_what_was_sent_and_taken_off_again_is_called_back_when_the_rollout_is_aborted(tmp_path: Path) -> None:
    world = World(tmp_path, 1, build=lambda _number: {"takes": 5})
    (device,) = world.devices.values()
    rollout = world.begin(plan())
    world.now += 1
    world.conduct()
    world.publish(is_noted=False)  # the device has it, and nobody hears that it has
    world.change(service.pause, rollout)
    for change in (None, service.abort, None, None):
        world.now += 1
        if change:
            world.change(change, rollout)
        world.conduct()
        said = world.publish()
    assert json.loads(world.retained[device.address.job])["kind"] == "cancel"
    assert not said
    assert set(device.states.values()) == {"cancelled"}
    world.hear(device.reads(world.retained[device.address.job], world.now))
    world.tick()
    assert world.job_of(rollout, device).state == "cancelled"
    assert world.retained[device.address.job] == b""
    world.check(rollout)


def test_who_leaves_the_filter_after_it_was_sent_and_taken_off_is_called_back_and_asked_again(tmp_path: Path) -> None:
    world = World(tmp_path, 2, build=lambda number: {"is_online": number == 1, "takes": 10**9})
    device = world.devices[1]
    rollout = world.begin(plan(filter="not area:cellar", pace=ALL_AT_ONCE))
    world.tick()
    world.change(service.pause, rollout)
    world.tick()
    world.change(service.resume, rollout)
    for area, expected in (("cellar", b'"cancel"'), ("", b'"update"')):
        with world.database.session() as session:
            session.execute(update(Device).where(Device.id == 1).values(area=area))
            session.execute(update(Job).where(Job.device == 1, Job.state == "sent").values(state="pending"))
        for _ in range(12):
            world.tick()
        assert expected in world.retained[device.address.job]
