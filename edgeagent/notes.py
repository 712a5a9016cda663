"""Steps to the audit trail, beside the event loop: nobody who orders waits for the disk."""

import asyncio
import logging
import uuid
from datetime import UTC, datetime

from edgeagent.audit import Entry, Trail, entry_of
from edgeagent.errors import EdgeAgentError
from edgeagent.messages import Step

log = logging.getLogger(__name__)

MOST_WAITING = 1_000
"""Entries that wait for the disk; more are lost, and the trail says how many."""
GAP = "gap"


class Notes:
    """Notes what is ordered. Without a trail, or after too much at once, entries are lost and counted."""

    def __init__(self, trail: Trail | None) -> None:
        """Write to the trail; None: nowhere."""
        self._trail = trail
        self._waiting: list[Entry] = []
        self._lost = 0
        self._come = asyncio.Event()
        self._run = uuid.uuid4().hex[:8]

    def note(self, step: Step) -> None:
        """Take a step; only what belongs into the trail is kept."""
        if self._trail is None:
            return
        entry = entry_of(step, datetime.now(UTC).isoformat(timespec="milliseconds"))
        if entry is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append({"run": self._run, **entry})
        self._come.set()

    async def keep(self) -> None:
        """Write down what comes, for ever."""
        while True:
            await self._come.wait()
            self._come.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write down what waits. What the disk refuses is lost, and counted: an order does not wait for it."""
        if self._trail is None or not self._waiting:
            return
        entries, self._waiting = self._waiting, []
        told, gap = self._lost, []
        if told:
            gap = [{"run": self._run, "at": entries[0]["at"], "step": GAP, "lost": told}]
        try:
            await asyncio.to_thread(self._trail.append, [*gap, *entries])
            self._lost -= told
        except (OSError, EdgeAgentError) as error:
            self._lost += len(entries)
            log.error("the audit trail cannot be written", extra={"problem": str(error)})  # noqa: TRY400
