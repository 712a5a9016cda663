"""The daemon's part in updates: takes jobs, starts the updater beside the listening, tells the fleet, begins anew.

Rules:
- the updater is another process, which gives way; this one listens and obeys meanwhile;
- nothing is begun, and nobody is made deaf by a new start, while somebody speaks or is answered;
- a job is in the journal before it is acknowledged; what became of it is told until the broker has it.
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from edgeagent import jobs
from edgeagent.bounded_json import parse
from edgeagent.errors import BusError, PayloadError, UpdateError
from edgeagent.fleet.redacting import Redactor, secrets_of
from edgeagent.fleet.telling import reject
from edgeagent.inbox import Received
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.releases import InUse
from edgeagent.topics import Address
from edgeagent.update.block_frames import HEADER_BYTES, LARGEST_BLOCK_BYTES, LARGEST_QUESTION_BYTES, MOST_BLOCKS
from edgeagent.update.course import Course, Told
from edgeagent.update.journal import Journal
from edgeagent.update.on_disk import disk
from edgeagent.update.places import ENDED, JOURNAL, LATER, TROUBLE, UPDATES
from edgeagent.update.updater import serves
from edgeagent.update.waiting import power_of, why_wait
from edgeagent.voice_health import VoiceHealth

log = logging.getLogger(__name__)

LOOK_S = 2.0
LATER_S = 60.0
TROUBLE_S = 300.0
PROBATION_S = 300.0
SAVE_S = 900.0
TELL_AGAIN_S = 30.0
SERVICE_S = 60.0
"""A start that has lasted so long is none of a loop."""
QUESTION_EXPIRY_S = 20
CLOCKS_APART_S = 86_400.0
"""Which job is newer is for the sender's clock to say, unless it is farther ahead of this one."""
MOST_HISTORY = 20
MOST_WAITING_BYTES = 2 * MOST_BLOCKS * (LARGEST_BLOCK_BYTES + HEADER_BYTES) // 4
"""Blocks that the updater has not taken: as many as it has asked for."""
MOST_WAITING = 2 * MOST_BLOCKS
_SOCKET_BYTES = 1 << 20
_REFUSALS = {"bad-job", "too-many-jobs", "other-family"}

T = TypeVar("T")


class NewStartError(Exception):
    """The agent is to be started anew: another release is current."""


class Updating:
    """What is under way on this device, and whom it is told."""

    def __init__(
        self, in_use: InUse, bus: Bus, address: Address, health: VoiceHealth, is_idle: Callable[[], bool]
    ) -> None:
        """Begin with what is in the journal."""
        self._in_use, self._bus, self._address, self._health, self._is_idle = in_use, bus, address, health, is_idle
        self._update = in_use.settings.update
        self._folder = in_use.settings.device.state_dir / UPDATES
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._journal: Journal | None = None
        self._wake, self._news = asyncio.Event(), asyncio.Event()
        self._not_before = 0.0
        self._blocks: Relay | None = None
        self.seen = ""
        """The id of the last job, if it was taken."""

    @property
    def filters(self) -> tuple[str, ...]:
        """Return what is to be heard from the bus."""
        blocks = (self._address.blocks,) if self._update.over_bus else ()
        return (self._address.job, *blocks) if self._update.families else ()

    async def take(self, received: Received) -> bool:
        """Take what came for updates. Return False for anything else."""
        if received.topic == self._address.blocks:
            if self._blocks is not None:
                self._blocks.answer(received.payload)
            received.acknowledge()
            return True
        if received.topic != self._address.job:
            return False
        is_new, self.seen = False, ""
        try:
            is_new = await self._is_new(received.payload)
        except PayloadError as error:
            await self._refuse(received.payload, "bad-job", str(error))
        except UpdateError as error:
            if error.code not in _REFUSALS:
                log.warning("job not taken", extra={"code": error.code, "problem": str(error)})
                return True  # not taken down: the broker shall send it again
            await self._refuse(received.payload, error.code, f"{error} {error.remedy}".strip())
        received.acknowledge()
        self._news.set()
        if is_new:  # who says the same again and again does not start the updater as often
            self.look()
        return True

    async def _is_new(self, payload: bytes) -> bool:
        """Take a job; return whether there is something to do. Raise PayloadError or UpdateError if it is refused."""
        job = jobs.job_of(payload, time.time() + CLOCKS_APART_S)
        if job is None:
            return False
        if isinstance(job, jobs.CancelJob):
            is_known = await self._clerks(partial(_cancel, job_id=job.id))
            self.seen = job.id
            return is_known
        if job.family not in self._update.families:
            remedy = "[update] families says which are."
            raise UpdateError(f"{job.family} is none of our families", code="other-family", remedy=remedy)
        course = await self._clerks(lambda journal: journal.accept(job, time.time()))
        log.info("job", extra={"job": job.id, "version": job.version, "state": course.state})
        self.seen = job.id
        return course.state == "accepted"

    async def _refuse(self, payload: bytes, code: str, problem: str) -> None:
        job_id = jobs.name_of(payload)
        log.warning("job refused", extra={"job": job_id, "code": code, "problem": problem})
        if _is_update(payload):  # whether others are answered is for the owner's [fleet] enabled to say
            await reject(self._bus, self._address, job_id, code, problem)

    def look(self) -> None:
        """Look at once at what there is to do."""
        self._not_before = 0.0
        self._wake.set()

    async def history(self) -> list[dict[str, object]]:
        """Return what became of the last updates, the newest first; nothing where the journal cannot be read."""
        if not self._has_journal():
            return []
        try:
            courses = await self._clerks(lambda journal: journal.history(MOST_HISTORY))
        except UpdateError as error:
            return [{"problem": str(error)}]
        return [{**asdict(one.job), "state": one.state, "changed": one.changed, **one.notes} for one in courses]

    def close(self) -> None:
        """Let go of the journal, once nothing uses it any more."""
        self._clerk.shutdown(wait=False, cancel_futures=True)

    async def keep(self) -> None:
        """Carry on what is under way, for ever. Raise NewStartError when another release has become current."""
        began, is_settled = time.monotonic(), False
        save_at = 0.0  # at once: a run of which nothing is written cannot be seen to have crashed
        while True:
            self._health.reach(is_fleet_reachable=self._bus.is_connected)
            if await asyncio.to_thread(self._in_use.is_out_of_date):
                await self._until_idle()
                raise NewStartError
            if time.monotonic() >= save_at:
                await self._save()
                save_at = time.monotonic() + SAVE_S
            if not is_settled and time.monotonic() - began > SERVICE_S and self._has_journal():
                is_settled = await self._is_settled()
            if time.monotonic() >= self._not_before and await self._is_due():
                await self._until_idle()
                self._health.reach(is_fleet_reachable=self._bus.is_connected)
                await self._save()
                await self._carry_on()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):  # not wait_for, which may swallow a cancellation before 3.12
                    await self._wake.wait()
            self._wake.clear()

    async def tell(self) -> None:
        """Tell the fleet what became of its jobs, until it has been heard, for ever."""
        while True:
            wait_s = LOOK_S
            try:
                if self._has_journal() and not await self._is_all_told():
                    wait_s = TELL_AGAIN_S
            except UpdateError as error:
                log.warning("results cannot be read", extra={"problem": str(error), "remedy": error.remedy})
                wait_s = TROUBLE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            self._news.clear()

    async def _is_all_told(self) -> bool:
        while results := await self._clerks(lambda journal: journal.results()):
            for one in results:
                if not await self._is_told(one):
                    return False
                await self._clerks(partial(Journal.acknowledge, seq=one.seq))
        return True

    async def _is_told(self, one: Told) -> bool:
        """Tell one result, shortly if it is too large for the broker; one that can never be told is let go."""
        one = replace(one, body=Redactor(secrets_of(self._in_use.given), ()).value(one.body))
        for is_short in (False, True):
            message = jobs.told(self._address, one, is_short=is_short)
            try:
                return await self._bus.deliver(message)
            except BusError as error:
                log.warning("a result cannot be told", extra={"topic": message.topic, "problem": str(error)})
        return True

    def _has_journal(self) -> bool:
        return self._journal is not None or os.path.exists(self._folder / JOURNAL)  # noqa: PTH110  # it never raises

    async def _clerks(self, work: Callable[[Journal], T]) -> T:
        """Have something done with the journal, in the thread to which it belongs. Raise UpdateError."""

        def done() -> T:
            if self._journal is not None and not self._journal.is_current():
                self._journal.close()  # somebody has set it aside
                self._journal = None
            if self._journal is None:
                with disk(f"{self._folder} cannot be made"):
                    self._folder.mkdir(parents=True, exist_ok=True)
                self._journal = Journal(self._folder / JOURNAL)
            return work(self._journal)

        return await asyncio.get_running_loop().run_in_executor(self._clerk, done)

    async def _is_due(self) -> bool:
        if not self._has_journal():
            return False
        try:
            course = await self._clerks(lambda journal: journal.under_way(time.time()))
        except UpdateError as error:
            log.warning("journal", extra={"problem": str(error)})
            self._not_before = time.monotonic() + TROUBLE_S
            return False
        if course is None or course.wish or course.state not in {"accepted", "waiting"}:
            return course is not None
        return course.is_due(time.time()) and (course.job.is_local or not await asyncio.to_thread(self._why_wait))

    def _why_wait(self) -> str:
        return why_wait(self._update, datetime.now().astimezone().time(), power_of())

    async def _is_settled(self) -> bool:
        """Count this start as one that lasted; return False if that could not be written."""
        try:
            for family in self._update.families:
                await self._clerks(partial(serves, family=family))
        except UpdateError as error:
            log.warning("journal", extra={"problem": str(error), "remedy": error.remedy})
            return False
        return True

    async def _save(self) -> None:
        """Put down what is counted: told here, where it is counted, and written beside."""
        await asyncio.to_thread(self._health.write, self._health.told())

    async def _until_idle(self) -> None:
        while not self._is_idle():  # noqa: ASYNC110  # it becomes so by nothing happening
            await asyncio.sleep(0.2)

    async def _carry_on(self) -> None:
        """Start the updater, and wait for it."""
        status = await self._updater()
        log.info("updater ended", extra={"status": status})
        self._news.set()
        try:
            course = await self._clerks(lambda journal: journal.under_way())
        except UpdateError as error:
            log.warning("journal", extra={"problem": str(error), "remedy": error.remedy})
            self._not_before = time.monotonic() + TROUBLE_S
        else:
            self._not_before = time.monotonic() + self._wait_s(status, course)

    def _wait_s(self, status: int, course: Course | None) -> float:
        if course is None or status == ENDED:  # what is there now came meanwhile
            return 0.0
        if course.state == "probation":
            return min(PROBATION_S, self._update.confirm_after_s / 3)
        return LATER_S if status == LATER else TROUBLE_S

    async def _updater(self) -> int:
        command = [sys.executable, "-P", "-m", "edgeagent.update"]
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) if self._update.over_bus else ()
        if ends:
            ours, theirs = ends
            command += ["--blocks", str(theirs.fileno())]
            self._blocks = Relay(ours, self._bus, self._address)
        try:
            return await self._run(command, ends[1] if ends else None)
        except OSError as error:
            log.warning("the updater cannot be started", extra={"problem": str(error)})
            return TROUBLE
        finally:
            if self._blocks is not None:
                self._blocks.close()
                self._blocks = None
            for end in ends:
                end.close()

    async def _run(self, command: list[str], theirs: socket.socket | None) -> int:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[] if theirs is None else [theirs.fileno()],
        )
        try:
            if theirs is not None:
                theirs.close()  # or nobody would see when the updater's own copy is closed
            await process.communicate(self._in_use.given.model_dump_json().encode())
            return process.returncode or 0
        finally:
            if process.returncode is None:
                process.kill()  # it may be killed at any point
                await process.wait()


def _is_update(payload: bytes) -> bool:
    with suppress(PayloadError):
        found = parse(payload, largest=jobs.LARGEST_JOB_BYTES)
        return isinstance(found, dict) and found.get("kind") == "update"
    return False


def _cancel(journal: Journal, job_id: str) -> bool:
    """Ask that a job of the fleet's ends; the owner's are not the fleet's to end. Return whether there is one."""
    course = journal.course(job_id)
    if course is None or course.job.is_local:
        return False
    return journal.wish(job_id, "cancel") is not None


class Relay:
    """Between the updater's socket and the bus: questions out, blocks in, and never more than was asked for."""

    def __init__(self, end: socket.socket, bus: Bus, address: Address) -> None:
        """Take our end of the socket, which is closed with this."""
        self._end, self._bus, self._topic = end, bus, f"{address.up}/get"
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._asking: set[asyncio.Task[None]] = set()
        end.setblocking(False)  # noqa: FBT003  # the standard library's
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self._loop.add_reader(end.fileno(), self._ask)

    def answer(self, block: bytes) -> None:
        """Hand a block to the updater; what is none, and more than it can have asked for, is dropped."""
        is_one = HEADER_BYTES <= len(block) <= HEADER_BYTES + LARGEST_BLOCK_BYTES
        if not is_one or len(self._waiting) >= MOST_WAITING or self._bytes + len(block) > MOST_WAITING_BYTES:
            return
        self._waiting.append(block)
        self._bytes += len(block)
        if len(self._waiting) == 1:
            self._hand_on()

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._end.close()

    def _hand_on(self) -> None:
        try:
            while self._waiting:
                self._end.send(self._waiting[0])
                self._bytes -= len(self._waiting.popleft())
        except BlockingIOError:
            self._loop.add_writer(self._end.fileno(), self._hand_on)
            return
        except OSError:  # the updater has ended
            self._waiting.clear()
            self._bytes = 0
        self._loop.remove_writer(self._end.fileno())

    def _ask(self) -> None:
        try:
            question = self._end.recv(LARGEST_QUESTION_BYTES)
        except BlockingIOError:
            return
        except OSError:
            question = b""
        if not question:
            self._loop.remove_reader(self._end.fileno())
            return
        task = self._loop.create_task(self._publish(question))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _publish(self, question: bytes) -> None:
        try:
            await self._bus.publish(Message(self._topic, question, qos=1, expiry_s=QUESTION_EXPIRY_S))
        except BusError as error:
            log.warning("blocks cannot be asked for", extra={"problem": str(error)})
