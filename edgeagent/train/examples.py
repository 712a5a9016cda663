"""What a model learns from: words with tags and a label, from templates and from files of labelled sentences."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeagent.act.vocabulary import Lists
from edgeagent.errors import SettingsError
from edgeagent.grammar.automaton import Automaton, Parse, compile_commands
from edgeagent.grammar.commands import CommandSet, ValueList
from edgeagent.understand.model.gazetteer import Gazetteer, Marks
from edgeagent.understand.model.labels import label_name

OUTSIDE = "O"
_TRIES = 4
MOST_VALUES = 40
LEAST_TEMPLATES = 8


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence. `tags` are BIO, one per word, None where nobody tagged it; `marks` None: no name is known."""

    words: tuple[str, ...]
    label: str
    tags: tuple[str, ...] | None = None
    marks: Marks | None = None


def from_templates(
    commands: CommandSet, lists: Lists, count: int, random_: random.Random, prefixes: Mapping[str, int]
) -> Iterator[Example]:
    """Yield `count` sentences of every intent of the commands, said in a place with these names.

    `prefixes` maps the beginning of an intent's name to another count; 0 leaves it out.
    """
    named = commands.with_names(lists)
    values = {name: _few(one, random_) for name, one in named.lists.items()}
    mark = Gazetteer(lists)
    by_intent: dict[str, list[Any]] = {}
    for template in named.templates:
        by_intent.setdefault(template.intent, []).append(template)
    for intent, templates in by_intent.items():
        wanted = next((number for start, number in prefixes.items() if intent.startswith(start)), count)
        if not wanted:
            continue
        # Some of the templates in each place, and all of them in some place: compiling takes the time.
        chosen = random_.sample(templates, min(len(templates), max(LEAST_TEMPLATES, wanted // 2)))
        automaton = compile_commands(CommandSet(tuple(chosen), values, named.rules))
        if not automaton.words:
            continue
        for _ in range(wanted):
            example = _said(automaton, random_)
            if example is not None:
                yield replace(example, marks=mark(example.words))


def _few(values: ValueList, random_: random.Random) -> ValueList:
    """Return a list with some of its values: a number is as good as another to learn from, and all take long."""
    if len(values.values) <= MOST_VALUES:
        return values
    return replace(values, values=tuple(random_.sample(values.values, MOST_VALUES)))


def _said(automaton: Automaton, random_: random.Random) -> Example | None:
    for _ in range(_TRIES):
        words = automaton.generate(random_)
        parses = automaton.parse(words)
        if parses:
            return Example(words, label_of(parses[0]), tags_of(words, parses[0]))
    return None


def label_of(parse: Parse) -> str:
    """Return the label of a reading: its intent with the slots that no word says, the kind apart."""
    return label_name(parse.intent, {slot.name: slot.value for slot in parse.slots if not slot.text})


def tags_of(words: Sequence[str], parse: Parse) -> tuple[str, ...]:
    """Return a BIO tag for each word."""
    tags = [OUTSIDE] * len(words)
    start = 0
    for slot in parse.slots:
        said = slot.text.split()
        if not said:
            continue
        place = next((at for at in range(start, len(words)) if list(words[at : at + len(said)]) == said), None)
        if place is None:
            continue
        tags[place : place + len(said)] = [f"B-{slot.name}", *[f"I-{slot.name}"] * (len(said) - 1)]
        start = place + len(said)
    return tuple(tags)


def read_jsonl(path: Path) -> Iterator[Example]:
    """Yield the rows {"tokens" | "text", "tags"?, "intent"} of a file.

    Raise SettingsError naming the file, the line and the reason if a row is wrong.
    """
    seen: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        example, uid = _row(line, f"{path}:{number}")
        if uid is not None:
            if uid in seen:
                raise SettingsError(f"{path}:{number}: id {uid!r:.60} is on line {seen[uid]} too", remedy=_ROW)
            seen[uid] = number
        yield example


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file. Raise SettingsError if it cannot be read."""
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}", remedy="Name a file of lines in UTF-8.") from error


_ROW = (
    'A row is {"text": "turn it off", "intent": "off"}, or {"tokens": [...], "tags": ["O", "B-place"], "intent": ...}.'
)


def _row(line: str, where: str) -> tuple[Example, str | None]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SettingsError(f"{where}: not JSON: {error}", remedy=_ROW) from error
    if not isinstance(row, dict) or not isinstance(row.get("intent"), str) or not row["intent"]:
        raise SettingsError(f"{where}: a row has an intent, which is a text", remedy=_ROW)
    tokens = row.get("tokens", row["text"].split() if isinstance(row.get("text"), str) else None)
    if not isinstance(tokens, list) or not tokens or not all(isinstance(one, str) and one for one in tokens):
        raise SettingsError(f"{where}: a row has a text, or tokens, which are words", remedy=_ROW)
    tags = row.get("tags")
    if tags is not None:
        _check_tags(tags, len(tokens), where)
    uid = row.get("id")
    words = tuple(token.lower() for token in tokens)
    return Example(words, row["intent"], None if tags is None else tuple(tags)), None if uid is None else str(uid)


def _check_tags(tags: Any, count: int, where: str) -> None:
    if not isinstance(tags, list) or len(tags) != count:
        raise SettingsError(f"{where}: expected {count} tags, one per token", remedy=_ROW)
    for place, tag in enumerate(tags):
        if not isinstance(tag, str) or not (tag == OUTSIDE or tag[:2] in {"B-", "I-"}) or tag in {"B-", "I-"}:
            raise SettingsError(f"{where}: tag {place + 1} is {tag!r:.60}; expected O, B-name or I-name", remedy=_ROW)
