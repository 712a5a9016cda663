"""Questions for certificates to answers: after what devices tell, and never in its way.

Rules:
    - Questions wait in memory, so many and no more; who is not answered asks again. A device has one question at most.
    - Whoever can ask can ask on and on, by a claim that was lost: a wrong token costs one look for many together, and
      a few a second are answered. The right ones among them are answered all.
    - What goes wrong with one spoils no other.
    - A question that is retained is none: it is taken away from the broker. Whose fleet is not ours gets no answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import TypeVar

from sqlalchemy import select

from edgeagent.console.authority import Signer
from edgeagent.console.database import Database
from edgeagent.console.enrolment import enrol, hash_of, known, renew
from edgeagent.console.errors import ConsoleError
from edgeagent.console.ingest import Effects
from edgeagent.console.tables import Fleet
from edgeagent.fleet import wire
from edgeagent.inbox import Received
from edgeagent.messages import Message
from edgeagent.topics import VERSION, Address

EXPIRY_S = 60
"""Who asks, asks again after less."""
NO_AUTHORITY = "this console signs no certificates"
FAILED = "the console could not answer: ask again"
MOST_WAITING = 500
"""Questions of each kind that wait."""
MOST_LOOKED_AT = 200
"""Together, and then nothing for PAUSE_S: a thousand a second at most."""
PAUSE_S = 0.2
MOST_WRONG = 10
"""Of those looked at together that are answered although their tokens are wrong."""
MOST_SIGNED = 2
"""At once: each may hold up a thread for as long as the authority takes."""

Asked = TypeVar("Asked", wire.EnrolRequest, wire.RenewRequest)
_Question = tuple[str, str, wire.EnrolRequest | wire.RenewRequest]
"""A fleet, a nonce or a device, and what is asked."""


class Answering:
    """The questions that wait. `ask` takes them, `answer` is the duty. On the loop's thread."""

    def __init__(
        self,
        database: Database,
        signer: Callable[[], Signer | None],
        complain: Callable[[Exception], None],
        drop: Callable[[int], None],
    ) -> None:
        """Take who signs at that time; what goes wrong is complained of, and `drop` is told how many are not heard."""
        self._database, self._signer, self._complain, self._drop = database, signer, complain, drop
        self._enrolments: dict[tuple[str, str], wire.EnrolRequest] = {}
        self._renewals: dict[tuple[str, str], wire.RenewRequest] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Semaphore(MOST_SIGNED)

    def ask(self, effects: Effects) -> None:
        """Keep what was asked, where there is room."""
        dropped = 0
        for fleet, nonce, enrolment in effects.enrolments:
            dropped += not _kept(self._enrolments, (fleet, nonce), enrolment)
        for fleet, device, renewal in effects.renewals:
            dropped += not _kept(self._renewals, (fleet, device), renewal)
        if dropped:
            self._drop(dropped)
        if effects.enrolments or effects.renewals:
            self._wake.set()

    async def answer(self, tell: Callable[[Message], Awaitable[None]]) -> None:
        """Answer, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._enrolments or self._renewals:
                renewals: list[_Question] = [(*who, asked) for who, asked in _taken(self._renewals)]
                enrolments = await self._heard([(*who, asked) for who, asked in _taken(self._enrolments)])
                await asyncio.gather(*(self._one(question, tell) for question in [*renewals, *enrolments]))
                await asyncio.sleep(PAUSE_S)

    async def _heard(self, asked: list[tuple[str, str, wire.EnrolRequest]]) -> list[_Question]:
        """Return what is answered: all whose tokens there are, and a few others."""
        try:
            fleets, there = await asyncio.to_thread(self._known, [hash_of(one.token) for _, _, one in asked])
        except ConsoleError as error:
            self._complain(error)
            return []  # it is asked again
        ours = [question for question in asked if question[0] in fleets]
        right = [question for question in ours if hash_of(question[2].token) in there]
        wrong = [question for question in ours if hash_of(question[2].token) not in there]
        if len(wrong) > MOST_WRONG:
            self._drop(len(wrong) - MOST_WRONG)
        return [*right, *wrong[:MOST_WRONG]]

    def _known(self, hashes: list[str]) -> tuple[set[str], set[str]]:
        if not hashes:
            return set(), set()
        with self._database.reading() as session:
            return set(session.scalars(select(Fleet.name))), known(session, hashes)

    async def _one(self, question: _Question, tell: Callable[[Message], Awaitable[None]]) -> None:
        async with self._room:
            message = await asyncio.to_thread(self._answered, question)
        if message is not None:
            await tell(message)

    def _answered(self, question: _Question) -> Message | None:
        fleet, who, asked = question
        certified = self._certified(question)
        if certified is None:
            return None
        if isinstance(asked, wire.EnrolRequest):
            return Message(wire.enrolment(fleet, who)[1], wire.written(certified), 1, expiry_s=EXPIRY_S)
        return wire.certified(Address(fleet, who), certified)

    def _certified(self, question: _Question) -> wire.Certified | None:
        fleet, who, asked = question
        nonce = asked.nonce if isinstance(asked, wire.RenewRequest) else who
        signer = self._signer()
        if signer is None:
            return wire.Certified(nonce=nonce, problem=NO_AUTHORITY)
        try:
            if isinstance(asked, wire.EnrolRequest):
                return enrol(self._database, signer, fleet, asked, time.time(), nonce=nonce)
            return renew(self._database, signer, fleet, who, asked, time.time())
        except Exception as error:  # noqa: BLE001  # a request that nobody has thought of must not stop all others
            self._complain(error)
            return wire.Certified(nonce=nonce, problem=FAILED)


def questions(*, is_shared: bool) -> str:
    """Return where is asked for identities: in every fleet, since whoever may ask may fill the broker under any."""
    return f"{'$share/console/' if is_shared else ''}ea/{VERSION}/+/enrol/+/req"


def taken_away(received: Iterable[Received]) -> list[Message]:
    """Return what takes away the questions that somebody has left on the broker."""
    topics = {one.topic for one in received if one.retained and one.payload and "/enrol/" in one.topic}
    return [Message(topic, b"", 1, retain=True) for topic in sorted(topics)]


def _kept(waiting: dict[tuple[str, str], Asked], who: tuple[str, str], asked: Asked) -> bool:
    if who not in waiting and len(waiting) >= MOST_WAITING:
        return False
    waiting[who] = asked
    return True


def _taken(waiting: dict[tuple[str, str], Asked]) -> list[tuple[tuple[str, str], Asked]]:
    """Take the oldest."""
    return [(who, waiting.pop(who)) for who in list(islice(waiting, MOST_LOOKED_AT))]
