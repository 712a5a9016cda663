"""Home Assistant and a Rhasspy site on a real mosquitto, with an agent between them that is seen, ordered and asked."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from brokers import HAS_MOSQUITTO, Mosquitto, eventually, mosquitto, run
from brokers import settings as broker_settings

from edgeagent import topics
from edgeagent.agent import Agent, Parts
from edgeagent.bridges.control import Control
from edgeagent.bridges.homeassistant import Condition, InHomeAssistant
from edgeagent.bus import Bus, connect
from edgeagent.duties import doing
from edgeagent.inbox import Received
from edgeagent.lifetimes import opened
from edgeagent.messages import Interpretation, Message, Step, Woken
from edgeagent.reports import Reports
from edgeagent.settings import (
    AgentSettings,
    DeviceSettings,
    HermesSettings,
    HomeAssistantSettings,
    UnderstandingSettings,
)
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live
from edgeagent.understand.text import typed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
        reason="mosquitto is not installed: apt-get install mosquitto",
    ),
]
CONFIG = "homeassistant/device/edgeagent_home_edgeagent/config"
ORDERS = "ea/1/home/d/edgeagent/dn/ha"
UP = "ea/1/home/d/edgeagent/up"
LIGHT_ON = "turn on the kitchen light"


@dataclass
class Driven:
    """An agent as the bridges drive it; what it has no ear for here is written down."""

    agent: Agent
    parts: Parts
    wanted: list[object] = field(default_factory=list)
    unsure_below: float = 0.4
    speaks: asyncio.Event = field(default_factory=asyncio.Event)

    def mute(self, *, on: bool) -> None:
        self.agent.mute(on=on)

    def listen(self, by: str) -> None:
        self.parts.bell.ring(by)

    def stop_listening(self) -> None:
        self.wanted.append("stop listening")

    def use_threshold(self, unsure_below: float) -> None:
        self.unsure_below = unsure_below

    def use_cutoff(self, cutoff: float) -> None:
        self.wanted.append(cutoff)

    def understand(self, text: str) -> Interpretation:
        return self.agent.interpreter.interpret(typed("query", text))

    async def say(self, text: str) -> None:
        self.wanted.append(text)
        await self.speaks.wait()

    def condition(self) -> Condition:
        return Condition(len(self.agent.devices.all_devices()), self.unsure_below, None, hears=True)


@dataclass
class World:
    house: House
    agent: Agent
    driven: Driven
    control: Control
    stranger: Bus
    seen: list[Received]
    steps: list[Step]

    async def publish(self, topic: str, payload: object, *, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self.stranger.publish(Message(topic, data, qos=1, retain=retain))

    def on(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(one.payload) for one in self.seen if one.topic == topic and one.payload]

    def events(self) -> list[str]:
        return [event["event_type"] for event in self.on(f"{UP}/ha/event")]


@asynccontextmanager
async def world(folder: Path, broker: Mosquitto, *, announce: bool = True) -> AsyncIterator[World]:
    settings = AgentSettings(
        device=DeviceSettings(area="Kitchen", state_dir=folder),
        broker=broker_settings(broker.port),
        homeassistant=HomeAssistantSettings(announce=announce),
        hermes=HermesSettings(site="kitchen"),
        understanding=UnderstandingSettings(model="off"),
    )
    house, steps, seen, tellers = small_house(), list[Step](), list[Received](), list[Control]()

    def report(step: Step) -> None:
        steps.append(step)
        for control in tellers:
            control.tell(step)

    parts = Parts(report)
    neighbours = asyncio.create_task(live(house, settings.broker))
    try:
        async with (
            connect(settings.broker, client_id="stranger") as stranger,
            connect(settings.broker, client_id="bridges") as link,
            opened(alone(settings), parts, Reports(settings.device)) as agent,
        ):
            await stranger.until(connected=True)
            stranger.subscribe("homeassistant/device/#", f"{UP}/#", "hermes/#")
            await agent.settle()
            await eventually(lambda: agent.interpreter.automaton.parse(LIGHT_ON.split()))
            driven = Driven(agent, parts)
            driven.speaks.set()
            home = InHomeAssistant(settings, topics.Address("home", "edgeagent"), "command-en", "1.0")
            async with driving(settings, home, driven, link) as control:
                tellers.append(control)
                async with doing({"look": look(stranger, seen)}):
                    yield World(house, agent, driven, control, stranger, seen, steps)
    finally:
        neighbours.cancel()


def alone(settings: AgentSettings) -> AgentSettings:
    """Return settings with which the agent itself says nothing on these topics: here the test drives the bridges."""
    silent = {"homeassistant": HomeAssistantSettings(announce=False), "hermes": HermesSettings()}
    return settings.model_copy(update=silent)


@asynccontextmanager
async def driving(settings: AgentSettings, home: InHomeAssistant, driven: Driven, link: Bus) -> AsyncIterator[Control]:
    offered: asyncio.Queue[Message] = asyncio.Queue(100)
    control = Control(settings, home, driven, offered.put_nowait)

    async def take() -> None:
        async for received in link.received():
            control.take(received)
            received.acknowledge()

    async def send() -> None:
        while True:
            await link.publish(await offered.get())

    link.subscribe(*control.filters)
    duties = {"take": take(), "send": send(), "obey": control.obey(), "watch": control.watch()}
    async with doing({**duties, "greet": control.greet(link), "announce": control.announce()}):
        await eventually(lambda: link.is_subscribed)
        yield control


async def look(bus: Bus, seen: list[Received]) -> None:
    async for received in bus.received():
        seen.append(received)
        received.acknowledge()


def test_home_assistant_finds_the_device_mutes_it_and_sees_what_is_done(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                await eventually(lambda: home.on(CONFIG) and home.on(f"{UP}/ha/condition"))
                (config,) = home.on(CONFIG)
                mute = config["components"]["mute"]
                assert home.on(f"{UP}/ha/condition")[-1]["devices"] == 6
                assert home.on(f"{UP}/ha/model") == [
                    {"installed_version": "1.0", "latest_version": "1.0", "title": "command-en"}
                ]
                await home.publish(mute["command_topic"], mute["payload_on"].encode())
                await eventually(lambda: home.on(mute["state_topic"])[-1]["muted"])
                assert home.driven.parts.muted.is_set()
                await home.publish(mute["command_topic"], mute["payload_off"].encode())
                await eventually(lambda: not home.driven.parts.muted.is_set())
                await home.agent.obey_text(LIGHT_ON)
                await eventually(lambda: home.events() == ["command", "done"])
                assert home.on(f"{UP}/ha/event")[0]["intent"] == "turn_on"
                assert [one.payload for one in home.seen if one.topic == f"{UP}/ha/answer"] == [b"Kitchen light on."]

    run(journey())


def test_the_knobs_turn_the_agent_and_show_what_is_in_force(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                await home.publish(f"{ORDERS}/threshold", b"0.65")
                await eventually(lambda: any(one["threshold"] == 0.65 for one in home.on(f"{UP}/ha/condition")))
                assert home.driven.unsure_below == 0.65
                await home.publish(f"{ORDERS}/listen", b"PRESS")
                await eventually(lambda: home.driven.parts.bell.heard() == "home assistant")

    run(journey())


def test_a_home_assistant_that_starts_later_is_told_everything_anew(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                await eventually(lambda: home.on(CONFIG))
                for _ in range(20):
                    await home.publish("homeassistant/status", b"online")
                await eventually(lambda: len(home.on(CONFIG)) == 2)
                await asyncio.sleep(0.5)
                assert len(home.on(CONFIG)) == 2

    run(journey())


def test_a_broker_that_forgot_everything_is_told_anew(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                await eventually(lambda: home.on(CONFIG))
                broker.stop()
                broker.start()
                await eventually(lambda: len(home.on(CONFIG)) == 2, within_s=10)

    run(journey())


def test_kept_and_senseless_wishes_change_nothing(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with connect(broker_settings(broker.port), client_id="planter") as planter:
                await planter.until(connected=True)
                await planter.publish(Message(f"{ORDERS}/mute", b"ON", qos=1, retain=True))
                await planter.publish(Message("hermes/hotword/toggleOff", b'{"siteId":"kitchen"}', qos=1, retain=True))
                await asyncio.sleep(0.2)
            async with world(tmp_path, broker) as home:
                await home.publish(f"{ORDERS}/threshold", b"9")
                await home.publish("hermes/tts/say", b"\xff" * 9000)
                await home.publish(f"{ORDERS}/threshold", b"0.5")
                await eventually(lambda: home.driven.unsure_below == 0.5)
                assert not home.driven.parts.muted.is_set()
                assert home.driven.wanted == []

    run(journey())


def test_our_own_announcement_is_no_device_of_the_house(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                await eventually(lambda: home.on(CONFIG))
                await asyncio.sleep(0.3)
                assert len(home.agent.devices.all_devices()) == 6

    run(journey())


def test_who_is_not_to_be_announced_is_taken_out_of_home_assistant(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with connect(broker_settings(broker.port), client_id="before") as before:
                await before.until(connected=True)
                await before.publish(Message(CONFIG, b'{"device":{}}', qos=1, retain=True))
                await asyncio.sleep(0.2)
            async with world(tmp_path, broker, announce=False) as home:
                await eventually(lambda: any(one.topic == CONFIG and one.payload == b"" for one in home.seen))
                await home.agent.obey_text(LIGHT_ON)
                assert home.events() == []

    run(journey())


def test_a_rhasspy_site_asks_without_anything_being_done_and_hears_of_what_is(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                query = {"siteId": "kitchen", "input": LIGHT_ON, "id": "q1"}
                await home.publish("hermes/nlu/query", query)
                await eventually(lambda: home.on("hermes/intent/turn_on"))
                assert home.on("hermes/intent/turn_on")[0]["id"] == "q1"
                await home.publish("hermes/nlu/query", query | {"input": "sing me a sad old song"})
                await eventually(lambda: home.on("hermes/nlu/intentNotRecognized"))
                assert home.house.state("kitchen_light").get("state") != "ON"
                assert home.steps == []
                await home.agent.obey_text(LIGHT_ON)
                await eventually(lambda: len(home.on("hermes/intent/turn_on")) == 2)
                assert home.on("hermes/intent/turn_on")[1]["siteId"] == "kitchen"

    run(journey())


def test_a_rhasspy_site_speaks_through_the_device_and_begins_a_session(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                await home.publish("hermes/tts/say", {"siteId": "kitchen", "text": "Dinner is ready", "id": "t1"})
                await eventually(lambda: home.on("hermes/tts/sayFinished"))
                assert home.driven.wanted == ["Dinner is ready"]
                init = {"type": "action", "text": "Which room?"}
                await home.publish("hermes/dialogueManager/startSession", {"siteId": "kitchen", "init": init})
                await eventually(lambda: home.driven.parts.bell.heard() == "hermes")
                home.control.tell(Woken("hermes"))
                await eventually(lambda: home.on("hermes/dialogueManager/sessionStarted"))
                (started,) = home.on("hermes/dialogueManager/sessionStarted")
                end = {"siteId": "kitchen", "sessionId": started["sessionId"]}
                await home.publish("hermes/dialogueManager/endSession", end)
                await eventually(lambda: home.on("hermes/dialogueManager/sessionEnded"))
                assert home.driven.wanted == ["Dinner is ready", "Which room?", "stop listening"]

    run(journey())


def test_a_site_that_says_too_much_at_once_is_not_heard_out(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with world(tmp_path, broker) as home:
                home.driven.speaks.clear()
                for number in range(20):
                    await home.publish("hermes/tts/say", {"siteId": "kitchen", "text": f"{number}"})
                await eventually(lambda: home.control.dropped == 15)
                home.driven.speaks.set()
                await eventually(lambda: len(home.driven.wanted) == 5)

    run(journey())
