"""What people say beyond the grammar, with the names of this house, as a language model for recognizers. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from edgeagent.grammar.spoken import Phrase
from edgeagent.hear.ngram import arpa

_PLACE = re.compile(r"\{(\w+)\}")
GRAMMAR_TWICE = 2
"""A sentence of the grammar counts as often as so many others: it is said more often than any other wording."""


def language_model(phrases: Iterable[str], names: Mapping[str, Sequence[str]], grammar: Iterable[Phrase]) -> str:
    """Return a language model in ARPA's format.

    `phrases` have places for names in braces ("turn on the {light}"); `names` are the spoken names by place, and a
    phrase for which there is none is left out. `grammar` are sentences of the house's grammar.
    """
    said = [sentence for sentence in grammar for _ in range(GRAMMAR_TWICE)]
    return arpa(chain(_named(phrases, names), said))


def _named(phrases: Iterable[str], names: Mapping[str, Sequence[str]]) -> Iterator[Phrase]:
    """Yield each phrase once, its places filled with one name after the other, so that each comes up as often."""
    turn = dict.fromkeys(names, 0)
    for phrase in phrases:
        words: list[str] = []
        for word in phrase.split():
            place = _PLACE.fullmatch(word)
            if place is None:
                words.append(word)
                continue
            some = names.get(place[1], ())
            if not some:
                words = []
                break
            words += some[turn[place[1]] % len(some)].split()
            turn[place[1]] += 1
        if words:
            yield tuple(words)
