"""Devices of four dialects on a real mosquitto: found, spoken to, asked, renamed, gone and back."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto
from brokers import settings as broker_settings

from edgeagent.agent import Agent, Parts
from edgeagent.audit import AUDIT, check, entries_of
from edgeagent.bus import Bus, connect
from edgeagent.lifetimes import opened
from edgeagent.messages import Message, Step
from edgeagent.reports import Reports
from edgeagent.settings import ActingSettings, AgentSettings, DeviceSettings
from edgeagent.simulate.house import House, mixed_house
from edgeagent.simulate.live import live

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
OWN = """
- name: Gate motor
  kind: machine
  run: {order: {topic: gate/set, words: {running: "1", stopped: "0"}}, state: {topic: gate/is}}
"""


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[tuple[House, Agent, Bus]]:
    (folder / "own.yaml").write_text(OWN)
    house, steps = mixed_house(), list[Step]()
    with mosquitto() as broker:
        settings = AgentSettings(
            device=DeviceSettings(state_dir=folder),
            broker=broker_settings(broker.port),
            acting=ActingSettings(device_files=(folder / "own.yaml",)),
        )
        neighbours = asyncio.create_task(live(house, settings.broker))
        try:
            async with (
                connect(settings.broker, client_id="stranger") as stranger,
                opened(settings, Parts(steps.append), Reports(settings.device)) as agent,
            ):
                await stranger.until(connected=True)
                await eventually(lambda: len(agent.devices.all_devices()) == 6)
                await agent.settle()  # at most some seconds, which a busy machine may need for the names alone
                await eventually(lambda: agent._compiled == agent.devices.version)  # noqa: SLF001  # nobody else asks
                yield house, agent, stranger
        finally:
            neighbours.cancel()


@pytest.mark.parametrize(
    ("said", "key", "reached"),
    [
        ("turn on the coffee machine", "coffee", {"POWER": "ON"}),
        ("turn on the desk lamp", "study/desk_lamp", {"state": "ON"}),
        ("set the floor lamp to forty percent", "Floor lamp", {"brightness": 102}),
        ("turn on the pond pump", "pond", {"on": "true"}),
        ("turn on the kitchen light", "kitchen_light", {}),
    ],
)
def test_an_order_is_acknowledged_in_every_dialect(
    tmp_path: Path, said: str, key: str, reached: dict[str, object]
) -> None:
    async def journey() -> None:
        async with home(tmp_path) as (house, agent, _):
            outcomes = await agent.obey_text(said)
            assert [outcome.status for outcome in outcomes] == ["done"]
            assert reached.items() <= house.state(key).items()

    asyncio.run(journey())
    told = [(entry["step"], entry.get("text")) for entry in entries_of(tmp_path / AUDIT)]
    assert told[0] == ("understood", said)
    assert told[-1][0] == "done"
    assert check(tmp_path / AUDIT).problems == ()


def test_an_own_device_is_ordered_on_its_topics_after_a_yes(tmp_path: Path) -> None:
    async def journey() -> None:
        async with home(tmp_path) as (_, agent, stranger):
            stranger.subscribe("gate/set")
            ordered: list[bytes] = []

            async def motor() -> None:
                async for received in stranger.received():
                    received.acknowledge()
                    ordered.append(received.payload)
                    await stranger.publish(Message("gate/is", received.payload, qos=1, retain=True))

            turning = asyncio.create_task(motor())
            await asyncio.sleep(0.1)
            assert await agent.obey_text("start the gate motor") == ()
            assert ordered == []
            outcomes = await agent.obey_text("yes")
            assert [outcome.status for outcome in outcomes] == ["done"]
            assert ordered == [b"1"]
            turning.cancel()

    asyncio.run(journey())


def test_a_renamed_device_is_known_by_its_new_name_and_one_that_left_no_more(tmp_path: Path) -> None:
    async def journey() -> None:
        async with home(tmp_path) as (house, agent, stranger):

            async def publish(*messages: Message) -> None:
                for message in messages:
                    await stranger.publish(Message(message.topic, message.payload, qos=1, retain=message.retain))

            await publish(*house.leave("coffee", removed=True))
            (listed,) = [one for one in house.announcements() if one.topic == "zigbee2mqtt/bridge/devices"]
            entries = json.loads(listed.payload)
            entries[1]["friendly_name"] = "Standing lamp"
            await publish(Message(listed.topic, json.dumps(entries).encode(), retain=True))

            def knows(said: str) -> bool:
                return bool(agent.interpreter.automaton.parse(said.split()))

            await eventually(lambda: knows("turn on the standing lamp"))
            assert not knows("turn on the floor lamp")
            assert not knows("turn on the coffee machine")
            await publish(*house.come_back("coffee"))
            await eventually(lambda: knows("turn on the coffee machine"))

    asyncio.run(journey())


def test_states_that_nobody_retains_are_asked_for(tmp_path: Path) -> None:
    async def journey() -> None:
        async with home(tmp_path) as (_, agent, stranger):
            plug = next(one for one in agent.devices.all_devices() if one.name == "Coffee machine")
            await eventually(lambda: agent.devices.values(plug.id) == {"power": "off"})
            asked: list[str] = []
            stranger.subscribe("cmnd/coffee/STATE")

            async def overhear() -> None:
                async for received in stranger.received():
                    received.acknowledge()
                    asked.append(received.topic)

            overhearing = asyncio.create_task(overhear())
            await asyncio.sleep(0.1)
            discovery = "tasmota/discovery/DC4F224A1B2C/config"
            await stranger.publish(Message(discovery, b"", qos=1, retain=True))
            for message in mixed_house().announcements():
                if message.topic == discovery:
                    await stranger.publish(Message(message.topic, message.payload, qos=1, retain=True))
            await eventually(lambda: asked == ["cmnd/coffee/STATE"])
            overhearing.cancel()

    asyncio.run(journey())


def test_the_last_order_is_undone_on_the_bus(tmp_path: Path) -> None:
    async def journey() -> None:
        async with home(tmp_path) as (house, agent, _):
            plug = next(one for one in agent.devices.all_devices() if one.name == "Coffee machine")
            await eventually(lambda: agent.devices.values(plug.id) == {"power": "off"})
            await agent.obey_text("turn on the coffee machine")
            assert house.state("coffee") == {"POWER": "ON"}
            outcomes = await agent.obey_text("undo that")
            assert [outcome.status for outcome in outcomes] == ["done"]
            assert house.state("coffee") == {"POWER": "OFF"}

    asyncio.run(journey())
