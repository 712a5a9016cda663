"""Rollouts on a real PostgreSQL, where two consoles really step at once."""

import threading
from pathlib import Path

import pytest
from console.postgres import HAS_POSTGRES, WHY_NOT, postgres
from console.rollouts.worlds import World, plan

from edgeagent.console.rollouts import service

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_POSTGRES, reason=WHY_NOT)]


def test_two_consoles_that_step_at_the_same_time_do_no_harm(tmp_path: Path) -> None:
    with postgres() as running:
        world = World(tmp_path, 60, build=lambda number: {"is_online": number % 20 != 1}, url=running.url)
        rollout = world.begin(plan(unreached_s=20.0, reach_wait_s=2.0))
        for _ in range(60):
            world.now += 1
            both = [threading.Thread(target=world.conduct) for _ in range(2)]
            for one in both:
                one.start()
            for one in both:
                one.join()
            world.hear(world.publish())
            world.hear(world.work())
            world.check(rollout)
        assert world.rollout(rollout).state == "done"
        assert world.counts(rollout).succeeded == 57
        settings = {"kind": "settings", "settings": {"hearing.unsure_below": 0.5}}
        second = world.begin(plan(what=settings, needs_approval=True, pace={"pace": "shares", "shares": [1.0]}))
        world.change(service.approve, second, by="bob")
        for _ in range(5):
            world.tick()
        assert world.counts(second).succeeded == 57
        world.change(service.abort, second)
        world.until("aborted", second)
        world.database.close()
