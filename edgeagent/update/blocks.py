"""Files block by block over the broker, by way of the agent's own connection, of which there can be only one.

The updater asks through a socket, the agent publishes the question and hands back the answers as they come. The next
blocks are asked for while the last ones are on their way, and more at once the faster they come: on a slow link there
is never so much on its way that a command would have to wait behind it for long.
"""

import itertools
import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edgeagent.errors import PayloadError, UpdateError
from edgeagent.update.bandwidth import Bandwidth
from edgeagent.update.block_frames import HEADER_BYTES, LARGEST_BLOCK_BYTES, MOST_BLOCKS, Block, Question, block_of

BLOCK_BYTES = 16 << 10
FIRST_BLOCKS = 4
SOON_S = 0.1
"""Blocks that come so soon may be twice as many the next time ..."""
LATE_S = 0.4
"""... those that take so long are half as many."""
SILENT_S = 3.0
"""After this long without a block it is asked again."""
MOST_SILENCES = 4
AHEAD = 2
"""Questions on their way at a time."""
_ONLINE = "Is the broker in reach, and somebody serving the repository there: edgeagent release serve DIR?"


class Pipe:
    """The socket to the agent: one datagram a message."""

    def __init__(self, end: socket.socket) -> None:
        """Use this end."""
        self._end = end

    def send(self, message: bytes) -> None:
        """Send a question. Raise OSError if the agent is gone."""
        self._end.sendall(message)

    def receive(self, within_s: float) -> bytes | None:
        """Return what comes next, None after so many seconds, nothing if the agent is gone."""
        if not select.select([self._end], [], [], max(0.0, within_s))[0]:
            return None
        return self._end.recv(HEADER_BYTES + LARGEST_BLOCK_BYTES + 1)


@dataclass(slots=True)
class _Reading:
    """A file that is being read: up to where it has come (`at`) and was asked for, and what came too early."""

    number: int
    path: str
    at: int
    end: int
    asked: int
    since: float
    """When something of use came last, or was asked for again."""
    silences: int = 0
    early: dict[int, Block] = field(default_factory=dict)
    questions: list[tuple[int, float]] = field(default_factory=list)
    """Up to where each asks, and when it was sent."""

    def keep(self, block: Block) -> None:
        """Keep what is still to come, if it is as it was asked for."""
        if self.at < block.at < self.asked and not (block.at - self.at) % BLOCK_BYTES:
            self.early[block.at] = block

    def passed(self, block: Block, now: float) -> float | None:
        """Go on behind a block; return how long the question took whose last one it was."""
        self.silences, self.since = 0, now
        self.at += len(block.content)
        if self.questions and self.at >= self.questions[0][0]:
            return now - self.questions.pop(0)[1]
        return None


class BlockTransport:
    """A repository that is served over the broker."""

    def __init__(
        self, pipe: Pipe, bytes_per_s: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask through a pipe, for no more than so many bytes a second."""
        self._pipe, self._clock = pipe, clock
        self._rate = bytes_per_s
        self._bandwidth = None if bytes_per_s is None else Bandwidth(bytes_per_s)
        self._ids = itertools.count(random.getrandbits(24))  # another than those of an updater before
        self._blocks = FIRST_BLOCKS

    def read(self, path: str, start: int = 0, *, most: int) -> Iterator[bytes]:
        """Yield a file's bytes from an offset on, at most `most`. Raise UpdateError "absent", "unreachable"."""
        one = _Reading(next(self._ids) % (1 << 32), path, start, start + most, start, self._clock())
        while one.at < one.end:
            self._ask_ahead(one)
            block = one.early.pop(one.at, None) or self._next(one)
            if block is None:
                self._ask_again(one)
                continue
            if block.is_absent:
                raise UpdateError(f"{path}: not there", code="absent")
            if block.at != one.at:
                one.keep(block)
                continue
            if not block.is_last and len(block.content) < min(BLOCK_BYTES, one.end - one.at):
                raise UpdateError(f"{path}: less than was asked for", code="unreachable", remedy=_ONLINE)
            took_s = one.passed(block, self._clock())
            if took_s is not None:
                self._adapt(took_s)
            if self._bandwidth is not None:
                self._bandwidth.take(len(block.content))
            if block.content:
                yield block.content
            if block.is_last:
                return

    def _ask_ahead(self, one: "_Reading") -> None:
        """Have the next questions on their way."""
        while len(one.questions) < AHEAD and one.asked < one.end:
            most = min(one.end - one.asked, self._blocks * BLOCK_BYTES)
            question = Question(id=one.number, path=one.path, at=one.asked, most=most, block=BLOCK_BYTES)
            try:
                self._pipe.send(question.raw())
            except OSError as error:
                raise UpdateError(f"{one.path}: the agent is gone", code="unreachable", remedy=_ONLINE) from error
            one.asked += most
            one.questions.append((one.asked, self._clock()))

    def _ask_again(self, one: "_Reading") -> None:
        """Begin again where nothing came, with less at a time. Raise UpdateError when nobody ever answers."""
        one.silences += 1
        if one.silences > MOST_SILENCES:
            raise UpdateError(f"{one.path}: nobody answers on the bus", code="unreachable", remedy=_ONLINE)
        self._blocks = max(1, self._blocks // 2)
        one.asked, one.since = one.at, self._clock()
        one.questions.clear()
        one.early.clear()

    def _next(self, one: "_Reading") -> Block | None:
        """Return the next block of this reading; None when nothing of use has come for a while."""
        path, deadline = one.path, one.since + SILENT_S
        while (left := deadline - self._clock()) > 0:
            try:
                payload = self._pipe.receive(left)
            except OSError as error:
                raise UpdateError(f"{path}: the agent is gone", code="unreachable", remedy=_ONLINE) from error
            if payload == b"":
                raise UpdateError(f"{path}: the agent is gone", code="unreachable", remedy=_ONLINE)
            if payload is None:
                return None
            try:
                block = block_of(payload)
            except PayloadError:
                continue
            if block.id == one.number:
                return block
        return None

    def _adapt(self, took_s: float) -> None:
        if took_s < SOON_S:
            most = MOST_BLOCKS if self._rate is None else max(1, self._rate // 4 // BLOCK_BYTES)
            self._blocks = min(self._blocks * 2, most, MOST_BLOCKS)
        elif took_s > LATE_S:
            self._blocks = max(1, self._blocks // 2)
