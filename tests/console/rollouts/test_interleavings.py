"""Anything in any order: steps, messages, operators, absences; what must be true is true after every transaction."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from console.rollouts.worlds import World, plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeagent.console import jobs
from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts import service
from edgeagent.console.tables import Device, Job
from edgeagent.messages import Message

BUS = ("publish", "publish half", "forget", "hear", "hear late", "work", "away", "back", "join")
DEEDS = (*BUS, "conduct", "minute", "hour", "pause", "resume", "ask", "cancel", "retire")


class Interleaving:
    """A world in which things happen as they are drawn."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, 12, build=lambda number: {"fails": number == 7, "is_online": number != 2})
        self.rollout = self.world.begin(plan(unreached_s=30 * 86_400.0))
        self.on_the_way: list[Message] = []
        self.sent_at_stop: int | None = None

    def does(self, deed: str, which: int) -> None:
        world, device = self.world, list(self.world.devices.values())[which % len(self.world.devices)]
        match deed:
            case "conduct":
                world.conduct()
            case "publish" | "publish half" | "forget":
                self.on_the_way += world.publish(4 if deed == "publish half" else 500, is_noted=deed != "forget")
            case "hear" | "hear late":
                half = len(self.on_the_way) // 2
                heard, kept = (
                    (self.on_the_way, []) if deed == "hear" else (self.on_the_way[half:], self.on_the_way[:half])
                )
                world.hear(heard)
                self.on_the_way = kept
            case "work":
                self.on_the_way += world.work()
            case "minute" | "hour":
                world.now += 60.0 if deed == "minute" else 3_600.0
            case "away":
                world.goes(device)
            case "back":
                world.comes(device)
            case "join" if len(world.devices) < 20:
                world.join(f"late{len(world.devices)}")
                world.tell_all()
            case _:
                with suppress(ConsoleError):
                    self._operates(deed, which)
        world.check(self.rollout)
        self._checks_what_was_published()

    def _operates(self, deed: str, which: int) -> None:
        world = self.world
        match deed:
            case "pause":
                world.change(service.pause, self.rollout)
            case "resume":
                world.change(service.resume, self.rollout)
            case "ask" | "cancel" | "retire":
                number = 1 + which % len(world.devices)
                with world.database.session() as session:
                    device = session.get_one(Device, number)
                    if deed == "ask":
                        jobs.ask(session, device, "identify", {"seconds": 5}, by="bob", now=world.now)
                    elif deed == "retire" and which % 5 == 0:
                        device.retired = world.now
                    elif job := session.get(Job, f"{self.rollout}.{number}"):
                        jobs.cancel(session, job, by="bob", now=world.now)

    def _checks_what_was_published(self) -> None:
        """After the end of a rollout no pointer of it is published that asks for anything."""
        if self.world.rollout(self.rollout).state not in {"stopping", "stopped", "aborted"}:
            return
        asked = sum(b'"kind":"update"' in payload for _, _, payload in self.world.published)
        if self.sent_at_stop is None:
            self.sent_at_stop = asked
        assert asked == self.sent_at_stop, "something was sent after the stop"


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 50)), min_size=20, max_size=60),
    st.sampled_from(("done", "aborted")),
)
def test_whatever_happens_in_whatever_order_counts_add_up_and_it_comes_to_an_end(
    deeds: list[tuple[str, int]], ends_as: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = Interleaving(Path(folder))
        for deed, which in deeds:
            found.does(deed, which)
        world, is_aborted = found.world, False
        if ends_as == "aborted" and world.rollout(found.rollout).state in {"running", "paused"}:
            world.change(service.abort, found.rollout)
            is_aborted = True
            found.does("conduct", 0)
        for _ in range(20):  # then all goes well
            if world.rollout(found.rollout).state == "paused":
                world.change(service.resume, found.rollout)
            for device in world.devices.values():
                if not device.is_online:
                    world.comes(device)
            for deed in ("conduct", "publish", "hear", "work", "hear", "minute", "hour"):
                found.does(deed, 0)
        for _ in range(40):
            if world.rollout(found.rollout).state == "paused":
                world.change(service.resume, found.rollout)
            world.tick(6 * 3_600.0)
        assert world.rollout(found.rollout).state == ("aborted" if is_aborted else "done")
        assert set(world.retained.values()) <= {b""}, "pointers are left"
        world.database.close()
