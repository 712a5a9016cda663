"""The phones as the recognizer has them: marked with their place in the word, each a model of one state.

Kaldi's marks `_B`, `_I`, `_E`, `_S` (begin, inside, end, single) are what Vosk takes the times of words from. Phones
that differ only in the mark share an output of the network. How long a phone lasts is not modelled: with probabilities
from the training speech the recognizer left out short words ("turn on the" became "turn the").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tinyvosk.corpus import OTHER_SPEECH, SILENCE, Lexicon, Pronunciation

_PLACES = {"B": "begin", "I": "internal", "E": "end", "S": "singleton"}


@dataclass(frozen=True)
class Phones:
    """The phones in order; Kaldi counts them from 1."""

    names: tuple[str, ...]
    outputs: tuple[int, ...]
    """The output of the network that each shares."""

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names, 1)}

    @cached_property
    def unmarked(self) -> list[str]:
        """All but silence, without their marks."""
        return sorted({name.rpartition("_")[0] for name in self.names if name != SILENCE})

    def leaving(self, name: str) -> int:
        """Return Kaldi's transition out of this phone."""
        return 2 * self.numbers[name]

    def staying(self, name: str) -> int:
        """Return Kaldi's transition from this phone to itself."""
        return 2 * self.numbers[name] - 1

    def places(self) -> Iterable[tuple[int, str]]:
        """Yield the number and the place in the word of each phone."""
        for name, number in self.numbers.items():
            yield number, _PLACES.get(name.rpartition("_")[2], "nonword")


def outputs_of(lexicon: Lexicon) -> list[str]:
    """Return the unmarked phones, in the order of the outputs of the network."""
    return [SILENCE, OTHER_SPEECH, *sorted({phone for said in lexicon.values() for one in said for phone in one})]


def marked(pronunciation: Pronunciation) -> Pronunciation:
    """Return the phones of a word with their marks."""
    if len(pronunciation) == 1:
        return (f"{pronunciation[0]}_S",)
    first, *inside, last = pronunciation
    return (f"{first}_B", *(f"{phone}_I" for phone in inside), f"{last}_E")


def marked_phones(outputs: Sequence[str], lexicon: Lexicon) -> Phones:
    """Return what the words need, and every phone at every place of a word that is not ours."""
    needed = {phone for said in lexicon.values() for one in said for phone in marked(one)}
    needed |= {f"{phone}_{mark}" for phone in outputs if phone != SILENCE for mark in "BIE"}
    names = (SILENCE, *sorted(needed))
    return Phones(names, tuple(outputs.index(name.rpartition("_")[0] or name) for name in names))
