"""The engine killed at every statement that it executes: what is there afterwards is as if nothing had happened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.rollouts.worlds import World, plan
from sqlalchemy import event, select

from edgeagent.console.rollouts import service
from edgeagent.console.tables import Device, Job

PLAN = plan(success_share=0.9, failure_share=0.2, reach_wait_s=3.0, unreached_s=20.0)


class Killed(BaseException):
    """The console was killed."""


@contextmanager
def killed_at(world: World, statement: int) -> Iterator[list[int]]:
    """Raise at the so-manieth statement from now on, once; the list counts."""
    seen = [0]

    def count(*_of: Any) -> None:
        seen[0] += 1
        if seen[0] == statement:
            raise Killed

    event.listen(world.database.engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(world.database.engine, "before_cursor_execute", count)


def outcome(world: World, rollout: str) -> list[tuple[str, int, str]]:
    with world.reading() as session:
        jobs = select(Device.name, Job.wave, Job.state).join(Device, Device.id == Job.device)
        rows = session.execute(jobs.where(Job.rollout == rollout).order_by(Device.name))
        return [(row.name, row.wave, row.state) for row in rows]


def run(folder: Path, *, is_killed: bool) -> tuple[World, list[tuple[str, int, str]], int]:
    """Run a rollout with failures and absences, where wanted with kills at every statement of every tick."""
    folder.mkdir()
    world = World(folder, 24, build=lambda number: {"is_online": number != 3, "fails": number == 5})
    with world.database.session() as session:
        draft = service.draft(session, "home", PLAN, title="", by="ann", now=1.0)
        draft.id = "r-the-same"  # its waves are then the same in every run
    world.change(service.start, "r-the-same")
    kills = 0
    while world.rollout("r-the-same").state != "done":
        world.now += 1
        if is_killed:
            kills += killed_everywhere(world)
        world.conduct()
        world.hear(world.publish())
        world.hear(world.work())
        if world.rollout("r-the-same").state == "paused":
            world.change(service.resume, "r-the-same")
        assert world.now < 1_000_200.0
    return world, outcome(world, "r-the-same"), kills


def killed_everywhere(world: World) -> int:
    """Kill a step at its first statement, its second one, and so on until it is through; return how often."""
    for statement in range(1, 200):
        try:
            with killed_at(world, statement):
                world.conduct()
                world.publish()
        except Killed:
            continue
        world.check("r-the-same")
        return statement - 1
    raise AssertionError("a step never ends")


def test_killed_at_every_statement_it_comes_to_the_same_end(tmp_path: Path) -> None:
    _, expected, _ = run(tmp_path / "undisturbed", is_killed=False)
    world, found, kills = run(tmp_path / "killed", is_killed=True)
    assert kills > 200
    assert found == expected
    assert world.rollout("r-the-same").state == "done"
    world.check("r-the-same")
    assert world.counts("r-the-same").succeeded == 22


def test_killed_between_publishing_and_noting_it_the_pointer_comes_again_and_nothing_is_done_twice(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, 20)
    rollout = world.begin(plan())
    for _ in range(60):
        world.now += 1
        world.conduct()
        world.hear(world.publish(is_noted=False))  # the broker has it, and the database does not know
        world.hear(world.publish())
        world.hear(world.work())
        world.check(rollout)
    assert world.counts(rollout).succeeded == 20
    assert sum(sum(device.done.values()) for device in world.devices.values()) == 20
