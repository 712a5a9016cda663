"""The link against a real mosquitto, with the network and the broker doing their worst."""

import asyncio
import logging
import random
import signal
import ssl
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from brokers import (
    HAS_MOSQUITTO,
    Authority,
    Mosquitto,
    eventually,
    mosquitto,
    packet,
    proxy,
    read_packet,
    run,
    served,
    settings,
)

from edgeagent.bus import Bus, Received, connect
from edgeagent.errors import BusError
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings, TlsSettings

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")

CONNACK_5 = packet(0x20, b"\x00\x00\x00")
CONNECTION_REFUSED_VERSION = packet(0x20, b"\x00\x01")


@pytest.fixture(scope="module")
def shared() -> Iterator[Mosquitto]:
    with mosquitto() as broker:
        yield broker


@asynccontextmanager
async def up(chosen: BrokerSettings, client_id: str = "agent", **options: object) -> AsyncIterator[Bus]:
    """A link that is connected."""
    async with connect(chosen, client_id=client_id, **options) as bus:  # type: ignore[arg-type]
        await bus.until(connected=True)
        yield bus


@asynccontextmanager
async def observer(port: int, *filters: str, client_id: str = "observer") -> AsyncIterator[list[Received]]:
    """What another client of the broker sees."""
    seen: list[Received] = []
    async with up(settings(port), client_id) as bus:
        bus.subscribe(*filters)
        await eventually(lambda: bus.is_subscribed)
        reading = asyncio.create_task(collect(bus, seen))
        yield seen
        reading.cancel()
        await asyncio.wait([reading])


async def collect(bus: Bus, seen: list[Received], *, acknowledge: bool = True) -> None:
    async for received in bus.received():
        seen.append(received)
        if acknowledge:
            received.acknowledge()


def payloads(seen: list[Received]) -> list[bytes]:
    return [received.payload for received in seen]


def test_what_is_published_comes_in_at_others_over_mqtt_5(shared: Mosquitto) -> None:
    async def test() -> None:
        async with observer(shared.port, "a/#") as seen, up(settings(shared.port)) as bus:
            assert bus.protocol == "5"
            assert bus.trouble is None
            await bus.publish(Message("a/report", b"1", qos=1))
            await bus.publish(Message("a/metrics", b"2"))
            await bus.order(Message("a/order", b"3"))
            await eventually(lambda: sorted(payloads(seen)) == [b"1", b"2", b"3"])

    run(test())


def test_small_messages_do_not_wait_for_delayed_acknowledgements(shared: Mosquitto) -> None:
    async def test() -> None:
        async with up(settings(shared.port)) as bus:
            bus.subscribe("echo")
            await eventually(lambda: bus.is_subscribed)
            took = []
            for _ in range(31):
                began = time.monotonic()
                await bus.publish(Message("echo", bytes(16 << 10)))
                (await anext(bus.received())).acknowledge()
                took.append(time.monotonic() - began)
            assert statistics.median(took) < 0.03, "a delayed acknowledgement waits for 0.04 s"

    run(test())


def test_without_a_broker_the_link_is_entered_and_connects_when_the_broker_comes() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            broker.stop()
            async with connect(settings(broker.port), client_id="agent") as bus:
                assert not bus.is_connected
                await eventually(lambda: bus.trouble)
                assert bus.trouble is not None
                assert "Connection refused" in bus.trouble
                assert "Check host and port" in bus.trouble
                broker.start()
                await bus.until(connected=True)
                assert bus.trouble is None

    run(test())


def test_an_order_without_a_connection_fails_at_once_and_is_never_sent_while_a_report_waits() -> None:
    async def test() -> None:
        with mosquitto("allow_anonymous true\npersistence false\n") as broker:
            async with up(settings(broker.port)) as bus:
                broker.stop()
                await bus.until(connected=False)
                await bus.publish(Message("a/report", b"kept", qos=1))
                with pytest.raises(BusError, match="no connection"):
                    await bus.order(Message("a/order", b"lost"))
                await bus.publish(Message("a/metrics", b"unsent"))
                assert bus.counters.unsent == 1
                broker.start()
                async with observer(broker.port, "a/#") as seen:
                    await bus.until(connected=True)
                    await bus.publish(Message("a/end", b"end", qos=1))
                    await eventually(lambda: b"end" in payloads(seen))
                    # The report may have come before the observer; mosquitto's log knows.
                    assert b"lost" not in payloads(seen)
                    assert broker.log_lines("from agent (d0, q1, r0, m1, 'a/report'")
                    assert not broker.log_lines("a/order")

    run(test())


def test_an_order_is_not_retained_not_acknowledged_and_expires(shared: Mosquitto) -> None:
    async def test() -> None:
        async with observer(shared.port, "o/#") as seen, up(settings(shared.port)) as bus:
            await bus.order(Message("o/1", b"on", qos=1, retain=True))
            await bus.order(Message("o/2", b"on", expiry_s=30))
            await eventually(lambda: len(seen) == 2)
            assert [(received.qos, received.expiry_s) for received in seen] == [(0, 5), (0, 30)]
        async with observer(shared.port, "o/#", client_id="later") as later:
            await asyncio.wait_for(_round_trip(shared.port), 5)
            assert later == []

    run(test())


async def _round_trip(port: int) -> None:
    """Wait until the broker has worked off what was sent before."""
    async with observer(port, "round/trip", client_id="tripper") as seen, up(settings(port), "trip") as bus:
        await bus.publish(Message("round/trip", b""))
        await eventually(lambda: seen)


def test_when_the_outbox_is_full_the_oldest_report_goes() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with (
                observer(broker.port, "a/#") as seen,
                proxy(broker.port) as (way, port),
                up(settings(port, outbox=3, reconnect_least_s=0.3, reconnect_most_s=0.3)) as bus,
            ):
                way.cut()
                await bus.until(connected=False)
                for number in range(10):
                    await bus.publish(Message("a/report", b"%d" % number, qos=1))
                assert bus.outbox.dropped == 7
                await eventually(lambda: len(seen) == 3)
                assert payloads(seen) == [b"7", b"8", b"9"]

    run(test())


def test_after_the_broker_lost_the_session_everything_is_subscribed_again_and_retained_state_is_read_again() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            seen: list[Received] = []
            async with up(settings(broker.port)) as bus, up(settings(broker.port), "lamp") as lamp:
                bus.subscribe("home/#", "other/+")
                await eventually(lambda: bus.is_subscribed)
                reading = asyncio.create_task(collect(bus, seen))
                broker.stop()
                await bus.until(connected=False)
                await lamp.until(connected=False)
                broker.start()
                await lamp.until(connected=True)
                await lamp.publish(Message("home/lamp", b"on", qos=1, retain=True))
                await bus.until(connected=True)
                await eventually(lambda: payloads(seen) == [b"on"])
                reading.cancel()
                await asyncio.wait([reading])

    run(test())


def test_what_was_sent_while_we_were_away_is_delivered_and_nothing_is_subscribed_twice() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with (
                proxy(broker.port) as (way, port),
                up(settings(broker.port), "sender") as sender,
                up(settings(port, reconnect_least_s=0.4, reconnect_most_s=0.4), fraction=lambda: 1.0) as bus,
            ):
                bus.subscribe("do/+")
                await eventually(lambda: bus.is_subscribed)
                way.cut()
                await bus.until(connected=False)
                await sender.publish(Message("do/say", b"queued", qos=1))
                received = await anext(bus.received())
                assert received.payload == b"queued"
                received.acknowledge()
                await bus.until(connected=True)
            assert len(broker.log_lines("Received SUBSCRIBE from agent")) == 1

    run(test())


def test_a_new_process_gets_what_was_sent_to_the_old_one(shared: Mosquitto) -> None:
    async def test() -> None:
        async with up(settings(shared.port), "restarted") as bus:
            bus.subscribe("restart/+")
            await eventually(lambda: bus.is_subscribed)
        async with up(settings(shared.port), "sender") as sender:
            await sender.publish(Message("restart/say", b"while you were out", qos=1))
        async with up(settings(shared.port), "restarted") as bus:
            bus.subscribe("restart/+")
            assert (await anext(bus.received())).payload == b"while you were out"

    run(test())


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with (
                proxy(broker.port) as (way, port),
                up(settings(broker.port), "sender") as sender,
                up(settings(port)) as bus,
            ):
                bus.subscribe("do/+")
                await eventually(lambda: bus.is_subscribed)
                await sender.publish(Message("do/1", b"durable", qos=1))
                await sender.publish(Message("do/2", b"crashed", qos=1))
                durable, crashed = await anext(bus.received()), await anext(bus.received())
                durable.acknowledge()
                durable.acknowledge()
                await eventually(lambda: broker.log_lines("Received PUBACK from agent"))
                way.cut()
                await bus.until(connected=False)
                again = await anext(bus.received())
                assert (again.payload, again.duplicate) == (b"crashed", True)
                crashed.acknowledge()  # of a connection that is gone: nothing happens
                again.acknowledge()
                await eventually(lambda: len(broker.log_lines("Received PUBACK from agent")) == 2)
                await _round_trip(broker.port)
                assert len(broker.log_lines("Received PUBACK from agent")) == 2

    run(test())


def test_a_report_that_the_broker_would_not_take_is_refused_and_the_link_lives() -> None:
    async def test() -> None:
        with mosquitto("allow_anonymous true\nmax_packet_size 2000\n") as broker:
            async with observer(broker.port, "a/#") as seen, up(settings(broker.port)) as bus:
                with pytest.raises(BusError, match="at most 2000"):
                    await bus.publish(Message("a/large", bytes(3000), qos=1))
                await bus.publish(Message("a/small", b"small", qos=1))
                await eventually(lambda: payloads(seen) == [b"small"])
                assert (bus.counters.connections, bus.counters.oversize) == (1, 1)

    run(test())


def test_a_report_that_turns_out_too_large_after_the_wait_is_given_up() -> None:
    async def test() -> None:
        with mosquitto("allow_anonymous true\nmax_packet_size 2000\n") as broker:
            broker.stop()
            async with connect(settings(broker.port), client_id="agent") as bus:
                await bus.publish(Message("a/large", bytes(3000), qos=1))
                await bus.publish(Message("a/small", b"small", qos=1))
                broker.start()
                await eventually(lambda: not bus.outbox)
                assert (bus.counters.connections, bus.outbox.given_up) == (1, 1)

    run(test())


@asynccontextmanager
async def old_broker(target: int, answer: bytes = CONNECTION_REFUSED_VERSION) -> AsyncIterator[int]:
    """A broker that does not know MQTT 5: it says so, or (with an empty answer) hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, hello = await read_packet(reader)
        if hello[6] == 5:
            writer.write(answer)
            await writer.drain()
            return
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", target)
        to_writer.write(packet(first, hello))
        try:
            await asyncio.gather(_pass(reader, to_writer), _pass(to_reader, writer))
        finally:
            to_writer.transport.abort()

    async with served(serve) as port:
        yield port


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("answer", [CONNECTION_REFUSED_VERSION, b"", packet(0x20, b"\x00\x84\x00")])
def test_a_broker_that_does_not_know_mqtt_5_is_spoken_to_in_3_1_1(shared: Mosquitto, answer: bytes) -> None:
    async def test() -> None:
        async with (
            old_broker(shared.port, answer) as port,
            observer(shared.port, "old/#") as seen,
            up(settings(port), "old") as bus,
        ):
            assert bus.protocol == "3.1.1"
            bus.subscribe("old/say")
            await bus.publish(Message("old/report", b"1", qos=1, expiry_s=10))
            await bus.order(Message("old/say", b"2"))
            assert (await anext(bus.received())).payload == b"2"
            await eventually(lambda: sorted(payloads(seen)) == [b"1", b"2"])

    run(test())


def test_over_3_1_1_a_report_that_makes_the_broker_hang_up_is_found_and_given_up_and_the_others_arrive() -> None:
    async def test() -> None:
        with mosquitto("allow_anonymous true\nmax_packet_size 2000\n") as broker:
            async with old_broker(broker.port) as port, observer(broker.port, "a/#") as seen, up(settings(port)) as bus:
                for number in range(5):
                    await bus.publish(Message("a/small", b"%d" % number, qos=1))
                    await bus.publish(Message("a/large", bytes(3000), qos=1)) if number == 2 else None
                await eventually(lambda: not bus.outbox)
                assert bus.outbox.given_up == 1
                await bus.until(connected=True)
                assert {b"0", b"1", b"2", b"3", b"4"} == set(payloads(seen))

    run(test())


@pytest.mark.parametrize("is_old", [False, True])
def test_payloads_that_are_too_large_are_dropped_and_what_follows_arrives(is_old: bool) -> None:  # noqa: FBT001
    async def test() -> None:
        with mosquitto() as broker:
            async with (
                old_broker(broker.port) as old,
                up(settings(broker.port), "sender") as sender,
                up(settings(old if is_old else broker.port, largest_payload=1024)) as bus,
            ):
                bus.subscribe("in/#")
                await eventually(lambda: bus.is_subscribed)
                await sender.publish(Message("in/a", bytes(1025), qos=1))
                await sender.publish(Message("in/b", bytes(10 << 20), qos=1))
                await sender.publish(Message("in/c", bytes(10 << 20)))
                await sender.publish(Message("in/d", bytes(1024), qos=1))
                assert (await anext(bus.received())).topic == "in/d"
                # On MQTT 5 the broker keeps what is far too large to itself, as it was asked to.
                assert bus.inbox.oversize == (3 if is_old else 1)
                assert bus.counters.connections == 1

    run(test())


def test_when_the_inbox_is_full_more_is_dropped_and_counted_and_the_link_lives(shared: Mosquitto) -> None:
    async def test() -> None:
        async with up(settings(shared.port), "sender") as sender, up(settings(shared.port, inbox=10)) as bus:
            bus.subscribe("flood/#")
            await eventually(lambda: bus.is_subscribed)
            for number in range(200):
                await sender.publish(Message("flood/x", b"%d" % number, qos=1))
            await eventually(lambda: bus.inbox.received == 200)
            assert bus.inbox.dropped == 190
            assert [(await anext(bus.received())).payload for _ in range(10)] == [b"%d" % n for n in range(10)]

    run(test())


@pytest.mark.parametrize("is_old", [False, True])
def test_a_wrong_password_is_said_in_plain_words_and_not_tried_again_soon(is_old: bool) -> None:  # noqa: FBT001
    async def test() -> None:
        with mosquitto("allow_anonymous false\npassword_file {folder}/p\n", files={"p": ""}) as broker:
            async with old_broker(broker.port) as old:
                port = old if is_old else broker.port
                wrong = settings(port, username="agent", password="wrong", reconnect_most_s=60)  # noqa: S106 - a made-up one
                async with connect(wrong, client_id="agent", fraction=lambda: 0.5) as bus:
                    await eventually(lambda: bus.trouble)
                    assert bus.trouble is not None
                    assert "refuses the connection" in bus.trouble
                    assert "username" in bus.trouble
                    assert "password" in bus.trouble
                    assert "wrong" not in bus.trouble
                    await asyncio.sleep(0.3)  # time is the point: the least wait is 0.02 s
                    assert bus.counters.failures == 1

    run(test())


def test_another_client_with_our_id_is_said_in_plain_words(shared: Mosquitto) -> None:
    async def test() -> None:
        patient = settings(shared.port, reconnect_least_s=0.3, reconnect_most_s=0.3)
        async with up(patient, "twin", fraction=lambda: 1.0) as bus, up(settings(shared.port), "twin"):
            await eventually(lambda: bus.trouble)
            assert bus.trouble is not None
            assert "another program uses this device's id" in bus.trouble

    run(test())


TLS = """allow_anonymous true
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
"""


@asynccontextmanager
async def tls_broker(
    folder: Path, more: str = "", host: str = "127.0.0.1", days: int = 1
) -> AsyncIterator[tuple[Mosquitto, Authority]]:
    authority = Authority(folder / "authority")
    authority.issue("broker", host, days=days)
    with mosquitto(TLS.replace("{folder}", str(authority.folder)) + more) as broker:
        yield broker, authority


def test_tls_with_certificates_on_both_sides_carries_large_messages_both_ways(tmp_path: Path) -> None:
    async def test() -> None:
        async with tls_broker(tmp_path, "require_certificate true\n") as (broker, authority):
            certificate, key = authority.issue("agent")
            tls = TlsSettings(ca=authority.ca, certificate=certificate, key=key)
            async with up(settings(broker.port, tls)) as bus:
                bus.subscribe("large")
                for size in (200_000, 1, 100_000, 65_536, 16_384):
                    await bus.publish(Message("large", bytes(size), qos=1))
                sizes = [len((await anext(bus.received())).payload) for _ in range(5)]
                assert sizes == [200_000, 1, 100_000, 65_536, 16_384]

    run(test())


def test_a_client_without_the_certificate_that_the_broker_asks_for_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            tls_broker(tmp_path, "require_certificate true\n") as (broker, authority),
            connect(settings(broker.port, TlsSettings(ca=authority.ca)), client_id="agent") as bus,
        ):
            await eventually(lambda: bus.trouble)
            assert bus.trouble is not None
            assert "CERTIFICATE_REQUIRED" in bus.trouble.upper().replace(" ", "_")

    run(test())


async def _hold(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take a connection and say nothing."""
    await reader.read()


async def _trouble(chosen: BrokerSettings) -> str:
    async with connect(chosen, client_id="agent") as bus:
        await eventually(lambda: bus.trouble)
        assert not bus.is_connected
        return str(bus.trouble)


def test_a_broker_with_a_certificate_of_another_authority_is_refused_and_the_remedy_named(tmp_path: Path) -> None:
    async def test() -> None:
        stranger = Authority(tmp_path / "stranger")
        async with tls_broker(tmp_path) as (broker, _):
            trouble = await _trouble(settings(broker.port, TlsSettings(ca=stranger.ca)))
            assert "does not prove to be 127.0.0.1" in trouble
            assert "ca that signed" in trouble

    run(test())


def test_a_broker_with_another_hosts_certificate_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with tls_broker(tmp_path, host="10.1.2.3") as (broker, authority):
            assert "IP address mismatch" in await _trouble(settings(broker.port, TlsSettings(ca=authority.ca)))

    run(test())


def test_a_broker_with_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with tls_broker(tmp_path, days=-1) as (broker, authority):
            assert "expired" in await _trouble(settings(broker.port, TlsSettings(ca=authority.ca)))

    run(test())


def test_a_broker_that_speaks_only_old_tls_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(*authority.issue("broker"))
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def test() -> None:
        async with served(_hold, old) as port:
            assert "does not agree on TLS" in await _trouble(settings(port, TlsSettings(ca=authority.ca)))

    run(test())


def test_a_broker_without_tls_is_not_taken_for_one_with(shared: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        trouble = await _trouble(settings(shared.port, TlsSettings(ca=Authority(tmp_path).ca)))
        assert "TLS" in trouble or "cannot be reached" in trouble

    run(test())


def test_certificates_that_cannot_be_read_are_an_error_at_the_start(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(BusError, match="No such file") as caught:
            async with connect(settings(1, TlsSettings(ca=tmp_path / "none.pem")), client_id="agent"):
                pass
        assert "[broker.tls]" in caught.value.remedy

    run(test())


def test_a_half_open_connection_is_noticed_within_one_and_a_half_keepalives(shared: Mosquitto) -> None:
    async def test() -> None:
        async with proxy(shared.port) as (way, port):
            short = settings(port).model_copy(update={"keepalive_s": 2})
            async with up(short) as bus:
                await asyncio.sleep(3.5)  # time is the point: the pings keep an idle link up
                assert bus.counters.connections == 1
                way.freeze()
                frozen = time.monotonic()
                await bus.until(connected=False)
                assert time.monotonic() - frozen < 2 * 2 + 1, "the keepalive is 2 s; silence would last"
                await eventually(lambda: "nothing heard" in (bus.trouble or ""))
                way.thaw()
                await bus.until(connected=True)

    run(test())


def test_an_order_that_the_network_held_back_does_not_arrive_after_the_link_was_given_up(shared: Mosquitto) -> None:
    async def test() -> None:
        short = settings(shared.port).model_copy(update={"keepalive_s": 1})
        async with (
            observer(shared.port, "late/#") as seen,
            proxy(shared.port) as (way, port),
            up(short.model_copy(update={"port": port})) as bus,
        ):
            way.freeze()
            await bus.order(Message("late/order", b"open the gate"))
            await bus.publish(Message("late/report", b"kept", qos=1))
            await bus.until(connected=False)
            way.cut()
            way.thaw()
            await bus.until(connected=True)
            await eventually(lambda: payloads(seen) == [b"kept"])
            await _round_trip(shared.port)
            assert payloads(seen) == [b"kept"]

    run(test())


def test_when_the_network_takes_nothing_orders_are_refused_instead_of_piling_up(shared: Mosquitto) -> None:
    async def test() -> None:
        async with proxy(shared.port) as (way, port), up(settings(port)) as bus:
            way.freeze()
            with pytest.raises(BusError, match="takes nothing"):
                await _order_for_ever(bus)
            way.cut()
            way.thaw()

    run(test())


async def _order_for_ever(bus: Bus) -> None:
    while True:
        await bus.order(Message("pile", bytes(100_000)))
        await asyncio.sleep(0)


def test_the_windows_that_a_broker_sets_are_kept() -> None:
    batches: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        # ReceiveMaximum 3, MaximumPacketSize 100, ServerKeepAlive 0 (MQTT 5, 3.2.2.3)
        writer.write(packet(0x20, b"\x00\x00\x0b\x21\x00\x03\x27\x00\x00\x00\x64\x13\x00\x00"))
        while True:
            numbers = [_number(await read_packet(reader))]
            with suppress(TimeoutError):
                while True:  # all that comes before the first acknowledgement
                    numbers.append(_number(await asyncio.wait_for(read_packet(reader), 0.1)))
            batches.append(len(numbers))
            for number in numbers:
                writer.write(packet(0x40, number.to_bytes(2)))

    async def test() -> None:
        async with served(serve) as port, up(settings(port)) as bus:
            with pytest.raises(BusError, match="at most 100"):
                await bus.publish(Message("t", bytes(100), qos=1))
            for _ in range(8):
                await bus.publish(Message("t", b"x", qos=1))
            assert len(bus.outbox) == 8
            await eventually(lambda: not bus.outbox)
            assert batches == [3, 3, 2]

    run(test())


def test_a_subscription_that_is_refused_is_asked_for_again_after_a_while_and_complained_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgeagent.link.REFUSED_AGAIN_S", 0.05)
    answers = [b"\x87", b"\x87", b"\x01"]  # as a part of a cluster does while its leader is away

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(CONNACK_5)
        while answers:
            first, rest = await read_packet(reader)
            assert first >> 4 == 8
            writer.write(packet(0x90, rest[:2] + b"\x00" + answers.pop(0)))
        await reader.read()

    async def test() -> None:
        async with served(serve) as port, up(settings(port)) as bus:
            bus.subscribe("wanted")
            await eventually(lambda: bus.is_subscribed)
            assert bus.counters.refused == 2
            assert [record.getMessage() for record in caplog.records].count("subscription refused") == 1

    run(test())


def _number(received: tuple[int, bytes]) -> int:
    """The packet identifier of a PUBLISH."""
    first, rest = received
    assert first >> 4 == 3
    length = int.from_bytes(rest[:2])
    return int.from_bytes(rest[2 + length : 4 + length])


def test_a_connection_that_is_given_up_is_reset_so_that_nothing_of_it_arrives_later() -> None:
    endings: list[object] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(packet(0x20, b"\x00\x00\x03\x13\x00\x01"))  # ServerKeepAlive 1
        try:
            while await reader.read(100):
                pass
            endings.append("goodbye")
        except ConnectionResetError:
            endings.append("reset")

    async def test() -> None:
        async with served(serve) as port, up(settings(port)):
            await eventually(lambda: endings == ["reset"])

    run(test())


def test_what_tls_has_decrypted_already_is_read_without_waiting_for_more(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("broker"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        # One TLS record with everything.
        writer.write(CONNACK_5 + b"".join(packet(0x30, b"\x00\x01t\x00%d" % number) for number in range(200)))
        await reader.read()

    async def test() -> None:
        async with served(serve, tls) as port, up(settings(port, TlsSettings(ca=authority.ca))) as bus:
            await eventually(lambda: bus.inbox.received == 200)

    run(test())


def test_a_mosquitto_that_takes_one_message_at_a_time_gets_all() -> None:
    async def test() -> None:
        with mosquitto("allow_anonymous true\nmax_inflight_messages 1\n") as broker:
            async with observer(broker.port, "a/#") as seen, up(settings(broker.port)) as bus:
                for number in range(100):
                    await bus.publish(Message("a/b", b"%d" % number, qos=1))
                await eventually(lambda: payloads(seen) == [b"%d" % number for number in range(100)])
                assert bus.counters.connections == 1

    run(test())


def test_a_report_that_the_broker_does_not_allow_is_counted_and_not_sent_again() -> None:
    async def test() -> None:
        with mosquitto("allow_anonymous true\nacl_file {folder}/acl\n", files={"acl": "topic read #\n"}) as broker:
            async with up(settings(broker.port)) as bus:
                await bus.publish(Message("a/b", b"x", qos=1))
                await eventually(lambda: bus.counters.refused == 1)
                assert not bus.outbox
                assert bus.is_connected

    run(test())


@pytest.mark.parametrize("seed", range(4))
def test_a_broker_that_sends_garbage_ends_a_connection_and_nothing_else(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(seed)  # noqa: S311 - garbage needs no secrecy

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        if chance.random() < 0.8:
            writer.write(CONNACK_5)
        kind = chance.choice([0x20, 0x30, 0x32, 0x34, 0x36, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xE0, 0xF0])
        writer.write(packet(kind, chance.randbytes(chance.randrange(30))))
        writer.write(chance.randbytes(chance.randrange(200)))
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with served(serve) as port:
            quick = settings(port, reconnect_least_s=0.001, reconnect_most_s=0.001)
            async with connect(quick, client_id="agent") as bus:
                bus.subscribe("a/#")
                await bus.publish(Message("a/b", b"x", qos=1))
                await eventually(lambda: bus.counters.failures > 150, 10)

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        run(test())
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_a_broker_that_says_nothing_is_given_up_in_time() -> None:
    async def test() -> None:
        async with served(_hold) as port:
            assert "said nothing" in await _trouble(settings(port, connect_timeout_s=0.2))

    run(test())


async def _emptied(bus: Bus) -> None:
    await eventually(lambda: not bus.outbox)


@pytest.mark.parametrize("ending", ["cut", "finished"])
def test_a_connection_that_ends_at_any_byte_costs_nothing_but_time(shared: Mosquitto, ending: str) -> None:
    hello_bytes = 120

    async def test() -> None:
        budget = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal budget
            mine, budget = budget, 1 << 30
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", shared.port)
            back = asyncio.create_task(_pass(to_reader, writer))
            try:
                while mine > 0 and (data := await reader.read(min(mine, 65536))):
                    mine -= len(data)
                    to_writer.write(data)
                    await to_writer.drain()
            finally:
                back.cancel()
                await asyncio.wait([back])
                to_writer.transport.abort() if ending == "cut" else to_writer.close()

        async with served(serve) as port, observer(shared.port, "cut/#") as seen:
            for length in range(1, hello_bytes, 3):
                budget = length
                async with connect(settings(port), client_id="cut") as bus:
                    await bus.publish(Message("cut/report", b"%d" % length, qos=1))
                    await _emptied(bus)
            counted = set(payloads(seen))
            assert counted == {b"%d" % length for length in range(1, hello_bytes, 3)}

    run(test())


def test_a_greeting_comes_first_on_every_connection_and_is_not_sent_again_from_the_one_before(
    shared: Mosquitto,
) -> None:
    async def test() -> None:
        births = iter(range(100))
        async with (
            observer(shared.port, "up/#") as seen,
            proxy(shared.port) as (way, port),
            up(
                settings(port), greetings=lambda: [Message("up/birth", b"birth %d" % next(births), qos=1, retain=True)]
            ) as bus,
        ):
            await eventually(lambda: payloads(seen) == [b"birth 0"])
            way.cut()
            await bus.until(connected=False)
            await bus.publish(Message("up/event", b"event", qos=1))
            await eventually(lambda: payloads(seen) == [b"birth 0", b"birth 1", b"event"])

    run(test())


def test_a_greeting_that_fails_is_logged_and_the_link_goes_on(
    shared: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        greetings = iter([None, None, [Message("greeting", b"at last", qos=1)]])

        def greet() -> list[Message]:
            greeting = next(greetings)
            if greeting is None:
                raise RuntimeError("not yet")
            return greeting

        async with connect(settings(shared.port), client_id="agent", greetings=greet) as bus:
            await eventually(lambda: bus.is_connected and not bus.outbox)
            assert bus.counters.contained == 2

    run(test())
    assert "not yet" in caplog.text


def test_a_clean_end_delivers_what_was_published_once_leaves_no_will_and_is_quick() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with observer(broker.port, "up/#") as seen:
                mortal = settings(broker.port, session_expiry_s=0)
                async with up(mortal, will=Message("up/state", b"dead", qos=1)) as bus:
                    for number in range(50):
                        await bus.publish(Message("up/event", b"%d" % number, qos=1))
                    began = time.monotonic()
                assert time.monotonic() - began < 5
                await eventually(lambda: broker.log_lines("Client agent disconnected."))
                await _round_trip(broker.port)
                assert payloads(seen) == [b"%d" % number for number in range(50)]

    run(test())


def test_the_last_will_is_said_when_the_link_is_cut_and_not_back() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with observer(broker.port, "up/#") as seen, proxy(broker.port) as (way, port):
                mortal = settings(port, session_expiry_s=0, reconnect_least_s=5, reconnect_most_s=5)
                will = Message("up/state", b"dead", qos=1, retain=True)
                async with up(mortal, will=will, fraction=lambda: 1.0):
                    way.cut()
                    await eventually(lambda: payloads(seen) == [b"dead"])

    run(test())


def test_a_clean_end_is_quick_when_the_broker_has_frozen() -> None:
    async def test() -> None:
        with mosquitto() as broker:
            async with up(settings(broker.port)) as bus:
                broker.signal(signal.SIGSTOP)
                await bus.publish(Message("up/event", b"x", qos=1))
                began = time.monotonic()
            assert time.monotonic() - began < 5
            broker.signal(signal.SIGCONT)

    run(test())


def test_a_clean_end_is_quick_while_connecting() -> None:
    async def test() -> None:
        async with served(_hold) as port:
            async with connect(settings(port, connect_timeout_s=30), client_id="agent") as bus:
                await asyncio.sleep(0.05)  # so that it is in the middle of it
                began = time.monotonic()
            assert time.monotonic() - began < 5
            assert not bus.is_connected

    run(test())


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "a" * 65536, "\ud800"])
def test_a_topic_that_cannot_be_is_refused_before_it_is_sent(shared: Mosquitto, topic: str) -> None:
    async def test() -> None:
        async with up(settings(shared.port)) as bus:
            with pytest.raises(BusError, match="is not a topic"):
                await bus.publish(Message(topic, b"", qos=1))
            with pytest.raises(BusError, match="is not a topic"):
                await bus.order(Message(topic, b""))
            assert bus.is_connected

    run(test())


def test_a_filter_that_cannot_be_is_refused(shared: Mosquitto) -> None:
    async def test() -> None:
        async with up(settings(shared.port)) as bus:
            with pytest.raises(BusError, match="is not a topic filter"):
                bus.subscribe("a/#/b")

    run(test())


def test_two_hundred_filters_are_subscribed(shared: Mosquitto) -> None:
    async def test() -> None:
        async with up(settings(shared.port), "sender") as sender, up(settings(shared.port), "many") as bus:
            bus.subscribe(*(f"many/{number}" for number in range(200)))
            await eventually(lambda: bus.is_subscribed)
            await sender.publish(Message("many/199", b"x"))
            assert (await anext(bus.received())).topic == "many/199"

    run(test())


def test_the_waits_grow_and_the_trouble_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        with mosquitto() as broker:
            broker.stop()
            async with connect(settings(broker.port), client_id="agent") as bus:
                await eventually(lambda: bus.counters.failures > 4)

    with caplog.at_level(logging.WARNING, logger="edgeagent"):
        run(test())
    assert len([record for record in caplog.records if record.message == "bus lost"]) == 1
