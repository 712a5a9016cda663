"""One MQTT connection, driven by the loop, and the link that is kept up with such connections. The only user of paho.

Rules:
    - No thread: the loop drives paho, so there is none that could die unseen.
    - A connection has its own paho client, and nothing of either survives it: paho never resends by itself.
    - Whatever paho, a callback or a broker's bytes do wrong ends the connection, is counted, and goes no further.
    - The session is kept: the broker keeps what is sent to us while we are away (`session_expiry_s`), unless for 0 s.
    - What is received is acknowledged by whoever has made it durable, not before.
    - A broker that is silent for one and a half keepalives is gone.
"""

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgeagent import topics
from edgeagent.connection import LARGEST_PACKET_BYTES, LostError, Version, Will
from edgeagent.dial import hang_up, tls_context
from edgeagent.errors import BusError
from edgeagent.inbox import Received
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings
from edgeagent.subscriptions import AS_PUBLISHED

__all__ = ["Bus", "Received", "connect"]

log = logging.getLogger(__name__)

WILL_DELAY_S = 10
"""A link that is back within this time was never away (MQTT 5)."""
IN_FLIGHT = 20
"""Reports sent and not yet acknowledged, at most; the broker may ask for fewer."""
UNWRITTEN = 50
"""Messages inside the process that a slow network does not take; an order behind them would be late."""
HEADER_BYTES = 80 << 10
"""Of what is received beside its payload, at most: a topic of 64 KiB and properties."""
SILENCE = 1.5
"""Keepalives without a byte from the broker until it counts as gone (the broker's own measure: MQTT 5, 3.1.2.10)."""
PACKETS_AT_ONCE = 50
"""Packets that are read before the rest of the program gets its turn."""
GOODBYE_S = 0.4
"""How long the goodbye may take to be written."""


@asynccontextmanager
async def connect(
    settings: BrokerSettings,
    *,
    client_id: str,
    will: Will = None,
    greetings: Callable[[], Iterable[Message]] = tuple,
    fraction: Callable[[], float] = random.random,
    reserved: int = 0,
    asks_always: bool = False,
) -> AsyncIterator[Bus]:
    """Keep a link up while the block runs; it begins at once, whether the broker is there or not.

    `greetings` makes what is sent first on every connection; `will`, where it is called, makes each one's last will.
    `fraction` (0..1) spreads the tries of many devices. `reserved` places are for what asks for an acknowledgement.
    With `asks_always` all is subscribed anew on every connection, so that what is retained comes again: a broker that
    was killed knows a session, and has forgotten what it had acknowledged in it.
    Raise BusError if the settings can never lead to a connection.
    """
    if settings.host is None:
        raise BusError("no broker is named", remedy="Set host in [broker].")
    if settings.tls is not None:
        tls_context(settings.tls)
    bus = Bus(settings, client_id, partial(_Connection, will), greetings, fraction, reserved)
    bus.asks_always = asks_always
    staying = asyncio.create_task(bus.stay_connected(), name="bus")
    try:
        yield bus
    finally:
        await bus.farewell()
        staying.cancel()
        await asyncio.wait([staying])


class _Client(paho.Client):
    """A paho client on a socket that is connected already: connecting is the one thing for which paho would block."""

    def __init__(self, connected: Any, **options: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, reconnect_on_failure=False, manual_ack=True, **options)
        self.suppress_exceptions = True
        self._connected = connected

    def _create_socket(self) -> Any:
        return self._connected


class _Connection:
    """See `edgeagent.connection.Connection`."""

    def __init__(self, will: Will, bus: Bus, dialled: socket.socket, version: Version) -> None:
        self.version: Version = version
        self.receive_maximum = IN_FLIGHT
        self.largest_bytes = LARGEST_PACKET_BYTES
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[LostError] = self._loop.create_future()
        self._session_known: asyncio.Future[bool] = self._loop.create_future()
        self._socket = dialled
        self._descriptor = dialled.fileno()
        self._keepalive_s = float(bus.settings.keepalive_s)
        self._heard_at_s = self._loop.time()
        self._unwritten: set[int] = set()
        self._unacknowledged: set[int] = set()
        self._is_farewell = False
        self._complaint = ""
        self._client = _Client(
            dialled,
            client_id=bus.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311,
            clean_session=None if version == "5" else bus.settings.session_expiry_s == 0,
        )
        self._set_up(bus.settings, will() if callable(will) else will)
        self._loop.add_reader(self._descriptor, self._contain, self._read)
        self._ticking = self._loop.call_soon(self._tick)
        self._contain(self._client.reconnect)

    @property
    def is_clogged(self) -> bool:
        return len(self._unwritten) >= UNWRITTEN

    async def welcome(self) -> bool:
        answers: set[asyncio.Future[Any]] = {self.lost, self._session_known}
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        if self.lost.done():
            raise self.lost.result()
        return self._session_known.result()

    def publish(self, message: Message) -> int:
        properties = _properties(PacketTypes.PUBLISH, MessageExpiryInterval=message.expiry_s)
        sent = self._client.publish(
            message.topic, message.payload, message.qos, message.retain, properties if self.version == "5" else None
        )
        if message.qos == 0:
            self._unwritten.add(sent.mid)
        return sent.mid

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> int | None:
        if self.version != "5":
            return self._client.subscribe([(pattern, wish & ~AS_PUBLISHED) for pattern, wish in filters])[1]
        asked = [
            (pattern, SubscribeOptions(wish & ~AS_PUBLISHED, retainAsPublished=bool(wish & AS_PUBLISHED)))
            for pattern, wish in filters
        ]
        return self._client.subscribe(asked)[1]

    async def farewell(self) -> None:
        self._is_farewell = True
        self._contain(self._client.disconnect)
        await asyncio.wait([self.lost], timeout=GOODBYE_S)
        self.end("closed")

    def end(self, reason: str, code: int | None = None) -> None:
        if self.lost.done():
            return
        self.lost.set_result(LostError(reason, code))
        self._ticking.cancel()
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        hang_up(self._socket, discard=not self._is_farewell)

    def _set_up(self, settings: BrokerSettings, will: Message | None) -> None:
        client, is_5 = self._client, self.version == "5"
        client.max_inflight_messages = 0  # the outbox keeps the window
        if settings.username is not None:
            password = settings.password.get_secret_value() if settings.password else None
            client.username_pw_set(settings.username, password)
        if will is not None:
            # Longer than the session it would not last (MQTT 5, 3.1.3.2.2), and mosquitto 2.0.11 gets that wrong.
            delay_s = min(WILL_DELAY_S, settings.session_expiry_s)
            delayed = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=delay_s)
            client.will_set(will.topic, will.payload, will.qos, will.retain, delayed if is_5 else None)
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = self._on_want_write
        client.on_socket_unregister_write = self._on_written
        connect = partial(client.connect_async, str(settings.host), settings.port, settings.keepalive_s)
        if is_5:
            wishes = _properties(
                PacketTypes.CONNECT,
                SessionExpiryInterval=settings.session_expiry_s,
                ReceiveMaximum=settings.receive_maximum,
                MaximumPacketSize=settings.largest_payload + HEADER_BYTES,
            )
            connect(clean_start=settings.session_expiry_s == 0, properties=wishes)
        else:
            connect()

    def _contain(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever paho makes of a broker's bytes, only the connection ends
            self._bus.counters.contained += 1
            log.warning("contained", extra={"problem": repr(error)})
            self.end(f"broker and client do not understand each other: {error!r}")

    def _read(self) -> None:
        self._heard_at_s = self._loop.time()
        for _ in range(PACKETS_AT_ONCE):
            if self.lost.done():
                return
            self._client.loop_read()
            # What TLS has decrypted already does not wake the loop: it must be asked for.
            if not (isinstance(self._socket, ssl.SSLSocket) and self._client.socket() and self._socket.pending()):
                return
        self._loop.call_soon(self._contain, self._read)

    def _tick(self) -> None:
        silent_s = self._loop.time() - self._heard_at_s
        if self._keepalive_s and silent_s > SILENCE * self._keepalive_s:
            self.end(f"nothing heard for {silent_s:.1f} s")
            return
        self._contain(self._client.loop_misc)
        if not self.lost.done():
            self._ticking = self._loop.call_later(min(1.0, (self._keepalive_s or 10) / 10), self._tick)

    def _on_want_write(self, *_: object) -> None:
        if not self.lost.done():
            self._loop.add_writer(self._descriptor, self._contain, self._client.loop_write)

    def _on_written(self, *_: object) -> None:
        if not self.lost.done():
            self._loop.remove_writer(self._descriptor)

    def _on_log(self, _client: object, _data: object, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._complaint = f": {text}"
        if text.startswith("Caught exception"):
            self._bus.counters.contained += 1
            log.warning("contained", extra={"problem": text})

    def _on_connect(self, _client: object, _data: object, flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            self.end(f"the broker refuses the connection: {reason}", reason.value)
            return
        self.receive_maximum = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        self.largest_bytes = getattr(properties, "MaximumPacketSize", LARGEST_PACKET_BYTES)
        self._keepalive_s = float(getattr(properties, "ServerKeepAlive", self._keepalive_s))
        self._session_known.set_result(bool(flags.session_present))

    def _on_disconnect(self, _client: object, _data: object, flags: Any, reason: ReasonCode, _more: object) -> None:
        if flags.is_disconnect_packet_from_server:
            self.end(f"the broker ends the connection: {reason}", reason.value)
        else:
            self.end(f"the connection is lost{self._complaint}")

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        acknowledge = partial(self._acknowledge, message.mid, message.qos)
        if message.qos:
            self._unacknowledged.add(message.mid)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        if not topics.is_topic(topic):
            self._bus.counters.malformed += 1
            acknowledge()
            return
        expiry_s = getattr(message.properties, "MessageExpiryInterval", None)
        self._bus.inbox.put(
            Received(topic, bytes(message.payload), message.retain, message.qos, message.dup, expiry_s, acknowledge)
        )

    def _acknowledge(self, packet: int, qos: int) -> None:
        # Numbers belong to a connection: on the next one the broker sends again what is not acknowledged here.
        if packet in self._unacknowledged and not self.lost.done():
            self._unacknowledged.discard(packet)
            self._client.ack(packet, qos)

    def _on_publish(self, _client: object, _data: object, packet: int, reason: ReasonCode, _more: object) -> None:
        if packet in self._unwritten:
            self._unwritten.discard(packet)
        else:
            self._bus.acknowledged(packet, _refusal(reason))

    def _on_subscribe(
        self, _client: object, _data: object, packet: int, reasons: Sequence[ReasonCode], _more: object
    ) -> None:
        self._bus.subscribed(packet, [_refusal(reason) for reason in reasons])


def _refusal(reason: ReasonCode) -> str | None:
    return str(reason) if reason.is_failure else None


def _properties(kind: int, **values: int | None) -> Properties:
    properties = Properties(kind)  # type: ignore[no-untyped-call]  # paho's own omission
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties
