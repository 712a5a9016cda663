"""What came of reading somebody else's sentences: a command file of ours, and what is not in it, line by line."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import expression
from edgeagent.grammar.spoken import spell_out

LONGEST_LINE = 4_000
"""Characters; a longer sentence template is a list, which has a place of its own."""
MOST_SENTENCES = 5_000
WIDTH = 110
_FOREIGN_LETTERS = re.compile(r"[^\W\d_a-z]+")


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a line of a file: what stands there, and what is to be said about it."""

    line: int
    what: str
    why: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """A command file as YAML ("" if nothing could be used), how many sentences of which intents it has, and remarks.

    What is `left_out` is not in the file; what is `changed` is, but does not mean all that it did.
    """

    text: str
    sentences: int
    intents: tuple[str, ...]
    left_out: tuple[Remark, ...]
    changed: tuple[Remark, ...]


class NotImportableError(Exception):
    """A sentence uses what we have nothing for; says what."""


def check(template: str) -> None:
    """Raise NotImportableError if this is no template of ours, or cannot be spoken."""
    for letters in _FOREIGN_LETTERS.findall(template.lower()):
        if not spell_out(letters):
            raise NotImportableError(f"{letters!r:.40} cannot be spoken: the sentences are English")
    try:
        expression(template, "")
    except SettingsError as error:
        raise NotImportableError(str(error).removeprefix(": ")) from error


def name_part(text: str) -> str:
    """Return a text as a part of a list's or a rule's name."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "x"


def listed_under(lists: dict[str, Any], name: str, body: object) -> str:
    """Return the name under which this body stands among the lists; it is put there if it is not yet."""
    for number in itertools.count(1):
        numbered = name if number == 1 else f"{name}_{number}"
        if lists.setdefault(numbered, body) == body:
            return numbered
    raise AssertionError


def as_yaml(
    head: str, intents: Mapping[str, Sequence[object]], lists: Mapping[str, Any], rules: Mapping[str, str]
) -> str:
    """Return a command file; `head` is its first line, a comment. Nothing, if there is no sentence."""
    if not intents:
        return ""
    document: dict[str, Any] = {"language": "en"}
    if rules:
        document["expansion_rules"] = dict(rules)
    if lists:
        document["lists"] = dict(lists)
    document["intents"] = {name: {"data": list(blocks)} for name, blocks in intents.items()}
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=WIDTH)
    return f"# {' '.join(head.split())}\n{body}"
