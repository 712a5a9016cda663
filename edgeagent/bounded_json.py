"""Bytes from outside to JSON values, bounded: size, depth, duplicate keys, NaN and endless numbers are refused."""

import json
import math
from collections import Counter
from typing import Any

from edgeagent.errors import PayloadError

DEEPEST = 16
"""Levels of nesting; real payloads have at most five."""
LONGEST_NUMBER = 40
"""Characters of a number; the longest double has 24."""


def parse(payload: bytes | str, *, largest: int) -> Any:
    """Return the JSON value of a payload of at most `largest` bytes. Raise PayloadError for anything doubtful."""
    if len(payload) > largest:
        raise PayloadError(f"{len(payload)} bytes, expected at most {largest}")
    try:
        text = payload.decode("utf-8") if isinstance(payload, bytes) else payload
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_float, parse_int=_int
        )
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise PayloadError(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise PayloadError(f"nested deeper than {DEEPEST}") from error
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise PayloadError(f"key {twice!r:.40} stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise PayloadError(f"{name} is no JSON number")


def _float(text: str) -> float:
    if len(text) > LONGEST_NUMBER or not math.isfinite(number := float(text)):
        raise PayloadError(f"number out of bounds: {text:.20}")
    return number


def _int(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise PayloadError(f"number out of bounds: {text:.20}")
    return int(text)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise PayloadError(f"nested deeper than {DEEPEST}")
