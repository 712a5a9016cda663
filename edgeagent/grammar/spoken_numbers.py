"""Numbers to the words in which people say them, and back.

The rules: words are lower case without hyphens; what `number_phrases` says, `parse_number` reads back to the same
value; doubtful words give None, never a guess.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product

Phrase = tuple[str, ...]

LARGEST_NUMBER = 999_999
_TEN, _HUNDRED, _THOUSAND = 10, 100, 1000

SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER_WORDS = frozenset((*SMALL, *_TENS, "hundred", "thousand", "point"))
"""The words that numbers are said with, but for "a half" and the like."""
BELOW_HUNDRED: tuple[Phrase, ...] = (
    *((word,) for word in SMALL),
    *((ten, one) if one != "zero" else (ten,) for ten in _TENS for one in SMALL[:_TEN]),
)
BELOW_HUNDRED_VALUES: Mapping[Phrase, int] = {phrase: value for value, phrase in enumerate(BELOW_HUNDRED)}
_DIGITS = {**{word: digit for digit, word in enumerate(SMALL[:_TEN])}, "oh": 0}
QUARTERS: Mapping[float, Phrase] = {0.25: ("a", "quarter"), 0.5: ("a", "half"), 0.75: ("three", "quarters")}
_LONE_QUARTERS: Mapping[Phrase, float] = {
    **{phrase: value for value, phrase in QUARTERS.items()},
    ("half",): 0.5,
    ("one", "half"): 0.5,
    ("one", "quarter"): 0.25,
}


def number_phrases(value: float) -> tuple[Phrase, ...]:
    """Return the word sequences in which people say a number, the usual one first; decimals are rounded to three.

    Raise ValueError beyond ±999999.
    """
    if not math.isfinite(value) or abs(value) > LARGEST_NUMBER:
        raise ValueError(f"expected a number between -{LARGEST_NUMBER} and {LARGEST_NUMBER}, found {value}")
    value = round(value, 3)
    if value < 0:
        return tuple((sign, *phrase) for sign, phrase in product(("minus", "negative"), number_phrases(-value)))
    whole = int(value)
    integers = _integer_phrases(whole)
    return integers if value == whole else _decimal_phrases(value, whole, integers)


def parse_number(words: Sequence[str]) -> float | None:
    """Return the number that the words say, or None if they say none."""
    said = tuple(words)
    if said[:1] in {("minus",), ("negative",)}:
        positive = _parse_positive(said[1:])
        return None if positive is None else 0.0 - positive  # "minus zero" is zero
    return _parse_positive(said)


def parse_second(said: Phrase) -> int | None:
    """Read the second of two numbers that stand together: "oh five", "twenty five"; also the minutes of a time."""
    is_small = said[:1] == ("oh",)
    value = BELOW_HUNDRED_VALUES.get(said[1:] if is_small else said)
    return None if not value or (value < _TEN) != is_small else value


def _decimal_phrases(value: float, whole: int, integers: tuple[Phrase, ...]) -> tuple[Phrase, ...]:
    digits = f"{value:.3f}".partition(".")[2].rstrip("0")
    tails = [tuple(SMALL[int(digit)] for digit in digits)]
    if "0" in digits:
        tails.append(tuple("oh" if word == "zero" else word for word in tails[0]))
    heads: list[Phrase] = [*integers] if whole else [*integers, ()]
    found = [(*head, "point", *tail) for head, tail in product(heads, tails)]
    quarter = QUARTERS.get(round(value - whole, 3))
    if not quarter:
        return tuple(found)
    if whole:
        return (*found, *((*head, "and", *quarter) for head in integers))
    return (*found, *(phrase for phrase, alone in _LONE_QUARTERS.items() if alone == value))


def _integer_phrases(value: int) -> tuple[Phrase, ...]:
    if value < _HUNDRED:
        return (BELOW_HUNDRED[value],)
    formal = _formal_phrases(value)
    found = [*formal, *(("a", *phrase[1:]) for phrase in formal if phrase[0] == "one" and phrase[1] != "hundred")]
    if value // _HUNDRED == 1:
        found += [("a", *phrase[1:]) for phrase in formal]
    if value == _HUNDRED:
        found.append(("hundred",))
    high, low = divmod(value, _HUNDRED)
    if _TEN < high < _HUNDRED and high % _TEN:
        found += _hundreds_phrases(high, low)
    if high < _HUNDRED and low:
        found.append((*BELOW_HUNDRED[high], *(("oh",) if low < _TEN else ()), *BELOW_HUNDRED[low]))
    return tuple(found)


def _formal_phrases(value: int) -> tuple[Phrase, ...]:
    thousands, rest = divmod(value, _THOUSAND)
    if not thousands:
        return _hundreds_phrases(*divmod(rest, _HUNDRED))
    heads: list[Phrase] = [(*phrase, "thousand") for phrase in _hundreds_phrases(*divmod(thousands, _HUNDRED))]
    if not rest:
        return tuple(heads)
    tails = [*_hundreds_phrases(*divmod(rest, _HUNDRED))]
    if rest < _HUNDRED:
        tails.append(("and", *BELOW_HUNDRED[rest]))
    return tuple((*head, *tail) for head, tail in product(heads, tails))


def _hundreds_phrases(hundreds: int, rest: int) -> tuple[Phrase, ...]:
    if not hundreds:
        return (BELOW_HUNDRED[rest],)
    head = (*BELOW_HUNDRED[hundreds], "hundred")
    return ((*head, *BELOW_HUNDRED[rest]), (*head, "and", *BELOW_HUNDRED[rest])) if rest else (head,)


def _parse_positive(said: Phrase) -> float | None:
    if said in _LONE_QUARTERS:
        return _LONE_QUARTERS[said]
    for fraction, phrase in QUARTERS.items():
        at = len(said) - len(phrase) - 1
        if at > 0 and said[at:] == ("and", *phrase):
            whole = _parse_integer(said[:at])
            return whole + fraction if whole else None
    if "point" in said:
        return _parse_decimal(said)
    value = _parse_integer(said)
    return None if value is None else float(value)


def _parse_decimal(said: Phrase) -> float | None:
    at = said.index("point")
    whole = _parse_integer(said[:at]) if at else 0
    digits = [_DIGITS.get(word) for word in said[at + 1 :]]
    if whole is None or not digits or None in digits:
        return None
    return float(f"{whole}.{''.join(map(str, digits))}")


def _parse_integer(said: Phrase) -> int | None:
    if "thousand" in said:
        at = said.index("thousand")
        thousands = 1 if said[:at] == ("a",) else _parse_hundreds(said[:at])
        rest = _parse_rest(said[at + 1 :], _parse_hundreds)
        if not thousands or rest is None or max(thousands, rest) >= _THOUSAND:
            return None
        return thousands * _THOUSAND + rest
    value = _parse_hundreds(said)
    return _parse_pair(said) if value is None else value


def _parse_hundreds(said: Phrase) -> int | None:
    if "hundred" not in said:
        return BELOW_HUNDRED_VALUES.get(said)
    at = said.index("hundred")
    is_one = said[:at] == ("a",) or said == ("hundred",)
    hundreds = 1 if is_one else BELOW_HUNDRED_VALUES.get(said[:at])
    rest = _parse_rest(said[at + 1 :], BELOW_HUNDRED_VALUES.get)
    if not hundreds or rest is None or (hundreds >= _TEN and hundreds % _TEN == 0):
        return None
    return hundreds * _HUNDRED + rest


def _parse_rest(said: Phrase, parse: Callable[[Phrase], int | None]) -> int | None:
    if not said:
        return 0
    return parse(said[1:] if said[0] == "and" else said) or None  # "one hundred zero" is nobody's number


def _parse_pair(said: Phrase) -> int | None:
    """Read two numbers that stand for one: "one oh five", "four fifty", "twelve twenty five"."""
    for at in (1, 2):
        high, low = BELOW_HUNDRED_VALUES.get(said[:at]), parse_second(said[at:])
        if high and low:
            return high * _HUNDRED + low
    return None
