"""A filter as operators write it to nouns; a mistake is named with its column and what was expected.

Rules:
    - A filter is nothing, which is everything, or conditions joined by `and`, `or`, `not` and parentheses.
    - Text in quotation marks is taken as it is; elsewhere `*` is any text and `?` any one letter.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from edgeagent.console.errors import ConsoleError
from edgeagent.console.filter_nouns import (
    Aged,
    All,
    Any,
    Comparison,
    Condition,
    Flag,
    Like,
    Measured,
    Not,
    Pattern,
    Tagged,
    Versioned,
)

LONGEST = 1_000
"""Characters of a filter."""
DEEPEST = 20
"""Parentheses and `not` within one another."""
MOST_CONDITIONS = 50
MOST_STARS = 8
"""In one pattern: many stars make a database think for long."""

FLAGS = ("online", "offline", "muted")
TEXTS = ("name", "title", "serial", "area", "board", "hardware", "system", "fleet")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "health": ("ok", "warn", "bad"),
    "standing": ("none", "waiting", "trial", "applied", "refused", "undone"),
}
AGES = ("seen", "added")
UNITS_S: Mapping[str, float] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
WORDS = ("tag", "release", "version", "gauge", *FLAGS, *TEXTS, *CHOICES, *AGES)
EXAMPLE = "tag:floor=2 and not board:rpi4 and version<0.6 and release:command-en>=1.2 and (online or seen>7d)"
REMEDY = f"Write it as in: {EXAMPLE}"

_TOKEN = re.compile(r'\s*(?:([()])|((?:"(?:[^"\\]|\\.)*"|[^\s()"])+))')
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|(.)')
_COMPARED = re.compile(r"(<=|>=|!=|<|>|=)(.*)", re.DOTALL)
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?")
_KEY = re.compile(r'("(?:[^"\\]|\\.)*"|[^<>=!:"]+)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    column: int


def parsed(text: str) -> Condition:
    """Return what a filter says. Raise ConsoleError naming the column of the mistake and what was expected."""
    if len(text) > LONGEST:
        _refuse(LONGEST + 1, f"a filter has at most {LONGEST} characters, this one has {len(text)}")
    if bad := re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text):
        _refuse(bad.start() + 1, "a control character, or half of one, is in it")
    return _Parser(list(_tokens(text)), len(text) + 1).whole()


def _tokens(text: str) -> Iterator[_Token]:
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            _refuse(text.find('"', start) + 1, 'a quotation mark (") that is not closed')
        group = 1 if found[1] else 2
        yield _Token(found[group], found.start(group) + 1)
        place = found.end()


class _Parser:
    """Recursive descent: `or` of `and` of `not` of conditions and parentheses."""

    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._end = end
        self._at = 0
        self._conditions = 0

    def whole(self) -> Condition:
        if not self._tokens:
            return All(())
        found = self._either(0)
        if self._at < len(self._tokens):
            self._unexpected('"and", "or" or the end')
        return found

    def _either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._take("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._take("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth >= DEEPEST:
            _refuse(self._column, f"parentheses or nots in one another, deeper than {DEEPEST}")
        if self._take("not"):
            return Not(self._one(depth + 1))
        if self._take("("):
            found = self._either(depth + 1)
            if not self._take(")"):
                self._unexpected('")"')
            return found
        if self._at >= len(self._tokens) or self._tokens[self._at].text in {")", "and", "or"}:
            self._unexpected("a condition")
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            _refuse(self._column, f"more than {MOST_CONDITIONS} conditions")
        self._at += 1
        return _condition(self._tokens[self._at - 1])

    @property
    def _column(self) -> int:
        return self._tokens[self._at].column if self._at < len(self._tokens) else self._end

    def _take(self, word: str) -> bool:
        is_next = self._at < len(self._tokens) and self._tokens[self._at].text == word
        self._at += is_next
        return is_next

    def _unexpected(self, expected: str) -> NoReturn:
        found = repr(self._tokens[self._at].text)[:60] if self._at < len(self._tokens) else "the end"
        _refuse(self._column, f"expected {expected}, found {found}")


def _condition(token: _Token) -> Condition:
    word = re.match(r"[A-Za-z_]*", token.text)[0]  # type: ignore[index]  # it matches everything
    rest, column = token.text[len(word) :], token.column + len(word)
    if word in FLAGS:
        if rest:
            _refuse(column, f"expected nothing behind {word}, found {rest!r:.40}")
        return Flag(word)
    read = _READERS.get(word)
    if read is None:
        close = difflib.get_close_matches(word, WORDS, n=1)
        known = f"did you mean {close[0]}?" if close else f"known are {', '.join(WORDS)}"
        _refuse(token.column, f"expected a condition, found {token.text!r:.40}; {known}")
    return read(word, rest, column)


def _text(word: str, rest: str, column: int) -> Condition:
    return Like(word, _pattern(*_behind_colon(word, rest, column, "a name; * is any text")))


def _choice(word: str, rest: str, column: int) -> Condition:
    value, column = _behind_colon(word, rest, column, " or ".join(CHOICES[word]))
    if value not in CHOICES[word]:
        _refuse(column, f"expected {', '.join(CHOICES[word])}, found {value!r:.40}")
    return Like(word, Pattern((value,)))


def _tag(word: str, rest: str, column: int) -> Condition:
    key, rest, column = _key(word, *_behind_colon(word, rest, column, "a tag's name"))
    if not rest:
        return Tagged(key, None)
    if not rest.startswith("="):
        _refuse(column, f"expected = and the tag's value, found {rest!r:.40}")
    return Tagged(key, _pattern(rest[1:], column + 1))


def _release(word: str, rest: str, column: int) -> Condition:
    family, rest, column = _key(word, *_behind_colon(word, rest, column, "a family of releases"))
    return Versioned(family, *_compared_version(rest, column)) if rest else Versioned(family, None)


def _version(word: str, rest: str, column: int) -> Condition:
    if rest.startswith(":"):
        return Like(word, _pattern(*_behind_colon(word, rest, column, "a version")))
    return Versioned(None, *_compared_version(rest, column))


def _compared_version(rest: str, column: int) -> tuple[Comparison, str]:
    comparison, value, column = _comparison(rest, column, "a version, as 0.6")
    if not re.match(r"[vV]?\d", value):
        _refuse(column, f"expected a version, as 0.6 or 1.2.3, found {value!r:.40}")
    return comparison, value


def _age(word: str, rest: str, column: int) -> Condition:
    comparison, value, column = _comparison(rest, column, "an age, as 7d")
    found = _AGE.fullmatch(value)
    if found is None or comparison in {"=", "!="}:
        _refuse(column, f"expected an age to be < or > of, as 30m, 12h or 7d, found {value!r:.40}")
    return Aged(word, comparison, float(found[1]) * UNITS_S[found[2]])


def _gauge(word: str, rest: str, column: int) -> Condition:
    start = column
    key, rest, column = _key(word, *_behind_colon(word, rest, column, "a measured value, as temperature_c"))
    if not re.fullmatch(r"[a-z0-9_]{1,64}", key):
        _refuse(start + 1, f"expected small letters, digits and underscores, found {key!r:.40}")
    comparison, value, column = _comparison(rest, column, "a number")
    if not _NUMBER.fullmatch(value):
        _refuse(column, f"expected a number, found {value!r:.40}")
    return Measured(key, comparison, float(value))


_READERS: Mapping[str, Callable[[str, str, int], Condition]] = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(CHOICES, _choice),
    **dict.fromkeys(AGES, _age),
    "tag": _tag,
    "release": _release,
    "version": _version,
    "gauge": _gauge,
}


def _behind_colon(word: str, rest: str, column: int, expected: str) -> tuple[str, int]:
    if not rest.startswith(":") or len(rest) == 1:
        _refuse(column, f"expected {word}: and {expected}, found {rest or 'nothing'!r:.40}")
    return rest[1:], column + 1


def _key(word: str, rest: str, column: int) -> tuple[str, str, int]:
    found = _KEY.match(rest)
    if found is None:
        _refuse(column, f"expected a name behind {word}:, found {rest!r:.40}")
    pieces = _pattern(found[0], column).pieces
    if len(pieces) != 1 or not isinstance(pieces[0], str):
        _refuse(column, f"expected a name without * and ?, found {found[0]!r:.40}")
    return pieces[0], rest[found.end() :], column + found.end()


def _comparison(rest: str, column: int, expected: str) -> tuple[Comparison, str, int]:
    found = _COMPARED.fullmatch(rest)
    if found is None:
        _refuse(column, f"expected <, <=, >, >=, = or != and {expected}, found {rest or 'nothing'!r:.40}")
    comparison: Comparison = found[1]  # type: ignore[assignment]  # one of them, by the pattern
    return comparison, found[2], column + len(found[1])


def _pattern(text: str, column: int) -> Pattern:
    """Read wildcards: what stands in quotation marks has none."""
    pieces: list[str | int | None] = []
    for quoted, letter in _PIECE.findall(text):
        piece = {"*": None, "?": 1}.get(letter, letter) if letter else re.sub(r"\\(.)", r"\1", quoted)
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    if pieces.count(None) > MOST_STARS:
        _refuse(column, f"more than {MOST_STARS} stars")
    return Pattern(tuple(pieces) or ("",))


def _refuse(column: int, problem: str) -> NoReturn:
    raise ConsoleError(f"filter, column {column}: {problem}", remedy=REMEDY)
