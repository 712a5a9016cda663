"""Sentence templates to a layout: pieces of words, spaces and empty joints between nodes, and lists as blocks.

Templates may join pieces within a word ("turn(s|ed)"): which words there are is read off the layout (network.py).
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from hassil.expression import Alternative, Expression, ListReference, Permutation, RuleReference, Sequence, TextChunk

from edgeagent.errors import SettingsError
from edgeagent.grammar import spoken
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.commands import CommandSet, ListValue, Reader, Template, ValueList, number_range
from edgeagent.grammar.word_lists import Block, WordList, one_value, word_list
from edgeagent.messages import Value

MOST_NODES = 1_000_000
"""More are templates that explode. Nodes within lists are not laid out; their numbers begin here."""
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


class Layout:
    """Templates laid out. `joints`, `spaces`, `pieces` and `blocks` say what leaves a node; `accepting` what ends."""

    def __init__(self, commands: CommandSet) -> None:
        """Lay out all templates. Raise SettingsError if one is wrong, or they become too large."""
        self.joints: dict[int, list[int]] = defaultdict(list)
        self.spaces: dict[int, list[int]] = defaultdict(list)
        self.pieces: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
        self.blocks: dict[int, list[Block]] = defaultdict(list)
        self.all_blocks: list[Block] = []
        self.labels: list[SlotLabel] = []
        self.accepting: dict[int, Template] = {}
        self._commands = commands
        self._count = 0
        self._next_node = MOST_NODES
        self._word_lists: dict[int, tuple[object, WordList, list[int]]] = {}
        self._first_labels: dict[tuple[str, str, int], int] = {}
        self._referred: Counter[tuple[str, str]] = Counter()
        self._node()  # ROOT
        for template in commands.templates:
            start, end = self._node(), self._node()
            self.joints[ROOT].append(start)
            self._referred.clear()
            self._add(template.expression, start, end, _Place(template.where))
            self.accepting[end] = template

    def _node(self) -> int:
        if self._count >= MOST_NODES:
            raise SettingsError(
                "the command templates with all names need more than a million nodes",
                remedy="Use fewer alternatives inside one another, or fewer permutations.",
            )
        self._count += 1
        return self._count - 1

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
        here = start
        words = _as_spoken(text, place.where).split(" ")
        for position, piece in enumerate(words):
            if piece:
                after = self._node()
                self.pieces[here].append((piece, place.label, after))
                here = after
            if position < len(words) - 1:
                after = self._node()
                self.spaces[here].append(after)
                here = after
        self.joints[here].append(end)

    def _add_sequence(self, sequence: Sequence, start: int, end: int, place: "_Place") -> None:
        if not sequence.items:
            self.joints[start].append(end)
            return
        *items, last = sequence.items
        here = start
        for item in items:
            after = self._node()
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
        nodes = [start, *(self._node() for _ in range(2**count - 2)), end]
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
            self._add_block(self._said(values.words)[0], start, end, inner.label)
        if inner.label == NO_LABEL and values.values:
            self._add_values(reference, values, start, end, inner)
            return
        for item in values.values:
            self._add(item.expression, start, end, inner)

    def _add_values(self, reference: ListReference, values: ValueList, start: int, end: int, place: "_Place") -> None:
        """Add a list whose values have labels of their own: the same ones for every template that refers to it."""
        called = (reference.list_name, reference.slot_name)
        key = (*called, self._referred[called])  # twice in a template are two slots
        self._referred[called] += 1
        if key not in self._first_labels:
            self._first_labels[key] = len(self.labels)
            self.labels += [SlotLabel(reference.slot_name, item.value, None) for item in values.values]
        first_label = self._first_labels[key]
        words, others = self._said(values)
        self._add_block(words, start, end, first_label)
        for number in others:
            self._add(values.values[number].expression, start, end, place.labelled(first_label + number))

    def _add_block(self, words: WordList, start: int, end: int, first_label: int) -> None:
        if not words.arcs[0]:
            return
        self._node()  # counted, though it is none
        block = Block(words, self._next_node, first_label, end)
        self._next_node += len(words.arcs)
        self.all_blocks.append(block)
        self.blocks[start].append(block)

    def _said(self, said: Acyclic | ValueList) -> tuple[WordList, list[int]]:
        """Return what is said in plain words, made once, and the numbers of the values that are said otherwise."""
        known = self._word_lists.get(id(said))
        if known is None:
            words, others = (one_value(said), []) if isinstance(said, Acyclic) else _plain_values(said)
            known = self._word_lists[id(said)] = said, words, others  # kept, so that its id is nobody else's
        return known[1:]

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


def _plain_values(values: ValueList) -> tuple[WordList, list[int]]:
    """Return the values that are plain words, and the numbers of the others. The last is read first, as pieces are."""
    said = [(_plain_words(item), number) for number, item in enumerate(values.values)]
    others = [number for words, number in said if not words]
    return word_list((words, number) for words, number in reversed(said) if words), others


def _plain_words(item: ListValue) -> list[str] | None:
    """Return the words of a value that is nothing but words, with nothing at its edges that parts or joins words."""
    chunks = item.expression.items if isinstance(item.expression, Sequence) else [item.expression]
    texts = [_as_spoken(chunk.text, chunk.text) for chunk in chunks if isinstance(chunk, TextChunk)]
    text = "".join(texts)
    is_plain = len(texts) == len(chunks) and text != "" and text == text.strip()
    return text.split() if is_plain else None
