"""Sentences of the grammar that differ by one word from what was heard: one was lost, added, or heard as another.

What is found is seldom sure enough to be obeyed: the caller asks. Words that decide what is done (on, off, numbers, …)
are never made up silently.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from edgeagent.grammar.automaton import START, Automaton, Parse
from edgeagent.grammar.spoken import Phrase
from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.understand.wordlists import words_in

MOST_FOUND = 200
ALIKE = 0.74
MOST_LONGER, SHORTEST = 3, 2
SMALL_WORDS = words_in("the a an my to in of at on for please it is are all with by and percent degrees room")
"""Words that a sentence hardly needs; "on" among them only where it is no answer to on or off."""
DECISIVE = words_in("""
on off up down open close shut lock unlock start stop not no never all every brighter dimmer louder quieter
higher lower warmer cooler raise increase decrease reduce mute pause play next previous
""")


@dataclass(frozen=True, slots=True)
class Near:
    """A sentence of the grammar near to what was said, and the word by which it differs."""

    words: Phrase
    parse: Parse
    kind: Literal["lost", "added", "alike"]
    word: str

    @property
    def is_small(self) -> bool:
        """Tell whether the word decides nothing."""
        return self.word in SMALL_WORDS and self.word not in DECISIVE and self.word not in NUMBER_WORDS

    @property
    def is_harmless(self) -> bool:
        """Tell whether it can be obeyed: nothing that decides was made up, at most a word was heard as another."""
        is_decisive = self.word in DECISIVE or self.word in NUMBER_WORDS
        return self.is_small or (self.kind == "alike" and not is_decisive)


def nearest(automaton: Automaton, words: Sequence[str]) -> list[Near]:
    """Return the different readings one word away, each meaning once, the most alike first; many means too many."""
    said = tuple(words)
    found: dict[object, Near] = {}
    for near in _all(automaton, said):
        if near.parse.meaning not in found or _rank(near) < _rank(found[near.parse.meaning]):
            found[near.parse.meaning] = near
        if len(found) > MOST_FOUND:
            break
    return sorted(found.values(), key=_rank)


def _rank(near: Near) -> tuple[int, int]:
    return (0 if near.is_small else 1, {"lost": 1, "alike": 0, "added": 2}[near.kind])


def _all(automaton: Automaton, said: Phrase) -> Iterator[Near]:
    state: int | None = START
    for place in range(len(said) + 1):
        if state is None:
            return
        rest = said[place:]
        for word in automaton.follow(state):
            if automaton.accepts(state, (word, *rest)):
                yield from _near(automaton, (*said[:place], word, *rest), "lost", word)
            if rest and word != rest[0] and sounds_alike(word, rest[0]) and automaton.accepts(state, (word, *rest[1:])):
                yield from _near(automaton, (*said[:place], word, *rest[1:]), "alike", word)
        if rest and automaton.accepts(state, rest[1:]):
            yield from _near(automaton, (*said[:place], *rest[1:]), "added", rest[0])
        state = automaton.after(state, rest[0]) if rest else None


def _near(automaton: Automaton, words: Phrase, kind: Literal["lost", "added", "alike"], word: str) -> Iterator[Near]:
    for parse in automaton.parse(words)[:1]:
        yield Near(words, parse, kind, word)


@lru_cache(maxsize=65536)
def sounds_alike(one: str, other: str) -> bool:
    """Tell whether two words are easily mistaken for one another."""
    if abs(len(one) - len(other)) > MOST_LONGER or min(len(one), len(other)) < SHORTEST:
        return False
    return likeness(one, other) >= ALIKE


@lru_cache(maxsize=65536)
def likeness(one: str, other: str) -> float:
    """Return how much two words or names sound alike, 0..1, by their letters as they are spoken."""
    return SequenceMatcher(None, _sound(one), _sound(other), autojunk=False).ratio()


@lru_cache(maxsize=65536)
def _sound(word: str) -> str:
    for letters, sound in _SOUNDS:
        word = word.replace(letters, sound)
    kept = [letter for place, letter in enumerate(word) if not place or letter != word[place - 1]]
    return "".join(kept)


_SOUNDS = (
    *(
        ("'", ""),
        ("ph", "f"),
        ("ck", "k"),
        ("wh", "w"),
        ("kn", "n"),
        ("wr", "r"),
        ("gh", ""),
        ("mb", "m"),
        ("qu", "kw"),
    ),
    *(
        ("ce", "se"),
        ("ci", "si"),
        ("c", "k"),
        ("x", "ks"),
        ("z", "s"),
        ("ee", "i"),
        ("ea", "i"),
        ("oo", "u"),
        ("y", "i"),
    ),
)
