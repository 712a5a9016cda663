"""Rhasspy's sentences.ini to a command file of ours. Pure.

Rules:
- an intent keeps its name; a tag becomes a slot, its words a list, with what is written for them as values;
- lists and rules get the file's name in front, so that they are never taken for ours;
- an empty tag with a value, "(:){domain:light}", becomes a slot that the sentence fixes;
- what is written for words outside a tag has no meaning here: it is left out, and told;
- programs, converters of one's own, and what else there is nothing for: the sentence is left out, and told.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import number_range
from edgeagent.grammar.imported import (
    LONGEST_LINE,
    MOST_SENTENCES,
    Imported,
    NotImportableError,
    Remark,
    as_yaml,
    check,
    listed_under,
    name_part,
)
from edgeagent.grammar.rhasspy_template import (
    NOTHING,
    Choice,
    Converted,
    Node,
    Range,
    Row,
    Rule,
    SlotFile,
    Tagged,
    Word,
    Written,
    parse,
)
from edgeagent.grammar.rhasspy_values import Entry, Said, converted, entry, joined
from edgeagent.messages import Value

MOST_VALUES = 500
"""Ways of saying the value of one tag."""
_SECTION = re.compile(r"\[([\w ./-]{1,64})\]$")
_DEFINITION = re.compile(r"([\w.-]{1,64})\s*=\s*(.*)$")
_FOR_HASSIL = str.maketrans(dict.fromkeys("()[]{}<>|;\\@:", " "))
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_MONTHS = "january february march april may june july august september october november december"
_BUILT_IN: Mapping[str, Sequence[str]] = {"rhasspy/days": _DAYS.split(), "rhasspy/months": _MONTHS.split()}


def imported(text: str, slots: Mapping[str, str], name: str) -> Imported:
    """Return what sentences.ini says. `slots` are its files of values by name; `name` is the file's, for its lists."""
    file = _File(slots, name_part(name))
    for number, line in enumerate(text.splitlines(), 1):
        file.read(number, line.strip())
    for number, intent, template in file.sentences:
        file.take(number, intent, template)
    body = as_yaml(f"From {name}, a file of Rhasspy.", file.intents(), file.lists, file.rules)
    count = sum(len(sentences) for blocks in file.taken.values() for sentences in blocks.values())
    return Imported(
        body, count, tuple(file.taken), tuple(sorted(file.left_out, key=attrgetter("line"))), tuple(file.changed)
    )


@dataclass(slots=True)
class _File:
    """What was read so far, and what was made of it."""

    slots: Mapping[str, str]
    prefix: str
    sentences: list[tuple[int, str, str]] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)
    changed: list[Remark] = field(default_factory=list)
    lists: dict[str, object] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    taken: dict[str, dict[tuple[tuple[str, Value], ...], list[str]]] = field(default_factory=dict)
    _intent: str = ""
    _defined: dict[str, Node | None] = field(default_factory=dict)
    _where: tuple[int, str] = (0, "")
    _within: list[str] = field(default_factory=list)
    _made: dict[str, str] = field(default_factory=dict)
    _ways: dict[str, list[Said]] = field(default_factory=dict)

    def read(self, number: int, line: str) -> None:
        """Read one line: an intent, a rule, a sentence, or nothing."""
        if not line or line[0] in "#;":
            return
        if found := _SECTION.fullmatch(line):
            self._intent = found[1].strip()
        elif len(line) > LONGEST_LINE:
            self._leave_out(number, line, f"more than {LONGEST_LINE} characters")
        elif not self._intent:
            self._leave_out(number, line, "it stands before the first [Intent]")
        elif len(self.sentences) >= MOST_SENTENCES:
            self._leave_out(number, line, f"there are {MOST_SENTENCES} sentences already")
        elif found := _DEFINITION.fullmatch(line):
            self._define(number, f"{self._intent}.{found[1]}", found[2])
        else:
            self.sentences.append((number, self._intent, line.removeprefix("\\") if line[:2] == "\\[" else line))

    def take(self, number: int, intent: str, template: str) -> None:
        """Make a sentence of ours, or say why not."""
        self._where, self._intent, self._within = (number, template), intent, []
        try:
            node = parse(template)
            fixed = _fixed(node)
            said = " ".join(self._template(node).split())
            check(said)
        except NotImportableError as error:
            self._leave_out(number, template, str(error))
            return
        self.taken.setdefault(intent, {}).setdefault(tuple(fixed.items()), []).append(said)

    def intents(self) -> dict[str, list[object]]:
        """Return the blocks of sentences by intent."""
        return {
            intent: [{"sentences": said, **({"slots": dict(fixed)} if fixed else {})} for fixed, said in blocks.items()]
            for intent, blocks in self.taken.items()
        }

    def _leave_out(self, number: int, what: str, why: str) -> None:
        self.left_out.append(Remark(number, what[:200], why))

    def _define(self, number: int, name: str, template: str) -> None:
        try:
            self._defined[name] = parse(template)
        except NotImportableError as error:
            self._defined[name] = None
            self._leave_out(number, template, str(error))

    def _template(self, node: Node) -> str:
        """Return the template that says the same. Raise NotImportableError if there is none."""
        match node:
            case Word():
                return node.text.translate(_FOR_HASSIL)
            case Row():
                return " ".join(self._template(item) for item in node.items)
            case Choice():
                inside = "|".join(self._template(item) for item in node.items)
                if not inside.strip("| "):
                    return ""
                return f"[{inside}]" if node.is_optional else f"({inside})"
            case Range():
                self._change('the number is given as the slot "number", since it has no tag')
                return self._numbers(node, "number")
            case Rule() | SlotFile():
                return self._shared(node)
            case Written():
                if node != Written(NOTHING, ""):
                    self._change(f"{node.text!r:.40} is not written for what is said: it stands outside a tag")
                return self._template(node.said)
            case Converted():
                return self._template(node.said)
            case Tagged():
                return self._tag(node)

    def _change(self, why: str) -> None:
        remark = Remark(self._where[0], self._where[1][:200], why)
        if remark not in self.changed:
            self.changed.append(remark)

    def _shared(self, node: Rule | SlotFile) -> str:
        """Return the reference to a rule of ours, made when it is first used."""
        key, inner = self._resolved(node)
        if key not in self._made:
            intent, self._intent = self._intent, key.rpartition(".")[0] or self._intent
            self._within.append(key)
            said = " ".join(self._template(inner).split())
            self._within.pop()
            self._intent = intent
            if not said:
                return ""
            template = f"({said})"
            check(template)
            self._made[key] = listed_under(self.rules, f"{self.prefix}_{name_part(key)}", template)
        return f"<{self._made[key]}>"

    def _resolved(self, node: Rule | SlotFile) -> tuple[str, Node]:
        if isinstance(node, SlotFile):
            key, inner = f"${node.name}", self._slot_file(node.name)
        else:
            key = node.name if "." in node.name else f"{self._intent}.{node.name}"
            if key not in self._defined:
                raise NotImportableError(f"there is no rule <{node.name}>")
            found = self._defined[key]
            if found is None:
                raise NotImportableError(f"it needs <{node.name}>, which was left out")
            inner = found
        if key in self._within:
            raise NotImportableError(f"{key} contains itself")
        return key, inner

    def _slot_file(self, name: str) -> Node:
        if name in _BUILT_IN and name not in self.slots:
            return Choice(tuple(Word(word) for word in _BUILT_IN[name]))
        if "," in name or name not in self.slots:
            why = "a program" if "," in name else "no file of that name was given"
            raise NotImportableError(f"${name:.60}: {why}; values come from files in the folder `slots`")
        lines = [line.strip() for line in self.slots[name].splitlines()]
        values = [parse(line) for line in lines if line and line[0] != "#" and len(line) <= LONGEST_LINE]
        if not values:
            raise NotImportableError(f"${name:.60}: the file is empty")
        return Choice(tuple(values))

    def _tag(self, node: Tagged) -> str:
        if node.said == NOTHING or node.said == Written(NOTHING, ""):
            return ""  # a slot that the sentence fixes
        if node.value is not None:
            said = " ".join(self._template(node.said).split())
            return self._listed(node.name, [entry(said, node.value, node.converters)])
        if (only := self._only_range(node.said)) is not None:
            if set(node.converters) - {"int", "float"}:
                raise NotImportableError(f"{{{node.name}}}: a number stays a number")
            return self._numbers(only, node.name)
        ways = dict(self._expanded(node.said))
        may_be_absent = "" in ways
        ways.pop("", None)
        listed = self._listed(node.name, [entry(said, written, node.converters) for said, written in ways.items()])
        return f"[{listed}]" if may_be_absent else listed

    def _listed(self, tag: str, values: Sequence[Entry]) -> str:
        """Return the reference to a list of these values."""
        if not values or not all(value["in"] for value in values):
            raise NotImportableError(f"{{{tag}}} has no words")
        for value in values:
            check(str(value["in"]))
        return f"{{{self._list(tag, {'values': list(values)})}:{tag}}}"

    def _only_range(self, node: Node) -> Range | None:
        while isinstance(node, Rule):
            node = self._resolved(node)[1]
        return node if isinstance(node, Range) else None

    def _expanded(self, node: Node) -> list[Said]:
        """Return every way to say this, with what is written for it."""
        match node:
            case Word():
                found: list[Said] = [(" ".join(node.text.translate(_FOR_HASSIL).split()), node.text)]
            case Row():
                parts = [self._expanded(item) for item in node.items]
                found = [joined(way) for way in itertools.islice(itertools.product(*parts), MOST_VALUES + 1)]
            case Choice():
                found = [way for item in node.items for way in self._expanded(item)]
                found += [("", "")] if node.is_optional else []
            case Range():
                found = [(self._numbers(node, "number"), None)]
            case Rule() | SlotFile():
                found = self._expanded_once(*self._resolved(node))
            case Written():
                found = [(said, node.text) for said, _ in self._expanded(node.said)]
            case Converted():
                found = [(said, str(converted(w, node.converters))) for said, w in self._expanded(node.said) if w]
            case Tagged():
                raise NotImportableError(f"{{{node.name}}} stands inside another tag")
        if len(found) > MOST_VALUES:
            raise NotImportableError(f"a tag has more than {MOST_VALUES} values")
        return found

    def _expanded_once(self, key: str, inner: Node) -> list[Said]:
        if key not in self._ways:
            self._within.append(key)
            self._ways[key] = self._expanded(inner)
            self._within.pop()
        return self._ways[key]

    def _numbers(self, numbers: Range, slot: str) -> str:
        body = {"from": numbers.low, "to": numbers.high, "step": numbers.step}
        try:
            number_range(body, "")
        except SettingsError as error:
            raise NotImportableError(str(error).removeprefix(".range: ")) from error
        return f"{{{self._list(slot, {'range': body})}:{slot}}}"

    def _list(self, tag: str, body: Mapping[str, object]) -> str:
        """Return the name of a list of this body."""
        if not re.fullmatch(r"[\w.-]{1,64}", tag):
            raise NotImportableError(f"{tag!r:.40} is no name for a slot")
        return listed_under(self.lists, f"{self.prefix}_{name_part(tag)}", body)


def _fixed(node: Node) -> dict[str, Value]:
    """Return the slots of a sentence that no words say."""
    items = node.items if isinstance(node, Row) else (node,)
    found: dict[str, Value] = {}
    for item in items:
        if isinstance(item, Tagged) and item.said in {NOTHING, Written(NOTHING, "")}:
            if item.value is None:
                raise NotImportableError(f"{{{item.name}}} has neither words nor a value")
            found[item.name] = converted(item.value, item.converters)
    return found
