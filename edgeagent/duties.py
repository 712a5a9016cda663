"""Endless work beside other work."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def doing(duties: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Do these duties while the block runs; a duty that fails ends the block, and its error is raised in a group."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(duty, name=name) for name, duty in duties.items()]
        try:
            yield
        finally:
            for task in started:
                task.cancel()
