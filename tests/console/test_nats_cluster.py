"""The fleet's topics, pointers, wills, sessions and rights on a second broker: a NATS cluster, by MQTT 3.1.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from brokers import eventually, run, settings
from console.nats_cluster import HAS_NATS, Fleet, Server, nats

from edgeagent.bus import connect
from edgeagent.fleet import wire
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.topics import Address

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(420),  # with one of three away, NATS takes up to half a minute for a new subscription
    pytest.mark.skipif(not HAS_NATS, reason="nats-server is not installed: apt-get install nats-server"),
]
ONE, TWO = Address("home", "dev-1"), Address("home", "dev-2")
LONG_S = 60.0
EVERYTHING = "ea/1/+/d/+/up/#"


class Heard:
    """What a link has received."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.messages: list[tuple[str, bytes]] = []
        self._task = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for received in self.bus.received():
            received.acknowledge()
            self.messages.append((received.topic, received.payload))

    async def until(self, topic: str, payload: bytes | None = None) -> None:
        await eventually(lambda: any(t == topic and payload in {None, p} for t, p in self.messages), within_s=LONG_S)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@asynccontextmanager
async def link(
    server: Server, client: str, token: str, *filters: str, will: Message | None = None
) -> AsyncIterator[Heard]:
    where = settings(server.port, username=client, password=token, connect_timeout_s=10.0)
    async with connect(where, client_id=client, will=will) as bus:
        if filters:
            bus.subscribe(*filters)
        await asyncio.wait_for(bus.until(connected=True), LONG_S)
        heard = Heard(bus)
        try:
            yield heard
        finally:
            await heard.end()


def filters(address: Address) -> tuple[str, ...]:
    return wire.down(address), f"ea/1/{address.fleet}/all/dn/#"


def state(address: Address, what: bytes) -> Message:
    return Message(f"{address.up}/state", what, qos=1, retain=True)


def pointer(address: Address, what: bytes) -> Message:
    return Message(address.job, what, qos=1, retain=True)


def test_pointers_wills_and_sessions_hold_over_three_servers(tmp_path: Path) -> None:
    fleet = Fleet()

    async def go(servers: list[Server]) -> None:
        async with link(servers[0], "console-1", fleet.console(), EVERYTHING) as console:
            await eventually(lambda: console.bus.is_subscribed, within_s=LONG_S)
            assert console.bus.protocol == "3.1.1"
            assert await console.bus.deliver(pointer(ONE, b"first"))
            will = state(ONE, b"lost")
            async with link(servers[1], "dev-1", fleet.device("dev-1"), *filters(ONE), will=will) as device:
                await device.until(ONE.job, b"first")  # retained, by another server, caught by a wildcard
                assert await device.bus.deliver(state(ONE, b"here"))
                await console.until(f"{ONE.up}/state", b"here")
                async with link(servers[2], "late", fleet.console(), "ea/1/#") as late:
                    await late.until(ONE.job, b"first")
                    await late.until(f"{ONE.up}/state", b"here")
                servers[1].stop()
                await console.until(f"{ONE.up}/state", b"here")
            # The session is another server's now, and what came meanwhile waits in it.
            assert await console.bus.deliver(pointer(ONE, b"second"))
            async with link(servers[2], "dev-1", fleet.device("dev-1"), will=will) as device:
                await device.until(ONE.job, b"second")
                _cut(device.bus)
                await console.until(f"{ONE.up}/state", b"lost")

    with nats(tmp_path, fleet) as servers:
        run(go(servers), within_s=400)


def test_attacks_a40_a41_a42_a_device_reaches_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    fleet = Fleet()

    async def go(servers: list[Server]) -> None:
        async with link(servers[0], "console-1", fleet.console(), "ea/1/#") as console:
            await eventually(lambda: console.bus.is_subscribed, within_s=LONG_S)
            async with link(servers[1], "dev-1", fleet.device("dev-1"), *filters(ONE)) as device:
                await eventually(lambda: device.bus.is_subscribed, within_s=LONG_S)
                # A40: as another device, as the console, as the broker itself.
                for forged in (state(TWO, b"forged"), pointer(TWO, b"forged"), pointer(ONE, b"forged")):
                    await device.bus.publish(forged)
                await device.bus.publish(Message("$MQTT/msgs/ea.1.home.d.dev-2.dn.job", b"forged", qos=1))
                await device.bus.publish(Message("ea/1/all/dn/announce", b"forged", qos=1, retain=True))
                # A41: what is told to others.
                others = (wire.down(TWO), "ea/1/+/d/+/dn/#", "#", "ea/1/home/d/dev-2/up/state", "$MQTT/#", "$JS/#")
                device.bus.subscribe(*others)
                await eventually(lambda: device.bus.counters.refused >= len(others), within_s=LONG_S)
                assert await console.bus.deliver(pointer(TWO, b"secret"))
                assert await console.bus.deliver(pointer(ONE, b"yours"))
                await device.until(ONE.job, b"yours")
                assert {topic for topic, _ in device.messages} == {ONE.job}
                await device.bus.deliver(state(ONE, b"last"))
            await console.until(f"{ONE.up}/state", b"last")
            assert not [payload for _, payload in console.messages if payload == b"forged"]
        async with link(servers[2], "late", fleet.console(), "ea/1/#") as late:  # nothing of it is retained
            await late.until(ONE.job, b"yours")
            await late.until(TWO.job, b"secret")
            assert not [payload for _, payload in late.messages if payload == b"forged"]
        # A token that has ended, and one that nobody has signed, let nobody in.
        for token in (fleet.device("dev-1", lasts_s=-5), Fleet().device("dev-1"), "", "a.b.c"):
            where = settings(servers[0].port, username="dev-1", password=token)
            async with connect(where, client_id="dev-1") as bus:
                await eventually(lambda: bus.counters.failures >= 2, within_s=LONG_S)
                assert bus.counters.connections == 0

    with nats(tmp_path, fleet) as servers:
        run(go(servers), within_s=400)


def test_two_consoles_share_by_fleet_what_two_servers_take(tmp_path: Path) -> None:
    # MQTT 3.1.1 on NATS has no $share: each worker asks for fleets of its own.
    fleet = Fleet()
    fleets = ("north", "south")

    async def go(servers: list[Server]) -> None:
        async with (
            link(servers[0], "console-1", fleet.console(), "ea/1/north/d/+/up/#") as north,
            link(servers[1], "console-2", fleet.console(), "ea/1/south/d/+/up/#") as south,
        ):
            await eventually(lambda: north.bus.is_subscribed and south.bus.is_subscribed, within_s=LONG_S)
            async with link(servers[2], "dev-1", fleet.device("dev-1")) as device:
                for number in range(50):
                    for name in fleets:
                        assert await device.bus.deliver(state(Address(name, "dev-1"), b"%d" % number))
            for heard, name in ((north, "north"), (south, "south")):
                await heard.until(f"{Address(name, 'dev-1').up}/state", b"49")
                assert [payload for _, payload in heard.messages] == [b"%d" % number for number in range(50)]

    with nats(tmp_path, fleet) as servers:
        run(go(servers), within_s=400)


def _cut(bus: Bus) -> None:
    """Have the connection end without a goodbye."""
    connection = bus._connection  # noqa: SLF001  # as a cable does
    assert connection is not None
    connection.end("cut")
