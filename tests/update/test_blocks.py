"""Files block by block over a real broker: what is lost, late, absent, for somebody else; and switching in mid-file."""

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run
from brokers import settings as broker_settings

from edgeagent.bus import connect
from edgeagent.errors import PayloadError, UpdateError
from edgeagent.release.block_server import BlockServer
from edgeagent.topics import Address
from edgeagent.update.block_frames import Block, Question, block_of, question_of
from edgeagent.update.blocks import BLOCK_BYTES, BlockTransport, Pipe
from edgeagent.update.download import Downloads
from edgeagent.update.nouns import Target
from edgeagent.update.transports import FolderTransport
from edgeagent.updating import Relay

needs_mosquitto = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ, reason="mosquitto is not installed"
)
ADDRESS = Address("home", "kitchen")
CONTENT = np.random.default_rng(2).bytes(1_000_003)
OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Hang up, so that the answering threads end."""
    yield
    while OPEN:
        OPEN.pop().close()


@dataclass
class Answerer:
    """The other end of the updater's socket: answers questions as it is told to, in a thread."""

    answer: Callable[[Question, int], list[Block]]
    questions: list[Question] = field(default_factory=list)

    def transport(self, **more: object) -> BlockTransport:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)

        def serve() -> None:
            with ours, suppress(OSError):
                while payload := ours.recv(4_096):
                    question = question_of(payload)
                    self.questions.append(question)
                    for block in self.answer(question, len(self.questions)):
                        ours.sendall(block.raw())

        OPEN.append(theirs)
        threading.Thread(target=serve, daemon=True).start()
        return BlockTransport(Pipe(theirs), **more)  # type: ignore[arg-type]


def blocks(question: Question, content: bytes = CONTENT) -> list[Block]:
    end = min(question.at + question.most, len(content))
    starts = range(question.at, end, question.block) or [question.at]
    return [
        Block(question.id, at, content[at : min(at + question.block, end)], is_last=at + question.block >= len(content))
        for at in starts
    ]


def read(transport: BlockTransport, start: int = 0, most: int = 2 << 20) -> bytes:
    return b"".join(transport.read("targets/x", start, most=most))


def test_a_file_comes_whole_and_more_at_once_the_faster_it_comes() -> None:
    answerer = Answerer(lambda question, _: blocks(question))
    assert read(answerer.transport()) == CONTENT
    sizes = [question.most for question in answerer.questions]
    assert sizes[0] < max(sizes)


@pytest.mark.parametrize(
    ("start", "most"), [(0, 10), (5, BLOCK_BYTES), (999_990, 100), (500_000, 300_000), (1_000_003, 5)]
)
def test_any_part_can_be_read(start: int, most: int) -> None:
    transport = Answerer(lambda question, _: blocks(question)).transport()
    assert read(transport, start, most) == CONTENT[start : start + most]


def test_what_is_lost_or_comes_twice_or_out_of_order_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeagent.update.blocks.SILENT_S", 0.2)

    def careless(question: Question, count: int) -> list[Block]:
        found = blocks(question)
        if count % 3 == 0:
            return [*found[1:], *found[1:]]
        return [*reversed(found), Block(question.id + 1, 0, b"of another file")]

    assert read(Answerer(careless).transport(), most=300_000) == CONTENT[:300_000]


def test_nobody_who_answers_is_an_error_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeagent.update.blocks.SILENT_S", 0.05)
    answerer = Answerer(lambda _, __: [])
    with pytest.raises(UpdateError) as caught:
        read(answerer.transport())
    assert caught.value.code == "unreachable"
    assert len(answerer.questions) < 20


def test_an_agent_that_ends_is_an_error() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    OPEN.append(theirs)
    with pytest.raises(UpdateError, match="the agent is gone"):
        read(BlockTransport(Pipe(theirs)))


def test_what_is_not_there_is_said() -> None:
    transport = Answerer(lambda question, _: [Block(question.id, 0, is_absent=True)]).transport()
    with pytest.raises(UpdateError) as caught:
        read(transport)
    assert caught.value.code == "absent"


def test_empty_blocks_without_end_end() -> None:
    transport = Answerer(lambda question, _: [Block(question.id, question.at)]).transport()
    with pytest.raises(UpdateError):
        read(transport)


def test_a_limit_of_bytes_is_kept_and_little_is_asked_for_at_once() -> None:
    answerer = Answerer(lambda question, _: blocks(question))
    waited: list[float] = []
    transport = answerer.transport(bytes_per_s=128_000)
    assert transport._bandwidth is not None  # noqa: SLF001  # its clock is what is looked at
    transport._bandwidth._sleep = waited.append  # noqa: SLF001
    assert read(transport, most=600_000) == CONTENT[:600_000]
    assert sum(waited) > 3
    assert max(question.most for question in answerer.questions) <= 4 * BLOCK_BYTES


def test_blocks_of_no_use_are_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeagent.update.blocks.SILENT_S", 0.05)
    answerer = Answerer(lambda question, _: [Block(question.id, at, b"old") for at in range(7, 40_000, 97)])
    transport = answerer.transport()
    with pytest.raises(UpdateError) as caught:
        read(transport)
    assert caught.value.code == "unreachable"
    assert len(answerer.questions) < 20


def test_a_byte_at_a_time_is_not_waited_for() -> None:
    answerer = Answerer(lambda question, _: [Block(question.id, question.at, b"x")])
    with pytest.raises(UpdateError, match="less than was asked for"):
        read(answerer.transport())


@pytest.mark.parametrize("payload", [b"", b"EB", b"EB\x02" + bytes(20), b"XX\x01" + bytes(20), bytes(80_000)])
def test_what_is_no_block_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        block_of(payload)


@asynccontextmanager
async def relayed(folder: Path) -> AsyncIterator[tuple[BlockTransport, BlockServer]]:
    """Give a transport through a relay, a real broker and a real server of blocks."""
    with mosquitto() as broker:
        async with (
            connect(broker_settings(broker.port), client_id="device") as bus,
            connect(broker_settings(broker.port), client_id="server") as other,
        ):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            relay = Relay(ours, bus, ADDRESS)

            async def hand_on() -> None:
                bus.subscribe(ADDRESS.blocks)
                async for received in bus.received():
                    relay.answer(received.payload)
                    received.acknowledge()

            server = BlockServer(other, folder, "home")
            tasks = [asyncio.create_task(hand_on()), asyncio.create_task(server.serve())]
            await bus.until(connected=True)
            await other.until(connected=True)
            await eventually(lambda: bus.is_subscribed and other.is_subscribed)
            try:
                yield BlockTransport(Pipe(theirs)), server
            finally:
                for task in tasks:
                    task.cancel()
                relay.close()
                theirs.close()


@needs_mosquitto
def test_over_a_real_broker_a_file_is_fetched_absent_ones_are_told_and_none_outside_is_served(tmp_path: Path) -> None:
    async def journey() -> None:
        (tmp_path / "repository" / "targets").mkdir(parents=True)
        (tmp_path / "repository" / "targets" / "x").write_bytes(CONTENT)
        (tmp_path / "secret").write_text("not for devices")
        async with relayed(tmp_path / "repository") as (transport, _):
            assert await asyncio.to_thread(read, transport) == CONTENT
            for path in ("targets/y", "../secret", "/etc/passwd", "targets"):
                with pytest.raises(UpdateError) as caught:
                    await asyncio.to_thread(lambda name=path: list(transport.read(name, most=100)))  # type: ignore[misc]
                assert caught.value.code == "absent"

    run(journey(), 60)


@needs_mosquitto
def test_a_file_begun_on_a_stick_is_finished_over_the_broker(tmp_path: Path) -> None:
    async def journey() -> None:
        (tmp_path / "repository" / "targets").mkdir(parents=True)
        (tmp_path / "repository" / "targets" / "x").write_bytes(CONTENT)
        (tmp_path / "stick" / "targets").mkdir(parents=True)
        (tmp_path / "stick" / "targets" / "x").write_bytes(CONTENT[:700_000])
        target = Target("x", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        async with relayed(tmp_path / "repository") as (transport, server):
            stick = FolderTransport(tmp_path / "stick")
            downloads = Downloads(tmp_path / "staging", [stick, transport], lambda one: f"targets/{one.name}")
            found = await asyncio.to_thread(downloads.fetch, target, tmp_path / "whole")
            assert found.read_bytes() == CONTENT
            assert server.sent * BLOCK_BYTES < 400_000

    run(journey(), 60)
