"""A sentence to a device as if it had been said there: the order goes out at once, and what comes of it is awaited."""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from edgeagent.act.plan import can_be_later
from edgeagent.console.tables import Device, Event
from edgeagent.console.web import events_view
from edgeagent.console.web.refusals import RefusedError
from edgeagent.console.web.site import Site
from edgeagent.messages import Message
from edgeagent.topics import Address

ANSWER_WITHIN_S = 8.0
EXPIRES_S = 10
FOLLOWS_S = 0.4
"""After a command is understood, its outcomes are waited for; after one of them, for others so much longer."""
QUIET_S = 1.0
"""After a command that orders nothing, as a question for the time: nothing has to come of it."""
_LAST = frozenset({"rejection", "question", "fault", "outcome"})


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a sentence."""

    text: str
    kind: str
    events: tuple[Event, ...]
    took_ms: float

    @property
    def lines(self) -> list[str]:
        """What is said of it, a line per event."""
        told = [f"{event.kind}: {events_view.told(event)}" for event in self.events]
        return told or ["it has not answered: it may be busy, or its words may not reach this console"]


async def say(site: Site, device: Device, text: str) -> Answered:
    """Order a device to do as if `text` had been said, and return what it told of it.

    Raise RefusedError if it is not there, or the console has no way to it.
    """
    if site.publish is None:
        raise RefusedError(503, "this console has no link to devices", remedy="Run it by `edgeagent console run`.")
    if not device.online:
        raise RefusedError(409, f"{device.name} is not online", remedy="Wait for it, or see why it is away.")
    began, last = time.perf_counter(), await run_in_threadpool(_newest, site, device.id)
    order = secrets.token_hex(8)
    with site.news.watching(f"device:{device.id}") as watch:
        await site.publish(_order(device, order, text))
        found: tuple[Event, ...] = ()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S) as deadline:
                while not _is_all(found):
                    await watch.changed()
                    found = await run_in_threadpool(_since, site, device.id, last)
                    if any(event.kind in _LAST for event in found):
                        deadline.reschedule(asyncio.get_running_loop().time() + FOLLOWS_S)
                    elif found and not any(map(_is_order, found)):
                        deadline.reschedule(asyncio.get_running_loop().time() + QUIET_S)
        except TimeoutError:
            pass  # what has come by now is what there is
    kind = "well" if any(event.kind == "outcome" for event in found) else "caution"
    if any(events_view.kind_of(event) == "bad" for event in found):
        kind = "problem"
    return Answered(text, kind, found, 1_000 * (time.perf_counter() - began))


def _order(device: Device, order: str, text: str) -> Message:
    address = Address(device.fleet, device.name)
    payload = {"v": 1, "id": order, "text": text, "expires": round(time.time() + EXPIRES_S, 3)}
    return Message(
        address.orders.removesuffix("+") + "say", json.dumps(payload).encode("ascii"), qos=1, expiry_s=EXPIRES_S
    )


def _is_all(events: tuple[Event, ...]) -> bool:
    return any(event.kind in _LAST for event in events)


def _is_order(event: Event) -> bool:
    return can_be_later(str(event.body.get("intent", "")))


def _newest(site: Site, device: int) -> int:
    with site.database.reading() as session:
        return session.scalar(select(Event.id).where(Event.device == device).order_by(Event.id.desc()).limit(1)) or 0


def _since(site: Site, device: int, last: int) -> tuple[Event, ...]:
    with site.database.reading() as session:
        wanted = select(Event).where(Event.device == device, Event.id > last).order_by(Event.id).limit(50)
        return tuple(
            event for event in session.scalars(wanted) if event.kind in _LAST | {"command"} and _is_typed(event)
        )


def _is_typed(event: Event) -> bool:
    """Tell whether an event is about a typed sentence, as orders are: a device numbers them t1, t2 and so on."""
    return str(event.body.get("utterance", "t")).startswith("t")
