"""Spoken English: typed text and names to the words of speech, and all writers and readers of spoken values."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

from edgeagent.grammar.spoken_numbers import (
    BELOW_HUNDRED,
    LARGEST_NUMBER,
    SMALL,
    Phrase,
    number_phrases,
    parse_number,
)
from edgeagent.grammar.spoken_times import CLOCK, DURATION, parse_clock, parse_duration

__all__ = [
    "CLOCK",
    "COLORS",
    "DURATION",
    "MOST_WORDS",
    "Phrase",
    "is_readable",
    "number_phrases",
    "parse_clock",
    "parse_duration",
    "parse_number",
    "spell_out",
]

MOST_WORDS = 64
"""A sentence with more words than this is no command."""
COLORS: tuple[str, ...] = (
    *("red", "green", "blue", "yellow", "orange", "purple", "pink", "white", "warm white", "cool white", "violet"),
    *("turquoise", "cyan", "magenta", "teal", "lime", "gold", "amber", "lavender", "indigo", "coral", "crimson"),
)
"""Names of colours that people say to lamps."""

_APOSTROPHES = "\u2018\u2019\u02bc`\u00b4\u2032"
_LETTERS = {
    **dict.fromkeys(_APOSTROPHES, "'"),
    **dict(zip("øłđð\u0131º˚°\u2212", "olddi°°°-", strict=True)),
    **dict(zip("ßæœþ½¼¾", ("ss", "ae", "oe", "th", ".5", ".25", ".75"), strict=True)),
}
_FOREIGN = re.compile(r"[^\x20-\x7e]")
_TOKEN = re.compile(
    r"""(?<![\d:.])(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?![\d:])(?:\ ?(?P<half>[ap])\.?m\b)?
    |(?P<ordinal>[1-9]\d?)(?:st|nd|rd|th)\b
    |(?P<minus>(?<![\w)])-)?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+|(?<!\w)(?=\.\d))(?:\.(?P<decimals>\d+))?
        (?:\ ?(?:(?P<ampm>[ap])\.?m|(?P<unit>mins?|secs?|hrs?|h))\b)?
    |(?P<word>[a-z]{1,40}(?:'[a-z]{1,10}){0,2})
    |(?P<symbol>%|&|°(?:\ ?[cf]\b)?)""",
    re.VERBOSE,
)
_SYMBOLS: Mapping[str, Phrase] = {
    "%": ("percent",),
    "&": ("and",),
    "°": ("degrees",),
    "°c": ("degrees", "celsius"),
    "°f": ("degrees", "fahrenheit"),
}
_UNITS = {"m": "minute", "s": "second", "h": "hour"}
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_NOON = 12
_DIGITS = SMALL[:10]


_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_DOUBTFUL = re.compile(
    r"""(?P<thousands>(?<!\d)\d{1,3}(?:,\d{3})+(?!\d)) | \d\s*[,;/\u2010-\u2015-]\s*\d
    |[\u2010-\u2015]\s*\d | (?<![\w)])-\s+\d""",
    re.VERBOSE,
)


def is_readable(text: str) -> bool:
    """Tell whether `spell_out` loses nothing that may matter: other scripts, pictures, figures joined by signs."""
    if _CONTROL.search(text):
        return False
    for letter in set(_FOREIGN.findall(text.lower())):
        if unicodedata.category(letter)[0] in "LNS" and not _plain(letter).strip():
            return False
    return all(found["thousands"] for found in _DOUBTFUL.finditer(text))


def spell_out(text: str) -> Phrase:
    """Return typed text as the words of speech; one more than MOST_WORDS words means that it is too long.

    Figures become words, punctuation and everything that is not Latin script is dropped. Takes linear time.
    """
    plain = _FOREIGN.sub(lambda match: _plain(match[0]), text.lower())
    words = (word for token in _TOKEN.finditer(plain) for word in _said(token))
    return tuple(islice(words, MOST_WORDS + 1))


@lru_cache(maxsize=1024)
def _plain(letter: str) -> str:
    """Return an ASCII equivalent: without accents; nothing for marks and joiners; a space for what is not Latin."""
    if letter in _LETTERS:
        return _LETTERS[letter]
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return ""
    # One by one, because normalising a long run of marks takes quadratic time.
    parts = unicodedata.normalize("NFKD", letter).lower()
    kept = "".join(part for part in parts if part.isascii() or part == "°")
    return kept if kept and unicodedata.category(letter) != "No" else " "


def _said(token: re.Match[str]) -> Iterator[str]:
    if token["word"]:
        yield token["word"]
    elif token["symbol"]:
        yield from _SYMBOLS[token["symbol"].replace(" ", "")]
    elif token["ordinal"]:
        *before, last = BELOW_HUNDRED[int(token["ordinal"])]
        yield from before
        yield _ORDINALS.get(last, last[:-1] + "ieth" if last.endswith("y") else last + "th")
    elif token["hour"]:
        yield from _say_clock(int(token["hour"]), int(token["minute"]), token["half"])
    else:
        yield from ("minus",) if token["minus"] else ()
        yield from _say_figures(token["whole"], token["decimals"] or "")
        yield from (token["ampm"], "m") if token["ampm"] else ()
        if token["unit"]:
            yield _UNITS[token["unit"][0]] + ("" if token["whole"] == "1" and not token["decimals"] else "s")


def _say_clock(hour: int, minute: int, half: str | None) -> Iterator[str]:
    yield from BELOW_HUNDRED[hour or _NOON]
    if minute:
        yield from ("oh", SMALL[minute]) if minute < len(_DIGITS) else BELOW_HUNDRED[minute]
    elif not half and hour:
        yield "hundred" if hour > _NOON else "o'clock"
    if half or not hour:
        yield from (half or "a", "m")


def _say_figures(whole: str, decimals: str) -> Iterator[str]:
    whole = whole.replace(",", "") or "0"
    if len(whole) > len(str(LARGEST_NUMBER)) or (whole[0] == "0" and len(whole) > 1):
        yield from (_DIGITS[int(digit)] for digit in whole)
    else:
        yield from number_phrases(int(whole))[0]
    if decimals:
        yield "point"
        yield from (_DIGITS[int(digit)] for digit in decimals)
