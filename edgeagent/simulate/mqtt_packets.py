"""MQTT 5 and 3.1.1 as bytes: what a client sends, made; what a broker sends, read. Pure, and bounded.

It is for simulated devices alone, of which ten thousand fit into a process; the product speaks by way of paho.
https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html; the numbers in comments are its sections.

Rules:
    - QoS 0 and 1; a broker that sends QoS 2, AUTH or anything that is the client's ends the connection: ValueError.
    - A packet above `largest` bytes is refused as soon as its length is known.
    - Properties that are of no use here are read over, not kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Version = Literal[4, 5]
"""4 stands for 3.1.1 (3.1.2.2)."""

LARGEST_BYTES = 1 << 20
MOST_LENGTH_BYTES = 4
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
GOODBYE_WITH_WILL = b"\xe0\x01\x04"
"""MQTT 5 only: go, and have the last will said (3.14.2.1)."""
FAILURE = 0x80
_EXPIRY, _SESSION_EXPIRY, _WILL_DELAY, _RECEIVE_MAXIMUM = 0x02, 0x11, 0x18, 0x21
_SERVER_KEEPALIVE = 0x13
# The bytes of a property's value by its number (2.2.2.2); -1: a string or binary data, -2: two strings, 0: a varint.
_SIZES = {
    0x01: 1, 0x02: 4, 0x03: -1, 0x08: -1, 0x09: -1, 0x0B: 0, 0x11: 4, 0x12: -1, 0x13: 2, 0x15: -1, 0x16: -1,
    0x17: 1, 0x18: 4, 0x19: 1, 0x1A: -1, 0x1C: -1, 0x1F: -1, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1,
    0x26: -2, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LastWill:
    """What the broker says where the client is gone without a goodbye; `delay_s` is MQTT 5's."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a client wants to be connected. `expiry_s` 0 is a session that ends with the connection."""

    client_id: str
    keepalive_s: int = 60
    expiry_s: int = 7 * 86_400
    receive_maximum: int = 20
    will: LastWill | None = None
    username: str | None = None
    password: bytes | None = None


@dataclass(frozen=True, slots=True)
class Connack:
    """The broker's answer: `code` 0 is a yes. `keepalive_s` where the broker sets its own."""

    session_present: bool
    code: int
    receive_maximum: int = 65_535
    keepalive_s: int | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """A message. `packet` is 0 with QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet: int


@dataclass(frozen=True, slots=True)
class Puback:
    """That the broker has a message, or why not: a code from 0x80."""

    packet: int
    code: int = 0


@dataclass(frozen=True, slots=True)
class Suback:
    """The answers to a subscription, one for each filter: the QoS, or from 0x80 a refusal."""

    packet: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pingresp:
    """That the broker is there."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """That the broker ends the connection (MQTT 5)."""

    code: int


Incoming = Connack | Publish | Puback | Suback | Pingresp | Disconnected


def connect(wishes: Wishes, version: Version = 5) -> bytes:
    """Return CONNECT (3.1): clean start is false but for sessions that end with the connection."""
    will = wishes.will
    flags = 0x02 if wishes.expiry_s == 0 else 0
    payload = _text(wishes.client_id)
    if will is not None:
        flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        delay = bytes((_WILL_DELAY,)) + will.delay_s.to_bytes(4, "big")
        payload += (_sized(delay) if version == 5 else b"") + _text(will.topic) + _binary(will.payload)  # noqa: PLR2004
    if wishes.username is not None:
        flags |= 0x80
        payload += _text(wishes.username)
    if wishes.password is not None:
        flags |= 0x40
        payload += _binary(wishes.password)
    start = b"\x00\x04MQTT" + bytes((version, flags)) + wishes.keepalive_s.to_bytes(2, "big")
    if version == 5:  # noqa: PLR2004
        expiry = bytes((_SESSION_EXPIRY,)) + wishes.expiry_s.to_bytes(4, "big")
        start += _sized(expiry + bytes((_RECEIVE_MAXIMUM,)) + wishes.receive_maximum.to_bytes(2, "big"))
    return _packet(0x10, start + payload)


def publish(message: Publish, version: Version = 5, *, expiry_s: int | None = None) -> bytes:
    """Return PUBLISH (3.3)."""
    first = 0x30 | message.qos << 1 | (0x08 if message.dup else 0) | (0x01 if message.retain else 0)
    body = _text(message.topic)
    if message.qos:
        body += message.packet.to_bytes(2, "big")
    if version == 5:  # noqa: PLR2004
        body += b"\x00" if expiry_s is None else _sized(bytes((_EXPIRY,)) + expiry_s.to_bytes(4, "big"))
    return _packet(first, body + message.payload)


def subscribe(packet: int, filters: Sequence[tuple[str, int]], version: Version = 5) -> bytes:
    """Return SUBSCRIBE (3.8): filters with the QoS that is wanted at most."""
    body = packet.to_bytes(2, "big") + (b"\x00" if version == 5 else b"")  # noqa: PLR2004
    return _packet(0x82, body + b"".join(_text(name) + bytes((qos,)) for name, qos in filters))


def puback(packet: int) -> bytes:
    """Return PUBACK (3.4)."""
    return b"\x40\x02" + packet.to_bytes(2, "big")


def taken(buffer: bytearray, version: Version = 5, *, largest: int = LARGEST_BYTES) -> Iterator[Incoming]:
    """Take all whole packets out of a buffer. Raise ValueError for what no broker may send, or is too large."""
    while len(buffer) >= 2:  # noqa: PLR2004  # the least packet
        length, start = _varint(buffer, 1)
        if start == 0:
            return
        if length > largest:
            raise ValueError(f"a packet of {length} bytes, expected at most {largest}")
        if len(buffer) < start + length:
            return
        first, body = buffer[0], bytes(memoryview(buffer)[start : start + length])
        del buffer[: start + length]
        try:
            yield _READERS[first >> 4](first & 0x0F, body, version)
        except (KeyError, IndexError, UnicodeDecodeError) as error:
            raise ValueError(f"no packet of a broker: {first:#04x}, {length} bytes") from error


def _connack(_flags: int, body: bytes, version: Version) -> Connack:
    session_present, code = bool(body[0] & 1), body[1]
    if version != 5 or len(body) == 2:  # noqa: PLR2004
        return Connack(session_present, code)
    found, _ = _properties(body, 2)
    return Connack(session_present, code, found.get(_RECEIVE_MAXIMUM, 65_535), found.get(_SERVER_KEEPALIVE))


def _published(flags: int, body: bytes, version: Version) -> Publish:
    qos = flags >> 1 & 3
    if qos > 1:
        raise ValueError(f"QoS {qos}, expected 0 or 1")
    topic, at = _read_text(body, 0)
    packet = 0
    if qos:
        packet, at = _number(body, at, 2), at + 2
    if version == 5:  # noqa: PLR2004
        _, at = _properties(body, at)
    return Publish(topic, body[at:], qos, bool(flags & 1), bool(flags & 8), packet)


def _acknowledged(_flags: int, body: bytes, _version: Version) -> Puback:
    return Puback(_number(body, 0, 2), body[2] if len(body) > 2 else 0)  # noqa: PLR2004


def _subscribed(_flags: int, body: bytes, version: Version) -> Suback:
    at = _properties(body, 2)[1] if version == 5 else 2  # noqa: PLR2004
    return Suback(_number(body, 0, 2), tuple(body[at:]))


def _disconnected(_flags: int, body: bytes, _version: Version) -> Disconnected:
    return Disconnected(body[0] if body else 0)


_READERS: Mapping[int, Callable[[int, bytes, Version], Incoming]] = {
    2: _connack,
    3: _published,
    4: _acknowledged,
    9: _subscribed,
    13: lambda _flags, _body, _version: Pingresp(),
    14: _disconnected,
}


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def _length(number: int) -> bytes:
    """Write a number of variable length (1.5.5)."""
    made = bytearray()
    while number > 127:  # noqa: PLR2004
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def _varint(buffer: bytes | bytearray, at: int) -> tuple[int, int]:
    """Read one: the number and what is behind it; (0, 0) where it has not come whole. Raise ValueError if too long."""
    number = 0
    for place in range(MOST_LENGTH_BYTES):
        if at + place >= len(buffer):
            return 0, 0
        byte = buffer[at + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:  # noqa: PLR2004
            return number, at + place + 1
    raise ValueError(f"a length of more than {MOST_LENGTH_BYTES} bytes")


def _sized(properties: bytes) -> bytes:
    return _length(len(properties)) + properties


def _text(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _number(body: bytes, at: int, size: int) -> int:
    if at + size > len(body):
        raise IndexError(at)
    return int.from_bytes(body[at : at + size], "big")


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    size = _number(body, at, 2)
    if at + 2 + size > len(body):
        raise IndexError(at)
    return body[at + 2 : at + 2 + size].decode(), at + 2 + size


def _properties(body: bytes, at: int) -> tuple[dict[int, int], int]:
    """Read over properties: the numbers among them, and where they end."""
    length, at = _varint(body, at)
    end, found = at + length, dict[int, int]()
    if at == 0 or end > len(body):
        raise IndexError(end)
    while at < end:
        name, size = body[at], _SIZES[body[at]]
        at += 1
        if size > 0:
            found[name] = _number(body, at, size)
            at += size
        elif size == 0:
            found[name], at = _varint(body, at)
        else:
            for _ in range(-size):
                at += 2 + _number(body, at, 2)
    if at != end:
        raise IndexError(at)
    return found, end
