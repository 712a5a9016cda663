"""Texts that may be ordered: how long, of which letters, and how they are written and read.

A pattern that a stranger announces must not be able to hang us: only a row of characters and character classes, each
with at most one repetition, of which three may vary, is understood. No groups, no alternatives: what is left needs
time that grows with the cube of a text of 255 characters at worst, which is milliseconds.
"""

import re
import unicodedata
from typing import Self

from edgeagent.act.dialects.channels import UNKNOWN, say, text_reader
from edgeagent.act.dialects.dialect import Reader, Values, Writer
from edgeagent.act.dialects.templates import Template
from edgeagent.errors import PayloadError

LONGEST_TEXT = 255
"""Characters, as Home Assistant has it."""
LONGEST_PATTERN = 128
_CLASS = r"\[\^?(?:[^\]\[\\]|\\.)+\]"
_ONE = rf"(?:{_CLASS}|\\[dDwWsS\W]|[^\\\[\](){{}}|*+?^$])"
_REPEATED = r"(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})"
_SIMPLE = re.compile(rf"\^?(?:{_ONE}{_REPEATED}?)*\$?", re.DOTALL)
_PIECE = re.compile(rf"{_ONE}(?P<often>{_REPEATED})?", re.DOTALL)
_SET_OPERATION = re.compile(r"--|&&|\|\||~~")
"""Reserved by `re` for another meaning."""
_MOST_VARYING = 3
_BREAKS_QUOTES = frozenset('"\\')


class Texts(tuple[str, ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """The words of a writer of free text: every text that is right is in it, and it reads as their description."""

    least: int
    most: int
    pattern: re.Pattern[str] | None
    is_quoted: bool

    def __new__(
        cls, least: int = 0, most: int = LONGEST_TEXT, pattern: str | None = None, *, is_quoted: bool = False
    ) -> Self:
        """Take texts of so many characters. Raise PayloadError if that or the pattern makes no sense.

        With `is_quoted` a template puts the text into something: then it must not hold what ends a quotation.
        """
        if not 0 <= least <= most <= LONGEST_TEXT or not most:
            raise PayloadError(f"length: expected the least first, at most {LONGEST_TEXT}, found {least} to {most}")
        told = f"texts of {least or 1} to {most} characters{'' if pattern is None else f' like {pattern}'}"
        self = super().__new__(cls, (f"{told} without quotes" if is_quoted else told,))
        self.least, self.most, self.is_quoted = least or 1, most, is_quoted
        self.pattern = None if pattern is None else compile_pattern(pattern)
        return self

    def __contains__(self, value: object) -> bool:
        """Tell whether a text may be ordered."""
        if not isinstance(value, str) or not self.least <= len(value) <= self.most or value != value.strip():
            return False
        if value in UNKNOWN or any(unicodedata.category(letter).startswith("C") for letter in value):
            return False
        if self.is_quoted and not _BREAKS_QUOTES.isdisjoint(value):
            return False
        return self.pattern is None or self.pattern.fullmatch(value) is not None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the simple form. Raise PayloadError for any other."""
    if len(pattern) > LONGEST_PATTERN or _SIMPLE.fullmatch(pattern) is None or _SET_OPERATION.search(pattern):
        raise PayloadError(f"pattern: expected characters and classes without groups, found {pattern!a:.40}")
    varying = [
        one["often"] for one in _PIECE.finditer(pattern) if one["often"] and not re.fullmatch(r"\{\d+\}", one["often"])
    ]
    if len(varying) > _MOST_VARYING:
        raise PayloadError(f"pattern: expected at most {_MOST_VARYING} that may repeat, found {len(varying)}")
    try:
        return re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise PayloadError(f"pattern: {error}: {pattern!a:.40}") from error


def free_text_writer(topic: str | None, template: Template | None, texts: Texts) -> tuple[Writer, ...]:
    """Write a text as it is, or by the template."""
    if topic is None:
        return ()
    return (Writer("text", lambda value: (say(topic, template, str(value)),), texts),)


def free_text_reader(topic: str | None, template: Template | None) -> tuple[Reader, ...]:
    """Read a text of a bounded length; what is unknown is nothing, and so is no text at all."""

    def meaning(text: str) -> Values:
        if text in UNKNOWN:
            return {}
        if len(text) > LONGEST_TEXT or not text.isprintable():
            raise PayloadError(f"expected a text of at most {LONGEST_TEXT} characters, found {text!a:.40}")
        return {"text": text}

    return text_reader(topic, template, meaning, "text")
