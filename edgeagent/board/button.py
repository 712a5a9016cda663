"""Edges of a line to presses of a button, and to positions of a switch: pure rules, and what waits for the edges.

Rules:
    - A level counts once it has stayed for 20 ms, from when it began: contacts bounce.
    - Short: released before 1.5 s. Long: told at 1.5 s, while it is still held, so that the finger knows.
    - What is held when we begin has not been pressed: nothing is told until it has been released.
    - What is held for half a minute is stuck: that is told once, and nothing more until it is released.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgeagent.board.lines import Edge, InputLine

Press = Literal["short", "long", "stuck"]
Told = Literal["nothing", "long", "all"]

SETTLED_S = 0.02
LONG_S = 1.5
STUCK_S = 30.0


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact that bounces: what was seen last and since when, and what counts and since when."""

    seen: bool
    seen_s: float
    is_closed: bool
    closed_s: float

    @property
    def due_s(self) -> float | None:
        """When what was seen last comes to count, if nothing else is seen; None if it does already."""
        return None if self.seen == self.is_closed else self.seen_s + SETTLED_S


def contact(found: Edge) -> Contact:
    """Return a contact as it is found."""
    return Contact(found.is_active, found.at_s, found.is_active, found.at_s)


def settled(one: Contact, now_s: float) -> Contact:
    """Return a contact as it counts now."""
    due_s = one.due_s
    return one if due_s is None or now_s < due_s else replace(one, is_closed=one.seen, closed_s=one.seen_s)


def seen(one: Contact, edge: Edge) -> Contact:
    """Return a contact after it was seen so; the same again says nothing new."""
    before = settled(one, edge.at_s)
    return before if before.seen == edge.is_active else replace(before, seen=edge.is_active, seen_s=edge.at_s)


@dataclass(frozen=True, slots=True)
class Button:
    """A button: its contact, and how much of this press was told already."""

    contact: Contact
    told: Told

    @property
    def due_s(self) -> float | None:
        """When it is to be looked at again, if nothing is seen before; None if only an edge can change anything."""
        if self.contact.due_s is not None:
            return self.contact.due_s
        if not self.contact.is_closed or self.told == "all":
            return None
        return self.contact.closed_s + (LONG_S if self.told == "nothing" else STUCK_S)


def button(found: Edge) -> Button:
    """Return a button as it is found; held, it has told all."""
    return Button(contact(found), "all" if found.is_active else "nothing")


def looked_at(one: Button, now_s: float) -> tuple[Button, tuple[Press, ...]]:
    """Return a button as it is now, and what it has told by now."""
    now = replace(one, contact=settled(one.contact, now_s))
    since_s = one.contact.closed_s
    if one.contact.is_closed and not now.contact.is_closed:
        return replace(now, told="nothing"), _told(one, since_s, now.contact.closed_s) or _short(one)
    if not now.contact.is_closed or now.contact.due_s is not None:  # it may have been released already
        return now, ()
    presses = _told(now, now.contact.closed_s, now_s)
    told: Told = "all" if "stuck" in presses else "long" if presses else now.told
    return replace(now, told=told), presses


def pressed(one: Button, edge: Edge) -> tuple[Button, tuple[Press, ...]]:
    """Return a button after an edge, and what it has told by then."""
    now, presses = looked_at(one, edge.at_s)
    return replace(now, contact=seen(now.contact, edge)), presses


def _short(one: Button) -> tuple[Press, ...]:
    return ("short",) if one.told == "nothing" else ()


def _told(one: Button, since_s: float, until_s: float) -> tuple[Press, ...]:
    """Return what a press of this length tells that it has not told, whether it goes on or not."""
    long: tuple[Press, ...] = ("long",) if one.told == "nothing" and until_s >= since_s + LONG_S else ()
    stuck: tuple[Press, ...] = ("stuck",) if one.told != "all" and until_s >= since_s + STUCK_S else ()
    return long + stuck


async def presses(line: InputLine, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[Press]:
    """Yield what a button tells, for ever. Raise BoardError if its line goes away."""
    one = button(Edge(clock(), line.is_active()))
    while True:
        for edge in await _next_edges(line, one.due_s, clock):
            one, told = pressed(one, edge)
            for press in told:
                yield press


async def positions(line: InputLine, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[bool]:
    """Yield whether a switch is closed: as it is found, and whenever it has changed. Raise BoardError as above."""
    one = contact(Edge(clock(), line.is_active()))
    yield one.is_closed
    while True:
        for edge in await _next_edges(line, one.due_s, clock):
            before, one = one, seen(one, edge)
            if one.is_closed != before.is_closed:
                yield one.is_closed


async def _next_edges(line: InputLine, due_s: float | None, clock: Callable[[], float]) -> Sequence[Edge]:
    """Return the next edges; when none has come until a look is due, the level that is found then."""
    try:
        async with asyncio.timeout(None if due_s is None else max(0.0, due_s - clock())):
            await _readable(line.fileno())
    except TimeoutError:
        return (Edge(clock(), line.is_active()),)
    return line.edges()


async def _readable(file: int) -> None:
    """Wait until a file can be read. Watched anew each time: what was read since is not taken for more."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(file, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(file)
