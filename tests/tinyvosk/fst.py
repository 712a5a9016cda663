"""Just enough of OpenFst to write a transducer: a plain VectorFst<StdArc> (fst/vector-fst.h)."""

import math
import struct
from operator import attrgetter
from typing import NamedTuple

EPSILON = 0
_MAGIC, _VERSION, _FLAGS, _EXPANDED_AND_MUTABLE = 2125659606, 2, 0, 3
_START = 0


class Arc(NamedTuple):
    """What an arc takes and gives, what it costs, and the state it leads to."""

    takes: int
    gives: int
    cost: float
    to: int


class Fst:
    """A transducer that starts in state 0. `final` says what it costs to end in a state."""

    def __init__(self) -> None:
        self._arcs: list[list[Arc]] = [[]]
        self.final: dict[int, float] = {}

    def state(self) -> int:
        """Return a new state."""
        self._arcs.append([])
        return len(self._arcs) - 1

    def arc(self, source: int, arc: Arc) -> None:
        self._arcs[source].append(arc)

    def skip(self, source: int, to: int, cost: float = 0.0) -> None:
        """Lead from one state to another without taking or giving anything."""
        self.arc(source, Arc(EPSILON, EPSILON, cost, to))

    def written(self, *, sort_by: str) -> bytes:
        """Return the file, the arcs of each state sorted by what they take or by what they give."""
        count = sum(map(len, self._arcs))
        header = struct.pack("<i", _MAGIC) + _text("vector") + _text("standard")
        header += struct.pack("<iiQqqq", _VERSION, _FLAGS, _EXPANDED_AND_MUTABLE, _START, len(self._arcs), count)
        states = bytearray()
        for state, arcs in enumerate(self._arcs):
            states += struct.pack("<fq", self.final.get(state, math.inf), len(arcs))
            states += b"".join(struct.pack("<iifi", *arc) for arc in sorted(arcs, key=attrgetter(sort_by)))
        return header + bytes(states)


def _text(value: str) -> bytes:
    return struct.pack("<i", len(value)) + value.encode()
