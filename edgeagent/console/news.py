"""That something has changed, told to whoever is looking: topics without content; the database has the content.

Topics: `device:<id>`, `fleet:<name>`, `rollout:<id>`. News may be told from any thread.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MOST_WATCHES = 500
"""Pages that are open at the same time; more see no news and have to be loaded again."""


class Watch:
    """What one who looks has not been told yet. Topics that change twice in between are told once."""

    def __init__(self, topics: frozenset[str], loop: asyncio.AbstractEventLoop) -> None:
        """Look at these topics; news is waited for in `loop`."""
        self.topics = topics
        self._loop = loop
        self._news = asyncio.Event()
        self._changed: set[str] = set()
        self._lock = threading.Lock()

    def tell(self, topics: frozenset[str]) -> None:
        """Note what has changed, from any thread."""
        with self._lock:
            was_empty = not self._changed
            self._changed |= topics
        if was_empty and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def changed(self) -> frozenset[str]:
        """Wait until something has changed, and return what."""
        await self._news.wait()
        with self._lock:
            self._news.clear()
            changed, self._changed = frozenset(self._changed), set()
        return changed


class News:
    """Who looks at what, in this process."""

    def __init__(self) -> None:
        """Begin with nobody looking."""
        self._watches: set[Watch] = set()
        self._lock = threading.Lock()

    def changed(self, *topics: str) -> None:
        """Tell everybody who looks at one of these topics. From any thread; never waits."""
        self.changed_all(topics)

    def changed_all(self, topics: Iterable[str]) -> None:
        """Tell everybody who looks at one of many topics."""
        told = frozenset(topics)
        with self._lock:
            watches = tuple(self._watches)
        for watch in watches:
            if mine := watch.topics & told:
                watch.tell(mine)

    @property
    def is_full(self) -> bool:
        """Whether nobody more can look."""
        return len(self._watches) >= MOST_WATCHES

    @contextmanager
    def watching(self, *topics: str) -> Iterator[Watch]:
        """Look at topics until the end of the block, in the loop that runs."""
        watch = Watch(frozenset(topics), asyncio.get_running_loop())
        with self._lock:
            self._watches.add(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches.discard(watch)
