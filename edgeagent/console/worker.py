"""The console on the bus: what devices tell goes into the database, what is due for them goes out.

Rules:
    - A message is acknowledged once it is in the database: who is killed before gets it again. The broker sends no more
      than it gets acknowledged, so a slow database holds it back, and nothing is lost.
    - What is to be published is found in the database, not kept in memory: who is killed finds it again.
    - Where the database is away, what came waits; where one message cannot be written, that one is left out, counted
      and logged, and the others are written.
    - Messages are taken as they come: many at a time only where many wait.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from sqlalchemy import select, text

from edgeagent.console.answers import Answering, questions, taken_away
from edgeagent.console.authority import Signer
from edgeagent.console.database import Database
from edgeagent.console.errors import AwayError, ConsoleError
from edgeagent.console.ingest import Effects, Incoming, ingest
from edgeagent.console.listening import Listening
from edgeagent.console.news import News
from edgeagent.console.pointers import Due, due_messages, published
from edgeagent.console.prometheus import Figures
from edgeagent.console.reading_again import ReadingAgain
from edgeagent.console.settings import ConsoleSection
from edgeagent.console.tables import Fleet
from edgeagent.console.told_again import tell_again
from edgeagent.duties import doing
from edgeagent.errors import BusError, EdgeAgentError
from edgeagent.inbox import Received
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.topics import VERSION

log = logging.getLogger(__name__)

BATCH = 500
"""Messages that are written together, at most."""
GATHER_S = 0.02
"""Between batches that were small: a steady trickle is written some together, and who is alone never waits."""
FEW = 50
DUE_EVERY_S = 0.25
"""How often is looked for what is due, where nobody says that something is."""
FLEETS_EVERY_S = 2.0
MOST_DUES = 500
DELIVERED_WITHIN_S = 30.0
"""A pointer that the broker has not taken by then stays due."""
PUBLISHED_WITHIN_S = 5.0
"""An order that the broker has not taken by then has failed."""
LEAST_WAIT_S, MOST_WAIT_S = 0.1, 5.0
"""Between tries to reach a database that is away."""
PLAIN = ("birth", "state", "reported", "renew")
"""What every console hears: what is retained comes only to those who subscribe in their own name."""
SHARED = ("job/+", "event/+", "metrics")


_IS_ANY_DUE = text(
    "SELECT EXISTS (SELECT 1 FROM jobs WHERE due <= :now OR (due IS NOT NULL AND ended IS NOT NULL))"
    " OR EXISTS (SELECT 1 FROM devices WHERE desired_due <= :now)"
)
"""Asked four times a second: a hundredth of the work of looking closer."""


class Publisher(Protocol):
    """Who brings messages to devices."""

    async def publish(self, message: Message) -> None:
        """Send a message now. Raise ConsoleError if the broker does not take it."""


class Worker:
    """One console's work on the bus. `is_conductor` says whether pointers are published by this one."""

    def __init__(self, settings: ConsoleSection, bus: Bus, database: Database, news: News, figures: Figures) -> None:
        """Take what is open already; `take`, `send` and `keep_subscribed` run as long as it does."""
        self._settings = settings
        self._bus = bus
        self._database = database
        self._news = news
        self._figures = figures
        self.signer: Signer | None = None
        unheard = figures.refused.labels("too many questions")
        self._answering = Answering(database, lambda: self.signer, partial(self._complain, "certificate"), unheard.inc)
        self.is_conductor = False
        self._look = asyncio.Event()
        self._reminded = 0
        self._complaint = "", ""
        self._listening = Listening()
        self._is_busy = False

    @property
    def listened_s(self) -> float | None:
        """For how long this console hears everything as it is said; None while something may wait for it."""
        is_heard = self._bus.is_connected and self._bus.is_subscribed
        connection, at_s = self._bus.counters.connections, time.monotonic()
        self._listening.look(at_s, time.time(), connection=connection, is_heard=is_heard, is_busy=self._has_much)
        return self._listening.lasts_s(at_s)

    @property
    def _has_much(self) -> bool:
        return self._is_busy or len(self._bus.inbox) >= FEW

    @property
    def is_caught_up(self) -> bool:
        """Whether everything was read that waited for this console."""
        return self.listened_s is not None

    async def publish(self, message: Message) -> None:
        """Send a message now. Raise ConsoleError if the broker does not take it."""
        if not self._bus.is_connected:
            raise AwayError("the broker cannot be reached", remedy=self._bus.trouble or "Try again.")
        try:
            async with asyncio.timeout(PUBLISHED_WITHIN_S):
                is_taken = await self._bus.deliver(message)
        except TimeoutError as error:
            raise AwayError(f"the broker took nothing for {PUBLISHED_WITHIN_S:g} s", remedy="Try again.") from error
        except BusError as error:
            raise ConsoleError(f"the broker does not take it: {error}", remedy=error.remedy) from error
        if not is_taken:
            raise AwayError("the broker does not take it", remedy="Try again.")
        self._figures.published.labels(_kind(message.topic)).inc()

    async def take(self) -> None:
        """Write down what comes, for ever; who asks for a certificate is answered beside that."""
        async with doing({"answer": self._answering.answer(self._answer)}):
            while True:
                await self._take_some()

    async def _take_some(self) -> None:
        first = await self._bus.inbox.get()
        received = [first, *self._bus.inbox.waiting(BATCH - 1)]
        self._is_busy = len(received) >= FEW
        effects = await self._written(received)
        for one in received:
            one.acknowledge()
        self._figures.count(self._figures.heard, effects.heard)
        self._figures.count(self._figures.refused, effects.refused)
        self.tell(effects)
        self._answering.ask(effects)
        for message in taken_away(received):
            await self._answer(message)
        if not self._is_busy:
            await asyncio.sleep(GATHER_S)
        self._is_busy = False

    async def send(self) -> None:
        """Publish what is due, for ever, while this console conducts."""
        while True:
            await self._bus.until(connected=True)
            await self._remind()
            count = await self._send_due() if self.is_conductor else 0
            if count < MOST_DUES:
                await self._pause()

    async def keep_subscribed(self) -> None:
        """Listen to every fleet that there is, and to those that are made later; read again what is retained."""
        reading = ReadingAgain()
        while True:
            connection = self._bus.counters.connections
            if reading.is_due(time.monotonic(), connection=connection, is_busy=self._has_much):
                self._bus.ask_again()
            self._bus.subscribe(questions(is_shared=self._settings.shared), as_published=True)
            for fleet in await asyncio.to_thread(self._fleets):
                self._bus.subscribe(*filters(fleet, self._settings))
            self._figures.is_connected.set(self._bus.is_connected)
            self._figures.waiting.labels("in").set(len(self._bus.inbox))
            self._figures.waiting.labels("out").set(len(self._bus.outbox))
            await asyncio.sleep(FLEETS_EVERY_S)

    async def _answer(self, answer: Message) -> None:
        try:
            await self._bus.publish(answer)
        except BusError as error:
            self._complain("answer", error)
        else:
            self._figures.published.labels(_kind(answer.topic)).inc()

    def look(self) -> None:
        """Look at once for what is due. From the loop's thread."""
        self._look.set()

    async def _remind(self) -> None:
        """Publish all pointers again on every connection: a broker that was killed has forgotten some, and results.

        It may know our session all the same, from when it wrote that down last.
        """
        if self.is_conductor and (connections := self._bus.counters.connections) != self._reminded:
            try:
                await asyncio.to_thread(self._tell_again)
            except ConsoleError as error:
                self._complain("tell again", error)
            else:
                self._reminded = connections

    def _tell_again(self) -> None:
        with self._database.session() as session:
            tell_again(session, time.time())

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(DUE_EVERY_S):
                await self._look.wait()
        except TimeoutError:
            return
        self._look.clear()

    async def _send_due(self) -> int:
        try:
            dues = await asyncio.to_thread(self._due)
            if not dues:
                return 0
            deliveries = [asyncio.create_task(self._bus.deliver(due.message)) for due in dues]
            await asyncio.wait(deliveries, timeout=DELIVERED_WITHIN_S)
            for task in deliveries:
                task.cancel()
            taken = [due for due, task in zip(dues, deliveries, strict=True) if _has_succeeded(task)]
            if taken:
                await asyncio.to_thread(self._note_published, taken)
        except ConsoleError as error:
            self._complain("due", error)
            await asyncio.sleep(LEAST_WAIT_S)
            return 0
        for due in taken:
            self._figures.published.labels(due.what).inc()
        self._news.changed_all(f"device:{due.device}" for due in taken)
        return len(taken)

    def _due(self) -> list[Due]:
        now = time.time()
        with self._database.reading() as session:
            is_any = session.execute(_IS_ANY_DUE, {"now": now}).scalar()
            return due_messages(session, now, MOST_DUES) if is_any else []

    def _note_published(self, dues: Sequence[Due]) -> None:
        with self._database.session() as session:
            published(session, dues, time.time())

    def _fleets(self) -> list[str]:
        try:
            with self._database.reading() as session:
                return list(session.scalars(select(Fleet.name)))
        except ConsoleError as error:
            self._complain("fleets", error)
            return []

    async def _written(self, received: Sequence[Received]) -> Effects:
        """Write a batch, however long the database is away."""
        batch = [Incoming(one.topic, one.payload, one.retained) for one in received]
        self._figures.batch.observe(len(batch))
        wait_s = LEAST_WAIT_S
        while True:
            try:
                with self._figures.ingest_s.time():
                    written = await asyncio.to_thread(self._write, batch, is_live=self.is_caught_up)
            except AwayError as error:
                self._listening.interrupt(time.monotonic())
                self._complain("database away", error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, MOST_WAIT_S)
            else:
                self._complaint = self._complaint if self._complaint[0] != "database away" else ("", "")
                return written

    def _write(self, batch: Sequence[Incoming], *, is_live: bool) -> Effects:
        try:
            with self._database.session() as session:
                effects = ingest(session, batch, time.time(), adopt=self._settings.adopt, is_live=is_live)
        except AwayError:
            raise
        except Exception as error:  # noqa: BLE001  # a message that nobody has thought of must not stop all others
            if len(batch) > 1:
                middle = len(batch) // 2
                halves = self._write(batch[:middle], is_live=is_live), self._write(batch[middle:], is_live=is_live)
                return halves[0].with_more(halves[1])
            self._complain("message left out", error)
            effects = Effects()
            effects.refused["unwritable"] += 1
        return effects

    def tell(self, effects: Effects) -> None:
        """Tell whoever looks on what has changed. From the loop's thread."""
        topics = {f"device:{device}" for device in effects.changed}
        topics |= {f"fleet:{fleet}" for fleet in effects.fleets}
        topics |= {f"rollout:{rollout}" for rollout in effects.rollouts}
        if topics:
            self._news.changed_all(topics)
        if effects.jobs or effects.born:
            self.look()

    def _complain(self, kind: str, error: Exception) -> None:
        self._figures.troubles.labels(kind).inc()
        if self._complaint == (kind, str(error)):
            return  # once, not at every try of a long night
        self._complaint = kind, str(error)
        remedy = error.remedy if isinstance(error, EdgeAgentError) else ""
        log.warning(kind, extra={"problem": str(error), "remedy": remedy}, exc_info=None if remedy else error)


def filters(fleet: str, settings: ConsoleSection) -> list[str]:
    """Return what is listened to in a fleet."""
    start = f"ea/{VERSION}/{fleet}"
    group = "$share/console/" if settings.shared else ""
    return [
        *(f"{start}/d/+/up/{kind}" for kind in PLAIN),
        *(f"{group}{start}/d/+/up/{kind}" for kind in SHARED),
    ]


def _has_succeeded(task: "asyncio.Task[bool]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result()


def _kind(topic: str) -> str:
    return topic.rpartition("/")[2] if "/dn/do/" not in topic else "order"
