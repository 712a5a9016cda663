"""Orders from the bus: each once, only while it is fresh; what cannot wait does not.

Rules: an order is remembered on disk before it is acknowledged and before it is carried out; one that has expired while
it waited for others is not carried out; the emergency stop and the answer to a question pass all others.
"""

import asyncio
import logging
import time
from typing import Protocol

from edgeagent import topics
from edgeagent.act.plan import EMERGENCY_STOP
from edgeagent.act.remembered import RememberedOrders
from edgeagent.errors import SettingsError
from edgeagent.inbox import Received
from edgeagent.messages import Command, Interpretation, Outcome
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

log = logging.getLogger(__name__)

MOST_WAITING = 4


class Obeying(Protocol):
    """Who carries orders out."""

    @property
    def interpreter(self) -> Interpreter:
        """Return what understands now."""

    async def obey(self, interpretation: Interpretation) -> tuple[Outcome, ...]:
        """Do what was understood."""

    async def obey_text(self, text: str) -> tuple[Outcome, ...]:
        """Do what a typed sentence asks for."""

    def mute(self, *, on: bool) -> None:
        """Close the microphone, or open it."""

    def listen(self, by: str) -> None:
        """Listen to what is said next."""


class Orders:
    """The orders that wait to be carried out."""

    def __init__(self, remembered: RememberedOrders, obeying: Obeying) -> None:
        """Start with none waiting."""
        self._remembered = remembered
        self._obeying = obeying
        self._waiting: asyncio.Queue[topics.Say] = asyncio.Queue(MOST_WAITING)
        self._urgent: asyncio.Queue[Interpretation] = asyncio.Queue(MOST_WAITING)

    async def take(self, received: Received, address: topics.Address) -> None:
        """Accept an order: once, and only if it is fresh; it is remembered before it is acknowledged."""
        order = topics.order(address, received.topic, received.payload, retained=received.retained, now_s=time.time())
        if isinstance(order, topics.Refusal):
            log.warning("order refused", extra={"reason": order.reason, "detail": order.detail})
        elif self._waiting.full() and isinstance(order, topics.Say) and not is_urgent(self._read(order)):
            log.warning("order refused", extra={"reason": "busy", "order": order.id})
        else:
            await self._accept(order)
        received.acknowledge()

    async def obey(self) -> None:
        """Do what orders say, one after the other, for ever."""
        while True:
            order = await self._waiting.get()
            if time.time() > order.expires:
                about = {"reason": "expired", "order": order.id, "detail": "while it waited"}
                log.warning("order refused", extra=about)
            else:
                await self._obeying.obey_text(order.text)

    async def obey_urgent(self) -> None:
        """Do what cannot wait for what is being done, for ever."""
        while True:
            await self._obeying.obey(await self._urgent.get())

    def hurry(self, interpretation: Interpretation) -> None:
        """Have something done before all that waits."""
        if not self._urgent.full():  # whoever shouts for the fifth time is heard by the first
            self._urgent.put_nowait(interpretation)

    def answer(self, by: str, *, is_yes: bool) -> None:
        """Answer the question that is open, as somebody did who pressed a button."""
        said = "yes" if is_yes else "no"
        self.hurry(Command(f"o{by}", "confirm" if is_yes else "deny", (), said, 0, 1.0))

    def _read(self, order: topics.Say) -> Interpretation:
        return self._obeying.interpreter.interpret(typed(f"o{order.id}", order.text))

    async def _accept(self, order: topics.Order) -> None:
        try:
            is_new = await asyncio.to_thread(self._remembered.is_new, order.id)
        except SettingsError as error:  # what cannot be remembered could be done twice, so it is not done at all
            log.error("order refused", extra={"reason": str(error), "remedy": error.remedy})  # noqa: TRY400
            return
        match order:
            case _ if not is_new:
                log.info("order came again", extra={"order": order.id})
            case topics.Say() if is_urgent(found := self._read(order)):
                self.hurry(found)
            case topics.Say():
                self._waiting.put_nowait(order)
            case topics.Mute():
                self._obeying.mute(on=order.on)
            case topics.Listen():
                self._obeying.listen("bus")
            case topics.Confirm():
                self.answer(order.id, is_yes=order.yes)


def is_urgent(interpretation: Interpretation) -> bool:
    """Tell whether this is done even while something else is."""
    return isinstance(interpretation, Command) and interpretation.intent == EMERGENCY_STOP
