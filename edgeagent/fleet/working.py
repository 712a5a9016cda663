"""Jobs of the fleet carried out, one at a time, and told until the fleet has heard what came of them.

Rules:
    - A job is on the disk before it is acknowledged and before anything is done about it.
    - Whatever a job does wrong ends the job, and nothing else.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from edgeagent.errors import BusError, EdgeAgentError
from edgeagent.fleet import jobs_here as rules
from edgeagent.fleet.clerk import Clerk
from edgeagent.fleet.jobs_here import Doing
from edgeagent.fleet.outbox import Outbox, Told
from edgeagent.fleet.wire import FleetJob
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.topics import Address

log = logging.getLogger(__name__)

Chore = Callable[[FleetJob], Awaitable[Mapping[str, Any]]]
"""Does what a job asks for, and returns what came of it. Raises EdgeAgentError, whose `code` is told, if it fails."""
TELL_AGAIN_S = 30.0


class Work:
    """The job that is under way, and what is to be told."""

    def __init__(self, clerk: Clerk, chores: Mapping[str, Chore], clean: Callable[[str], str]) -> None:
        """Begin with what is on the disk. `chores` are by kinds of jobs; `clean` makes of a text what may be told."""
        self._clerk, self._chores, self._clean = clerk, chores, clean
        self._running: tuple[str, asyncio.Future[Mapping[str, Any]]] | None = None
        self._come, self._news, self._begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def take(self, job: FleetJob, *, is_live: bool) -> None:
        """Take a job; one that is known is told again. `is_live`: it has not waited on the broker."""
        await self._begun.wait()  # what an earlier start has left comes first
        doing = await self._clerk(lambda outbox: outbox.accept(job, time.time(), is_live=is_live))
        log.info("job", extra={"job": job.id, "kind": job.kind, "state": doing.state})
        await self._end_what_is_over()
        self._come.set()
        self._news.set()

    async def cancel(self, job_id: str) -> bool:
        """End a job, and tell whether it is one of these."""
        if not self._clerk.has_anything:
            return False
        doing = await self._clerk(lambda outbox: outbox.step(job_id, "cancelled", time.time(), code="cancelled"))
        await self._end_what_is_over()
        self._news.set()
        return doing is not None

    async def keep(self) -> None:
        """Carry out what comes, for ever; first what an earlier start has left."""
        if self._clerk.has_anything:
            await self._clerk(lambda outbox: outbox.begin(time.time()))
            self._come.set()
        self._begun.set()
        self._news.set()
        while True:
            await self._come.wait()
            self._come.clear()
            while (doing := await self._clerk(lambda outbox: outbox.open_job())) is not None:
                await self._carry_out(doing)
                self._news.set()

    async def tell(self, bus: Bus, address: Address) -> None:
        """Tell the fleet how its jobs stand, until it has been heard, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._clerk.has_anything and (results := await self._clerk(lambda outbox: outbox.results())):
                for one in results:
                    if not await _is_told(one, bus, address):
                        await asyncio.sleep(TELL_AGAIN_S)
                        break
                    await self._clerk(partial(Outbox.acknowledge, seq=one.seq))

    async def _carry_out(self, doing: Doing) -> None:
        job = doing.job
        if doing.state == "accepted":
            await self._step(job.id, "working")
        task = asyncio.ensure_future(self._chores[job.kind](job))
        self._running = job.id, task
        try:
            await self._end_what_is_over()  # it may have been ended since it was looked up
            await asyncio.wait([task], timeout=max(0.0, rules.time_left_s(doing, time.time())))
            if not task.done():
                await self._step(job.id, "timed out", code="too-late", problem="it has taken too long")
                return
            await self._ended(job.id, task)
        finally:
            self._running = None
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _ended(self, job_id: str, task: "asyncio.Future[Mapping[str, Any]]") -> None:
        if task.cancelled():  # mostly what ended it is put down already, and an end is an end
            await self._step(job_id, "failed", code="interrupted", problem="it was stopped")
            return
        match task.exception():
            case None:
                try:
                    await self._step(job_id, "done", result=dict(task.result()))
                except (ValueError, TypeError) as error:
                    await self._step(job_id, "failed", code="fault", problem=f"no result that can be told: {error}")
            case EdgeAgentError() as error:
                code = str(getattr(error, "code", "") or "failed")
                state: rules.State = "superseded" if code == "superseded" else "failed"
                await self._fail(job_id, state, code, f"{error} {error.remedy}".strip())
            case error:
                log.error("job failed", exc_info=error, extra={"job": job_id})
                await self._fail(job_id, "failed", "fault", repr(error))

    async def _fail(self, job_id: str, state: rules.State, code: str, problem: str) -> None:
        await self._step(job_id, state, code=code, problem=await asyncio.to_thread(self._clean, problem))

    async def _step(self, job_id: str, state: rules.State, **more: Any) -> None:
        doing = await self._clerk(lambda outbox: outbox.step(job_id, state, time.time(), **more))
        if doing is not None and doing.state == state:
            log.info("job", extra={"job": job_id, "kind": doing.job.kind, "state": doing.state, "code": doing.code})
        self._news.set()

    async def _end_what_is_over(self) -> None:
        """Stop what is being done if its job has been cancelled, or another has taken its place."""
        if self._running is None:
            return
        job_id, task = self._running
        doing = await self._clerk(lambda outbox: outbox.job(job_id))
        if doing is None or doing.is_ended:
            task.cancel()


async def _is_told(one: Told, bus: Bus, address: Address) -> bool:
    """Tell one result, shortly if the broker does not take the whole; one that can never be told is let go."""
    is_hopeless = True
    for body in dict.fromkeys((one.body, one.short)):
        message = Message(f"{address.up}/job/{one.job}", body, qos=1)
        try:
            if await bus.deliver(message):
                return True
            is_hopeless = False  # dropped or refused: another time, perhaps
        except BusError as error:
            log.warning("a result cannot be told", extra={"topic": message.topic, "problem": str(error)})
    return is_hopeless
