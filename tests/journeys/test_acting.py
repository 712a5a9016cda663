"""Acting on a real mosquitto: several orders at once, confirmations from everywhere, rules, orders for later."""

# ruff: noqa: I001  # ours comes first: it knows that the wyoming package's own import warns on Python 3.11

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from brokers import HAS_MOSQUITTO, Mosquitto, eventually, free_port, mosquitto, run
from brokers import settings as broker_settings

from edgeagent.act.queries import words_now
from edgeagent.agent import QUIET_S, Agent, Parts
from edgeagent.lifetimes import opened
from edgeagent.agenda import AGENDA
from edgeagent.bell import ask
from edgeagent.bridges import wyoming as _  # noqa: F401  # see above
from edgeagent.bus import Bus, connect
from edgeagent.messages import Answer, Message, Outcome, Published, Question, Rejection, Step
from edgeagent.reports import Reports
from edgeagent.settings import ActingSettings, AgentSettings, DeviceSettings, HomeAssistantSettings
from edgeagent.simulate.appliances import Appliance, State, blinds, dimmer, fan, simple
from edgeagent.simulate.house import House
from edgeagent.simulate.live import live
from wyoming.client import AsyncClient
from wyoming.asr import Transcript

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
DOWN = "ea/1/home/d/edgeagent/dn/do"
HA_EVENTS = "ea/1/home/d/edgeagent/up/ha/event"
PRESS_RULE = """
rules:
  - rule: The press stands still while its door is open
    orders: {devices: [Press], to: [running]}
    while: [{device: Press door, is: open}]
    say: Close the door of the press first.
"""
ROOM_S = 90


def _twitch(state: State, _topic: str, order: str) -> tuple[State, ...]:
    """Do as ordered, and go back at once."""
    return ({"state": order}, state) if order in {"ON", "OFF"} else ()


def rooms() -> House:
    """A kitchen, a bedroom with a fan, a hall with a lock, and a workshop with a press behind a door."""
    switch, machine = {"ON": "ON", "OFF": "OFF"}, {"START": "RUNNING", "STOP": "STOPPED"}
    runs = {"payload_on": "START", "payload_off": "STOP", "state_on": "RUNNING", "state_off": "STOPPED"}
    things: tuple[Appliance, ...] = (
        dimmer("kitchen_light", "Kitchen light", "Kitchen"),
        simple("switch", "kettle", "Kettle", "Kitchen", "OFF", switch, device_class="outlet"),
        blinds("living_room_blinds", "Living room blinds", "Living room"),
        fan("bedroom_fan", "Bedroom fan", "Bedroom"),
        simple("lock", "front_door", "Front door", "Hall", "LOCKED", {"LOCK": "LOCKED", "UNLOCK": "UNLOCKED"}),
        simple("switch", "press", "Press", "Workshop", "STOPPED", machine, edgeagent_kind="machine", **runs),
        simple("binary_sensor", "press_door", "Press door", "Workshop", "ON", {}, device_class="door"),
        replace(simple("switch", "relay", "Loose relay", "Workshop", "OFF", switch), react=_twitch),
    )
    return House(things, delay_s=0.02)


@dataclass
class World:
    house: House
    agent: Agent
    stranger: Bus
    steps: list[Step]

    def of(self, kind: type[Step]) -> list[Any]:
        return [step for step in self.steps if isinstance(step, kind)]

    async def publish(self, *messages: Message) -> None:
        for message in messages:
            await self.stranger.publish(Message(message.topic, message.payload, qos=1, retain=message.retain))


@asynccontextmanager
async def world(folder: Path, **acting: Any) -> AsyncIterator[World]:
    house, steps = rooms(), list[Step]()
    with mosquitto() as broker:
        settings = AgentSettings(
            device=DeviceSettings(area="Kitchen", state_dir=folder),
            broker=broker_settings(broker.port),
            acting=ActingSettings(**({"deadline_s": 2.0} | acting)),
            homeassistant=HomeAssistantSettings(announce=False),
        )
        neighbours = asyncio.create_task(live(house, settings.broker))
        try:
            async with (
                connect(settings.broker, client_id="stranger") as stranger,
                opened(settings, Parts(steps.append), Reports(settings.device)) as agent,
            ):
                await stranger.until(connected=True)
                await eventually(lambda: len(agent.devices.all_devices()) == len(house.keys))
                await eventually(lambda: agent.interpreter.automaton.parse(["start", "the", "press"]), within_s=15)
                yield World(house, agent, stranger, steps)
        finally:
            neighbours.cancel()


def check(test: Callable[[World], Any], folder: Path, **acting: Any) -> None:
    async def journey() -> None:
        async with world(folder, **acting) as here:
            await test(here)

    run(journey(), 60)


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def test_what_one_sentence_orders_is_all_done_in_its_order(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        said = "turn on the kettle and close the living room blinds and then turn on the bedroom fan"
        outcomes = await here.agent.obey_text(said)
        assert [one.action.device.name for one in outcomes] == ["Kettle", "Living room blinds", "Bedroom fan"]
        assert set(statuses(outcomes)) == {"done"}
        assert here.house.state("kettle")["state"] == "ON"
        assert here.house.state("living_room_blinds")["state"] == "closed"

    check(test, tmp_path)


def test_of_several_orders_what_is_guarded_waits_for_a_yes_and_what_follows_for_it(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        (outcome,) = await here.agent.obey_text("turn on the kettle and unlock the front door and turn on the fan")
        assert outcome.action.device.name == "Kettle"
        assert here.house.state("front_door")["state"] == "LOCKED"
        outcomes = await here.agent.obey_text("yes")
        assert [one.action.device.name for one in outcomes] == ["Front door", "Bedroom fan"]
        assert here.house.state("front_door")["state"] == "UNLOCKED"

    check(test, tmp_path)


@pytest.mark.parametrize(("is_yes", "state"), [(True, "UNLOCKED"), (False, "LOCKED")])
def test_a_question_is_answered_by_an_order_from_the_bus_once(tmp_path: Path, *, is_yes: bool, state: str) -> None:
    async def test(here: World) -> None:
        await here.agent.obey_text("unlock the front door")
        answer = {"id": "answer-1", "yes": is_yes, "expires": time.time() + 20}
        for _again in range(3):
            await here.publish(Message(f"{DOWN}/confirm", json.dumps(answer).encode()))
        stale = answer | {"id": "answer-2", "yes": True, "expires": time.time() - 1}
        await here.publish(Message(f"{DOWN}/confirm", json.dumps(stale).encode()))
        said = {"id": "say-1", "text": "what time is it", "expires": time.time() + 20}
        await here.publish(Message(f"{DOWN}/say", json.dumps(said).encode()))
        await eventually(lambda: any("It is" in one.text for one in here.of(Answer)))
        await eventually(lambda: here.house.state("front_door")["state"] == state)
        assert len(here.of(Published)) == int(is_yes)
        assert [one.reason for one in here.of(Rejection)] == []

    check(test, tmp_path)


def test_a_rule_of_the_house_holds_for_as_long_as_what_it_speaks_of(tmp_path: Path) -> None:
    house_file = tmp_path / "house.yaml"
    house_file.write_text(PRESS_RULE)

    async def test(here: World) -> None:
        assert await here.agent.obey_text("start the press") == ()
        assert here.of(Rejection)[-1].reason == "not-allowed"
        assert "Close the door of the press first" in here.of(Answer)[-1].text
        assert await here.agent.obey_text("yes") == ()
        assert here.house.state("press")["state"] == "STOPPED"
        await here.publish(*here.house.change("press_door", {"state": "OFF"}))
        await eventually(lambda: _is_closed(here))
        await here.agent.obey_text("start the press")
        assert here.of(Question)
        await here.publish(*here.house.change("press_door", {"state": "ON"}))
        await eventually(lambda: not _is_closed(here))
        assert await here.agent.obey_text("yes") == ()
        assert here.house.state("press")["state"] == "STOPPED", "the door was opened after the question"
        await here.publish(*here.house.change("press_door", {"state": "OFF"}))
        await eventually(lambda: _is_closed(here))
        await here.agent.obey_text("start the press")
        assert statuses(await here.agent.obey_text("yes")) == ["done"]
        await here.publish(*here.house.change("press_door", {"state": "ON"}))
        assert statuses(await here.agent.obey_text("stop the press")) == ["done"], "a stop is always free"

    check(test, tmp_path, house_file=house_file)


def _is_closed(here: World) -> bool:
    (door,) = here.agent.devices.named("Press door")
    return "closed" in words_now(door, here.agent.devices.values(door.id))


def test_what_is_ordered_for_two_seconds_ends_after_them(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        began = time.monotonic()
        assert statuses(await here.agent.obey_text("turn on the bedroom fan for two seconds")) == ["done"]
        assert _is_on(here.house, "bedroom_fan")
        await eventually(lambda: not _is_on(here.house, "bedroom_fan"), within_s=6)
        assert 1.8 < time.monotonic() - began < 4
        await eventually(lambda: json.loads((tmp_path / AGENDA).read_text())["planned"] == [])

    check(test, tmp_path)


def _is_on(house: House, key: str) -> bool:
    state = house.state(key)
    return "ON" in {str(value).upper() for value in state.values()}


def test_a_storm_of_orders_is_refused_and_stops_what_runs(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        await here.agent.obey_text("start the press")
        assert statuses(await here.agent.obey_text("yes")) == ["done"]
        for number in range(6):
            text = f"turn {'on' if number % 2 else 'off'} the kettle"
            await here.agent.obey_text(text)
        await eventually(lambda: here.house.state("press")["state"] == "STOPPED")
        assert {one.reason for one in here.of(Rejection)} == {"busy"}
        assert sum("Too many orders" in one.text for one in here.of(Answer)) == 1
        published = len(here.of(Published))
        assert await here.agent.obey_text("turn on the kitchen light") == ()
        assert len(here.of(Published)) == published
        assert statuses(await here.agent.obey_text("stop the press")) == ["done"]

    check(test, tmp_path, orders_per_minute=3)


def test_a_device_that_jumps_back_has_failed(tmp_path: Path) -> None:
    async def test(here: World) -> None:
        (outcome,) = await here.agent.obey_text("turn on the loose relay")
        assert (outcome.status, outcome.reason) == ("failed", "went back to off")

    check(test, tmp_path)


def test_a_renamed_device_can_be_said_within_two_seconds(tmp_path: Path) -> None:
    """The fastest of three, by what it computes: other tests may keep the machine busy."""

    async def test(here: World) -> None:
        kettle = next(one for one in here.house.announcements() if "kettle/config" in one.topic)
        config = json.loads(kettle.payload)
        place = "device" if "device" in config else "dev"
        took_s, before = [], "kettle"
        for name in ("samovar", "urn", "cauldron"):
            renamed = config | {place: {**config[place], "name": name}}
            renamed["name"] = name if config.get("name") is not None else None
            began = time.process_time()
            await here.publish(Message(kettle.topic, json.dumps(renamed).encode(), retain=True))
            words = ["turn", "on", "the", name]
            await eventually(partial(_is_sentence, here, words), within_s=15)
            took_s.append(QUIET_S + time.process_time() - began)
            assert not here.agent.interpreter.automaton.parse(["turn", "on", "the", before])
            before = name
        assert min(took_s) < 2
        assert statuses(await here.agent.obey_text("turn on the cauldron")) == ["done"]

    check(test, tmp_path)


def _is_sentence(here: World, words: Sequence[str]) -> bool:
    return bool(here.agent.interpreter.automaton.parse(words))


class Daemon:
    """The running daemon, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def logged(self, words: str) -> None:
        assert self.process.stderr is not None
        while words not in (line := (await self.process.stderr.readline()).decode()):
            assert line, f"it ended before it said {words!r}"


@asynccontextmanager
async def daemon(folder: Path, broker: Mosquitto, more: str = "") -> AsyncIterator[Daemon]:
    """The daemon, ready, in a quiet room."""
    room = folder / "room.flac"
    if not room.exists():
        soundfile.write(room, np.random.default_rng(1).normal(0, 0.0005, ROOM_S * 16_000), 16_000)
    settings_of(folder, broker, more)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edgeagent", "run", "--settings", str(folder / "edgeagent.toml"), "--wav", str(room),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        running = Daemon(process)
        await running.logged("ready")
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def settings_of(folder: Path, broker: Mosquitto, more: str) -> None:
    (folder / "edgeagent.toml").write_text(
        f'[device]\narea = "Kitchen"\nstate_dir = "{folder}/state"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n[answering]\nspeech = "off"\n{more}'
    )


async def program(folder: Path, *arguments: str) -> str:
    """Run edgeagent with the daemon's settings; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edgeagent", *arguments, "--settings", str(folder / "edgeagent.toml"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=os.environ | {"COLUMNS": "300"},
    )  # fmt: skip
    printed = (await process.communicate())[0]
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@asynccontextmanager
async def inhabited(broker: Mosquitto) -> AsyncIterator[tuple[House, Bus]]:
    """The rooms on the broker, and a stranger there."""
    house = rooms()
    neighbours = asyncio.create_task(live(house, broker_settings(broker.port)))
    try:
        async with connect(broker_settings(broker.port), client_id="stranger") as stranger:
            await stranger.until(connected=True)
            yield house, stranger
    finally:
        neighbours.cancel()


@asynccontextmanager
async def client_of(uri: str) -> AsyncIterator[AsyncClient]:
    """A Wyoming client of a server that may be just about to listen."""
    deadline = time.monotonic() + 10
    while True:
        client = AsyncClient.from_uri(uri)
        try:
            await client.connect()
            break
        except OSError:
            assert time.monotonic() < deadline, "nobody listens"
            await asyncio.sleep(0.05)
    try:
        yield client
    finally:
        await client.disconnect()


async def order(stranger: Bus, name: str, text: str) -> None:
    payload = {"id": name, "text": text, "expires": time.time() + 20}
    await stranger.publish(Message(f"{DOWN}/say", json.dumps(payload).encode(), qos=1))


@pytest.mark.parametrize(
    "away_s",
    [
        pytest.param(0.0, id="due when it is back"),
        pytest.param(5.0, id="due while it was away"),
    ],
)
def test_an_order_for_later_outlives_the_daemon_that_is_killed(tmp_path: Path, away_s: float) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with inhabited(broker) as (house, stranger):
                agenda = tmp_path / "state" / AGENDA
                async with daemon(tmp_path, broker) as killed:
                    await order(stranger, "later-1", "turn on the kettle in five seconds")
                    await eventually(lambda: agenda.exists() and json.loads(agenda.read_text())["planned"])
                    killed.process.send_signal(signal.SIGKILL)
                    await killed.process.wait()
                assert house.state("kettle")["state"] == "OFF"
                await asyncio.sleep(away_s)  # time is the point
                async with daemon(tmp_path, broker):
                    await eventually(lambda: house.state("kettle")["state"] == "ON", within_s=15)
                    await eventually(lambda: json.loads(agenda.read_text())["planned"] == [])

    run(journey(), 60)


def test_a_guarded_order_is_answered_at_the_bell_and_the_log_says_why_it_was_allowed(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker:
            async with inhabited(broker) as (house, stranger), daemon(tmp_path, broker) as running:
                await order(stranger, "unlock-1", "unlock the front door")
                await running.logged("question")
                assert house.state("front_door")["state"] == "LOCKED"
                await program(tmp_path, "answer", "yes")
                await eventually(lambda: house.state("front_door")["state"] == "UNLOCKED")
                await asyncio.to_thread(ask, tmp_path / "state", "yes")  # a second yes is about nothing
                await order(stranger, "kettle-1", "turn on the kettle")
                await eventually(lambda: house.state("kettle")["state"] == "ON")
                await asyncio.sleep(1)  # the trail is written beside the loop
                printed = await program(tmp_path, "log")
                assert "lock of Front door is guarded; confirmed" in printed
                assert "power is free" in printed
                entries = [json.loads(line) for line in (await program(tmp_path, "log", "--json")).splitlines()]
                allowed = [one["allowed_by"] for one in entries if one["step"] == "published"]
                assert allowed == ["lock of Front door is guarded; confirmed", "power is free"]

    run(journey(), 60)


def test_a_wyoming_client_has_things_done_by_the_running_daemon_and_home_assistant_hears_of_it(tmp_path: Path) -> None:
    async def journey() -> None:
        uri = f"tcp://127.0.0.1:{free_port()}"
        with mosquitto() as broker:
            async with inhabited(broker) as (house, stranger):
                told: list[dict[str, Any]] = []
                stranger.subscribe(HA_EVENTS)

                async def listen() -> None:
                    async for received in stranger.received():
                        received.acknowledge()
                        told.append(json.loads(received.payload))

                listening = asyncio.create_task(listen())
                async with daemon(tmp_path, broker, f'[wyoming]\nuri = "{uri}"\n'), client_of(uri) as client:
                    await client.write_event(Transcript("turn on the kettle").event())
                    event = await asyncio.wait_for(client.read_event(), 10)
                    assert event is not None
                    assert (event.type, house.state("kettle")["state"]) == ("handled", "ON")
                    await client.write_event(Transcript("sing a sad song").event())
                    event = await asyncio.wait_for(client.read_event(), 10)
                    assert event is not None
                    assert event.type == "not-handled"
                    await eventually(lambda: any(one["event_type"] == "command" for one in told))
                    assert any("kettle" in json.dumps(one).lower() for one in told)
                listening.cancel()

    run(journey(), 60)
