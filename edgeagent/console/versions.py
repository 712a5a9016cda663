"""Versions to keys that a database sorts as versions: text of digits alone, of one length, in any collation."""

import re
from functools import lru_cache

MOST_NUMBERS = 6
DIGITS = 10
KEY_LENGTH = MOST_NUMBERS * DIGITS + 1
_NUMBERS = re.compile(r"[vV]?(\d{1,40}(?:\.\d{1,40}){0,20})")


@lru_cache(maxsize=4_096)  # ten thousand devices have a few versions among them
def version_key(version: str) -> str:
    """Return the key of dotted numbers: 1.2 is 1.2.0, and 1.2rc1 comes before 1.2. Empty where none are in front."""
    found = _NUMBERS.match(version)
    if found is None:
        return ""
    numbers = [min(int(number), 10**DIGITS - 1) for number in found[1].split(".")][:MOST_NUMBERS]
    numbers += [0] * (MOST_NUMBERS - len(numbers))
    rest = version[found.end() :]
    is_before = bool(re.match(r"[-._]?(a|b|c|rc|alpha|beta|pre|dev)", rest, re.IGNORECASE))
    return "".join(f"{number:0{DIGITS}d}" for number in numbers) + ("0" if is_before else "1")
