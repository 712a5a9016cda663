"""What people say beyond the grammar, with the names of this house, as a language model for recognizers.

As a program (`python -m edgeagent.hear.free_speech`) it reads what may be said as JSON and writes the model: making it
takes seconds, in which a process of its own holds nobody up.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from edgeagent.grammar.spoken import Phrase
from edgeagent.hear.ngram import arpa

_PLACE = re.compile(r"\{(\w+)\}")
GRAMMAR_TWICE = 2
"""A sentence of the grammar counts as often as so many others: it is said more often than any other wording."""


@dataclass(frozen=True, slots=True)
class Wordings:
    """What may be said in a house.

    `phrases` have places for names in braces ("turn on the {light}"); `names` are the spoken names by place, and a
    phrase for which there is none is left out. `grammar` are sentences of the house's grammar.
    """

    phrases: Sequence[str]
    names: Mapping[str, Sequence[str]]
    grammar: Sequence[Phrase]


def language_model(wordings: Wordings) -> str:
    """Return a language model in ARPA's format."""
    said = [sentence for sentence in wordings.grammar for _ in range(GRAMMAR_TWICE)]
    return arpa(chain(_named(wordings.phrases, wordings.names), said))


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


def main() -> None:
    """Read what may be said, and write its model."""
    told = json.load(sys.stdin)
    grammar = [tuple(words) for words in told["grammar"]]
    sys.stdout.write(language_model(Wordings(told["phrases"], told["names"], grammar)))


if __name__ == "__main__":
    main()
