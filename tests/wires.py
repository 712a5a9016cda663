"""Lines that are none: a header in memory whose levels a test sets, and whose edges arrive as the kernel's do."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgeagent.board.errors import BoardError
from edgeagent.board.lines import Edge, InputLine, Line, OutputLines


class Wire:
    """A line that a test drives. Its edges carry the times that the test says, whenever they are read."""

    def __init__(self, *, is_active: bool = False) -> None:
        """Begin at a level."""
        self._reader, self._writer = os.pipe()
        self._is_active = is_active
        self._edges: list[Edge] = []
        self._at_s = time.monotonic() - 1000
        self.is_broken = False

    def fileno(self) -> int:
        return self._reader

    def is_active(self) -> bool:
        self._look()
        return self._is_active

    def edges(self) -> Sequence[Edge]:
        self._look()
        os.read(self._reader, 1 << 16)
        edges, self._edges = self._edges, []
        return edges

    def drive(self, *edges: tuple[float, bool]) -> None:
        """Have edges happen at these times."""
        for at_s, is_active in edges:
            self._edges.append(Edge(at_s, is_active))
            self._is_active = is_active
        os.write(self._writer, b"e" * len(edges))

    def press(self, seconds: float) -> None:
        """Have it held for so long, a while ago and after all presses before."""
        self._at_s += 1 + seconds
        self.drive((self._at_s - seconds, True), (self._at_s, False))

    def break_off(self) -> None:
        """Have the chip go away."""
        self.is_broken = True
        os.write(self._writer, b"!")

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def _look(self) -> None:
        if self.is_broken:
            raise BoardError("line 17: No such device", remedy="The chip went away.")


@dataclass
class Driven:
    """Lines that we drive; what they were made is written down."""

    lines: tuple[Line, ...]
    history: list[tuple[bool, ...]] = field(default_factory=list)
    is_broken: bool = False
    is_released: bool = False

    def drive(self, values: Sequence[bool]) -> None:
        if self.is_broken:
            raise BoardError("line 22: No such device", remedy="The chip went away.")
        self.history.append(tuple(values))


@dataclass
class Bench:
    """A header on a bench: lines that are held already are refused, as the kernel does."""

    wires: dict[int, Wire] = field(default_factory=dict)
    driven: list[Driven] = field(default_factory=list)
    refusals: int = 0
    """How many requests are refused from now on."""
    held: set[int] = field(default_factory=set)
    asked: list[Line] = field(default_factory=list)

    @contextmanager
    def input(self, line: Line) -> Iterator[InputLine]:
        self._take(line)
        self.asked.append(line)
        try:
            yield self.wires[line.offset]
        finally:
            self.held.discard(line.offset)

    @contextmanager
    def outputs(self, lines: Sequence[Line]) -> Iterator[OutputLines]:
        for line in lines:
            self._take(line)
        one = Driven(tuple(lines))
        self.driven.append(one)
        try:
            yield one
        finally:
            one.is_released = True
            self.held -= {line.offset for line in lines}

    def _take(self, line: Line) -> None:
        if self.refusals or line.offset in self.held:
            self.refusals = max(0, self.refusals - 1)
            raise BoardError(f"bench, line {line.offset}: in use", remedy="End the program that holds it.")
        self.held.add(line.offset)
