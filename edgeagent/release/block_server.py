"""A repository's folder served over the broker: blocks to every device that asks, in turn, as fast as they are taken.

Any number of servers may share the work (MQTT 5 shared subscriptions). Nothing is trusted on either side: a device
verifies what it gets, and what a device asks for is looked for inside the folder only.
"""

import asyncio
import logging
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path

from edgeagent.bus import connect
from edgeagent.errors import BusError, PayloadError, UpdateError
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.settings import AgentSettings
from edgeagent.update.block_frames import Block, Question, question_of
from edgeagent.update.transports import FolderTransport

log = logging.getLogger(__name__)

GROUP = "edgeagent-blocks"
MOST_QUESTIONS = 4
"""Of one device that wait; it asks again for what is dropped."""
MOST_DEVICES = 20_000
UNSENT = 40
"""Blocks that the broker has not taken yet; more wait here."""
EXPIRY_S = 20


class BlockServer:
    """Questions that wait, by device, and the blocks that answer them."""

    def __init__(self, bus: Bus, folder: Path, fleet: str) -> None:
        """Serve a repository's folder to a fleet."""
        self._bus, self._folder, self._fleet = bus, FolderTransport(folder), fleet
        self._waiting: OrderedDict[str, deque[Iterator[Block]]] = OrderedDict()
        self._came = asyncio.Event()
        self._room = asyncio.Semaphore(UNSENT)
        self.sent = 0

    async def serve(self) -> None:
        """Answer, for ever."""
        self._bus.subscribe(f"$share/{GROUP}/ea/1/{self._fleet}/d/+/up/get")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(tasks), name="send blocks")
            async for received in self._bus.received():
                self._take(received.topic, received.payload)
                received.acknowledge()

    def _take(self, topic: str, payload: bytes) -> None:
        device = topic.split("/")[4]
        try:
            question = question_of(payload)
        except PayloadError as error:
            log.warning("no question", extra={"device": device, "problem": str(error)})
            return
        if len(self._waiting) >= MOST_DEVICES and device not in self._waiting:
            return
        questions = self._waiting.setdefault(device, deque(maxlen=MOST_QUESTIONS))
        questions.append(self._blocks(question))
        self._came.set()

    def _blocks(self, question: Question) -> Iterator[Block]:
        at, content, rest = question.at, b"", question.most
        try:
            pieces = self._folder.read(question.path, question.at, most=question.most + 1)  # one more: is it the end?
            for piece in pieces:
                content += piece
                while len(content) > question.block and rest > question.block:
                    yield Block(question.id, at, content[: question.block])
                    at, rest, content = at + question.block, rest - question.block, content[question.block :]
        except UpdateError as error:
            if error.code not in {"absent", "bad-name", "unsafe-file"}:
                log.warning("cannot be read", extra={"path": question.path, "problem": str(error)})
                return
            yield Block(question.id, question.at, is_absent=True)
            return
        yield Block(question.id, at, content[:rest], is_last=len(content) <= rest)

    async def _send(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._came.wait()
            while self._waiting:
                device, questions = self._waiting.popitem(last=False)
                block = next(questions[0], None)
                if block is None:
                    questions.popleft()
                if questions:
                    self._waiting[device] = questions  # behind all others
                if block is not None:
                    await self._publish(device, block, tasks)
            self._came.clear()

    async def _publish(self, device: str, block: Block, tasks: asyncio.TaskGroup) -> None:
        """Send a block as soon as the broker has taken enough of those before it."""
        await self._room.acquire()
        topic = f"ea/1/{self._fleet}/d/{device}/dn/block"
        tasks.create_task(self._deliver(Message(topic, block.raw(), qos=1, expiry_s=EXPIRY_S)))
        self.sent += 1

    async def _deliver(self, message: Message) -> None:
        try:
            await self._bus.deliver(message)
        except BusError as error:
            log.warning("block cannot be sent", extra={"topic": message.topic, "problem": str(error)})
        finally:
            self._room.release()


async def serve_folder(settings: AgentSettings, folder: Path) -> int:
    """Serve a repository's folder to the fleet of these settings, until cancelled."""
    link = settings.broker.model_copy(update={"session_expiry_s": 0})
    async with connect(link, client_id=f"blocks-{uuid.uuid4().hex[:8]}") as bus:
        await BlockServer(bus, folder, settings.device.fleet).serve()
    return 0
