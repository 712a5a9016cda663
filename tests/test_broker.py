"""Our own broker, spoken to by our own link and by bytes that are not MQTT."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from brokers import eventually, packet, read_packet, run, settings

from edgeagent.broker import LARGEST_PACKET_BYTES, embedded_broker
from edgeagent.bus import Bus, Received, connect
from edgeagent.errors import BusError
from edgeagent.messages import Message


def hello(client_id: str = "raw") -> bytes:
    return packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2) + client_id.encode())


HELLO = hello()


async def _collect(bus: Bus, seen: list[Received]) -> None:
    async for received in bus.received():
        seen.append(received)
        received.acknowledge()


def test_messages_pass_and_retained_ones_are_marked_for_those_who_come_later() -> None:
    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port, connect(settings(port), client_id="a") as lamp:
            await lamp.until(connected=True)
            assert lamp.protocol == "3.1.1"
            await lamp.publish(Message("home/lamp", b"on", qos=1, retain=True))
            await eventually(lambda: not lamp.outbox)
            async with connect(settings(port), client_id="b") as bus:
                bus.subscribe("home/#")
                first = await anext(bus.received())
                assert (first.topic, first.payload, first.retained) == ("home/lamp", b"on", True)
                first.acknowledge()
                await lamp.publish(Message("home/lamp", b"off", qos=1, retain=True))
                second = await anext(bus.received())
                assert (second.payload, second.retained) == (b"off", False)
                second.acknowledge()
                await lamp.publish(Message("home/lamp", b"", qos=1, retain=True))
                assert (await anext(bus.received())).payload == b""
            async with connect(settings(port), client_id="c") as late:
                late.subscribe("home/#")
                await eventually(lambda: late.is_subscribed)
                await lamp.publish(Message("home/other", b"x", qos=1))
                assert (await anext(late.received())).topic == "home/other"

    run(test())


def test_five_hundred_retained_messages_arrive_at_once() -> None:
    async def test() -> None:
        async with (
            embedded_broker("127.0.0.1", 0) as port,
            connect(settings(port, outbox=1000), client_id="a") as lamp,
            connect(settings(port), client_id="b") as bus,
        ):
            for number in range(500):
                await lamp.publish(Message(f"home/{number}", b"on", qos=1, retain=True))
            await eventually(lambda: not lamp.outbox)
            seen: list[Received] = []
            reading = asyncio.create_task(_collect(bus, seen))
            began = time.monotonic()
            bus.subscribe("home/#")
            await eventually(lambda: len(seen) == 500)
            assert time.monotonic() - began < 20
            reading.cancel()
            await asyncio.wait([reading])

    run(test())


def test_a_port_that_is_taken_is_an_error_with_a_remedy() -> None:
    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port:
            with pytest.raises(BusError, match="Address already in use") as caught:
                async with embedded_broker("127.0.0.1", port):
                    pass
            assert "embedded_port" in caught.value.remedy

    run(test())


def test_garbage_and_clients_that_vanish_harm_nobody_else_and_leave_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(7)  # noqa: S311 - garbage needs no secrecy

    async def vanish(port: int, *parts: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in parts:
            writer.write(part)
        await asyncio.sleep(0)
        writer.transport.abort()

    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port, connect(settings(port), client_id="a") as bus:
            bus.subscribe("home/#")
            await eventually(lambda: bus.is_subscribed)
            subscribe = packet(0x82, b"\x00\x01\x00\x01#\x01")
            for _ in range(50):
                await vanish(port)
                await vanish(port, chance.randbytes(chance.randrange(1, 300)))
                await vanish(port, HELLO)
                await vanish(port, HELLO, subscribe, chance.randbytes(50))
                await vanish(port, HELLO, packet(0x30, b"\x00\x06home/x") + packet(0x32, b"\x00\x01"))
            await bus.publish(Message("home/lamp", b"still here", qos=1))
            async for received in bus.received():
                received.acknowledge()
                if received.payload == b"still here":
                    break
            assert bus.counters.connections == 1

    with caplog.at_level(logging.WARNING):
        run(test())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_packet_that_is_too_large_ends_its_sender_and_takes_no_memory() -> None:
    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port, connect(settings(port), client_id="a") as bus:
            bus.subscribe("home/#")
            await eventually(lambda: bus.is_subscribed)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HELLO)
            assert (await read_packet(reader))[0] == 0x20
            writer.write(packet(0x30, b"\x00\x06home/x" + bytes(LARGEST_PACKET_BYTES + 1))[: 1 << 20])
            assert await reader.read() == b""
            writer.transport.abort()
            await bus.publish(Message("home/y", bytes(200_000), qos=1))
            assert len((await anext(bus.received())).payload) == 200_000

    run(test())


@asynccontextmanager
async def raw_clients(port: int, number: int) -> AsyncIterator[None]:
    """Clients that are connected and do nothing."""
    writers = []
    for index in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(hello(f"raw{index}"))
        assert (await read_packet(reader))[0] == 0x20
        writers.append(writer)
    yield
    for writer in writers:
        writer.transport.abort()


def test_it_ends_at_once_with_clients_connected_and_can_be_started_again_on_its_port() -> None:
    async def test() -> None:
        async with AsyncExitStack() as clients:
            async with embedded_broker("127.0.0.1", 0) as port:
                await clients.enter_async_context(raw_clients(port, 20))
                began = time.monotonic()
            assert time.monotonic() - began < 5
        async with embedded_broker("127.0.0.1", port) as again, connect(settings(port), client_id="a") as bus:
            assert again == port
            await bus.until(connected=True)

    run(test())


def test_two_clients_with_one_id_take_turns_and_harm_nobody_else() -> None:
    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port, connect(settings(port), client_id="a") as bus:
            await bus.until(connected=True)
            async with connect(settings(port), client_id="twin"), connect(settings(port), client_id="twin") as twin:
                await eventually(lambda: twin.counters.connections > 2)
            await bus.publish(Message("home/x", b"x", qos=1))
            await eventually(lambda: not bus.outbox)
            assert bus.counters.connections == 1

    run(test())


def test_idle_with_ten_clients_it_takes_next_to_no_time() -> None:
    async def test() -> None:
        async with embedded_broker("127.0.0.1", 0) as port, raw_clients(port, 10):
            began = time.process_time()
            await asyncio.sleep(1)  # time is the point
            assert time.process_time() - began < 0.05

    run(test())
