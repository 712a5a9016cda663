"""Which words are names of this house: the model sees a mark, so that a device added today is understood today."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.messages import Kind, Value

KINDS: tuple[Kind, ...] = (
    *("light", "switch", "cover", "lock", "climate", "fan", "media", "vacuum", "scene", "valve", "machine", "alarm"),
    *("number", "sensor", "binary_sensor"),
)
"""The kinds that models know, in the order of their columns: another one needs a model that was trained with it."""
FEATURES = ("name-begins", "name-goes-on", "area-begins", "area-goes-on", "number", *KINDS)
"""What is known of a word, in the order of the model's columns; the kinds are those of the device that is named."""
_KIND_OF_LIST: Mapping[str, Kind] = {**{kind: kind for kind in KINDS}, "setpoint": "number"}
_BEGINS, _GOES_ON, _AREA_BEGINS, _AREA_GOES_ON, _NUMBER, _FIRST_KIND = range(6)

Marks = NDArray[np.uint8]
"""[words, features], 0 or 1."""


class Gazetteer:
    """The names of devices and areas, by the words that say them."""

    def __init__(self, lists: Mapping[str, Sequence[tuple[str, Value]]]) -> None:
        """Take the lists of names that the grammar takes."""
        self._kinds: dict[tuple[str, ...], set[int]] = {}
        for said, _ in lists.get("device", ()):
            self._kinds[tuple(said.split())] = set()
        for name, entries in lists.items():
            column = _FIRST_KIND + KINDS.index(_KIND_OF_LIST[name]) if name in _KIND_OF_LIST else None
            for said, _ in entries if column is not None else ():
                self._kinds.setdefault(tuple(said.split()), set()).add(column or 0)
        self._areas: dict[tuple[str, ...], set[int]] = {tuple(said.split()): set() for said, _ in lists.get("area", ())}
        self._longest = _longest_by_first(self._kinds)
        self._longest_area = _longest_by_first(self._areas)

    def __call__(self, words: Sequence[str]) -> Marks:
        """Mark the longest names, from the left."""
        marks = np.zeros((len(words), len(FEATURES)), np.uint8)
        said = tuple(words)
        self._mark(said, marks, self._longest, self._kinds, _BEGINS)
        self._mark(said, marks, self._longest_area, self._areas, _AREA_BEGINS)
        for place, word in enumerate(said):
            if word in NUMBER_WORDS:
                marks[place, _NUMBER] = 1
        return marks

    def _mark(
        self,
        said: tuple[str, ...],
        marks: Marks,
        longest: Mapping[str, int],
        known: Mapping[tuple[str, ...], set[int]],
        begins: int,
    ) -> None:
        place = 0
        while place < len(said):
            for length in range(min(longest.get(said[place], 0), len(said) - place), 0, -1):
                phrase = said[place : place + length]
                if phrase in known:
                    marks[place, begins] = 1
                    marks[place + 1 : place + length, begins + 1] = 1
                    for column in known[phrase]:
                        marks[place : place + length, column] = 1
                    place += length - 1
                    break
            place += 1


def _longest_by_first(phrases: Iterable[tuple[str, ...]]) -> dict[str, int]:
    longest: dict[str, int] = {}
    for phrase in phrases:
        if phrase:
            longest[phrase[0]] = max(longest.get(phrase[0], 0), len(phrase))
    return longest
