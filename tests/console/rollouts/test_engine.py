"""Rollouts on a real database, with devices that answer, fail, are away, come back, join and leave."""

import json
from pathlib import Path

import pytest
from console.rollouts.worlds import FLEET, World, plan
from sqlalchemy import select, update

from edgeagent.console.rollouts import engine, service
from edgeagent.console.tables import Device, Job, Rollout


def test_a_rollout_goes_through_its_waves_to_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, 100)
    rollout = world.begin(plan())
    world.until("done", rollout)
    assert [counts.succeeded for counts in world.waves(rollout)] == [1, 4, 20, 75]
    assert all(device.installed == "2.0" for device in world.devices.values())
    world.check(rollout)


def test_pointers_are_taken_away_when_all_is_done(tmp_path: Path) -> None:
    world = World(tmp_path, 10)
    rollout = world.begin(plan())
    world.until("done", rollout)
    world.tick()
    world.tick()
    assert set(world.retained.values()) == {b""}
    with world.reading() as session:
        assert set(session.scalars(select(Device.job))) == {""}
        assert set(session.scalars(select(Job.due))) == {None}


def test_the_next_wave_waits_for_the_bake_time(tmp_path: Path) -> None:
    world = World(tmp_path, 100)
    rollout = world.begin(plan(bake_s=100.0))
    for _ in range(50):
        world.tick()
    assert world.began_jobs() == 1
    assert "watched" in world.rollout(rollout).reason
    world.tick(101.0)
    world.tick()
    assert world.began_jobs() == 5


def test_a65_three_per_cent_that_fail_stop_the_rollout_and_nothing_is_sent_afterwards(tmp_path: Path) -> None:
    world = World(tmp_path, 1_000, build=lambda number: {"fails": number % 33 == 0, "takes": 1 + number % 7})
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [0.05, 0.3, 1.0]}))
    world.until("stopping", rollout)
    world.tick()
    begun = world.began_jobs()
    world.until("stopped", rollout)
    for _ in range(20):
        world.tick()
    assert world.began_jobs() == begun < 1_000
    row, counts = world.rollout(rollout), world.counts(rollout)
    assert "have failed" in row.reason
    assert "3.0% stop the rollout" in row.reason
    assert counts.pending == counts.under_way == counts.waiting == 0
    assert counts.undone > 0, "those under way were not called back"
    world.check(rollout)


def test_a65_devices_under_way_are_cancelled_when_the_rollout_is_stopped(tmp_path: Path) -> None:
    world = World(tmp_path, 60, build=lambda number: {"fails": number < 25, "takes": 1 if number < 25 else 1_000})
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [1.0]}))
    world.until("stopped", rollout)
    states = [state for device in world.devices.values() for state in device.states.values()]
    assert states.count("cancelled") == 35
    assert world.counts(rollout).undone == 35
    world.tick()
    world.tick()
    assert set(world.retained.values()) == {b""}


def test_a_small_wave_with_failures_pauses_and_who_resumes_forgives_them(tmp_path: Path) -> None:
    world = World(tmp_path, 10, build=lambda _number: {"fails": True})
    rollout = world.begin(plan())
    world.until("paused", rollout)
    assert "1 of the 1 devices of wave 1" in world.rollout(rollout).reason
    for device in world.devices.values():
        device.fails = False
    world.change(service.resume, rollout)
    world.until("done", rollout)
    assert world.counts(rollout).succeeded == 9
    assert "1 have failed" in world.rollout(rollout).reason


def test_devices_that_are_away_do_not_hold_it_up_and_are_asked_when_they_come(tmp_path: Path) -> None:
    world = World(tmp_path, 100, build=lambda number: {"is_online": number % 33 != 1})
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [0.5, 1.0]}))
    for _ in range(20):
        world.tick()
    counts = world.counts(rollout)
    assert (counts.succeeded, counts.waiting) == (97, 3)
    assert "3 devices not reached" in world.rollout(rollout).reason
    with world.reading() as session:
        page = service.devices_of(session, FLEET, rollout, world.now, stands="waiting")
    assert len(page.rows) == 3
    assert page.rows[0].words.startswith("Not reached: offline")
    away = next(device for device in world.devices.values() if not device.is_online)
    world.tick(5 * 86_400.0)
    world.comes(away)
    world.tick()
    assert away.installed == "2.0"
    assert world.counts(rollout).waiting == 2
    world.tick(10 * 86_400.0)
    world.until("done", rollout)
    assert "2 were not reached" in world.rollout(rollout).reason
    assert world.counts(rollout).skipped == 2
    world.check(rollout)


def test_a_first_wave_in_a_drawer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    world = World(tmp_path, 20)
    rollout = world.begin(plan())
    world.conduct()
    with world.reading() as session:
        first = session.scalar(select(Job.device).where(Job.rollout == rollout, Job.wave == 0))
    assert first is not None
    world.goes(world.devices[first])
    for _ in range(5):
        world.tick()
    assert world.began_jobs() == 0
    assert "not reached" in world.rollout(rollout).reason
    world.tick(86_400.0)
    world.until("running", rollout)
    for _ in range(10):
        world.tick()
    assert world.counts(rollout).succeeded == 19


def test_the_last_wave_waits_until_one_has_succeeded(tmp_path: Path) -> None:
    world = World(tmp_path, 10)
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [0.1, 1.0]}))
    world.conduct()
    with world.reading() as session:
        first = session.scalar(select(Job.device).where(Job.rollout == rollout, Job.wave == 0))
    assert first is not None
    world.goes(world.devices[first])
    for _ in range(4):
        world.tick(86_401.0)
    assert world.began_jobs() == 0
    assert "No device has succeeded yet" in world.rollout(rollout).reason


def test_a_device_that_takes_too_long_has_failed_but_not_while_it_is_away(tmp_path: Path) -> None:
    world = World(tmp_path, 3, build=lambda number: {"takes": 10_000 if number == 0 else 1, "is_online": number != 1})
    slow, away, _ = world.devices.values()
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [1.0]}, timeout_s=100.0))
    for _ in range(30):
        world.tick(10.0)
    assert world.job_of(rollout, slow).state == "timed out"
    assert "has not ended in the time" in world.job_of(rollout, slow).reason.lower()
    assert world.job_of(rollout, away).state == "sent"
    assert slow.states == {world.job_of(rollout, slow).id: "cancelled"}


def test_who_goes_away_at_work_times_out_as_a_bricked_device_would(tmp_path: Path) -> None:
    world = World(tmp_path, 1, build=lambda _number: {"takes": 10_000})
    (device,) = world.devices.values()
    rollout = world.begin(plan(timeout_s=100.0))
    world.tick()
    world.tick()
    world.goes(device)
    for _ in range(15):
        world.tick(10.0)
    assert world.job_of(rollout, device).state == "timed out"


def test_a_device_that_joins_later_gets_the_release_too(tmp_path: Path) -> None:
    world = World(tmp_path, 10, build=lambda number: {"takes": 1 if number else 60})
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [1.0]}))
    world.tick()
    late = world.join("late")
    world.hear([late.is_born(), late.says()])
    world.until("done", rollout)
    assert late.installed == "2.0"
    assert world.counts(rollout).total == 11


def test_who_joins_a_small_wave_with_a_thousand_others_waits_for_his_own(tmp_path: Path) -> None:
    world = World(tmp_path, 100, build=lambda _number: {"takes": 10_000})
    rollout = world.begin(plan())
    world.tick()
    for number in range(300):
        world.join(f"late{number}")
    world.tell_all()
    for _ in range(12):
        world.tick()
    assert world.counts(rollout).total == 400
    assert world.began_jobs() < 20


def test_who_has_it_already_or_something_newer_is_not_asked(tmp_path: Path) -> None:
    world = World(tmp_path, 9, build=lambda number: {"installed": ("2.0", "3.1", "1.0")[number % 3]})
    rollout = world.begin(plan())
    world.until("done", rollout)
    counts = world.counts(rollout)
    assert (counts.already, counts.skipped, counts.succeeded) == (3, 3, 3)
    assert world.began_jobs() == 3
    with world.reading() as session:
        words = {row.words for row in service.devices_of(session, FLEET, rollout, world.now).rows}
    assert words == {"It has it already.", "It has something newer: 3.1.", "Done."}


def test_who_leaves_the_filter_or_is_retired_is_passed_over_with_a_reason_and_may_come_back(tmp_path: Path) -> None:
    world = World(tmp_path, 10, build=lambda _number: {"takes": 10_000})
    rollout = world.begin(plan(filter="not area:cellar", pace={"pace": "shares", "shares": [0.1, 1.0]}))
    world.tick()
    with world.reading() as session:
        waiting = session.scalars(select(Job.device).where(Job.rollout == rollout, Job.state == "pending")).all()
    with world.database.session() as session:
        session.execute(update(Device).where(Device.id == waiting[0]).values(area="cellar"))
        session.execute(update(Device).where(Device.id == waiting[1]).values(retired=world.now))
    for _ in range(11):
        world.tick()
    left, retired = (world.job_of(rollout, world.devices[number]) for number in waiting[:2])
    assert (left.state, left.reason) == ("skipped", "It no longer matches the filter.")
    assert (retired.state, retired.reason) == ("skipped", "It was retired before it was asked.")
    with world.database.session() as session:
        session.execute(update(Device).where(Device.id == waiting[0]).values(area=""))
    for _ in range(11):
        world.tick()
    assert world.job_of(rollout, world.devices[waiting[0]]).state == "pending"
    world.check(rollout)


def test_pause_takes_back_what_nobody_has_begun_and_resume_sends_it_again(tmp_path: Path) -> None:
    world = World(tmp_path, 10, build=lambda number: {"is_online": number < 5, "takes": 3})
    rollout = world.begin(plan(pace={"pace": "shares", "shares": [1.0]}))
    world.tick()
    world.change(service.pause, rollout)
    for _ in range(10):
        world.tick()
    assert world.counts(rollout).succeeded == 5, "those that had begun go on"
    for device in list(world.devices.values()):
        world.comes(device)
    world.tick()
    assert world.began_jobs() == 5, "nobody begins while it is paused"
    world.change(service.resume, rollout)
    world.until("done", rollout)
    assert world.counts(rollout).succeeded == 10


def test_nothing_begins_outside_the_window(tmp_path: Path) -> None:
    world = World(tmp_path, 10, build=lambda number: {"is_online": number > 0})
    world.now = 1_700_000_000.0  # 22:13 in UTC
    away = next(iter(world.devices.values()))
    rollout = world.begin(
        plan(pace={"pace": "shares", "shares": [1.0]}, window="02:00-05:00", time_zone="Europe/Berlin")
    )
    for _ in range(5):
        world.tick()
    assert world.began_jobs() == 0
    assert "waits for its hours, 02:00-05:00 (Europe/Berlin)" in world.rollout(rollout).reason
    world.tick(3 * 3_600.0)
    world.tick()
    assert world.began_jobs() == 9
    world.tick(4 * 3_600.0)
    world.tick()
    world.comes(away)
    world.tick()
    assert world.began_jobs() == 9, "who comes after the hours waits for the next ones"
    world.tick(20 * 3_600.0)
    world.until("done", rollout)
    assert world.began_jobs() == 10


def test_a_constant_rate_asks_so_many_in_a_minute(tmp_path: Path) -> None:
    world = World(tmp_path, 12, build=lambda _number: {"takes": 10_000})
    rollout = world.begin(plan(pace={"pace": "constant", "per_minute": 5}))
    begun = []
    for _ in range(4):
        world.tick()
        world.tick()
        begun.append(world.began_jobs())
        world.tick(59.0)
    assert begun == [5, 10, 12, 12]
    world.check(rollout)


def test_an_exponential_rate_grows_only_while_all_goes_well(tmp_path: Path) -> None:
    world = World(tmp_path, 40)
    rollout = world.begin(plan(pace={"pace": "exponential", "base": 1, "factor": 3, "step_s": 60}))
    for _ in range(4):
        world.tick()
        world.tick()
    assert world.began_jobs() == 1
    world.tick(60.0)
    world.tick()
    assert world.began_jobs() == 4
    for device in world.devices.values():
        device.fails = True
    world.tick(60.0)
    world.tick()
    assert world.began_jobs() == 13
    world.until("paused", rollout)


def test_two_engines_at_once_do_no_harm(tmp_path: Path) -> None:
    world = World(tmp_path, 50)
    rollout = world.begin(plan())
    for _ in range(60):
        world.conduct()
        world.tick()
        world.conduct()
        world.check(rollout)
        if world.rollout(rollout).state == "done":
            break
    assert world.counts(rollout).succeeded == 50


def test_a_step_that_has_nothing_to_do_writes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, 10, build=lambda _number: {"takes": 10_000})
    world.begin(plan())
    world.tick()
    world.tick()
    world.conduct()
    with world.database.session() as session:
        raw = session.connection().connection.dbapi_connection
        before = raw.total_changes  # type: ignore[union-attr]  # sqlite3's own count of changed rows
        engine.step(session, world.now)
        session.flush()
        assert raw.total_changes == before  # type: ignore[union-attr]  # as above


def test_a_plan_that_this_program_does_not_understand_pauses_that_rollout_alone(tmp_path: Path) -> None:
    world = World(tmp_path, 5)
    strange, good = world.begin(plan()), world.begin(plan())
    with world.database.session() as session:
        session.execute(update(Rollout).where(Rollout.id == strange).values(plan={"what": {"kind": "dance"}}))
    world.until("done", good)
    assert world.rollout(strange).state == "paused"
    assert "dance" in world.rollout(strange).reason


def test_settings_are_brought_in_waves_and_who_has_them_is_not_asked(tmp_path: Path) -> None:
    world = World(tmp_path, 4)
    wanted = {"kind": "settings", "settings": {"hearing.unsure_below": 0.5}}
    rollout = world.begin(plan(what=wanted))
    world.until("done", rollout)
    documents = [json.loads(payload) for topic, payload in world.retained.items() if topic.endswith("/desired")]
    assert [one["settings"] for one in documents] == [{"hearing.unsure_below": 0.5}] * 4
    assert {one["version"] for one in documents} == {1}
    with world.database.session() as session:
        session.execute(update(Device).values(standing="applied", reported_version=1))
    again = world.begin(plan(what=wanted))
    world.until("done", again)
    assert world.counts(again).already == 4


def test_two_rollouts_of_different_families_take_turns_on_a_device(tmp_path: Path) -> None:
    world = World(tmp_path, 3, build=lambda _number: {"takes": 3})
    one = world.begin(plan(pace={"pace": "shares", "shares": [1.0]}))
    world.tick()
    what = {"kind": "update", "family": "wake-en", "version": "1.0"}
    other = world.begin(plan(what=what, pace={"pace": "shares", "shares": [1.0]}))
    world.until("done", one)
    world.until("done", other)
    assert world.counts(one).succeeded == world.counts(other).succeeded == 3


@pytest.mark.parametrize("order", ["duplicates", "backwards"])
def test_messages_that_come_twice_or_in_the_wrong_order_change_nothing(tmp_path: Path, order: str) -> None:
    world = World(tmp_path, 30)
    rollout = world.begin(plan())
    for _ in range(60):
        world.now += 1
        world.conduct()
        said = world.publish() + world.work()
        world.hear(said + said if order == "duplicates" else said[::-1])
        world.check(rollout)
    assert world.rollout(rollout).state == "done"
    assert world.counts(rollout).succeeded == 30
