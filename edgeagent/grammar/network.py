"""Sentence templates to a network of words: nodes joined by (word, label) arcs, without empty arcs and dead ends.

Templates may join pieces within a word ("turn(s|ed)"), so they are laid out first as pieces and spaces, and the
words are read off between the spaces.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import CommandSet
from edgeagent.grammar.layout import MOST_NODES, NO_LABEL, ROOT, Layout
from edgeagent.grammar.word_lists import INHERITED, NOWHERE, Block

MOST_STEPS = 4_000_000
"""Steps taken while all words are read off: some ten seconds."""
MOST_SPELLINGS = 300_000
"""Steps taken while the words at one node are read off; a word of forty optional letters has 2^40 spellings."""


class Network:
    """Templates laid out as nodes and arcs. `arcs(node)` gives, by word, the (label, next node) pairs."""

    def __init__(self, commands: CommandSet) -> None:
        """Lay out all templates. A template that needs an empty list has no path and is left out."""
        self._layout = Layout(commands)
        self.labels, self.accepting = self._layout.labels, self._layout.accepting
        self._blocks = self._layout.all_blocks
        self._first_nodes = [block.first_node for block in self._blocks]
        self._arcs: dict[int, dict[str, tuple[tuple[int, int], ...]]] = {}
        self._doors: dict[int, tuple[Block, ...]] = {}
        self._steps = 0
        self._known_ends: dict[int, tuple[int, ...]] = {}
        self._known_tails: dict[int, tuple[tuple[str, int, int], ...]] = {}
        self._trim()
        del self._layout  # read off, and larger than all that is kept
        self._known_ends, self._known_tails = {}, {}

    def arcs(self, node: int) -> Mapping[str, tuple[tuple[int, int], ...]]:
        """Return what leaves a node: word -> ((label, next node), ...)."""
        return {word: tuple(self.arcs_by(node, word)) for word in dict.fromkeys(word for word, _ in self.afters(node))}

    def arcs_by(self, node: int, word: str) -> Iterator[tuple[int, int]]:
        """Yield the (label, next node) pairs of a word that leaves a node."""
        if (block := self.block(node)) is not None:
            yield from block.arcs(node - block.first_node, word)
            return
        yield from self._arcs[node].get(word, ())
        for door in self._doors.get(node, ()):
            yield from door.arcs(0, word)

    def afters(self, node: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield what leaves a node as words with nodes that follow; a word may come more than once."""
        if (block := self.block(node)) is not None:
            yield from block.afters(node - block.first_node)
            return
        for word, arcs in self._arcs[node].items():
            yield word, tuple(after for _, after in arcs)
        for door in self._doors.get(node, ()):
            yield from door.afters(0)

    def block(self, node: int) -> Block | None:
        """Return the list within which a node is, or None."""
        if node < MOST_NODES:
            return None
        return self._blocks[bisect_right(self._first_nodes, node) - 1]

    def _trim(self) -> None:
        """Read the words off the layout from the root on, then drop arcs from which no sentence can end."""
        order, waiting = [], [ROOT]
        seen = {ROOT}
        raw: dict[int, list[tuple[str, int, int]]] = {}
        doors: dict[int, tuple[Block, ...]] = {}
        leads: dict[int, list[int]] = {}
        while waiting:
            node = waiting.pop()
            block = self.block(node)
            if block is not None:
                raw[node] = list(self._tails(block.end))
            else:
                order.append(node)
                raw[node], doors[node] = self._words(node)
            leads[node] = [self._entry(after) for _, _, after in raw[node]]
            leads[node] += [door.first_node for door in doors.get(node, ())]
            for after in leads[node]:
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        alive = _reaching(set(self.accepting) & seen, leads)
        for block in self._blocks:
            if block.first_node in alive:
                block.close((rest, after) for rest, _, after in raw[block.first_node] if self._entry(after) in alive)
        once: dict[Any, Any] = {}  # the same words and arcs leave many nodes: each is kept once
        for node in order:
            by_word: dict[str, dict[tuple[int, int], None]] = {}
            for word, label, after in raw[node]:
                if self._entry(after) in alive:
                    by_word.setdefault(word, {})[label, after] = None
            leaving = ((word, tuple(arcs)) for word, arcs in by_word.items())
            self._arcs[node] = {once.setdefault(word, word): once.setdefault(arcs, arcs) for word, arcs in leaving}
            if living := tuple(door for door in doors[node] if door.first_node in alive):
                self._doors[node] = living

    def _entry(self, node: int) -> int:
        """Return the node, or for a node within a list the one that stands for all of them."""
        block = self.block(node)
        return node if block is None else block.first_node

    def _count_step(self, spellings: int) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS or spellings > MOST_SPELLINGS:
            raise SettingsError(
                "the command templates with all names have too many ways to say a word",
                remedy="Use fewer optional and alternative pieces within words or one after the other.",
            )

    def _words(self, node: int) -> tuple[list[tuple[str, int, int]], tuple[Block, ...]]:
        """Return the (word, label, next node) that can be said at a node, and the lists that can begin there."""
        layout = self._layout
        waiting, seen = [node], {node}
        found: list[tuple[str, int, int]] = []
        doors: dict[int, Block] = {}
        while waiting:
            here = waiting.pop()
            self._count_step(len(seen))
            doors |= {block.first_node: block for block in layout.blocks.get(here, ())}
            for piece, own, beyond in reversed(layout.pieces.get(here, [])):  # the last is read first
                for rest, label, after in self._tails(beyond):
                    found.append((piece + rest, label if own == NO_LABEL else own, after))
            for after in (*layout.joints.get(here, ()), *layout.spaces.get(here, ())):
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return found, tuple(doors.values())

    def _tails(self, node: int) -> tuple[tuple[str, int, int], ...]:
        """Return how a word that was begun before a node can end: its letters, their label, and the next node."""
        if node in self._known_tails:
            return self._known_tails[node]
        layout = self._layout
        waiting = [(node, "", NO_LABEL)]
        seen = set(waiting)
        found: dict[tuple[str, int, int], None] = {}
        while waiting:
            here, said, label = waiting.pop()
            self._count_step(len(seen))
            if here in self.accepting:
                found[said, label, here] = None
            steps = [(after, said, label) for after in layout.joints.get(here, ())]
            steps += [
                (after, said + piece, label if label != NO_LABEL else own)
                for piece, own, after in layout.pieces.get(here, ())
            ]
            for after in layout.spaces.get(here, ()):
                found[said, label, after] = None
                found |= {(said, label, end): None for end in self._ends(after)}
            for block in layout.blocks.get(here, ()):  # a list whose first word is joined to what stands before it
                for word, (after, values) in block.words.arcs[0].items():
                    if after != NOWHERE:
                        own = INHERITED if label == NO_LABEL else label
                        found[said + word, own, block.first_node + after] = None
                    owns = (block.first_label + value if label == NO_LABEL else label for value in values)
                    steps += [(block.end, said + word, own) for own in owns]
            for step in steps:
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)
        return self._known_tails.setdefault(node, tuple(found))

    def _ends(self, node: int) -> tuple[int, ...]:
        """Return the ends that a node reaches without another word: templates may end in a space."""
        if node in self._known_ends:
            return self._known_ends[node]
        waiting, seen = [node], {node}
        ends = []
        while waiting:
            here = waiting.pop()
            self._count_step(len(seen))
            if here in self.accepting:
                ends.append(here)
            for after in (*self._layout.joints.get(here, ()), *self._layout.spaces.get(here, ())):
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return self._known_ends.setdefault(node, tuple(ends))


def _reaching(goals: set[int], leads: Mapping[int, list[int]]) -> set[int]:
    before: dict[int, list[int]] = {}
    for node, leaving in leads.items():
        for after in leaving:
            before.setdefault(after, []).append(node)
    reached, waiting = set(goals), list(goals)
    while waiting:
        for node in before.get(waiting.pop(), ()):
            if node not in reached:
                reached.add(node)
                waiting.append(node)
    return reached
