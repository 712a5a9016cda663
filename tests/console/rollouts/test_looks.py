"""Voice health of a running rollout: looked at in what devices have counted, and a pause when it is worse."""

from pathlib import Path

from console.rollouts.worlds import FLEET, World, plan
from sqlalchemy import insert, select

from edgeagent.console.rollouts import service
from edgeagent.console.tables import HealthHour, Job

HOURS = 6


def heard(world: World, rollout: str, *, rejected_with: int) -> None:
    """Let all devices count 30 decisions in each of six hours; those that have it reject so many of them."""
    first = int(world.now // 3_600) + 1
    with world.database.session() as session:
        done = set(session.scalars(select(Job.device).where(Job.rollout == rollout, Job.state == "confirmed")))
        rows = [
            {"device": number, "hour": first + hour, "decisions": 30, "decision_ms": [0] * 15}
            | {"rejected": (rejected_with if number in done else 3) + (number + hour) % 2}
            for number in world.devices
            for hour in range(HOURS)
        ]
        session.connection().execute(insert(HealthHour), rows)
    world.now = (first + HOURS) * 3_600.0


def in_the_first_wave(folder: Path) -> tuple[World, str]:
    world = World(folder, 80)
    pace = {"pace": "shares", "shares": [0.3, 0.6, 1.0]}
    rollout = world.begin(plan(pace=pace, bake_s=8 * 3_600.0, health={"on": True}))
    for _ in range(5):
        world.tick()
    assert world.counts(rollout).succeeded == 24
    return world, rollout


def test_it_pauses_by_itself_when_voice_health_is_worse_with_it_and_shows_the_statistic(tmp_path: Path) -> None:
    world, rollout = in_the_first_wave(tmp_path)
    heard(world, rollout, rejected_with=9)
    world.tick()
    row = world.rollout(rollout)
    assert row.state == "paused"
    assert "Voice health is worse with it than without: rejected: 31.7% with it (4320 decisions of 24" in row.reason
    with world.reading() as session:
        rejected = service.summary(session, FLEET, rollout).compared[0]
    assert rejected["verdict"] == "worse"
    assert rejected["statistic"] > 10
    assert (rejected["devices_with"], rejected["devices_without"]) == (24, 56)
    world.tick()
    assert world.counts(rollout).succeeded == 24


def test_who_resumes_accepts_it_for_this_wave_and_not_for_the_next(tmp_path: Path) -> None:
    world, rollout = in_the_first_wave(tmp_path)
    heard(world, rollout, rejected_with=9)
    world.tick()
    world.change(service.resume, rollout)
    for _ in range(4):
        world.tick(3_600.0)
    assert world.rollout(rollout).wave == 1
    heard(world, rollout, rejected_with=9)
    world.tick()
    assert world.rollout(rollout).state == "paused"
    assert world.rollout(rollout).health["looks"] == 2


def test_it_goes_on_when_both_are_heard_alike(tmp_path: Path) -> None:
    world, rollout = in_the_first_wave(tmp_path)
    heard(world, rollout, rejected_with=3)
    world.tick()
    row = world.rollout(rollout)
    assert row.state == "running"
    assert {one["verdict"] for one in row.health["compared"][:3]} == {"not worse"}
    for _ in range(4):
        world.tick(3_600.0)
    assert world.rollout(rollout).wave == 1


def test_what_was_counted_before_the_wave_does_not_count(tmp_path: Path) -> None:
    world, rollout = in_the_first_wave(tmp_path)
    with world.database.session() as session:
        before = int(world.now // 3_600) - 5
        session.connection().execute(
            insert(HealthHour),
            [{"device": number, "hour": before, "decisions": 900, "rejected": 800} for number in world.devices],
        )
    world.tick(700.0)
    assert world.rollout(rollout).state == "running"
    assert "looks" not in world.rollout(rollout).health
