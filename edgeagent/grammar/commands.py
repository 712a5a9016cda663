"""YAML files of sentence templates (hassil's syntax) to a CommandSet; a mistake is named by file, intent, sentence."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hassil.expression import Expression, TextChunk
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError

from edgeagent.errors import SettingsError
from edgeagent.grammar import spoken
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.grammar.spoken_numbers import LARGEST_NUMBER
from edgeagent.messages import Value

LARGEST_FILE_BYTES = 1 << 20
MOST_ENTRIES = 200_000
"""Of a file, with what its aliases repeat counted as often as it is used."""
MOST_RANGE_VALUES = 20_000
LEAST_STEP = 0.001
"""Numbers are spoken with three decimals at most."""
_IN_BLOCK = ("sentences", "slots")
_IGNORED = {"response", "metadata", "required_keywords"}
"""Of hassil's keys of a block, those that do not change what is understood."""

Reader = Callable[[Sequence[str]], Value | None]
"""Turns the words of a slot into its value; None where they say none."""


@dataclass(frozen=True, slots=True)
class ListValue:
    """One way of saying a value: a template, and what it means (None: the words themselves)."""

    expression: Expression
    value: Value | None


@dataclass(frozen=True, slots=True)
class ValueList:
    """What can stand in a `{list}`: templates, or an automaton of words. `read` makes the value of the words."""

    values: tuple[ListValue, ...]
    read: Reader | None = None
    words: Acyclic | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """One sentence template of an intent, with the slots that it fixes, and where it was written."""

    intent: str
    expression: Expression
    fixed: Mapping[str, Value]
    where: str


@dataclass(frozen=True, slots=True)
class CommandSet:
    """Templates with the lists and rules that they use."""

    templates: tuple[Template, ...]
    lists: Mapping[str, ValueList]
    rules: Mapping[str, Expression]

    def plus(self, other: "CommandSet") -> "CommandSet":
        """Return both sets together; the other's lists and rules win."""
        return CommandSet(
            self.templates + other.templates, {**self.lists, **other.lists}, {**self.rules, **other.rules}
        )

    def with_names(self, names: Mapping[str, Iterable[tuple[str, Value]]]) -> "CommandSet":
        """Return this set with lists of (spoken name, value); reserved characters in names are spoken as spaces."""
        lists = {
            name: ValueList(tuple(ListValue(literal(said), value) for said, value in entries))
            for name, entries in names.items()
        }
        return CommandSet(self.templates, {**self.lists, **lists}, self.rules)


def built_in(names: Iterable[str]) -> CommandSet:
    """Return the command sets that ship with edgeagent: "common" and those named ("home", "plant")."""
    folder = files("edgeagent.grammar") / "en"
    sets = [parse((folder / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml") for name in ("common", *names)]
    return merge(sets)


def merge(sets: Sequence[CommandSet]) -> CommandSet:
    """Return all sets as one."""
    whole = CommandSet((), {}, {})
    for one in sets:
        whole = whole.plus(one)
    return whole


def load(path: Path) -> CommandSet:
    """Read a command file. Raise SettingsError if it cannot be read or is wrong."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise SettingsError(f"{path}: larger than 1 MiB", remedy="Split it, or use lists instead of sentences.")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", remedy="Name a readable YAML file of commands.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> CommandSet:
    """Make a command set of a YAML text; `name` is the file's name in messages."""
    whole = _mapping(read_yaml(text, name), name)
    rules = {
        key: expression(value, f"{name}: expansion_rules.{key}")
        for key, value in _section(whole, "expansion_rules", name).items()
    }
    lists = {key: _value_list(value, f"{name}: lists.{key}") for key, value in _section(whole, "lists", name).items()}
    if "intents" not in whole:
        hint = difflib.get_close_matches("intents", map(str, whole), n=1)
        found = f"; is it {hint[0]}?" if hint else ""
        raise SettingsError(f"{name}: there is no `intents`{found}", remedy="See the example files.")
    templates = [
        template
        for intent, body in _section(whole, "intents", name).items()
        for template in _templates(intent, body, f"{name}: intents.{intent}")
    ]
    return CommandSet(tuple(templates), lists, rules)


class _Loader(yaml.SafeLoader):
    """YAML without what makes an entry vanish (a key that stands twice) or multiply (merge keys)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Refuse such keys, naming the line."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.value in seen or key.tag.endswith(":merge")):
                problem = "stands here twice" if key.value in seen else "is not supported"
                raise yaml.MarkedYAMLError(None, None, f"{key.value!r} {problem}", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def read_yaml(text: str, name: str) -> object:
    """Return the document of a YAML text; `name` is the file's name in messages. Raise SettingsError if it is none."""
    loader = _Loader("")
    try:
        loader = _Loader(text)
        document = loader.get_single_data()
    # A wrong date, number or tag comes out of PyYAML as Python's own errors.
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise SettingsError(f"{name}: not YAML: {error}", remedy="Mend the line that is named.") from error
    finally:
        loader.dispose()
    _count(document, name)
    return document


def _count(document: object, name: str) -> None:
    """Raise SettingsError if aliases make the document larger than any file."""
    entries, waiting = 0, [document]
    while waiting:
        one = waiting.pop()
        entries += 1
        if entries > MOST_ENTRIES:
            raise SettingsError(f"{name}: more than {MOST_ENTRIES} entries", remedy="Use fewer aliases, or split it.")
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())


def _section(whole: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    """Return a section by name; an empty one is nothing in YAML."""
    section = _mapping({} if whole.get(key) is None else whole[key], f"{name}: {key}")
    for entry in section:
        if not isinstance(entry, str | int) or isinstance(entry, bool):
            raise SettingsError(f"{name}: {key}: expected a name, found {entry!r:.60}", remedy=_QUOTES)
    return {str(entry): value for entry, value in section.items()}


def _templates(intent: str, body: object, where: str) -> Iterable[Template]:
    for number, block in enumerate(_sequence(_mapping(body, where).get("data"), f"{where}.data")):
        place = f"{where}.data[{number}]"
        entry = _mapping(block, place)
        _check_keys(entry, place)
        slots = _section(entry, "slots", place)
        fixed = {key: _scalar(value, f"{place}.slots.{key}") for key, value in slots.items()}
        for sentence in _sequence(entry.get("sentences"), f"{place}.sentences"):
            yield Template(intent, expression(sentence, place), fixed, f"{place}: {sentence!r:.100}")


def _check_keys(entry: Mapping[str, Any], place: str) -> None:
    for key in entry:
        if key not in _IN_BLOCK and key not in _IGNORED:
            hint = difflib.get_close_matches(str(key), _IN_BLOCK, n=1)
            raise SettingsError(
                f"{place}: {key} is not supported here{f'; did you mean {hint[0]}?' if hint else ''}",
                remedy="A block has `sentences`, and perhaps `slots` with fixed values.",
            )


def _value_list(body: object, where: str) -> ValueList:
    entry = _mapping(body, where)
    if "range" in entry:
        return number_range(_mapping(entry["range"], f"{where}.range"), where)
    if "values" not in entry:
        raise SettingsError(
            f"{where}: expected `values` or `range`, found {', '.join(map(str, entry)) or 'nothing'}",
            remedy="A recognizer needs the words of a list: free text (`wildcard`) cannot be compiled.",
        )
    return ValueList(tuple(_list_value(item, where) for item in _sequence(entry["values"], f"{where}.values")))


def _list_value(item: object, where: str) -> ListValue:
    if isinstance(item, dict):
        said = item.get("in")
        out = item.get("out")
        return ListValue(expression(said, where), None if out is None else _scalar(out, where))
    return ListValue(expression(item, where), None)


def number_range(body: Mapping[str, Any], where: str) -> ValueList:
    """Return the list of the spoken numbers `from`..`to` by `step`; `fractions` (halves, tenths) is another step."""
    try:
        low, high = _number(body["from"]), _number(body["to"])
        step = _FRACTIONS[body["fractions"]] if "fractions" in body else _number(body.get("step", 1))
        multiplier = _number(body.get("multiplier", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{where}.range: expected numbers `from`, `to` and perhaps `step`, found {dict(body)!r:.100}",
            remedy="For example {from: 0, to: 100, step: 5}.",
        ) from error
    if max(abs(low), abs(high)) > LARGEST_NUMBER:
        raise SettingsError(
            f"{where}.range: {low:g}..{high:g} goes beyond what can be said",
            remedy=f"Stay between -{LARGEST_NUMBER} and {LARGEST_NUMBER}.",
        )
    if step < LEAST_STEP or high < low or (high - low) / step > MOST_RANGE_VALUES:
        raise SettingsError(
            f"{where}.range: {low:g}..{high:g} by {step:g} is empty or has more than {MOST_RANGE_VALUES} values",
            remedy="Give a smaller range or a larger step.",
        )
    return ValueList((), _times(multiplier), _number_words(low, high, step))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


_FRACTIONS = {"halves": 0.5, "tenths": 0.1}


@lru_cache(maxsize=64)
def _number_words(low: float, high: float, step: float) -> Acyclic:
    count = int((high - low) / step + 1e-9) + 1
    return phrases(p for i in range(count) for p in spoken.number_phrases(round(low + i * step, 6)))


def _times(multiplier: float) -> Reader:
    def read(words: Sequence[str]) -> Value | None:
        number = spoken.parse_number(words)
        return None if number is None else number * multiplier

    return spoken.parse_number if multiplier == 1 else read


def expression(text: object, where: str) -> Expression:
    """Parse one sentence template; `where` names its place in messages."""
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        raise SettingsError(f"{where}: expected a sentence template, found {text!r:.60}", remedy=_QUOTES)
    if not str(text).strip():
        raise SettingsError(f"{where}: expected a sentence template, found nothing", remedy="Write it, or remove it.")
    try:
        return parse_sentence(str(text)).expression
    except (
        ParseError,
        RecursionError,
        ValueError,
        AssertionError,
    ) as error:  # empty brackets are an assertion's matter
        raise SettingsError(
            f"{where}: {text!r:.100} is not a sentence template: {error}",
            remedy="Brackets come in pairs: (a|b), [optional], {list}, <rule>.",
        ) from error


def literal(said: str) -> Expression:
    """Return the template that is just these words; reserved characters are spaces."""
    words = "".join(" " if letter in "()[]{}<>|;\\@:" else letter for letter in said.lower())
    return parse_sentence(words).expression if words.strip() else TextChunk(" ")


_QUOTES = "YAML takes on, off, yes and no for truth values: put them in quotes."


def _scalar(value: object, where: str) -> Value:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{where}: expected a word or a number, found {value!r:.60}", remedy=_QUOTES)
    return value


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        found = type(value).__name__
        raise SettingsError(f"{where}: expected a mapping, found {found}", remedy="See the example files.")
    return value


def _sequence(value: object, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise SettingsError(f"{where}: expected a list, found {type(value).__name__}", remedy="Start lines with `- `.")
    return value
