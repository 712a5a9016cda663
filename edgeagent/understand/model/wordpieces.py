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
_CACHED_WORDS = 8192

Ids = NDArray[np.int32]
"""[words, MOST_PIECES], filled up with PAD."""


class WordPieces:
    """A vocabulary. Pieces that go on inside a word are written "##ing"."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        """Number the pieces in their order; PAD and UNKNOWN come first."""
        self.vocabulary = tuple(vocabulary)
        self._ids = {piece: number for number, piece in enumerate(self.vocabulary)}
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
                number = self._ids.get(mark + part[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [UNKNOWN]
        return found
