"""Words of slots to values: names by the lists of this house, numbers by their grammar, the rest by the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeagent.grammar.spoken import Phrase, parse_duration, parse_number
from edgeagent.messages import Value
from edgeagent.understand.nearest import likeness
from edgeagent.understand.wordlists import words_in

LIKE_ENOUGH = 0.72
CLEARER_BY = 0.08
"""A name that was said nearly right must be this much more alike than any other."""
JOINED = frozenset({"oh", "point", "hundred", "thousand"})
"""A number does not begin with these: where one stands before it, the number is longer than what was understood."""
_UNITS = words_in("percent degrees degree celsius fahrenheit bar bars rpm at to")
_NO_NAME = frozenset(["the", "my", "that", "this", "our", "those", "these", "a", "an"])


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, None where the words say none; `doubt` tells why it may be another."""

    value: Value | None
    doubt: str = ""


class Values:
    """Reads the slots of one house."""

    def __init__(
        self,
        known: Mapping[str, Mapping[str, Value]],
        ranges: Mapping[str, tuple[float, float]],
        lists: Mapping[str, Sequence[tuple[str, Value]]],
    ) -> None:
        """Take what the model knows by slot, the ranges of numbers by slot, and the lists of names of this house."""
        self._known = known
        self._ranges = ranges
        self._names = dict(lists.get("device", ()))
        self._areas = dict(lists.get("area", ()))

    def __call__(self, slot: str, words: Phrase) -> Reading:
        """Return what the words of a slot mean."""
        text = " ".join(words)
        if slot in {"name", "area"}:
            return self._name(slot, words)
        value: Value | None = self._known.get(slot, {}).get(text)
        if value is not None:
            return Reading(value)
        if slot == "duration":
            return Reading(parse_duration(words))
        if slot not in self._ranges:
            return Reading(None, f'"{text}" is no {slot}')
        number = parse_number([word for word in words if word not in _UNITS]) if words[0] not in JOINED else None
        if number is None:
            return Reading(None, f'"{text}" is no number')
        least, most = self._ranges[slot]
        if not least <= number <= most:
            return Reading(None, f"{number:g} is not between {least:g} and {most:g}")
        return Reading(float(number))

    def _name(self, slot: str, words: Phrase) -> Reading:
        names = self._names if slot == "name" else self._areas
        for start in range(len(words)):
            if start and words[start - 1] not in _NO_NAME:
                break
            text = " ".join(words[start:])
            exact = names.get(text) or (self._known.get("area", {}).get(text) if slot == "area" else None)
            if exact is not None:
                return Reading(exact)
        text = " ".join(word for word in words if word not in _NO_NAME)
        if not text:
            return Reading(None, "no name was said")
        return self._partly(text, names) or self._alike(text, names) or Reading(None, f"there is no {text}")

    def _partly(self, text: str, names: Mapping[str, Value]) -> Reading | None:
        """Take the only name that has all these words in it: "the coffee" is the coffee machine."""
        said = set(text.split())
        fitting = {value for name, value in names.items() if said <= set(name.split())}
        shortest = min((name for name in names if said <= set(name.split())), key=len, default=None)
        if shortest is None or len(fitting) > _BY_AREA_TOO:
            return None
        return Reading(names[shortest], f'"{text}" was taken for the {shortest}')

    def _alike(self, text: str, names: Mapping[str, Value]) -> Reading | None:
        ranked = sorted(((likeness(text, name), name) for name in names), reverse=True)
        if not ranked or ranked[0][0] < LIKE_ENOUGH:
            return None
        best, name = ranked[0]
        rivals = [other for score, other in ranked[1:] if best - score < CLEARER_BY and not _is_same(other, name)]
        return None if rivals else Reading(names[name], f'"{text}" was taken for the {name}')


_BY_AREA_TOO = 2
"""A device is called by its name, and by its area and name."""


def _is_same(one: str, other: str) -> bool:
    """Tell whether two names are one device's, with its area and without."""
    return one.endswith(f" {other}") or other.endswith(f" {one}")
