"""The simulated devices' MQTT: bytes at any cut, bytes of no broker, and a real mosquitto that understands it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from brokers import HAS_MOSQUITTO, mosquitto, packet, run
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.simulate import mqtt_packets
from edgeagent.simulate.mqtt_packets import (
    Connack,
    Incoming,
    LastWill,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Version,
    Wishes,
    taken,
)

needs_mosquitto = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
VERSIONS: tuple[Version, ...] = (4, 5)
MESSAGES = st.builds(
    lambda topic, payload, qos, number: Publish(topic, payload, qos, retain=False, dup=False, packet=number * qos),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.binary(max_size=300),
    st.integers(0, 1),
    st.integers(1, 65_535),
)


@given(st.lists(MESSAGES, max_size=5), st.sampled_from(VERSIONS), st.data())
def test_packets_come_out_as_they_went_in_wherever_the_network_cuts(
    messages: list[Publish], version: Version, data: st.DataObject
) -> None:
    stream = b"".join(mqtt_packets.publish(one, version, expiry_s=7) for one in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    buffer, found = bytearray(), list[Incoming]()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer += stream[start:end]
        found += taken(buffer, version)
    assert found == messages
    assert not buffer


@given(st.binary(max_size=200), st.sampled_from(VERSIONS))
def test_bytes_of_no_broker_are_refused_or_waited_for_and_nothing_else(rubbish: bytes, version: Version) -> None:
    buffer = bytearray(rubbish)
    try:
        list(taken(buffer, version))
    except ValueError:
        return
    assert len(buffer) <= len(rubbish)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (packet(0x10, b""), "no packet of a broker"),  # CONNECT is the client's
        (b"\x30\xff\xff\xff\xff\x01", "a length of more than 4 bytes"),
        (b"\x30\xff\xff\x7f", "expected at most"),  # 2 MiB, told by the length alone
        (packet(0x34, b"\x00\x01t\x00\x01\x00"), "QoS 2"),
        (packet(0x30, b"\x00\x09t"), "no packet of a broker"),  # a topic longer than the packet
        (packet(0x30, b"\x00\x01t\x02\x02\x05\x00\x00\x00"), "no packet of a broker"),  # a property too long
    ],
)
def test_what_a_broker_may_not_send_is_an_error_that_says_so(sent: bytes, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        list(taken(bytearray(sent)))


def test_properties_of_every_form_are_read_over() -> None:
    properties = b"".join(
        (
            b"\x01\x01",  # a byte
            b"\x02\x00\x00\x00\x09",  # four bytes
            b"\x03\x00\x04text",  # a string
            b"\x0b\x81\x01",  # a number of variable length
            b"\x23\x00\x07",  # two bytes
            b"\x26\x00\x01k\x00\x02vv",  # two strings
        )
    )
    body = b"\x00\x01t" + bytes((len(properties),)) + properties + b"payload"
    (found,) = taken(bytearray(packet(0x30, body)))
    assert isinstance(found, Publish)
    assert found.payload == b"payload"


class Client:
    """A connection whose packets are read one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: Version) -> None:
        self._reader, self._writer, self._version = reader, writer, version
        self._buffer, self._found = bytearray(), list[Incoming]()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def next(self) -> Incoming:
        while not self._found:
            data = await self._reader.read(4096)
            assert data, "the broker has hung up"
            self._buffer += data
            self._found += taken(self._buffer, self._version)
        return self._found.pop(0)


@asynccontextmanager
async def client(port: int, wishes: Wishes, version: Version) -> AsyncIterator[tuple[Client, Connack]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        made = Client(reader, writer, version)
        made.send(mqtt_packets.connect(wishes, version))
        answer = await made.next()
        assert isinstance(answer, Connack)
        yield made, answer
    finally:
        writer.transport.abort()


@needs_mosquitto
@pytest.mark.parametrize("version", VERSIONS)
def test_mosquitto_keeps_a_session_and_hands_over_what_came_meanwhile(version: Version) -> None:
    async def go() -> None:
        message = Publish("t/1", b"hello", qos=1, retain=False, dup=False, packet=7)
        with mosquitto() as broker:
            async with client(broker.port, Wishes("one"), version) as (one, answer):
                assert answer == replace(answer, session_present=False, code=0)
                one.send(mqtt_packets.subscribe(1, [("t/#", 1), ("u/+", 0)], version))
                assert await one.next() == Suback(1, (1, 0))
                one.send(mqtt_packets.PINGREQ)
                assert await one.next() == Pingresp()
                one.send(mqtt_packets.DISCONNECT)
            async with client(broker.port, Wishes("two"), version) as (two, _):
                two.send(mqtt_packets.publish(message, version))
                assert await two.next() == Puback(7)
            async with client(broker.port, Wishes("one"), version) as (one, answer):
                assert answer.session_present
                came = await one.next()
                assert isinstance(came, Publish)
                assert (came.topic, came.payload, came.qos) == ("t/1", b"hello", 1)
                one.send(mqtt_packets.puback(came.packet))

    run(go())


@needs_mosquitto
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("goodbye", [b"", mqtt_packets.DISCONNECT, mqtt_packets.GOODBYE_WITH_WILL])
def test_the_will_is_said_without_a_goodbye_and_only_then(version: Version, goodbye: bytes) -> None:
    if version == 4 and goodbye == mqtt_packets.GOODBYE_WITH_WILL:
        pytest.skip("3.1.1 has no reason in its goodbye")

    async def go() -> None:
        with mosquitto() as broker:
            wishes = Wishes("mortal", will=LastWill("last/words", b"gone"))
            async with client(broker.port, Wishes("heir"), version) as (heir, _):
                heir.send(mqtt_packets.subscribe(1, [("last/#", 1)], version))
                await heir.next()
                async with client(broker.port, wishes, version) as (mortal, _):
                    mortal.send(goodbye + mqtt_packets.PINGREQ * (not goodbye))
                    if not goodbye:
                        await mortal.next()
                after = Publish("last/marker", b"", qos=0, retain=False, dup=False, packet=0)
                async with client(broker.port, Wishes("mortal"), version) as (again, _):  # the old one is over now
                    again.send(mqtt_packets.publish(after, version))
                    came = await heir.next()
                assert isinstance(came, Publish)
                assert came.topic == ("last/marker" if goodbye == mqtt_packets.DISCONNECT else "last/words")

    run(go())
