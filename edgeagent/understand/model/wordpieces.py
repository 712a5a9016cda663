"""Words to the numbers of their pieces: greedy longest match against a vocabulary, as WordPiece does."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PAD, UNKNOWN = 0, 1
"""The first two pieces of every vocabulary."""
MOST_PIECES = 6
"""A word of more pieces is known by its first ones."""
LONGEST_WORD = 40
_LONGEST_PIECE = LONGEST_WORD + len("##")
"""A longer one can never be met."""
_CACHED_WORDS = 8192

Ids = NDArray[np.int32]
"""[words, MOST_PIECES], filled up with PAD."""


class WordPieces:
    """A vocabulary. Pieces that go on inside a word are written "##ing"."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        """Number the pieces in their order; PAD and UNKNOWN come first.

        They are kept as a sorted table: a dictionary of 28,000 pieces costs 5 MB more, and saves 1 us per new word.
        """
        numbered = [(piece.encode(), number) for number, piece in enumerate(vocabulary) if len(piece) <= _LONGEST_PIECE]
        numbered.sort()
        self._table = np.array([piece for piece, _ in numbered], np.bytes_)
        self._numbers = np.array([number for _, number in numbered], np.int32)
        self._word = lru_cache(_CACHED_WORDS)(self._pieces)

    def __call__(self, words: Sequence[str]) -> Ids:
        """Return the pieces of each word."""
        return np.array([self._word(word) for word in words], np.int32).reshape(-1, MOST_PIECES)

    def _pieces(self, word: str) -> tuple[int, ...]:
        found: list[int] = []
        for part in word[:LONGEST_WORD].lower().replace("'", " ' ").split():
            found += self._greedy(part)
        return tuple((*found, *(PAD,) * MOST_PIECES)[:MOST_PIECES]) if found else (UNKNOWN, *(PAD,) * (MOST_PIECES - 1))

    def _greedy(self, part: str) -> list[int]:
        found = []
        start = 0
        while start < len(part):
            mark = "##" if start else ""
            for end in range(len(part), start, -1):
                number = self._number(mark + part[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [UNKNOWN]
        return found

    def _number(self, piece: str) -> int | None:
        wanted = piece.encode()
        at = int(self._table.searchsorted(wanted, "right")) - 1
        return int(self._numbers[at]) if at >= 0 and self._table[at] == wanted else None
