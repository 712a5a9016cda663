"""A simulated device on the network: one object for its whole life, over all its connections.

Rules:
    - What is told with QoS 1 is kept until the broker has it: results over everything, reports until a new start.
    - At most `MOST_WAITING` messages wait; the oldest report is dropped for a new one, a result never.
    - At most `IN_FLIGHT` are on their way. On a new connection they go first, after the greetings, in their order.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

from edgeagent.bus import IN_FLIGHT, WILL_DELAY_S
from edgeagent.messages import Message
from edgeagent.simulate import mqtt_packets
from edgeagent.simulate.fleet_device import Device
from edgeagent.simulate.mqtt_packets import LastWill, Publish, Version, Wishes

MOST_WAITING = 200
_LARGEST_PACKET = 65_535


@dataclass(slots=True)
class Tally:
    """What has happened on the network, all devices together."""

    connected: int = 0
    refused: int = 0
    unreachable: int = 0
    lost: int = 0
    sent: int = 0
    received: int = 0
    acknowledged: int = 0
    denied: int = 0
    """Messages or subscriptions that the broker would not have."""
    dropped: int = 0
    malformed: int = 0
    bytes_out: int = 0
    bytes_in: int = 0


class Surroundings(Protocol):
    """What a station needs of the fleet around it."""

    tally: Tally
    version: Version
    keepalive_s: int
    expiry_s: int

    def now(self) -> float:
        """Return the time, in seconds since 1970."""

    def up(self, station: "Station") -> None:
        """Note that the broker has taken a station in."""

    def gone(self, station: "Station") -> None:
        """Note that a connection has ended."""

    def due(self, station: "Station") -> None:
        """Note that the device may have something to do at another time than before."""


class Station(asyncio.Protocol):
    """See the module. `is_wanted`: whether it shall be connected; `is_planned`: whether a try is under way."""

    __slots__ = (
        "_around", "_buffer", "_in_flight", "_packet", "_transport", "device", "failures", "heard_at", "is_planned",
        "is_up", "is_wanted", "sent_at", "session_present", "waiting", "work_at",
    )  # fmt: skip

    def __init__(self, device: Device, around: Surroundings) -> None:
        """Make a station that is not connected."""
        self.device, self._around = device, around
        self._transport: asyncio.Transport | None = None
        self._buffer: bytearray | None = None
        self._in_flight: dict[int, Message] = {}
        self._packet = 0
        self.waiting: list[Message] = []
        self.is_up = self.is_planned = self.session_present = False
        self.is_wanted = True
        self.failures = 0
        self.heard_at = self.sent_at = 0.0
        self.work_at = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection, taken in or not."""
        return self._transport is not None

    @property
    def untold(self) -> int:
        """Return how many messages the broker does not have yet."""
        return len(self.waiting) + len(self._in_flight)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be taken in."""
        self._transport = cast("asyncio.Transport", transport)
        self._buffer = None
        self.heard_at = self._around.now()
        will = self.device.will
        wishes = Wishes(
            self.device.address.device,
            keepalive_s=self._around.keepalive_s,
            expiry_s=self._around.expiry_s,
            receive_maximum=IN_FLIGHT,
            will=LastWill(will.topic, will.payload, will.qos, will.retain, delay_s=WILL_DELAY_S),
        )
        self._write(mqtt_packets.connect(wishes, self._around.version))

    def data_received(self, data: bytes) -> None:
        """Read what came, and answer."""
        self._around.tally.bytes_in += len(data)
        self.heard_at = self._around.now()
        buffer = self._buffer
        if buffer is None:
            buffer = bytearray(data)
        else:
            buffer += data
        try:
            for packet in mqtt_packets.taken(buffer, self._around.version):
                self._took(packet)
        except ValueError:
            self._around.tally.malformed += 1
            self.cut()
        self._buffer = buffer or None

    def connection_lost(self, _error: Exception | None) -> None:
        """Keep what is not acknowledged."""
        if self.is_up:
            self._around.tally.lost += 1
        self._transport, self._buffer, self.is_up = None, None, False
        self.waiting = [one for one in (*self._in_flight.values(), *self.waiting) if not one.retain]
        self._in_flight.clear()
        self._around.gone(self)

    def tell(self, messages: list[Message]) -> None:
        """Tell something as soon as it can be told; QoS 0 now or never."""
        for message in messages:
            if message.retain and not self.is_up:
                continue  # said anew with the greetings
            if len(self.waiting) >= MOST_WAITING and not self._drop():
                continue
            if message.qos or self.is_up:
                self.waiting.append(message)
        self._pump()

    def keep(self, messages: list[Message]) -> None:
        """Keep samples of a time without the fleet, to be told on return."""
        self.waiting += messages[: max(0, MOST_WAITING - len(self.waiting))]

    def ping(self) -> None:
        """Keep the connection alive where nothing was sent, and end it where nothing is heard."""
        if self._transport is None:
            return
        now = self._around.now()
        if now - self.heard_at > 1.5 * self._around.keepalive_s:
            self.cut()
        elif self.is_up and now - self.sent_at > self._around.keepalive_s / 2:
            self._write(mqtt_packets.PINGREQ)

    def cut(self) -> None:
        """Be gone without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    def leave(self, reason: str) -> None:
        """Say goodbye, and be gone."""
        if self._transport is None:
            return
        if self.is_up:
            self._send(self.device.state(self._around.now(), online=False, reason=reason))
            self._write(mqtt_packets.DISCONNECT)
        self._transport.close()

    def start_anew(self) -> None:
        """End this run of the program, and begin another: reports that wait are lost, as in the daemon."""
        self.waiting = [one for one in self.waiting if "/up/job/" in one.topic]
        if self.is_open:
            self.leave("restart")
        self.device.start(self._around.now())

    def _took(self, packet: mqtt_packets.Incoming) -> None:
        match packet:
            case mqtt_packets.Publish():
                self._received(packet)
            case mqtt_packets.Puback(packet=number, code=code):
                self._in_flight.pop(number, None)
                self._around.tally.acknowledged += 1
                self._around.tally.denied += code >= mqtt_packets.FAILURE
                self._pump()
            case mqtt_packets.Connack():
                self._answered(packet)
            case mqtt_packets.Suback(codes=codes):
                self._around.tally.denied += sum(code >= mqtt_packets.FAILURE for code in codes)
            case mqtt_packets.Disconnected():
                self.cut()
            case mqtt_packets.Pingresp():
                pass

    def _answered(self, answer: mqtt_packets.Connack) -> None:
        if answer.code:
            self._around.tally.refused += 1
            self.cut()
            return
        self.is_up, self.session_present = True, answer.session_present
        self._around.tally.connected += 1
        if not answer.session_present:
            filters = [(one, 1) for one in self.device.filters]
            self._write(mqtt_packets.subscribe(self._next(), filters, self._around.version))
        self.waiting[:0] = self.device.greetings(self._around.now())
        self._pump()
        self._around.up(self)

    def _received(self, packet: Publish) -> None:
        self._around.tally.received += 1
        answers = self.device.take(packet.topic, packet.payload, self._around.now(), retained=packet.retain)
        # Acknowledged once it is taken down: in a simulated device that is at once.
        if packet.qos:
            self._write(mqtt_packets.puback(packet.packet))
        self.tell(answers)
        self._around.due(self)

    def _pump(self) -> None:
        while self.is_up and self.waiting and len(self._in_flight) < IN_FLIGHT:
            self._send(self.waiting.pop(0))

    def _send(self, message: Message) -> None:
        number = 0
        if message.qos:
            number = self._next()
            self._in_flight[number] = message
        packet = Publish(message.topic, message.payload, message.qos, message.retain, dup=False, packet=number)
        self._write(mqtt_packets.publish(packet, self._around.version, expiry_s=message.expiry_s))
        self._around.tally.sent += 1

    def _drop(self) -> bool:
        """Make room by dropping the oldest that is no result; return False where all are."""
        for place, one in enumerate(self.waiting):
            if "/up/job/" not in one.topic:
                del self.waiting[place]
                self._around.tally.dropped += 1
                return True
        return False

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        self.sent_at = self._around.now()
        self._around.tally.bytes_out += len(data)

    def _next(self) -> int:
        while True:
            self._packet = self._packet % _LARGEST_PACKET + 1
            if self._packet not in self._in_flight:
                return self._packet
