"""The one thread to which the fleet's outbox belongs: nobody who listens or obeys waits for the disk."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from edgeagent.fleet.outbox import OUTBOX, Outbox

T = TypeVar("T")


class Clerk:
    """Does what is asked with the outbox, one after the other; it is opened when it is first needed."""

    def __init__(self, state: Path) -> None:
        """Have the outbox in this state folder."""
        self._path = state / OUTBOX
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self._outbox: Outbox | None = None

    @property
    def has_anything(self) -> bool:
        """Tell whether anything was ever put down."""
        return self._outbox is not None or os.path.exists(self._path)  # noqa: PTH110  # it never raises

    @property
    def is_durable(self) -> bool:
        """Tell whether what is put down outlives this run."""
        return self._outbox is not None and self._outbox.is_durable

    async def __call__(self, work: Callable[[Outbox], T]) -> T:
        """Have something done, and return what came of it."""

        def done() -> T:
            if self._outbox is None:
                self._outbox = Outbox(self._path)
            return work(self._outbox)

        return await asyncio.get_running_loop().run_in_executor(self._thread, done)

    def close(self) -> None:
        """Let go of the file, once nothing asks any more."""
        if self._outbox is not None:
            self._thread.submit(self._outbox.close)
        self._thread.shutdown(wait=True, cancel_futures=False)
