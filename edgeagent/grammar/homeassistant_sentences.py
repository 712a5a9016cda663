"""Home Assistant's custom_sentences to a command file of ours. Pure.

Rules:
- their own intents (Hass…) become ours, by the domain and the slots of a sentence; somebody's own keep their names;
- lists and rules get the file's name in front, so that they are never taken for ours; those that Home Assistant has of
  its own, and files use without saying what they are, are put in with words of ours, and told;
- a domain that a sentence needs picks the names that can be said; a place of the context is "here";
- free text, floors, other contexts, and intents there is nothing for: the sentence is left out, and told.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import number_range, read_yaml
from edgeagent.grammar.homeassistant_routes import (
    LISTS,
    RULES,
    amount_of,
    is_theirs,
    names_of,
    routes,
    slot_of,
    value_of,
)
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
from edgeagent.grammar.yaml_places import lines_of, section
from edgeagent.messages import Value

DEEPEST = 20
_RULE = re.compile(r"<([^<>]+)>")
_LIST = re.compile(r"\{([^{}]+)\}")
_RANGE = re.compile(r"-?\d+\.\.-?\d+(,\d+)?")
_IGNORED = frozenset({"sentences", "slots", "requires_context", "metadata", "required_keywords", "response"})
_UNUSED = {"responses": "answers are given in our own words", "skip_words": "words are skipped by rules of our own"}

Body = Mapping[str, Any]


def imported(files: Mapping[str, str], name: str) -> Imported:
    """Return what the files of one folder say together; `name` is the folder's or the only file's, for its lists.

    Raise SettingsError if a file is no YAML.
    """
    work = _Work(name_part(name))
    read = [_File(file, section(read_yaml(text, file)), lines_of(text)) for file, text in files.items()]
    ours = [one for one in read if work.is_readable(one)]
    rules = {key: value for one in ours for key, value in section(one.document.get("expansion_rules")).items()}
    lists = {key: value for one in ours for key, value in section(one.document.get("lists")).items()}
    for one in ours:
        work.take(one, _Shared(rules, lists))
    blocks: dict[str, list[object]] = {}
    for (intent, fixed), sentences in work.taken.items():
        blocks.setdefault(intent, []).append({"sentences": sentences, **({"slots": dict(fixed)} if fixed else {})})
    body = as_yaml(f"From {name}, sentences of Home Assistant.", blocks, work.lists, work.rules)
    count = sum(map(len, work.taken.values()))
    return Imported(body, count, tuple(blocks), tuple(work.left_out), tuple(work.changed))


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    document: Body
    lines: Mapping[tuple[object, ...], int]


@dataclass(frozen=True, slots=True)
class _Shared:
    """The rules and lists that a sentence can use."""

    rules: Body
    lists: Body


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sentence stands, and what it is for: our intent, and the domains that its names are of."""

    file: str
    line: int
    intent: str
    domains: tuple[str, ...]
    shared: _Shared


@dataclass(slots=True)
class _Work:
    prefix: str
    left_out: list[Remark] = field(default_factory=list)
    changed: list[Remark] = field(default_factory=list)
    lists: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    taken: dict[tuple[str, tuple[tuple[str, Value], ...]], list[str]] = field(default_factory=dict)

    def is_readable(self, file: _File) -> bool:
        """Tell whether the file is English; say so if not."""
        language = str(file.document.get("language", "en"))
        if language.partition("-")[0] == "en":
            return True
        why = f"its language is {language:.20}: the sentences are English"
        self.left_out.append(Remark(file.lines.get(("language",), 1), file.name, why, file.name))
        return False

    def take(self, file: _File, shared: _Shared) -> None:
        """Make sentences of ours of a file's."""
        for key, why in _UNUSED.items():
            if key in file.document:
                self.changed.append(Remark(file.lines.get((key,), 1), key, why, file.name))
        for intent, body in section(file.document.get("intents")).items():
            path = ("intents", intent, "data")
            for number, block in self._entries(file, path, section(body).get("data")):
                self._take_block(file, shared, (intent, number), section(block))

    def _take_block(self, file: _File, shared: _Shared, at: tuple[str, int], block: Body) -> None:
        intent, number = at
        path = ("intents", intent, "data", number)
        local = _Shared(
            {**shared.rules, **section(block.get("expansion_rules"))}, {**shared.lists, **section(block.get("lists"))}
        )
        for index, sentence in self._entries(file, (*path, "sentences"), block.get("sentences")):
            line = file.lines.get((*path, "sentences", index), file.lines.get(path, 1))
            text = str(sentence)
            try:
                place = _Place(file.name, line, intent, _domains(block), local)
                self._take_sentence(text, block, place)
            except NotImportableError as error:
                self.left_out.append(Remark(line, text[:200], str(error), file.name))

    def _entries(self, file: _File, path: tuple[object, ...], found: object) -> Iterator[tuple[int, object]]:
        if isinstance(found, list):
            yield from enumerate(found)
        else:
            line = next((file.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in file.lines), 1)
            self.left_out.append(Remark(line, str(path[1]), f"{path[-1]}: expected a list", file.name))

    def _take_sentence(self, sentence: str, block: Body, place: _Place) -> None:
        if len(sentence) > LONGEST_LINE or sum(map(len, self.taken.values())) >= MOST_SENTENCES:
            raise NotImportableError(f"too long, or more than {MOST_SENTENCES} sentences")
        whole = self._inlined(sentence, place, ())
        slots = {_reference(found)[1] for found in _LIST.findall(whole)}
        fixed = _fixed(block, slots)
        ways: Mapping[str, tuple[str, ...]] = {place.intent: place.domains}
        if is_theirs(place.intent):
            ways = routes(place.intent, place.domains, {*slots, *fixed})
        made = [self._made(whole, fixed, replace(place, intent=ours, domains=of)) for ours, of in ways.items()]
        for key, said in made:
            self.taken.setdefault(key, []).append(said)

    def _made(self, whole: str, fixed: Body, place: _Place) -> tuple[tuple[str, tuple[tuple[str, Value], ...]], str]:
        """Return a sentence of ours, and the intent and the fixed slots under which it stands."""
        theirs = place.intent[:1].isupper()
        slots: dict[str, Value] = {}
        for slot, value in fixed.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise NotImportableError(f"slots: {slot:.40}: expected a word or a number, found {value!r:.40}")
            ours = slot if theirs else slot_of(place.intent, slot)
            slots[ours] = value if theirs else value_of(ours, value)
        used: list[str] = []

        def translated(found: re.Match[str]) -> str:
            name, slot = _reference(found[1])
            used.append(slot if theirs else slot_of(place.intent, slot))
            return self._listed(name, used[-1], place)

        said = _LIST.sub(translated, whole)
        needed = None if theirs else amount_of(place.intent)
        if needed is not None and needed not in {*used, *slots}:
            raise NotImportableError(f"{place.intent} needs a slot {needed}")
        if needed == "duration" and used.count("duration") > 1:
            raise NotImportableError("a duration of several lists: write {duration}, which says all of them")
        if "name" in used and place.intent in {"turn_on", "turn_off"} and not place.domains:
            self._change(place, "{name}", "names are of what can be switched: no domain is told")
        check(said)
        return (place.intent, tuple(slots.items())), " ".join(said.split())

    def _inlined(self, template: str, place: _Place, within: tuple[str, ...]) -> str:
        """Return a template in which every rule that has a list in it stands itself; the others become ours."""

        def put(found: re.Match[str]) -> str:
            rule = found[1]
            if rule in within or len(within) >= DEEPEST:
                raise NotImportableError(f"<{rule:.40}> contains itself, or is too deep")
            text = place.shared.rules.get(rule, RULES.get(rule))
            if not isinstance(text, str):
                raise NotImportableError(f"there is no rule <{rule:.40}>")
            if rule not in place.shared.rules:
                self._change(place, f"<{rule}>", f"a rule of Home Assistant's, taken for {text!r}")
            inner = self._inlined(text, place, (*within, rule))
            if "{" in inner:
                return f"({inner})"
            check(inner)
            return f"<{listed_under(self.rules, f'{self.prefix}_{name_part(rule)}', inner)}>"

        whole = _RULE.sub(put, template)
        if len(whole) > LONGEST_LINE:
            raise NotImportableError(f"with its rules it has more than {LONGEST_LINE} characters")
        return whole

    def _listed(self, name: str, slot: str, place: _Place) -> str:
        """Return the reference to a list of ours."""
        own = section(place.shared.lists.get(name))
        if name == "timer_name" and (not own or own.get("wildcard")):
            return f"{{timer_label:{slot}}}"
        if name in place.shared.lists:
            return self._own_list(name, own, slot, place)
        if _RANGE.fullmatch(name):
            low, _, rest = name.partition("..")
            high, _, step = rest.partition(",")
            return self._own_list(
                slot, {"range": {"from": int(low), "to": int(high), "step": int(step or 1)}}, slot, place
            )
        if name == "name":
            lists = names_of(place.intent, place.domains)
            each = [f"{{{one}:{slot}}}" for one in lists]
            return each[0] if len(each) == 1 else f"({'|'.join(each)})"
        if name in {"area", "color"}:
            return f"{{{name}:{slot}}}"
        if name in LISTS:
            return self._own_list(name, LISTS[name], slot, place)
        raise NotImportableError("floors are not known here" if name == "floor" else f"there is no list {{{name:.40}}}")

    def _own_list(self, name: str, body: Body, slot: str, place: _Place) -> str:
        if body.get("wildcard"):
            raise NotImportableError(f"{{{name:.40}}} is free text, and only words that are known can be heard")
        if "range" in body:
            numbers = {key: value for key, value in section(body["range"]).items() if key != "type"}
            try:
                number_range(numbers, "")
            except SettingsError as error:
                raise NotImportableError(f"{{{name:.40}}}: {str(error).removeprefix('.range: ')}") from error
            ours: dict[str, Any] = {"range": numbers}
        else:
            values = body.get("values")
            ours = {
                "values": [self._value(name, one, place) for one in values if one] if isinstance(values, list) else []
            }
            if not ours["values"]:
                raise NotImportableError(f"{{{name:.40}}} has no values")
        return f"{{{listed_under(self.lists, f'{self.prefix}_{name_part(name)}', ours)}:{slot}}}"

    def _value(self, name: str, entry: object, place: _Place) -> object:
        body = entry if isinstance(entry, dict) else {"in": entry}
        said, out = body.get("in"), body.get("out")
        if isinstance(said, bool) or isinstance(out, bool) or not isinstance(out, str | int | float | None):
            raise NotImportableError(f"{{{name:.40}}}: {entry!r:.60}: put on, off, yes and no in quotes")
        if set(body) - {"in", "out", "metadata"}:
            raise NotImportableError(f"{{{name:.40}}}: {entry!r:.60}: values that depend on a context")
        whole = self._inlined(str(said), place, ())
        if "{" in whole:
            raise NotImportableError(f"{{{name:.40}}}: a list inside a list")
        check(whole)
        return whole if out is None else {"in": whole, "out": out}

    def _change(self, place: _Place, what: str, why: str) -> None:
        if not any((one.what, one.why) == (what, why) for one in self.changed):
            self.changed.append(Remark(place.line, what, why, place.file))


def _domains(block: Body) -> tuple[str, ...]:
    """Return the domains that a block is for. Raise NotImportableError if it depends on anything else."""
    for key in block:
        if key not in _IGNORED and key not in {"lists", "expansion_rules"}:
            raise NotImportableError(f"{key:.40} is not supported")
    context = section(block.get("requires_context"))
    for key, value in context.items():
        if key not in {"domain", "area"} or (key == "area" and section(value).get("slot") is not True):
            raise NotImportableError(f"it depends on {key:.40} of the context")
    domains = context.get("domain", section(block.get("slots")).get("domain", ()))
    domains = [domains] if isinstance(domains, str) else domains
    return tuple(str(one) for one in domains) if isinstance(domains, list | tuple) else ()


def _fixed(block: Body, slots: set[str]) -> dict[str, Any]:
    """Return the slots that a block fixes; a place of the context is here."""
    fixed = dict(section(block.get("slots")))
    if "name" in slots or "name" in fixed:
        fixed.pop("domain", None)  # it has picked the names
    if "area" in section(block.get("requires_context")) and "area" not in slots and "area" not in fixed:
        fixed["area"] = "here"
    return fixed


def _reference(inside: str) -> tuple[str, str]:
    """Return the list and the slot of a {list:slot}."""
    name, _, slot = inside.partition(":")
    if "@" in inside:
        raise NotImportableError(f"{{{inside:.40}}}: captures are not supported")
    return name.strip(), (slot or name).strip()
