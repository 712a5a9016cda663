"""Rhasspy's sentence templates to trees. Pure.

A template is words, (groups|of|alternatives), [what|may|be|absent], <rules>, $slots, 0..100,5 ranges. To each of these,
without a space between: {tag}, {tag:value}, {tag!converter}, !converter, and :written for what is written for it.
"""

import re
from dataclasses import dataclass

from edgeagent.grammar.imported import NotImportableError

DEEPEST = 30
_RANGE = re.compile(r"(-?\d{1,9})\.\.(-?\d{1,9})(?:,(\d{1,9}))?$")
_RESERVED = "()[]{}<>|"
_RULE = re.compile(r"<([^<>\s]+)>")
_TAG = re.compile(r"\{([^{}]*)\}")
_CONVERTER = re.compile(r"!([\w/.-]+)")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands there."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One thing after the other; nothing, if there are none."""

    items: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several, or, if it is optional, none."""

    items: "tuple[Node, ...]"
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `low` to `high` by `step`."""

    low: int
    high: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A reference to a rule, of another intent if one is named."""

    name: str


@dataclass(frozen=True, slots=True)
class SlotFile:
    """A reference to a file of values."""

    name: str


@dataclass(frozen=True, slots=True)
class Written:
    """What is said one way and written another."""

    said: "Node"
    text: str


@dataclass(frozen=True, slots=True)
class Converted:
    """What goes through converters, one after the other."""

    said: "Node"
    converters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tagged:
    """What is the value of a named entity; `value` stands for it where it is told."""

    said: "Node"
    name: str
    value: str | None
    converters: tuple[str, ...]


Node = Word | Row | Choice | Range | Rule | SlotFile | Written | Converted | Tagged
NOTHING = Row()


def parse(template: str) -> Node:
    """Return the tree of a template. Raise NotImportableError if it is none."""
    reader = _Reader(template)
    node = reader.choice(0)
    if reader.rest:
        raise NotImportableError(f"a bracket too many before {reader.rest!r:.40}")
    return node


class _Reader:
    """Reads a template from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def rest(self) -> str:
        return self._text[self._at :]

    def choice(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise NotImportableError(f"brackets more than {DEEPEST} deep")
        items = [self._row(depth)]
        while self.rest.startswith("|"):
            self._at += 1
            items.append(self._row(depth))
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def _row(self, depth: int) -> Node:
        items: list[Node] = []
        while True:
            self._at += len(self.rest) - len(self.rest.lstrip())
            if not self.rest or self.rest[0] in "|)]":
                return items[0] if len(items) == 1 else Row(tuple(items))
            items.append(self._with_suffixes(self._atom(depth), depth))

    def _atom(self, depth: int) -> Node:
        first = self.rest[0]
        if first in "([":
            return self._bracketed(first, depth)
        if first == "<":
            return Rule(self._match(_RULE, "a rule is <name>"))
        if first in "{}>":
            raise NotImportableError(f"{self.rest!r:.40} belongs to nothing")
        word = self._word()
        if word.startswith("$"):
            return SlotFile(word[1:])
        if found := _RANGE.fullmatch(word):
            low, high, step = int(found[1]), int(found[2]), int(found[3] or 1)
            return Range(min(low, high), max(low, high), max(step, 1))
        return Word(word) if word else NOTHING

    def _bracketed(self, first: str, depth: int) -> Node:
        self._at += 1
        inner = self.choice(depth + 1)
        if not self.rest.startswith(")" if first == "(" else "]"):
            raise NotImportableError("a bracket is not closed")
        self._at += 1
        if first == "(":
            return inner
        return Choice(inner.items if isinstance(inner, Choice) else (inner,), is_optional=True)

    def _with_suffixes(self, node: Node, depth: int) -> Node:
        while self.rest:
            if self.rest[0] == ":":
                self._at += 1
                node = Written(node, self._written(depth))
            elif self.rest[0] == "{":
                node = _tagged(node, self._match(_TAG, "a tag is {name}"))
            elif self.rest[0] == "!":
                node = Converted(node, (self._match(_CONVERTER, "a converter is !name"),))
            else:
                break
        return node

    def _written(self, depth: int) -> str:
        if self.rest.startswith("("):
            return _plain(self._bracketed("(", depth))
        return self._word()

    def _word(self) -> str:
        """Return the letters up to a space or a sign, and leave their backslashes out."""
        letters = []
        while self.rest:
            letter = self.rest[0]
            if letter == "\\" and len(self.rest) > 1:
                letters.append(self.rest[1])
                self._at += 2
                continue
            if letter.isspace() or letter in _RESERVED or letter == ":" or (letter == "!" and letters):
                break
            letters.append(letter)
            self._at += 1
        return "".join(letters)

    def _match(self, pattern: re.Pattern[str], otherwise: str) -> str:
        found = pattern.match(self.rest)
        if found is None:
            raise NotImportableError(f"{otherwise}, found {self.rest!r:.40}")
        self._at += found.end()
        return found[1]


def _tagged(node: Node, inside: str) -> Tagged:
    converters = _CONVERTER.findall(inside)
    name, colon, value = _CONVERTER.sub("", inside).partition(":")
    if not name.strip():
        raise NotImportableError("a tag without a name")
    own: tuple[str, ...] = ()
    said = node
    if isinstance(node, Converted):
        said, own = node.said, node.converters
    return Tagged(said, name.strip(), value.strip() if colon else None, (*own, *converters))


def _plain(node: Node) -> str:
    if isinstance(node, Word):
        return node.text
    if isinstance(node, Row) and all(isinstance(item, Word) for item in node.items):
        return " ".join(item.text for item in node.items if isinstance(item, Word))
    raise NotImportableError("what is written for words must be plain words")
