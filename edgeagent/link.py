"""What is kept over the connections to a broker: subscriptions, reports on their way, what came in, and when to try.

Rules:
    - A connection serves once: after its end nothing of it is used, and what must be sent again is decided here.
    - An order is sent now, once, not retained; or it fails at once. It is never sent later.
    - Subscriptions are asked for again where the broker has lost our session, and where it has refused them: after a
      while, and then less and less often.
    - Nothing that goes wrong ends this: a round that fails is reported, and the next one follows after a while.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from edgeagent import topics
from edgeagent.connection import LARGEST_PACKET_BYTES, Connection, LostError, Version
from edgeagent.dial import dial, wait_s
from edgeagent.errors import BusError
from edgeagent.inbox import Inbox, Received
from edgeagent.messages import Message
from edgeagent.outbox import Outbox, packet_bytes
from edgeagent.settings import BrokerSettings
from edgeagent.subscriptions import AS_PUBLISHED, Subscriptions

log = logging.getLogger(__name__)

ORDER_EXPIRY_S = 5
"""The broker throws an order away that it cannot deliver in this time, where the message names none (MQTT 5)."""
STEADY_S = 30
"""A connection that held this long was a good one: the waits begin anew."""
FAREWELL_S = 0.4
"""How long a clean end waits for the last acknowledgements."""
REFUSED_AGAIN_S, REFUSED_MOST_S = 10.0, 600.0
"""What the broker has refused to subscribe is asked for again after this long, then each time after twice as long."""

REFUSED_VERSION = 132
OWNERS_FAULT = {133, 134, 135, 138, 142, 152}
"""Refused ids and credentials, a ban, an id in use elsewhere, an administrator's kick: trying soon does not help."""


@dataclass(slots=True)
class Counters:
    """What happened on the link since it was made, beside what the inbox and the outbox count."""

    connections: int = 0
    sessions: int = 0
    """Connections on which the broker knew nothing of us: what it kept for us, and perhaps for others, is gone."""
    failures: int = 0
    refused: int = 0
    """Reports and subscriptions to which the broker said no."""
    oversize: int = 0
    """Messages that the broker would not take, and that were not sent to it."""
    unsent: int = 0
    """Reports without acknowledgement (QoS 0) that came while the broker was away."""
    malformed: int = 0
    contained: int = 0


class Bus:
    """The link. Publishing and ordering never wait for the broker."""

    def __init__(
        self,
        settings: BrokerSettings,
        client_id: str,
        opened: "Callable[[Bus, socket.socket, Version], Connection]",
        greetings: Callable[[], Iterable[Message]],
        fraction: Callable[[], float],
        reserved: int = 0,
    ) -> None:
        """Make a link that is not connected yet; `edgeagent.bus.connect` makes one that is kept up."""
        self.settings = settings
        self.client_id = client_id
        self.counters = Counters()
        self.inbox = Inbox(settings.inbox, settings.largest_payload, reserved)
        self.outbox = Outbox(settings.outbox)
        self.trouble: str | None = None
        """Why there is no connection, and what to do, in plain words; None while all is well."""
        self.asks_always = False
        """Whether all is subscribed anew on every connection, also where the broker knows our session."""
        self._opened = opened
        self._greetings = greetings
        self._fraction = fraction
        self._versions: tuple[Version, ...] = ("5", "3.1.1")
        self._last: Connection | None = None
        self._largest_bytes = LARGEST_PACKET_BYTES
        self._subscriptions = Subscriptions()
        self._is_up, self._is_down, self._is_drained = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._is_down.set()
        self._is_leaving = False
        self._asking_again: asyncio.TimerHandle | None = None
        self._refused_s = REFUSED_AGAIN_S
        self._refused: set[str] = set()
        self._where = f"{settings.host}:{settings.port}"

    @property
    def is_connected(self) -> bool:
        """Tell whether an order could be sent now."""
        return self._connection is not None

    @property
    def is_subscribed(self) -> bool:
        """Tell whether the broker has granted everything that was asked for."""
        return self._subscriptions.is_complete

    @property
    def is_answered(self) -> bool:
        """Tell whether the broker has granted or refused everything that was asked for."""
        return self._subscriptions.is_answered

    @property
    def protocol(self) -> Version:
        """The version of MQTT that is spoken, or tried next."""
        return self._last.version if self._last else self._versions[0]

    async def until(self, *, connected: bool) -> None:
        """Wait until the link is up, or until it is down."""
        await (self._is_up if connected else self._is_down).wait()

    async def publish(self, message: Message) -> None:
        """Send a report; with QoS 1 it waits for the broker. Raise BusError if it can never be sent."""
        self._check(message)
        if message.qos == 1:
            self._queue(message, lambda _: None)
        elif (connection := self._connection) and not connection.is_clogged:
            connection.publish(message)
        else:
            self.counters.unsent += 1

    async def deliver(self, message: Message) -> bool:
        """Send a report with QoS 1, and wait until the broker has taken it; return False if it never will.

        Raise BusError if it can never be sent. Who is cancelled does not take it back.
        """
        self._check(message)
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def end(is_taken: bool) -> None:  # noqa: FBT001  # what an outbox tells
            if not ended.done():
                ended.set_result(is_taken)

        self._queue(message, end)
        return await ended

    async def order(self, message: Message) -> None:
        """Send an order: now, once, not retained. Raise BusError if that cannot be."""
        self._check(message)
        connection = self._connection
        if connection is None:
            raise BusError("the devices cannot be reached: there is no connection", remedy=self.trouble or "")
        if connection.is_clogged:
            raise BusError("the devices cannot be reached: the network takes nothing", remedy="Try again.")
        expiry_s = ORDER_EXPIRY_S if message.expiry_s is None else message.expiry_s
        connection.publish(replace(message, qos=0, retain=False, expiry_s=expiry_s))

    def subscribe(self, *filters: str, qos: Literal[0, 1] = 1, as_published: bool = False) -> None:
        """Ask for messages, now and whenever the broker has forgotten. Raise BusError for what is no topic filter.

        `as_published` (MQTT 5) has those that come at once say, too, whether the broker retains them.
        """
        wanted = qos | AS_PUBLISHED if as_published else qos
        fresh = self._subscriptions.fresh(filters, wanted)  # of thousands, asked again with every device, few are
        for pattern in fresh:
            if not topics.is_filter(pattern):
                raise BusError(f"{pattern!r} is not a topic filter", remedy="Check the discovery prefix in [broker].")
        if fresh:
            self._subscriptions.want(fresh, wanted)
            self._ask()

    def ask_again(self) -> None:
        """Subscribe to everything anew: what is retained comes once more."""
        self._subscriptions.begin(is_session_known=False)
        self._ask()

    async def received(self) -> AsyncIterator[Received]:
        """Yield what comes in, for ever. For one reader."""
        while True:
            yield await self.inbox.get()

    def acknowledged(self, packet: int, refusal: str | None) -> None:
        """Note the broker's answer to a report."""
        report = self.outbox.acknowledged(packet)
        if report is not None:
            report.ended(refusal is None)
        if report is not None and refusal is not None:
            self.counters.refused += 1
            log.warning("report refused", extra={"topic": report.message.topic, "reason": refusal})
        self._pump()
        if not self.outbox:
            self._is_drained.set()

    def subscribed(self, packet: int, refusals: Sequence[str | None]) -> None:
        """Note the broker's answers to a subscription, one for each filter."""
        for pattern, refusal in self._subscriptions.answered(packet, refusals):
            self.counters.refused += 1
            if pattern not in self._refused:  # once, not at every try of a long night
                self._refused.add(pattern)
                log.warning("subscription refused", extra={"filter": pattern, "reason": refusal})
            if self._asking_again is None:
                self._asking_again = asyncio.get_running_loop().call_later(self._refused_s, self._ask_refused)
                self._refused_s = min(2 * self._refused_s, REFUSED_MOST_S)

    async def stay_connected(self) -> None:
        """Connect, and connect again, until `farewell`."""
        failures = 0
        while not self._is_leaving:
            began_s = _now_s()
            try:
                lost: BusError = await self._round()
            except BusError as error:
                lost = error
            except Exception as error:
                # The link outlives whatever is wrong in one round, a failing greeting for one.
                self.counters.contained += 1
                log.exception("bus failed")
                lost = BusError(f"the link failed: {error!r}", remedy="Report this, with the log.")
            if not self._is_leaving:
                failures = 0 if _now_s() - began_s > STEADY_S else failures + 1
                self._complain(lost)
                await asyncio.sleep(self._wait_s(lost, failures))

    async def farewell(self) -> None:
        """Wait a moment for the acknowledgement of what was sent, and close the connection."""
        self._is_leaving = True
        if connection := self._connection:
            if self.outbox:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_drained.wait(), FAREWELL_S)
            await connection.farewell()

    @property
    def _connection(self) -> Connection | None:
        return None if self._last is None or self._last.lost.done() else self._last

    async def _round(self) -> BusError:
        """Connect, and serve the connection to its end; return why it ended."""
        connection, is_session_known = await self._open()
        try:
            self._last = connection
            self._largest_bytes = connection.largest_bytes
            self._begin(is_session_known=is_session_known)
            await asyncio.wait([connection.lost])
            return connection.lost.result()
        finally:
            connection.end("closed")
            self._last = None
            if self._asking_again is not None:
                self._asking_again.cancel()
                self._asking_again = None
            self._is_up.clear()
            self._is_down.set()
            for report in self.outbox.connection_lost():
                log.error("report given up", extra={"topic": report.message.topic, "size": len(report.message.payload)})

    async def _open(self) -> tuple[Connection, bool]:
        for version in self._versions[:-1]:
            try:
                return await self._open_with(version)
            except LostError as lost:
                if lost.code == REFUSED_VERSION:
                    self._versions = self._versions[1:]
                elif lost.code is not None:
                    raise
                # Without a code: old brokers hang up on a version that they do not know.
        return await self._open_with(self._versions[-1])

    async def _open_with(self, version: Version) -> tuple[Connection, bool]:
        connection = self._opened(self, await dial(self.settings), version)
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                return connection, await connection.welcome()
        except TimeoutError:
            connection.end("the broker took the connection and said nothing")
            raise connection.lost.result() from None
        except BaseException:
            connection.end("given up")
            raise

    def _begin(self, *, is_session_known: bool) -> None:
        self.trouble = None
        self.counters.connections += 1
        self.counters.sessions += not is_session_known
        log.info("bus connected", extra={"broker": self._where, "mqtt": self.protocol, "session": is_session_known})
        self._subscriptions.begin(is_session_known=is_session_known and not self.asks_always)
        self._refused_s = REFUSED_AGAIN_S
        self._ask()
        self.outbox.greet(self._greetings())
        self._is_down.clear()
        self._is_up.set()
        self._pump()

    def _queue(self, message: Message, ended: Callable[[bool], None]) -> None:
        self._is_drained.clear()
        self.outbox.add(message, _now_s(), ended)
        self._pump()

    def _ask(self) -> None:
        if connection := self._connection:
            for portion in self._subscriptions.open():
                if (packet := connection.subscribe(portion)) is not None:
                    self._subscriptions.asked(packet, portion)

    def _ask_refused(self) -> None:
        self._asking_again = None
        self._subscriptions.forgive()
        self._ask()

    def _pump(self) -> None:
        while connection := self._connection:
            report = self.outbox.take(connection.receive_maximum, connection.largest_bytes, _now_s())
            if report is None:
                return
            packet = connection.publish(report.message)
            self.outbox.sent(packet, report)

    def _check(self, message: Message) -> None:
        if not topics.is_topic(message.topic):
            raise BusError(f"{message.topic!r:.200} is not a topic", remedy="A topic has no +, no # and no zero byte.")
        if packet_bytes(message) > self._largest_bytes:
            self.counters.oversize += 1
            raise BusError(
                f"{message.topic}: {packet_bytes(message)} bytes, the broker takes at most {self._largest_bytes}",
                remedy="Raise the broker's largest packet (max_packet_size in mosquitto).",
            )

    def _complain(self, lost: BusError) -> None:
        self.counters.failures += 1
        trouble = f"{lost}. {lost.remedy}".strip()
        if trouble != self.trouble:  # once, not at every try of a long night
            log.warning("bus lost", extra={"broker": self._where, "reason": str(lost), "remedy": lost.remedy})
        self.trouble = trouble

    def _wait_s(self, lost: BusError, failures: int) -> float:
        least_s, most_s = self.settings.reconnect_least_s, self.settings.reconnect_most_s
        is_owners = isinstance(lost, LostError) and lost.code in OWNERS_FAULT
        return wait_s(failures, most_s if is_owners else least_s, most_s, self._fraction())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
