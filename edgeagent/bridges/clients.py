"""The connections of a server: not too many, each served by a task of its own, all ended at the end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

MOST_CLIENTS = 8
"""Home Assistant opens a connection for each request; the next client is refused."""

log = logging.getLogger(__name__)

Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Clients:
    """Those who are connected. `converse` serves one until it is done with it, or it is gone."""

    def __init__(self, name: str, converse: Converse) -> None:
        """Start with none; `name` is the protocol's, for the log."""
        self._name = name
        self._converse = converse
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection, or refuse it where there are too many."""
        if len(self._writers) >= MOST_CLIENTS:
            log.warning("client refused", extra={"protocol": self._name, "clients": len(self._writers)})
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer), name=f"{self._name} client")
        self._writers[task] = writer
        task.add_done_callback(self._hang_up)

    async def dismiss(self) -> None:
        """End all connections."""
        tasks = list(self._writers)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError) as error:
            log.debug("client gone", extra={"protocol": self._name, "problem": repr(error)})
        except Exception:  # the client's boundary: whatever it made of us, only this client goes
            log.exception("client dropped", extra={"protocol": self._name})

    def _hang_up(self, ended: asyncio.Task[None]) -> None:
        # Not in the task: one that is cancelled before its first step would never come to it.
        self._writers.pop(ended).transport.abort()
