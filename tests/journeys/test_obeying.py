"""The agent on a real mosquitto while things go wrong: repeated, planted and stale orders; brokers and devices gone."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, Mosquitto, eventually, mosquitto, proxy, run
from brokers import settings as broker_settings

from edgeagent.agent import TAUGHT, Agent, Parts
from edgeagent.bus import Bus, connect
from edgeagent.lifetimes import opened
from edgeagent.messages import Answer, Command, Device, Message, Outcome, Question, Rejection, Step
from edgeagent.reports import Reports
from edgeagent.settings import ActingSettings, AgentSettings, DeviceSettings
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live
from edgeagent.understand.taught import add_lessons, take_back

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
ORDERS = "ea/1/home/d/edgeagent/dn/do/say"
LIGHT_ON = "turn on the kitchen light"


class World:
    """A broker, a house on it, an agent, and a stranger who can publish anything."""

    def __init__(self, broker: Mosquitto, house: House, agent: Agent, stranger: Bus, steps: list[Step]) -> None:
        self.broker = broker
        self.house = house
        self.agent = agent
        self.stranger = stranger
        self.steps = steps

    def of(self, kind: type[Step]) -> list[Step]:
        return [step for step in self.steps if isinstance(step, kind)]

    def told_the_time(self) -> bool:
        return any(isinstance(step, Answer) and "It is" in step.text for step in self.steps)

    async def order(self, name: str, *, expires_in_s: float = 20, retain: bool = False, text: str = LIGHT_ON) -> None:
        payload = {"id": name, "text": text, "expires": time.time() + expires_in_s}
        await self.stranger.publish(Message(ORDERS, json.dumps(payload).encode(), qos=1, retain=retain))


@asynccontextmanager
async def world(folder: Path, *, broker: Mosquitto | None = None, deadline_s: float = 2.0) -> AsyncIterator[World]:
    if broker is None:
        with mosquitto() as fresh:
            async with world(folder, broker=fresh, deadline_s=deadline_s) as inner:
                yield inner
        return
    house, steps = small_house(), list[Step]()
    settings = AgentSettings(
        device=DeviceSettings(area="Kitchen", state_dir=folder),
        broker=broker_settings(broker.port),
        acting=ActingSettings(deadline_s=deadline_s),
    )
    neighbours = asyncio.create_task(live(house, settings.broker))
    try:
        async with (
            connect(settings.broker, client_id="stranger") as stranger,
            opened(settings, Parts(steps.append), Reports(settings.device)) as agent,
        ):
            await stranger.until(connected=True)
            await agent.settle()
            await eventually(lambda: len(agent.devices.all_devices()) == 6)
            await eventually(lambda: agent.interpreter.automaton.parse(LIGHT_ON.split()))
            yield World(broker, house, agent, stranger, steps)
    finally:
        neighbours.cancel()


def check(test: Callable[[World], object], folder: Path) -> None:
    async def journey() -> None:
        async with world(folder) as here:
            await test(here)  # type: ignore[misc]  # every test here is a coroutine function

    run(journey(), 60)


def test_an_order_from_the_bus_is_carried_out_once_however_often_it_is_delivered(tmp_path: Path) -> None:  # A46
    async def test(here: World) -> None:
        for _ in range(3):
            await here.order("order-1")
        await here.order("order-2", text="what time is it")
        await eventually(here.told_the_time)
        assert len(here.of(Outcome)) == 1

    check(test, tmp_path)


def test_a_repeated_order_is_recognised_after_a_restart(tmp_path: Path) -> None:  # A46
    async def journey() -> None:
        with mosquitto() as broker:
            for _ in range(2):
                async with world(tmp_path, broker=broker) as here:
                    await here.order("order-1")
                    await here.order(f"order-{time.monotonic_ns()}", text="what time is it")
                    await eventually(here.told_the_time)
                    outcomes = len(here.of(Outcome))
            assert outcomes == 0, "the second run did it again"

    run(journey(), 60)


def test_a_retained_or_expired_order_is_ignored(tmp_path: Path) -> None:  # A47, A48
    async def journey() -> None:
        with mosquitto() as broker:
            async with connect(broker_settings(broker.port), client_id="planter") as planter:
                await planter.until(connected=True)
                old = {"id": "planted", "text": LIGHT_ON, "expires": time.time() + 20}
                await planter.publish(Message(ORDERS, json.dumps(old).encode(), qos=1, retain=True))
                await eventually(lambda: not len(planter.outbox))
            async with world(tmp_path, broker=broker) as here:
                await here.order("stale", expires_in_s=-1)
                await here.stranger.publish(Message(ORDERS, b"{" * 5000, qos=1))
                await here.order("fresh", text="what time is it")
                await eventually(lambda: here.of(Answer))
                assert not here.of(Outcome)
                assert here.house.state("kitchen_light")["POWER"] == "OFF"

    run(journey(), 60)


def test_an_order_that_waited_at_the_broker_waits_until_the_devices_are_known(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        other = DeviceSettings(id="other", area="Kitchen", state_dir=tmp_path / "other")
        settings = here.agent.settings.model_copy(update={"device": other})
        async with opened(settings, Parts(here.steps.append), Reports(other)) as agent:
            await eventually(lambda: agent.bus.is_connected and agent.bus.is_answered)
        body = {"id": "order-1", "text": LIGHT_ON, "expires": time.time() + 60}
        topic = ORDERS.replace("edgeagent", "other")
        await here.stranger.deliver(Message(topic, json.dumps(body).encode(), qos=1))
        async with proxy(here.broker.port) as (way, port):
            way.late_s = 1.0  # it has the order a second before the broker answers what it asks for
            settings = settings.model_copy(update={"broker": broker_settings(port)})
            here.steps.clear()
            async with opened(settings, Parts(here.steps.append), Reports(other)):
                await eventually(lambda: here.of(Outcome) or here.of(Rejection), within_s=20)
        assert [step.status for step in here.steps if isinstance(step, Outcome)] == ["done"], here.steps

    check(test, tmp_path)


def test_while_the_broker_is_away_orders_fail_and_are_never_sent_later(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        here.broker.stop()
        await here.agent.bus.until(connected=False)
        (outcome,) = await here.agent.obey_text(LIGHT_ON)
        assert outcome.status == "failed"
        assert "cannot be reached" in outcome.reason
        here.broker.start()
        back_s, blinds = time.monotonic(), _device(here, "Living room blinds")
        await eventually(lambda: (here.agent.devices.seen_s(blinds.id) or 0) > back_s)
        (outcome,) = await here.agent.obey_text("close the living room blinds")
        assert outcome.status == "done", outcome.reason
        assert here.house.state("kitchen_light")["POWER"] == "OFF"

    check(test, tmp_path)


def test_the_emergency_stop_does_not_wait_for_what_is_being_done(tmp_path: Path) -> None:  # A79
    async def test(here: World) -> None:
        here.house.break_down("kitchen_light", "dead")
        for number in range(8):  # more than may wait: each takes the whole deadline
            await here.order(f"slow-{number}")
        await eventually(lambda: here.of(Command))
        await here.order("stop", text="emergency stop")
        await eventually(lambda: any(_is_of_the_stop(step) for step in here.steps))
        assert not here.of(Outcome)

    check(test, tmp_path)


def test_an_order_that_waited_too_long_for_others_is_not_carried_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(here: World) -> None:
        here.house.break_down("kitchen_light", "dead")
        await here.order("slow")  # takes the whole deadline of 2 s
        await here.order("late", expires_in_s=1, text="close the living room blinds")
        await here.order("patient", text="what time is it")
        await eventually(here.told_the_time)
        assert [step.intent for step in here.steps if isinstance(step, Command)] == ["turn_on", "get_time"]
        assert [getattr(line, "order", None) for line in caplog.records if line.message == "order refused"] == ["late"]

    check(test, tmp_path)


def _is_of_the_stop(step: Step) -> bool:
    return isinstance(step, Answer) and step.text == "There is no machine to stop."


def test_a_device_that_is_gone_is_said_so(tmp_path: Path) -> None:  # A73
    async def test(here: World) -> None:
        for message in here.house.leave("kitchen_light"):
            await here.stranger.publish(Message(message.topic, message.payload, qos=1, retain=True))
        light = _device(here, "Kitchen light")
        await eventually(lambda: not here.agent.devices.is_available(light.id))
        assert not await here.agent.obey_text(LIGHT_ON)
        rejection = here.of(Rejection)[-1]
        assert isinstance(rejection, Rejection)
        assert "offline" in rejection.detail

    check(test, tmp_path)


@pytest.mark.parametrize(("fault", "words"), [("dead", "still says off"), ("lying", "still says off")])
def test_a_device_that_does_not_change_has_failed(tmp_path: Path, fault: str, words: str) -> None:  # A74
    async def journey() -> None:
        async with world(tmp_path, deadline_s=0.5) as here:
            here.house.break_down("kitchen_light", fault)  # type: ignore[arg-type]
            (outcome,) = await here.agent.obey_text(LIGHT_ON)
            assert outcome.status == "failed"
            assert words in outcome.reason

    run(journey(), 60)


def test_a_device_that_comes_is_understood_and_one_that_leaves_is_not(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        announcement = {
            "name": "Zebra lamp",
            "command_topic": "zebra/set",
            "state_topic": "zebra/state",
            "unique_id": "z",
        }
        topic = "homeassistant/light/zebra/config"
        words = ["turn", "on", "the", "zebra", "lamp"]
        await here.stranger.publish(Message(topic, json.dumps(announcement).encode(), qos=1, retain=True))
        await eventually(lambda: here.agent.interpreter.automaton.parse(words))
        await here.stranger.publish(Message(topic, b"", qos=1, retain=True))
        await eventually(lambda: not here.agent.interpreter.automaton.parse(words))

    check(test, tmp_path)


def test_garbage_on_the_discovery_topics_changes_nothing(tmp_path: Path) -> None:  # A60, A75
    async def test(here: World) -> None:
        base = "homeassistant/light/x"
        bad = [
            b"\xff\xfe",
            b"[" * 10_000,
            b'{"name": NaN}',
            b'{"name":"a","command_topic":"a/#"}',
            b"x" * 200_000,
            b"null",
        ]
        for number, payload in enumerate(bad):
            await here.stranger.publish(Message(f"{base}{number}/config", payload, qos=1))
        await eventually(lambda: here.agent.devices.counts["refused"] >= len(bad))
        assert len(here.agent.devices.all_devices()) == 6
        (outcome,) = await here.agent.obey_text(LIGHT_ON)
        assert outcome.status == "done"

    check(test, tmp_path)


def _device(here: World, name: str) -> Device:
    return next(device for device in here.agent.devices.all_devices() if device.name == name)


def test_what_an_owner_teaches_works_a_moment_later_and_can_be_taken_back(tmp_path: Path) -> None:
    async def journey() -> None:
        async with world(tmp_path) as here:
            await here.agent.obey_text("let the show begin")
            assert here.house.state("kitchen_light")["POWER"] == "OFF"
            lesson = f'teach: [{{say: ["let the show begin"], means: "{LIGHT_ON}"}}]'
            await asyncio.to_thread(add_lessons, tmp_path / TAUGHT, lesson, "lesson")
            await eventually(
                lambda: here.agent.interpreter.automaton.parse(["let", "the", "show", "begin"]), within_s=15
            )
            await here.agent.obey_text("let the show begin")
            assert here.house.state("kitchen_light")["POWER"] == "ON"
            await asyncio.to_thread(take_back, tmp_path / TAUGHT)
            await eventually(
                lambda: not here.agent.interpreter.automaton.parse(["let", "the", "show", "begin"]), within_s=15
            )

    run(journey(), 60)


def test_what_is_unsure_is_asked_about_and_done_after_a_yes(tmp_path: Path) -> None:
    async def journey() -> None:
        async with world(tmp_path) as here:
            await here.agent.obey_text("turn on the kitchn light")
            assert here.house.state("kitchen_light")["POWER"] == "OFF"
            assert here.of(Question)
            await here.agent.obey_text("yes")
            assert here.house.state("kitchen_light")["POWER"] == "ON"

    run(journey(), 60)
