"""Commands as they come out of mouths and recognisers: sentences perturbed so that their meaning stays."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from edgeagent.grammar.automaton import Automaton
from edgeagent.grammar.spoken import Phrase
from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.hear.pronounce import dictionary_path

Perturb = Callable[[Phrase, random.Random], Phrase | None]
"""Gives the sentence perturbed, or None where that cannot be done to it."""

_FILLERS = (
    "um",
    "uh",
    "er",
    "well",
    "so",
    "okay",
    "hey",
    "right",
    "oh",
    "hmm",
    "okay so",
    "um well",
    "hey uh",
    "so um",
)
_POLITE = (
    *(("please", ""), ("could you please", ""), ("would you kindly", ""), ("would you please", ""), ("", "please")),
    *(("", "thanks"), ("", "thank you"), ("", "if you don't mind"), ("can you", "for me"), ("hey can you please", "")),
    *(("do me a favor and", ""), ("i'd like you to", "please"), ("", "thank you very much")),
)
_OPPOSITE = {
    "on": "off",
    "off": "on",
    "open": "close",
    "close": "open",
    "lock": "unlock",
    "unlock": "lock",
    "start": "stop",
    "stop": "start",
    "up": "down",
    "down": "up",
    "raise": "lower",
    "lower": "raise",
}
_MARKERS = ("no", "no wait", "i mean", "sorry", "no sorry", "wait no", "scratch that")
MOST_ALIKE = 12
HALF = 0.5


def filler(words: Phrase, random_: random.Random) -> Phrase:
    """Put a filler in front."""
    return (*random_.choice(_FILLERS).split(), *words)


def politeness(words: Phrase, random_: random.Random) -> Phrase:
    """Put polite words in front or at the end."""
    before, after = random_.choice(_POLITE)
    return (*before.split(), *words, *after.split())


def doubled(words: Phrase, random_: random.Random) -> Phrase:
    """Say a word twice."""
    place = random_.randrange(len(words))
    return (*words[: place + 1], *words[place:])


def lost(words: Phrase, random_: random.Random) -> Phrase | None:
    """Lose a word."""
    if len(words) == 1:
        return None
    place = random_.randrange(len(words))
    return (*words[:place], *words[place + 1 :])


def self_correction(words: Phrase, random_: random.Random) -> Phrase | None:
    """Say the opposite, or another number, and correct it: "turn on the no off the lamp"."""
    places = [place for place, word in enumerate(words) if word in _OPPOSITE or word in NUMBER_WORDS]
    if not places:
        return None
    place = random_.choice(places)
    marker = random_.choice(_MARKERS).split()
    if words[place] in _OPPOSITE:
        started = (
            words[place + 1 : place + 2] if random_.random() < HALF and words[place + 1 : place + 2] == ("the",) else ()
        )
        return (*words[:place], _OPPOSITE[words[place]], *started, *marker, *words[place:])
    start = place
    while start and words[start - 1] in NUMBER_WORDS:
        start -= 1
    other = random_.choice(("ten", "twenty", "thirty", "sixty", "ninety"))
    if other in words:
        return None
    return (*words[:start], other, *marker, *words[start:])


class SoundAlike:
    """Replaces a word by one of the dictionary that differs from it by one phone."""

    def __init__(self, automaton: Automaton) -> None:
        """Look the words of an automaton up in the recognizer's dictionary."""
        self._alike = _one_phone_away(automaton.words)

    def __call__(self, words: Phrase, random_: random.Random) -> Phrase | None:
        """Replace a word."""
        places = [place for place, word in enumerate(words) if self._alike.get(word)]
        if not places:
            return None
        place = random_.choice(places)
        return (*words[:place], random_.choice(self._alike[words[place]]), *words[place + 1 :])


def perturbations(automaton: Automaton) -> Mapping[str, Perturb]:
    """Return every perturbation by its name, in the order of the table."""
    return {
        "clean": lambda words, _: words,
        "filler": filler,
        "politeness": politeness,
        "doubled": doubled,
        "lost": lost,
        "sound-alike": SoundAlike(automaton),
        "self-correction": self_correction,
    }


def _one_phone_away(wanted: frozenset[str]) -> dict[str, Sequence[str]]:
    lines = dictionary_path().read_text("utf-8").splitlines()
    entries = [(line.split()[0].split("(")[0], tuple(line.split()[1:])) for line in lines if line.split()]
    masks: dict[tuple[str, ...], set[str]] = {}
    own = {word: phones for word, phones in entries if word in wanted}
    for word, phones in own.items():
        for mask in _masks(phones):
            masks.setdefault(mask, set()).add(word)
    found: dict[str, dict[str, None]] = {}
    for word, phones in entries:
        for mask in _masks(phones):
            for mine in masks.get(mask, ()):
                if mine != word and own[mine] != phones and "'" not in word and len(word) > 1:
                    found.setdefault(mine, {})[word] = None
    return {word: tuple(islice(others, MOST_ALIKE)) for word, others in found.items()}


def _masks(phones: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(*phones[:place], "_", *phones[place + 1 :]) for place in range(len(phones))]
