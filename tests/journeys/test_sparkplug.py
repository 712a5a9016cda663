"""A host and a plant that speak Sparkplug B over a real mosquitto: born, ordered, broken off, dead and back."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from brokers import HAS_MOSQUITTO, Mosquitto, eventually, mosquitto, proxy, run
from brokers import settings as broker_settings

from edgeagent.act.acknowledgements import Expectations
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.sparkplug_payload import Datatype, decode
from edgeagent.act.perform import perform
from edgeagent.bus import Bus, connect
from edgeagent.duties import doing
from edgeagent.errors import BusError
from edgeagent.inbox import Received
from edgeagent.messages import Action, Capability, Message, Outcome, Value
from edgeagent.routed import Routed
from edgeagent.settings import ActingSettings, SparkplugSettings
from edgeagent.simulate.sparkplug_plant import EdgeNode, Tag, live_plant, plant
from edgeagent.sparkplug_link import SparkplugLink, sparkplug

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
PRESS = "sparkplug:Plant/Hall-one/Press/Run"
SPEED = "sparkplug:Plant/Hall-one/Press/Speed Setpoint"
ALARM = "sparkplug:Plant/Hall-one/Press/Alarm/Acknowledge"
PUMP = "sparkplug:Plant/Hall-one/Coolant pump/Run"
VALVE = "sparkplug:Plant/Hall-one/Inlet valve/Open"
BOILER = "sparkplug:Plant/Hall-one/Boiler/Temperature"
STATE = "spBv1.0/STATE/edgeagent"
QUICK = ActingSettings(deadline_s=1.0)


@dataclass
class World:
    """A broker, a plant on it, a host with its registry, and a stranger who sees and can publish everything."""

    broker: Mosquitto
    link: SparkplugLink
    stranger: Bus
    node: EdgeNode
    devices: Devices = field(default_factory=lambda: Devices(()))
    expectations: Expectations = field(default_factory=Expectations)
    by_hand: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    seen: list[Received] = field(default_factory=list)
    changes: int = 0

    def changed(self) -> None:
        self.changes += 1

    def is_there(self, *devices: str) -> bool:
        return all(self.devices.is_available(one) for one in devices or (PRESS, SPEED, PUMP, VALVE, BOILER))

    def published(self, part: str) -> list[Received]:
        return [one for one in self.seen if part in one.topic and not one.retained]

    async def publish(self, *messages: Message) -> None:
        """Have the plant publish something of its own accord."""
        for message in messages:
            self.by_hand.put_nowait(message)

    async def obey(self, device: str, capability: Capability, value: Value) -> Outcome:
        entity = self.devices.entity(device)
        assert entity is not None
        action = Action("1", "u", entity.device, capability, value)
        link = Routed(self.stranger, self.link)
        return await perform(action, self.devices, self.expectations, link, QUICK, lambda _action, _message: None)

    async def watch(self) -> None:
        async for received in self.stranger.received():
            received.acknowledge()
            self.seen.append(received)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Everything but the plant, which comes with `living`."""
    with mosquitto() as broker:
        settings = broker_settings(broker.port)
        spoken = SparkplugSettings(host_id="edgeagent")
        async with (
            connect(settings.model_copy(update={"session_expiry_s": 0}), client_id="stranger") as stranger,
            sparkplug(spoken, settings, client_id="edgeagent-sparkplug") as link,
        ):
            assert link is not None
            here = World(broker, link, stranger, plant())
            stranger.subscribe("spBv1.0/#")
            await eventually(lambda: stranger.is_subscribed)
            duties = {"host": observe(here), "watch": here.watch()}
            async with doing(duties):
                yield here


async def observe(here: World) -> None:
    await here.link.observe(here.devices, here.expectations.observe, here.changed)


@asynccontextmanager
async def living(here: World, *, heartbeat_s: float | None = None) -> AsyncIterator[None]:
    """The plant, alive while the block runs, and known to the host."""
    settings = broker_settings(here.broker.port)
    plant_itself = live_plant(settings, here.node, delay_s=0.01, by_hand=here.by_hand, heartbeat_s=heartbeat_s)
    alive = asyncio.create_task(plant_itself)
    try:
        yield
    finally:
        alive.cancel()
        await asyncio.wait([alive])


@asynccontextmanager
async def known() -> AsyncIterator[World]:
    """A plant that the host knows."""
    async with world() as here:
        await eventually(lambda: here.link.bus.is_subscribed)
        async with living(here):
            await eventually(here.is_there)
            yield here


def test_a_plant_is_born_ordered_and_acknowledges() -> None:
    async def test() -> None:
        async with known() as here:
            assert here.changes > 0
            assert len(here.devices.all_devices()) == 8
            assert (await here.obey(PRESS, "run", "running")).status == "done"
            assert (await here.obey(PUMP, "run", "running")).status == "done"
            assert (await here.obey(VALVE, "opening", "open")).status == "done"
            assert (await here.obey(SPEED, "setpoint", 900)).status == "done"
            assert (await here.obey(ALARM, "acknowledge", "now")).status == "done"
            assert here.node.state("Press")["Speed Setpoint"] == 900
            await eventually(lambda: len(here.published("/DCMD/")) == 5)
            for order in here.published("/DCMD/"):
                assert order.qos == 0
                (metric,) = decode(order.payload).metrics
                assert metric.name is None
                assert metric.alias is not None

    run(test())


def test_a_device_that_lies_or_is_dead_is_found_out() -> None:
    async def test() -> None:
        async with known() as here:
            here.node.break_down("Press", "lying")
            outcome = await here.obey(PRESS, "run", "running")
            assert (outcome.status, outcome.reason) == ("failed", "still says stopped after 1 s")
            here.node.break_down("Press", "dead")
            outcome = await here.obey(SPEED, "setpoint", 700)
            assert (outcome.status, outcome.reason) == ("failed", "still says 600 after 1 s")

    run(test())


def test_after_a_gap_nothing_is_taken_until_the_birth_that_is_asked_for() -> None:
    async def test() -> None:
        async with known() as here:
            await eventually(lambda: here.published("NBIRTH"))
            here.node.skip()
            assert here.published("/NCMD/") == []
            await here.publish(here.node.change("Boiler", {"Temperature": 99.0}))
            await eventually(lambda: here.published("/NCMD/"))
            await eventually(lambda: here.devices.values(BOILER) == {"reading": 99.0})  # by the birth
            assert len(here.published("NBIRTH")) == 2
            assert here.is_there()
            assert here.link.host.counts["broken-off"] == 1

    run(test())


def test_data_before_a_birth_is_not_taken_and_asks_for_one() -> None:
    async def test() -> None:
        async with world() as here, living(here):
            await eventually(lambda: here.published("DBIRTH"))
            await eventually(here.is_there)
            # A host that comes later, under another name, has heard no birth.
            late = World(here.broker, here.link, here.stranger, here.node)
            spoken = SparkplugSettings(host_id="late")
            async with sparkplug(spoken, broker_settings(here.broker.port), client_id="late") as link:
                assert link is not None
                late.link = link
                await eventually(lambda: link.bus.is_subscribed)
                async with doing({"late": observe(late)}):
                    await here.publish(here.node.change("Boiler", {"Temperature": 99.0}))
                    await eventually(lambda: link.host.counts["broken-off"] == 1)
                    await eventually(late.is_there)
                    assert late.devices.values(BOILER) == {"reading": 99.0}
                    assert link.host.counts["data"] == 0

    run(test())


def test_a_plant_that_says_something_from_time_to_time_is_found_by_a_host_that_comes_later() -> None:
    async def test() -> None:
        async with world() as here, living(here, heartbeat_s=0.1):
            await eventually(here.is_there)

    run(test())


def test_a_node_that_starts_anew_without_dying_is_followed_and_its_old_death_is_ignored() -> None:
    async def test() -> None:
        async with known() as here:
            old_will = here.node.last_will()
            await here.publish(*here.node.restart())
            await eventually(lambda: here.link.host.counts["birth"] == 2 * 5)
            await here.publish(old_will)
            await eventually(lambda: here.published("NDEATH"))
            assert (await here.obey(PRESS, "run", "running")).status == "done"
            (order,) = here.published("/DCMD/")
            assert decode(order.payload).metrics[0].alias == here.node.alias("Press", "Run")
            assert here.is_there()
            assert here.link.host.counts["death"] == 0

    run(test())


def test_a_node_that_goes_is_away_with_its_devices_and_comes_back() -> None:
    async def test() -> None:
        async with world() as here:
            await eventually(lambda: here.link.bus.is_subscribed)
            async with living(here):
                await eventually(here.is_there)
            await eventually(lambda: not here.is_there(PRESS))
            outcome = await here.obey(VALVE, "opening", "open")
            assert (outcome.status, outcome.reason) == ("failed", "is offline")
            async with living(here):
                await eventually(here.is_there)

    run(test())


def test_the_death_of_a_node_that_is_cut_off_is_told_by_its_will() -> None:
    async def test() -> None:
        async with world() as here:
            await eventually(lambda: here.link.bus.is_subscribed)
            async with proxy(here.broker.port) as (way, port):
                node = EdgeNode("Plant", "Hall-one", {"Dryer": (Tag("Run", Datatype.BOOLEAN, value=False),)})
                alive = asyncio.create_task(live_plant(broker_settings(port), node, client_id="dryer"))
                dryer = "sparkplug:Plant/Hall-one/Dryer/Run"
                await eventually(lambda: here.is_there(dryer))
                way.cut()
                await eventually(lambda: not here.is_there(dryer))
                await eventually(lambda: here.is_there(dryer))  # it connects again: another session
                alive.cancel()
                await asyncio.wait([alive])
            sessions = [decode(one.payload).metrics[0].raw for one in here.published("NBIRTH")]
            assert sessions == [0, 1]

    run(test())


def states(seen: list[Received]) -> list[dict[str, object]]:
    return [json.loads(one.payload) for one in seen if one.topic == STATE]


def test_the_host_is_online_while_it_is_there_and_says_goodbye() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            settings = broker_settings(broker.port)
            seen: list[Received] = []
            async with connect(settings, client_id="stranger") as stranger:
                stranger.subscribe(STATE)
                await eventually(lambda: stranger.is_subscribed)

                async def watch() -> None:
                    async for received in stranger.received():
                        received.acknowledge()
                        seen.append(received)

                async with doing({"watch": watch()}):
                    spoken = SparkplugSettings(host_id="edgeagent")
                    async with sparkplug(spoken, settings, client_id="host"):
                        await eventually(lambda: len(seen) == 1)
                    await eventually(lambda: len(seen) == 2)
            assert [one["online"] for one in states(seen)] == [True, False]
            # Whoever comes now is told what was last said.
            async with connect(settings, client_id="later") as later:
                later.subscribe(STATE)
                last = await anext(later.received())
                assert last.retained
                assert json.loads(last.payload)["online"] is False

    run(test())


def test_the_will_bears_the_time_of_its_connections_birth_also_after_a_reconnect() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            settings = broker_settings(broker.port)
            async with connect(settings, client_id="stranger") as stranger, proxy(broker.port) as (way, port):
                stranger.subscribe(STATE)
                await eventually(lambda: stranger.is_subscribed)
                spoken = SparkplugSettings(host_id="edgeagent", broker=broker_settings(port))
                async with sparkplug(spoken, settings, client_id="host"):
                    seen = [await anext(stranger.received())]
                    way.cut()
                    seen += [await anext(stranger.received()) for _ in range(2)]
            first, will, second = states(seen)
            assert [one["online"] for one in (first, will, second)] == [True, False, True]
            assert first["timestamp"] == will["timestamp"]
            assert int(str(second["timestamp"])) > int(str(first["timestamp"]))

    run(test())


def test_the_session_is_clean_and_the_subscriptions_come_before_the_birth() -> None:
    async def test() -> None:
        async with world() as here:
            await eventually(lambda: len(states(here.seen)) == 1)
            assert here.broker.log_lines(" as edgeagent-sparkplug (p5, c1,")
            mine = [line for line in here.broker.log_lines("edgeagent-sparkplug") if "Received" in line]
            assert [line.split("Received ")[1].split()[0] for line in mine[:2]] == ["SUBSCRIBE", "PUBLISH"]

    run(test())


def test_who_says_that_the_host_is_offline_is_contradicted() -> None:
    async def test() -> None:
        async with world() as here:
            await eventually(lambda: len(states(here.seen)) == 1)
            await here.stranger.publish(Message(STATE, b'{"online": false, "timestamp": 1}', qos=1, retain=True))
            await eventually(lambda: len(states(here.seen)) == 3)
            first, _, third = states(here.seen)
            assert first == third

    run(test())


def test_without_a_connection_the_plant_is_away_and_comes_back_by_births_that_are_asked_for() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with proxy(broker.port) as (way, port):
                settings = broker_settings(port)
                node, devices, expectations = plant(), Devices(()), Expectations()
                alive = asyncio.create_task(live_plant(broker_settings(broker.port), node, delay_s=0.01))
                async with sparkplug(SparkplugSettings(host_id="edgeagent"), settings, client_id="host") as link:
                    assert link is not None
                    async with doing({"host": link.observe(devices, expectations.observe, lambda: None)}):
                        await eventually(lambda: link.bus.is_subscribed)
                        alive.cancel()
                        await asyncio.wait([alive])
                        alive = asyncio.create_task(live_plant(broker_settings(broker.port), node, delay_s=0.01))
                        await eventually(lambda: devices.is_available(PRESS))
                        way.freeze()
                        way.cut()
                        await eventually(lambda: not devices.is_available(PRESS))
                        for message in node.births():  # that waited when the connection ended
                            link.bus.inbox.put(Received(message.topic, message.payload))
                        await asyncio.sleep(0.05)
                        assert not devices.is_available(PRESS)
                        with pytest.raises(BusError, match="no connection"):
                            await link.order(Message("spBv1.0/Plant/DCMD/Hall-one/Press", b""))
                        way.thaw()
                        await eventually(lambda: devices.is_available(PRESS))
                        assert link.host.counts["asked"] >= 1
                alive.cancel()
                await asyncio.wait([alive])

    run(test())


def test_an_onlooker_sees_and_orders_and_says_nothing_of_itself() -> None:
    async def test() -> None:
        async with known() as here:
            onlooker = World(here.broker, here.link, here.stranger, here.node)
            settings, spoken = broker_settings(here.broker.port), SparkplugSettings(host_id="edgeagent")
            async with sparkplug(spoken, settings, client_id="onlooker", is_onlooker=True) as link:
                assert link is not None
                onlooker.link = link
                await eventually(lambda: link.bus.is_subscribed)
                async with doing({"onlooker": observe(onlooker)}):
                    await here.publish(here.node.change("Boiler", {"Temperature": 99.0}))
                    await eventually(onlooker.is_there)
                    assert (await onlooker.obey(PRESS, "run", "running")).status == "done"
                    assert STATE not in link.host.filters
            assert (await here.obey(PRESS, "run", "stopped")).status == "done"
            assert [one["online"] for one in states(here.seen)] == [True]

    run(test())


def test_garbage_on_the_plants_topics_harms_nobody() -> None:
    async def test() -> None:
        async with known() as here:
            for topic in ("spBv1.0/Other/NBIRTH/node", "spBv1.0/Other/DDATA/node/x", "spBv1.0/x", STATE):
                for payload in (b"", b"\xff" * 100, b"{", bytes(300_000)):
                    await here.stranger.publish(Message(topic, payload, qos=1))
            assert (await here.obey(PRESS, "run", "running")).status == "done"
            assert here.is_there()
            assert here.link.contained == 0

    run(test())


def test_without_a_host_id_no_sparkplug_is_spoken_and_orders_for_a_plant_are_refused() -> None:
    async def test() -> None:
        async with world() as here:
            async with sparkplug(SparkplugSettings(), broker_settings(here.broker.port), client_id="none") as link:
                assert link is None
            await Routed(here.stranger, None).order(Message("house/lamp/set", b"on"))
            with pytest.raises(BusError, match="Sparkplug is not spoken"):
                await Routed(here.stranger, None).order(Message("spBv1.0/Plant/DCMD/Hall-one/Press", b"on"))

    run(test())
