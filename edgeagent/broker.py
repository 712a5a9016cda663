"""Our own broker, in this process, for a house that has none: amqtt behind our own listener. The only user of amqtt.

Rules:
    - The listener is ours: the port that is really bound is known, the number of clients and the size of a packet are
      bounded, and a client that does not say in time who it is is shown the door.
    - A client that is gone without a word is noticed by the kernel (amqtt does not look at keepalives).
    - Nothing is written to disk: after a restart devices announce themselves again.
    - What amqtt has to say of its clients' mistakes does not belong into our log.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import NoDataError

from edgeagent.errors import BusError

MOST_CLIENTS = 200
"""A house and its gateways; the next one is refused."""
LARGEST_PACKET_BYTES = 1 << 20
"""Four times what the bus reads; what devices announce is a few kilobytes."""
INTRODUCTION_S = 10
"""Within this time a client has said who it is."""
GONE_AFTER_S = 60
"""A client that does not take what it is sent, or answers no probe, for this long is gone."""
GOODBYE_S = 0.5
"""How long amqtt may take to close."""

CONNECT = 0x10
HELLO = b"\x00\x04MQTT"
LONGEST_HEAD = 5
MQTT_3_1_1 = 4
ID_AT = 12
"""Where the client's id begins: after name, level, flags, keepalive and its length (MQTT 3.1.1, 3.1.2)."""

log = logging.getLogger(__name__)


class _BoundedReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt has no types
    """What a client sends, its first packet read already; one that is too large is the end of it."""

    def __init__(self, first: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._first = first
        self._is_over = False

    async def read(self, n: int = -1) -> bytes:
        if self._is_over or n > LARGEST_PACKET_BYTES:
            self._is_over = True
            raise NoDataError("too large")
        if not self._first:
            more: bytes = await super().read(n)
            return more
        taken, self._first = self._first[:n], self._first[n:]
        return taken if len(taken) == n else taken + await super().read(n - len(taken))


@asynccontextmanager
async def embedded_broker(host: str, port: int) -> AsyncIterator[int]:
    """Serve MQTT 3.1.1 on that address while the block runs; yield the port, a free one where `port` is 0.

    Raise BusError if the address cannot be listened on.
    """
    with _quiet("amqtt", "transitions"):
        broker = Broker(
            BrokerConfig(
                listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL)},
                plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            )
        )
        await broker.start()
        clients = _Clients(broker)
        try:
            server = await _listen(clients.admit, host, port)
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                server.close()
        finally:
            await clients.dismiss()
            with suppress(TimeoutError):
                await asyncio.wait_for(broker.shutdown(), GOODBYE_S)


@dataclass(frozen=True, slots=True)
class _Introduction:
    """A client's first packet, and what it says: the protocol's level and the client's id."""

    packet: bytes
    level: int
    client_id: bytes


class _Clients:
    """The connections, each served by a task of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}

    def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= MOST_CLIENTS:
            log.warning("client refused", extra={"clients": len(self._writers)})
            writer.transport.abort()
            return
        # A task of our own: asyncio 3.11 complains when its own is cancelled.
        task = asyncio.create_task(self._serve(reader, writer), name="client of our broker")
        self._writers[task] = writer
        task.add_done_callback(self._hang_up)

    async def dismiss(self) -> None:
        tasks = list(self._writers)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GOODBYE_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _probe(writer.get_extra_info("socket"))
            async with asyncio.timeout(INTRODUCTION_S):
                hello = await _introduction(reader)
                if hello.level != MQTT_3_1_1:
                    await _refuse_version(writer)
                    return
                await self._take_over(hello.client_id)
            await self._broker.external_connected(
                _BoundedReader(hello.packet, reader), StreamWriterAdapter(writer), "default"
            )
        except Exception as error:  # noqa: BLE001 - whatever amqtt makes of a client's bytes, only that client goes
            log.debug("client dropped", extra={"problem": repr(error)})

    def _hang_up(self, ended: asyncio.Task[None]) -> None:
        # Not in the task: one that is cancelled before its first step would never come to it.
        self._writers.pop(ended).transport.abort()

    async def _take_over(self, client_id: bytes) -> None:
        """End the connection that this client had before, which amqtt would let end the new one too."""
        while (before := self._tasks.get(client_id)) is not None and (writer := self._writers.get(before)):
            writer.transport.abort()
            await asyncio.wait([before])
        task = asyncio.current_task()
        if client_id and task is not None:
            self._tasks[client_id] = task
            task.add_done_callback(lambda ended: self._forget(client_id, ended))

    def _forget(self, client_id: bytes, ended: asyncio.Task[None]) -> None:
        if self._tasks.get(client_id) is ended:
            del self._tasks[client_id]


async def _listen(
    admit: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None], host: str, port: int
) -> asyncio.Server:
    try:
        return await asyncio.start_server(admit, host, port)
    except OSError as error:
        raise BusError(
            f"our own broker cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}",
            remedy="Another broker may run here: name it with host in [broker]; or set another embedded_port, or 0.",
        ) from error


async def _introduction(reader: asyncio.StreamReader) -> _Introduction:
    """Read a client's first packet (MQTT 3.1.1, 3.1). Raise ValueError if it is none.

    amqtt would take the properties of an MQTT 5 client for its id, and wait for the rest of that for ever.
    """
    head = await reader.readexactly(2)
    while head[-1] & 128 and len(head) < LONGEST_HEAD:
        head += await reader.readexactly(1)
    length = sum((byte & 127) << (7 * place) for place, byte in enumerate(head[1:]))
    if head[0] != CONNECT or not ID_AT <= length < LARGEST_PACKET_BYTES:
        raise ValueError("not MQTT")
    body = await reader.readexactly(length)
    if not body.startswith(HELLO):
        raise ValueError("not MQTT")
    id_bytes = int.from_bytes(body[ID_AT - 2 : ID_AT])
    return _Introduction(head + body, body[len(HELLO)], body[ID_AT : ID_AT + id_bytes])


async def _refuse_version(writer: asyncio.StreamWriter) -> None:
    """Say "unacceptable protocol version" (MQTT 3.1.1, 3.2.2.3), upon which clients come back with 3.1.1."""
    writer.write(b"\x20\x02\x00\x01")
    writer.close()
    await writer.wait_closed()


def _probe(connected: socket.socket) -> None:
    """Let the kernel notice a client that is gone (RFC 1122, 4.2.3.6; RFC 5482)."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, GONE_AFTER_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER_S * 1000)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
