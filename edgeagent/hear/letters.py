"""Letters to phones: the likeliest pronunciations of a word, by a pruned n-gram model of letters with their phones.

A symbol is one letter with the phones that it stands for: none, one or two ("x" with K S, the "h" of "ph" with none).
The probability of a symbol after others is that of the longest stored n-gram, or of a shorter one times the backoffs.
Learned by `edgeagent.hear.learn_pronunciation`, which says how good it is.
"""

import gzip
import json
import math
import zlib
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import ModelError

Phones = tuple[str, ...]
Nodes = tuple[int, ...]
"""The n-grams that end at a place in a word, by their length from one on; ABSENT where there is none."""

BEGIN, END, FIRST_SYMBOL = 0, 1, 2
"""The symbols before and after each word, and the first that is a letter."""
STEPS_PER_BIT, BACKOFF_ZERO = 6, 64
"""How fine the stored logarithms are, and the stored backoff that stands for a factor of one."""
ABSENT = -1
BEAM = 16
BEAM_WIDTH = 8.0
"""How many partial pronunciations are kept, and how far (in nats) the worst may be behind the best."""
LARGEST_TABLE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Guess:
    """A pronunciation and the natural logarithm of its probability together with the spelling."""

    phones: Phones
    log_probability: float


class LetterModel:
    """The n-grams as a tree in flat tables: nodes by length, then by context, so that children stand together."""

    def __init__(self, symbols: Sequence[tuple[str, Phones]], orders: Sequence[int], tables: Sequence[bytes]) -> None:
        """Take the symbols from FIRST_SYMBOL on, the number of n-grams of each length, and four tables of the nodes.

        The tables have a byte per node: its last symbol, what it costs, its backoff, and how many children it has.
        """
        self._last, self._costs, self._backoffs, children = tables
        self._children = children
        self._order = len(orders)
        self._roots = {symbol: node for node, symbol in enumerate(self._last[: orders[0]])}
        self._first = array("I", [orders[0]])
        for count in children:
            self._first.append(self._first[-1] + count)
        self._phones = dict(enumerate((phones for _, phones in symbols), start=FIRST_SYMBOL))
        self._by_letter: dict[str, list[int]] = defaultdict(list)
        for number, (letter, _) in enumerate(symbols, start=FIRST_SYMBOL):
            if number in self._roots:
                self._by_letter[letter].append(number)
        unit = -math.log(2) / STEPS_PER_BIT
        self._log = tuple(step * unit for step in range(256))
        self._log_backoff = tuple((step - BACKOFF_ZERO) * unit for step in range(256))

    def guess(self, word: str, most: int) -> tuple[Guess, ...]:
        """Return at most that many pronunciations, the likeliest first; letters that it does not know are silent."""
        paths: dict[tuple[Nodes, Phones], float] = {((self._roots[BEGIN],), ()): 0.0}
        for letter in word:
            if letter in self._by_letter:
                paths = self._step(paths, self._by_letter[letter])
        total: dict[Phones, float] = defaultdict(float)
        for (nodes, phones), log in paths.items():
            total[phones] += math.exp(log + self._follow(nodes, END)[0])
        best = sorted(total.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Guess(phones, math.log(p)) for phones, p in best[:most] if phones and p > 0)

    def _step(
        self, paths: Mapping[tuple[Nodes, Phones], float], symbols: Sequence[int]
    ) -> dict[tuple[Nodes, Phones], float]:
        after: dict[tuple[Nodes, Phones], float] = {}
        for (nodes, phones), log in paths.items():
            for symbol in symbols:
                more, reached = self._follow(nodes, symbol)
                key = reached, phones + self._phones[symbol]
                after[key] = max(log + more, after.get(key, -math.inf))
        kept = sorted(after.items(), key=lambda item: (-item[1], item[0]))[:BEAM]
        return {key: log for key, log in kept if log > kept[0][1] - BEAM_WIDTH}

    def _follow(self, nodes: Nodes, symbol: int) -> tuple[float, Nodes]:
        """Return the log probability of a symbol after these n-grams, and the n-grams that then end."""
        root = self._roots[symbol]
        reached = [root]
        log = self._log[self._costs[root]]
        for node in nodes:
            child = ABSENT if node == ABSENT else self._child(node, symbol)
            reached.append(child)
            if child != ABSENT:
                log = self._log[self._costs[child]]
            elif node != ABSENT:
                log += self._log_backoff[self._backoffs[node]]
        return log, tuple(reached[: self._order - 1])

    def _child(self, node: int, symbol: int) -> int:
        low = self._first[node]
        high = low + self._children[node]
        at = bisect_left(self._last, symbol, low, high)
        return at if at < high and self._last[at] == symbol else ABSENT


def save(path: Path, symbols: Sequence[tuple[str, Phones]], orders: Sequence[int], tables: Sequence[bytes]) -> int:
    """Write a model and return its size in bytes; the same model is the same file."""
    header = json.dumps({"symbols": symbols, "orders": orders}, separators=(",", ":"))
    packed = gzip.compress(b"\n".join((header.encode(), b"".join(tables))), compresslevel=9, mtime=0)
    path.write_bytes(packed)
    return len(packed)


def load(path: Path) -> LetterModel:
    """Read a model. Raise ModelError if the file is missing or damaged."""
    try:
        with gzip.open(path) as file:
            whole = file.read(LARGEST_TABLE_BYTES)
        header, _, body = whole.partition(b"\n")
        described = json.loads(header)
        symbols = [(str(letter), tuple(map(str, phones))) for letter, phones in described["symbols"]]
        orders = [int(count) for count in described["orders"]]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a pronunciation model: {error}", remedy="Install edgeagent anew.") from error
    nodes = sum(orders)
    tables = [body[nodes * number : nodes * (number + 1)] for number in range(4)]
    if not nodes or len(body) != nodes * len(tables) or sum(tables[3]) != nodes - orders[0]:
        raise ModelError(f"{path}: expected {nodes} n-grams, found {len(body)} bytes", remedy="Install edgeagent anew.")
    return LetterModel(symbols, orders, tables)
