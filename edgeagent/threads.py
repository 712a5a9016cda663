"""The one bridge between the listening thread and the event loop: an iterator there, an async iterator here."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

QUEUE_SIZE = 4
"""Finished interpretations that may wait: a person does not speak faster than this is worked off."""
JOIN_S = 1.5
"""How long a thread that was told to stop gets, so that the whole program ends within 2 s."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """Stands behind the last item; carries what broke the iterator, if anything did."""

    error: Exception | None


class _Hatch(Generic[T]):
    """A bounded queue filled from the thread. An item that finds no room goes to `overflow`; the end always gets in."""

    def __init__(self, overflow: Callable[[T], None], express: Callable[[T], bool]) -> None:
        self._queue: asyncio.Queue[T | _End] = asyncio.Queue()
        self._overflow = overflow
        self._express = express

    def put(self, item: T) -> None:
        if self._express(item):
            return
        if self._queue.qsize() >= QUEUE_SIZE:
            self._overflow(item)
        else:
            self._queue.put_nowait(item)

    def end(self, error: Exception | None) -> None:
        self._queue.put_nowait(_End(error))

    async def items(self) -> AsyncIterator[T]:
        while True:
            item = await self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


@asynccontextmanager
async def running(
    produce: Callable[[threading.Event], Iterator[T]],
    *,
    name: str,
    overflow: Callable[[T], None],
    express: Callable[[T], bool] = lambda _: False,
) -> AsyncIterator[AsyncIterator[T]]:
    """Run `produce(stop)` in a thread and give its items as an async iterator.

    `stop` is set when the block is left; the iterator must then end within a frame. An item for which there is no room
    goes to `overflow`, called in the event loop, as `express` is, which may take an item out of the queue's order: it
    tells whether it has. What the iterator raises is raised to the reader.
    """
    loop = asyncio.get_running_loop()
    hatch: _Hatch[T] = _Hatch(overflow, express)
    stop = threading.Event()

    def tell(call: Callable[..., None], *arguments: object) -> None:
        if not stop.is_set():
            loop.call_soon_threadsafe(call, *arguments)

    def work() -> None:
        try:
            for item in produce(stop):
                tell(hatch.put, item)
        except Exception as error:  # noqa: BLE001  # the thread's boundary: handed to the reader, who raises it
            tell(hatch.end, error)
        else:
            tell(hatch.end, None)

    thread = threading.Thread(target=work, name=name)
    thread.start()
    try:
        yield hatch.items()
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, JOIN_S)
        if thread.is_alive():
            log.error("thread does not end", extra={"producer": name})
