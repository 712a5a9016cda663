"""Templates of durations and clock times, and the seconds or the time of day that their words say.

The rules: what DURATION and CLOCK generate, `parse_duration` and `parse_clock` read; doubtful words give None.
"""

import math
from collections.abc import Mapping, Sequence

from edgeagent.grammar.spoken_numbers import BELOW_HUNDRED_VALUES, QUARTERS, Phrase, parse_number, parse_second

_HOURS = "((one|an) hour|{2..48:n} hours)"
_MINUTES = "((one|a) minute|{2..120:n} minutes)"
_MORE_MINUTES = "((one|a) minute|{2..59:n} minutes)"
_MORE_SECONDS = "((one|a) second|{2..59:n} seconds)"
_PART = "(a half|a quarter|three quarters)"
_DURATIONS = (
    f"{_HOURS}|{_MINUTES}|(one|a) second|{{2..120:n}} seconds|a couple of (seconds|minutes|hours)",
    f"{_HOURS} [and] {_MORE_MINUTES} [[and] {_MORE_SECONDS}]|{_MINUTES} [and] {_MORE_SECONDS}",
    f"half (an hour|a minute)|[a] quarter of an hour|three quarters of an hour|[one|an] hour and {_PART}",
    f"{{2..24:n}} hours and a half|(one|a) minute and a half|{{1..24:n}} and {_PART} hours",
    "a half hour|{1..59:n} and a half minutes|{1..24:n} point five (hours|minutes)",
)
DURATION = f"({'|'.join(_DURATIONS)})"
"""Template of durations from a second to two days."""

_UNITS_S = {"second": 1, "seconds": 1, "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600}
_AMOUNTS: Mapping[Phrase, float] = {
    ("a",): 1.0,
    ("an",): 1.0,
    ("half", "a"): 0.5,
    ("half", "an"): 0.5,
    ("half",): 0.5,
    ("a", "half"): 0.5,
    ("quarter", "of", "an"): 0.25,
    ("a", "quarter", "of", "an"): 0.25,
    ("three", "quarters", "of", "an"): 0.75,
    ("a", "couple", "of"): 2.0,
    ("couple", "of"): 2.0,
}


def parse_duration(words: Sequence[str]) -> float | None:
    """Return the seconds that the words say, or None if they are no duration; "five minute" is "five minutes"."""
    rest, total_s, last_unit_s = tuple(words), 0.0, math.inf
    while rest:
        at = next((index for index, word in enumerate(rest) if word in _UNITS_S), None)
        if at is None:
            part = next((part for part, phrase in QUARTERS.items() if rest == ("and", *phrase)), None)
            return total_s + part * last_unit_s if part and 1 < last_unit_s < math.inf else None
        unit_s, amount = _UNITS_S[rest[at]], rest[:at]
        if total_s and amount[:1] == ("and",):
            amount = amount[1:]
        is_bare = not total_s and rest[:2] == ("hour", "and")  # "hour and a half"
        number = 1.0 if is_bare else _AMOUNTS.get(amount, parse_number(amount))
        if number is None or number <= 0 or unit_s >= last_unit_s:
            return None
        total_s, last_unit_s, rest = total_s + number * unit_s, unit_s, rest[at + 1 :]
    return total_s or None


_NOON, _LAST_HOUR, _LAST_SMALL, _LAST_MINUTE, _HALF_HOUR = 12, 23, 9, 59, 30
_AM = {_NOON: 0, **{hour: hour for hour in range(1, _NOON)}}
_PM = {hour: morning + 12 for hour, morning in _AM.items()}
_PERIODS: Mapping[Phrase, Mapping[int, int]] = {
    ("a", "m"): _AM,
    ("am",): _AM,
    ("p", "m"): _PM,
    ("pm",): _PM,
    ("in", "the", "morning"): {hour: _AM[hour] for hour in range(1, _NOON)},
    ("in", "the", "afternoon"): {hour: _PM[hour] for hour in (12, 1, 2, 3, 4, 5, 6)},
    ("in", "the", "evening"): {hour: _PM[hour] for hour in range(4, _NOON)},
    ("at", "night"): {_NOON: 0, **{hour: _PM[hour] for hour in range(8, _NOON)}},
}
_NAMED = {"noon": _NOON, "midday": _NOON, "midnight": 0}
_AFTER, _BEFORE = ("past", "after"), ("to", "till", "before")
_MINUTE_WORDS: Mapping[Phrase, int] = {("half",): 30, ("quarter",): 15, ("a", "quarter"): 15}
_SOME = "([a] quarter|(five|ten|twenty|twenty five) [minutes]|one minute|{2..29:m} minutes)"
_RELATIVE = f"((half|{_SOME}) (past|after)|{_SOME} (to|till|before))"


def _times(hours: str) -> str:
    return f"({_RELATIVE} {hours}|{hours} [oh {{1..9:m}}|{{10..59:m}}|o'clock])"


_CLOCKS = (
    f"{_times('{1..12:h}')} [a m|p m|am|pm]|{_times('{1..11:h}')} in the morning|half {{1..12:h}}",
    f"{_times('({1..6:h}|twelve)')} in the afternoon|{_times('{4..11:h}')} in the evening",
    f"{_times('{8..12:h}')} at night|[twelve] (noon|midnight)|midday|{_RELATIVE} (noon|midnight)",
    "({13..23:h}|(oh|zero) {1..9:h}) (oh {1..9:m}|{10..59:m}|hundred [hours])",
)
CLOCK = f"({'|'.join(_CLOCKS)})"
"""Template of clock times: of twelve hours, with or without half of the day, and of twenty-four."""


def parse_clock(words: Sequence[str]) -> str | None:
    """Return the time of day that the words say as HH:MM, or None; without half of the day, seven is 07:00."""
    said = tuple(words)
    period = next((ending for ending in _PERIODS if len(said) > len(ending) and said[-len(ending) :] == ending), None)
    found = _parse_named(said) or _parse_relative(said[: -len(period)] if period else said)
    found = found or _parse_plain(said[: -len(period)] if period else said)
    if found is None:
        return None
    hour, minutes = found
    if period:
        if hour not in _PERIODS[period] or said[0] in {"oh", "zero"}:
            return None
        hour = _PERIODS[period][hour]
    elif hour == 1 and minutes < 0:
        hour += _NOON  # "quarter to one" is "twelve forty five"
    return "{:02}:{:02}".format(*divmod((hour * 60 + minutes) % (24 * 60), 60))


def _parse_named(said: Phrase) -> tuple[int, int] | None:
    is_named = said[-1:] and said[-1] in _NAMED and said[:-1] in {(), ("twelve",)}
    return (_NAMED[said[-1]], 0) if is_named else None


def _parse_relative(said: Phrase) -> tuple[int, int] | None:
    """Return the hour that is named and the minutes after it (before it: negative)."""
    if said[:1] == ("half",) and said[1:2] not in {("past",), ("after",)}:
        said = ("half", "past", *said[1:])
    at = next((index for index, word in enumerate(said) if word in {*_AFTER, *_BEFORE}), 0)
    some = said[: at - 1] if said[at - 1 : at] in {("minutes",), ("minute",)} else said[:at]
    minutes = _MINUTE_WORDS.get(said[:at], BELOW_HUNDRED_VALUES.get(some, 0))
    named = _parse_named(said[at + 1 :]) or _on_the_hour(said[at + 1 :])
    if not at or not 0 < minutes <= _HALF_HOUR or named is None:
        return None
    return named[0], minutes if said[at] in _AFTER else -minutes


def _parse_plain(said: Phrase) -> tuple[int, int] | None:
    """Read hour and minutes as they stand: "seven", "seven thirty", "nineteen hundred hours", "oh seven hundred"."""
    if said[-1:] == ("o'clock",):
        return _on_the_hour(said[:-1])
    is_small = said[:1] in {("oh",), ("zero",)}
    body = said[1:] if is_small else said
    for at in (1, 2):
        hour, rest = BELOW_HUNDRED_VALUES.get(body[:at]), body[at:]
        if not hour or hour > (_LAST_SMALL if is_small else _LAST_HOUR):
            continue
        if rest in {("hundred",), ("hundred", "hours")} and (hour > _NOON or is_small):
            return hour, 0
        minutes = parse_second(rest)
        if minutes and minutes <= _LAST_MINUTE:
            return hour, minutes
    return _on_the_hour(said)


def _on_the_hour(said: Phrase) -> tuple[int, int] | None:
    hour = BELOW_HUNDRED_VALUES.get(said)
    return (hour, 0) if hour and hour <= _NOON else None
