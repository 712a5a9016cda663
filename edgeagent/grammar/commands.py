"""YAML files of sentence templates (hassil's syntax) to a CommandSet; every mistake is named by file, intent and sentence."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hassil.expression import Expression
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError

from edgeagent.errors import SettingsError
from edgeagent.grammar import spoken
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.messages import Value

LARGEST_FILE_BYTES = 4 << 20
MOST_RANGE_VALUES = 20_000

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
            raise SettingsError(f"{path}: larger than 4 MiB", remedy="Split it, or use lists instead of sentences.")
        text = path.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", remedy="Name a readable YAML file of commands.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}", remedy="Save the file as UTF-8.") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> CommandSet:
    """Make a command set of a YAML text; `name` is the file's name in messages."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{name}: not YAML: {error}", remedy="Mend the line that is named.") from error
    whole = _mapping(document, name)
    rules = {
        str(key): expression(value, f"{name}: expansion_rules.{key}")
        for key, value in _mapping(whole.get("expansion_rules", {}), f"{name}: expansion_rules").items()
    }
    lists = {
        str(key): _value_list(value, f"{name}: lists.{key}")
        for key, value in _mapping(whole.get("lists", {}), f"{name}: lists").items()
    }
    intents = _mapping(whole.get("intents"), f"{name}: intents")
    templates = [
        template
        for intent, body in intents.items()
        for template in _templates(str(intent), body, f"{name}: intents.{intent}")
    ]
    return CommandSet(tuple(templates), lists, rules)


def _templates(intent: str, body: object, where: str) -> Iterable[Template]:
    for number, block in enumerate(_sequence(_mapping(body, where).get("data"), f"{where}.data")):
        place = f"{where}.data[{number}]"
        entry = _mapping(block, place)
        fixed = {str(key): _scalar(value, f"{place}.slots.{key}") for key, value in (entry.get("slots") or {}).items()}
        for sentence in _sequence(entry.get("sentences"), f"{place}.sentences"):
            yield Template(intent, expression(sentence, place), fixed, f"{place}: {sentence!r:.100}")


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
        low, high = float(body["from"]), float(body["to"])
        step = _FRACTIONS[body["fractions"]] if "fractions" in body else float(body.get("step", 1))
        multiplier = float(body.get("multiplier", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{where}.range: expected numbers `from`, `to` and perhaps `step`, found {dict(body)!r:.100}",
            remedy="For example {from: 0, to: 100, step: 5}.",
        ) from error
    if step <= 0 or high < low or (high - low) / step > MOST_RANGE_VALUES:
        raise SettingsError(
            f"{where}.range: {low:g}..{high:g} by {step:g} is empty or has more than {MOST_RANGE_VALUES} values",
            remedy="Give a smaller range or a larger step.",
        )
    return ValueList((), _times(multiplier), _number_words(low, high, step))


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
        raise SettingsError(
            f"{where}: expected a sentence template, found {text!r:.60}",
            remedy="YAML takes on, off, yes and no for truth values: put them in quotes.",
        )
    try:
        return parse_sentence(str(text)).expression
    except (ParseError, RecursionError) as error:
        raise SettingsError(
            f"{where}: {text!r:.100} is not a sentence template: {error}",
            remedy="Brackets come in pairs: (a|b), [optional], {list}, <rule>.",
        ) from error


def literal(said: str) -> Expression:
    """Return the template that is just these words; reserved characters are spaces."""
    words = "".join(" " if letter in "()[]{}<>|;\\@:" else letter for letter in said.lower())
    return parse_sentence(words).expression


def _scalar(value: object, where: str) -> Value:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{where}: expected a word or a number, found {value!r:.60}", remedy="Put it in quotes.")
    return value


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: expected a mapping, found {type(value).__name__}", remedy="See the example files.")
    return value


def _sequence(value: object, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise SettingsError(f"{where}: expected a list, found {type(value).__name__}", remedy="Start lines with `- `.")
    return value
