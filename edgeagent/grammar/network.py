"""Sentence templates to a network of words: nodes joined by (word, label) arcs, without empty arcs and dead ends.

Templates may join pieces within a word ("turn(s|ed)"), so they are laid out first as pieces and spaces, and the
words are read off between the spaces.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hassil.expression import Alternative, Expression, ListReference, Permutation, RuleReference, Sequence, TextChunk

from edgeagent.errors import SettingsError
from edgeagent.grammar import spoken
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.commands import CommandSet, Reader, Template, ValueList, number_range
from edgeagent.messages import Value

MOST_NODES = 1_000_000
"""Enough for some thousand names in every template; more is a template that explodes."""
MOST_STEPS = 4_000_000
"""Steps taken while all words are read off: some ten seconds."""
MOST_SPELLINGS = 300_000
"""Steps taken while the words at one node are read off; a word of forty optional letters has 2^40 spellings."""
DEEPEST_RULE = 20
MOST_PERMUTED = 6

NO_LABEL = -1
ROOT = 0


@dataclass(frozen=True, slots=True)
class SlotLabel:
    """What the words under a label say: the slot, and its value or the way to read it off the words."""

    slot: str
    value: Value | None
    read: Reader | None


@dataclass(slots=True)
class _Layout:
    """Pieces of words, spaces and empty joints between nodes; the first form of a template."""

    count: int = 0
    joints: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    spaces: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    pieces: dict[int, list[tuple[str, int, int]]] = field(default_factory=lambda: defaultdict(list))

    def node(self) -> int:
        if self.count >= MOST_NODES:
            raise SettingsError(
                "the command templates with all names need more than a million nodes",
                remedy="Use fewer alternatives inside one another, or fewer permutations.",
            )
        self.count += 1
        return self.count - 1


class Network:
    """Templates laid out as nodes and arcs. `arcs(node)` gives, by word, the (label, next node) pairs."""

    def __init__(self, commands: CommandSet) -> None:
        """Lay out all templates. A template that needs an empty list has no path and is left out."""
        self.labels: list[SlotLabel] = []
        self.accepting: dict[int, Template] = {}
        self._commands = commands
        self._layout = _Layout()
        self._layout.node()  # ROOT
        for template in commands.templates:
            start, end = self._layout.node(), self._layout.node()
            self._layout.joints[ROOT].append(start)
            self._add(template.expression, start, end, _Place(template.where))
            self.accepting[end] = template
        self._arcs: dict[int, dict[str, tuple[tuple[int, int], ...]]] = {}
        self._steps = 0
        self._known_ends: dict[int, tuple[int, ...]] = {}
        self._trim()
        self._layout = _Layout()  # read off, and larger than all that is kept
        self._known_ends = {}

    def arcs(self, node: int) -> Mapping[str, tuple[tuple[int, int], ...]]:
        """Return what leaves a node: word -> ((label, next node), ...)."""
        return self._arcs[node]

    def _add(self, expression: Expression, start: int, end: int, place: "_Place") -> None:
        match expression:
            case TextChunk():
                self._add_text(expression.text, start, end, place)
            case Sequence():
                self._add_sequence(expression, start, end, place)
            case Alternative():
                for item in expression.items:
                    self._add(item, start, end, place)
            case Permutation():
                self._add_permutation(expression, start, end, place)
            case RuleReference():
                rule = self._rule(expression.rule_name, place)
                self._add(rule, start, end, place.inside(f"<{expression.rule_name}>"))
            case ListReference():
                self._add_list(expression, start, end, place)
            case _:
                found = type(expression).__name__
                raise SettingsError(f"{place.where}: {found} is not supported", remedy="See hassil's template syntax.")

    def _add_text(self, text: str, start: int, end: int, place: "_Place") -> None:
        layout, here = self._layout, start
        words = _as_spoken(text, place.where).split(" ")
        for position, piece in enumerate(words):
            if piece:
                after = layout.node()
                layout.pieces[here].append((piece, place.label, after))
                here = after
            if position < len(words) - 1:
                after = layout.node()
                layout.spaces[here].append(after)
                here = after
        layout.joints[here].append(end)

    def _add_sequence(self, sequence: Sequence, start: int, end: int, place: "_Place") -> None:
        if not sequence.items:
            self._layout.joints[start].append(end)
            return
        *items, last = sequence.items
        here = start
        for item in items:
            after = self._layout.node()
            self._add(item, here, after, place)
            here = after
        self._add(last, here, end, place)

    def _add_permutation(self, permutation: Permutation, start: int, end: int, place: "_Place") -> None:
        """Join the items in every order by way of the sets of items already said: n·2^(n-1) copies, not n!·n."""
        count = len(permutation.items)
        if count > MOST_PERMUTED:
            raise SettingsError(
                f"{place.where}: {count} parts in any order are too many; at most {MOST_PERMUTED}",
                remedy="Write the orders that people use as sentences of their own.",
            )
        nodes = [start, *(self._layout.node() for _ in range(2**count - 2)), end]
        for said in range(2**count - 1):
            for index, item in enumerate(permutation.items):
                if not said >> index & 1:
                    self._add(item, nodes[said], nodes[said | 1 << index], place)

    def _add_list(self, reference: ListReference, start: int, end: int, place: "_Place") -> None:
        values = self._list(reference, place)
        inner = place.inside(f"{{{reference.list_name}}}")
        if values.read and place.label == NO_LABEL:
            inner = inner.labelled(self._label(SlotLabel(reference.slot_name, None, values.read)))
        if values.words is not None:
            self._add_words(values.words, start, end, inner.label)
        for item in values.values:
            mine = inner
            if inner.label == NO_LABEL:
                mine = inner.labelled(self._label(SlotLabel(reference.slot_name, item.value, None)))
            self._add(item.expression, start, end, mine)

    def _add_words(self, words: Acyclic, start: int, end: int, label: int) -> None:
        nodes = [start, *(self._layout.node() for _ in words.arcs[1:])]
        for state, arcs in enumerate(words.arcs):
            for word, after in arcs.items():
                said = self._layout.node()
                self._layout.pieces[nodes[state]].append((word, label, said))
                if after in words.final:
                    self._layout.joints[said].append(end)
                self._layout.spaces[said].append(nodes[after])

    def _label(self, label: SlotLabel) -> int:
        self.labels.append(label)
        return len(self.labels) - 1

    def _list(self, reference: ListReference, place: "_Place") -> ValueList:
        name = reference.list_name
        if (inline := reference.get_inline_range()) is not None:
            return number_range(dict(zip(("from", "to", "step"), inline, strict=True)), place.where)
        found = self._commands.lists.get(name)
        if found is None:
            known = ", ".join(sorted(self._commands.lists)) or "none"
            raise SettingsError(f"{place.where}: there is no list {{{name}}}", remedy=f"Known lists: {known}.")
        return found

    def _rule(self, name: str, place: "_Place") -> Expression:
        found = self._commands.rules.get(name)
        if found is None:
            known = ", ".join(sorted(self._commands.rules)) or "none"
            raise SettingsError(f"{place.where}: there is no rule <{name}>", remedy=f"Known rules: {known}.")
        return found

    def _trim(self) -> None:
        """Read the words off the layout from the root on, then drop arcs from which no sentence can end."""
        order, waiting = [], [ROOT]
        seen = {ROOT}
        raw: dict[int, list[tuple[str, int, int]]] = {}
        while waiting:
            node = waiting.pop()
            order.append(node)
            raw[node] = list(self._words(node))
            for _, _, after in raw[node]:
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        alive = set(self.accepting) & seen
        alive |= _reaching(alive, raw)
        for node in order:
            by_word: dict[str, dict[tuple[int, int], None]] = {}
            for word, label, after in raw[node]:
                if after in alive:
                    by_word.setdefault(word, {})[label, after] = None
            self._arcs[node] = {word: tuple(arcs) for word, arcs in by_word.items()}

    def _count_step(self, spellings: int) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS or spellings > MOST_SPELLINGS:
            raise SettingsError(
                "the command templates with all names have too many ways to say a word",
                remedy="Use fewer optional and alternative pieces within words or one after the other.",
            )

    def _words(self, node: int) -> Iterator[tuple[str, int, int]]:
        """Yield the (word, label, next node) that can be said at a node: pieces up to a space or an end."""
        layout = self._layout
        waiting = [(node, "", NO_LABEL)]
        seen = set(waiting)
        while waiting:
            here, said, label = waiting.pop()
            self._count_step(len(seen))
            if said and here in self.accepting:
                yield said, label, here
            steps = [(after, said, label) for after in layout.joints.get(here, ())]
            steps += [
                (after, said + piece, label if label != NO_LABEL else own)
                for piece, own, after in layout.pieces.get(here, ())
            ]
            if said:
                for after in layout.spaces.get(here, ()):
                    yield said, label, after
                    yield from ((said, label, end) for end in self._ends(after))
            else:
                steps += [(after, said, label) for after in layout.spaces.get(here, ())]
            for step in steps:
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)

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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a template we are: for messages, for the label of the words, and against endless rules."""

    where: str
    label: int = NO_LABEL
    within: tuple[str, ...] = ()

    def labelled(self, label: int) -> "_Place":
        return replace(self, label=label)

    def inside(self, name: str) -> "_Place":
        if name in self.within:
            raise SettingsError(f"{self.where}: {name} contains itself", remedy="Rules and lists cannot recur.")
        if len(self.within) >= DEEPEST_RULE:
            raise SettingsError(
                f"{self.where}: {name} is more than {DEEPEST_RULE} rules and lists deep",
                remedy="Use fewer rules inside one another.",
            )
        return replace(self, within=(*self.within, name))


_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc`\u00b4", "'"))
_FOREIGN_LETTERS = re.compile(r"[^\W\d_a-z]+")
_GAPS = re.compile(r"[-_/\s]+")
_FIGURES = re.compile(r"\d[\d.,:]*(?<=\d)|[%&\u00b0]")
_SIGNS = re.compile(r"[^a-z' ]+")


def _as_spoken(text: str, where: str) -> str:
    """Return a template's text as words of speech, as typed sentences are: "Lamp 2!" as "lamp two ".

    Raise SettingsError if letters of another script are in it.
    """

    def latin(letters: re.Match[str]) -> str:
        found = "".join(spoken.spell_out(letters[0]))
        if not found:
            raise SettingsError(f"{where}: {letters[0]!r:.40} cannot be spoken", remedy="Use Latin letters.")
        return found

    plain = _GAPS.sub(" ", _FOREIGN_LETTERS.sub(latin, text.lower().translate(_APOSTROPHES)))
    figures = _FIGURES.sub(lambda figure: f" {' '.join(spoken.spell_out(figure[0]))} ", plain)
    return _SIGNS.sub("", figures)


def _reaching(goals: set[int], arcs: Mapping[int, list[tuple[str, int, int]]]) -> set[int]:
    before: dict[int, list[int]] = {}
    for node, leaving in arcs.items():
        for _, _, after in leaving:
            before.setdefault(after, []).append(node)
    reached, waiting = set(goals), list(goals)
    while waiting:
        for node in before.get(waiting.pop(), ()):
            if node not in reached:
                reached.add(node)
                waiting.append(node)
    return reached
