"""Lists of words as blocks of a network: the names of a house are laid out once, however many templates name them.

A block stands for all nodes within a list where a template refers to it; what they say is made when it is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgeagent.grammar.acyclic import Acyclic

INHERITED = -2
"""The label of a word within a list before its last one: that of the word that follows."""
NOWHERE = 0
"""A list never goes on in the state in which it begins."""


@dataclass(frozen=True, slots=True)
class WordList:
    """What a list says, as a deterministic automaton; 0 is the start.

    `arcs[state]` goes from a word to the state in which the list goes on, or NOWHERE, and the values that end with it.
    """

    arcs: tuple[Mapping[str, tuple[int, tuple[int, ...]]], ...]


def word_list(sayings: Iterable[tuple[Sequence[str], int]]) -> WordList:
    """Return a list of (words, number of the value that they say); each has a word."""
    states: list[dict[str, tuple[int, tuple[int, ...]]]] = [{}]
    for words, value in sayings:
        state = 0
        for word in words[:-1]:
            after, values = states[state].get(word, (NOWHERE, ()))
            if after == NOWHERE:
                after = len(states)
                states.append({})
                states[state][word] = after, values
            state = after
        after, values = states[state].get(words[-1], (NOWHERE, ()))
        states[state][words[-1]] = after, (*values, value)
    return WordList(tuple(states))


def one_value(words: Acyclic) -> WordList:
    """Return a list of which everything says value 0."""
    return WordList(
        tuple(
            {
                word: (after if words.arcs[after] else NOWHERE, (0,) if after in words.final else ())
                for word, after in arcs.items()
            }
            for arcs in words.arcs
        )
    )


@dataclass(slots=True)
class Block:
    """A reference to a list: `first_node` and the list's state make a node, `first_label` and the value a label.

    `end` is where the layout goes on; `tails` how the list's last word ends and which nodes follow, once that is known.
    """

    words: WordList
    first_node: int
    first_label: int
    end: int
    tails: tuple[tuple[str, int], ...] = ()
    _plain: tuple[int, ...] = ()
    _joined: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def close(self, tails: Iterable[tuple[str, int]]) -> None:
        """Take what follows the list."""
        self.tails = tuple(dict.fromkeys(tails))
        by_rest = {rest: tuple(node for said, node in self.tails if said == rest) for rest, _ in self.tails}
        self._plain = by_rest.pop("", ())
        self._joined = by_rest

    def afters(self, state: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the words that can be said in a state of the list, each with nodes that follow."""
        for word, (after, values) in self.words.arcs[state].items():
            if after != NOWHERE:
                yield word, (self.first_node + after, *self._plain) if values else (self.first_node + after,)
            elif self._plain:
                yield word, self._plain
            if values and self._joined:
                yield from ((word + rest, nodes) for rest, nodes in self._joined.items())

    def arcs(self, state: int, said: str) -> Iterator[tuple[int, int]]:
        """Yield the (label, next node) pairs of a word in a state of the list."""
        leaving = self.words.arcs[state]
        for rest, nodes in (("", self._plain), *self._joined.items()):
            _, values = leaving.get(said.removesuffix(rest), (NOWHERE, ())) if said.endswith(rest) else (NOWHERE, ())
            yield from ((self.first_label + value, node) for value in values for node in nodes)
        after, _ = leaving.get(said, (NOWHERE, ()))
        if after != NOWHERE:
            yield INHERITED, self.first_node + after
