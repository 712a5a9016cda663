"""The filters, functions and arithmetic of templates, as Home Assistant defines them, each with a bounded result."""

import json
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.runtime import Undefined

from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES
from edgeagent.bounded_json import parse

LARGEST_NUMBER = 1e15
LONGEST_ROUNDING = 12
"""Decimal places."""

_REQUIRED = object()


def bounded(number: Any) -> Any:
    """Return the number. Raise SecurityError if it is not finite or too large."""
    if isinstance(number, float) and not math.isfinite(number):
        raise SecurityError("not a finite number")
    if isinstance(number, int | float) and abs(number) > LARGEST_NUMBER:
        raise SecurityError("number too large")
    return number


def _float(value: Any, default: Any = _REQUIRED) -> Any:
    try:
        return bounded(float(value))
    except (TypeError, ValueError):
        if default is _REQUIRED:
            raise
        return default


def _int(value: Any, default: Any = _REQUIRED) -> Any:
    try:
        return int(bounded(float(value)))
    except (TypeError, ValueError):
        if default is _REQUIRED:
            raise
        return default


def _round(value: Any, precision: int = 0, method: str = "common") -> float:
    """Round as Home Assistant does: to an int when no places are asked for."""
    if not -LONGEST_ROUNDING <= precision <= LONGEST_ROUNDING:
        raise SecurityError("too many places")
    scale = 10**precision
    number = bounded(float(value))
    match method:
        case "ceil":
            rounded = math.ceil(number * scale) / scale
        case "floor":
            rounded = math.floor(number * scale) / scale
        case "half":
            rounded = round(number * 2) / 2
        case _:
            rounded = round(number, precision)
    return int(rounded) if precision == 0 else rounded


def _default(value: Any, replacement: Any = "", boolean: Any = False) -> Any:  # noqa: FBT002 - Jinja's own signature
    return replacement if isinstance(value, Undefined) or (boolean and not value) else value


def _is_defined(value: Any) -> Any:
    """Home Assistant's filter: a value that is missing ends the rendering without a result."""
    if isinstance(value, Undefined):
        str(value)
    return value


def _replace(value: Any, old: str, new: str) -> str:
    text = str(value)
    if not old or len(text) + text.count(old) * len(new) > LARGEST_PAYLOAD_BYTES:
        raise SecurityError("text too long")
    return text.replace(old, new)


def _from_json(value: Any) -> Any:
    return parse(str(value), largest=LARGEST_PAYLOAD_BYTES)


def _to_json(value: Any) -> str:
    _is_defined(value)
    return json.dumps(value, allow_nan=False)


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _iif(value: Any, if_true: Any = True, if_false: Any = False) -> Any:  # noqa: FBT002 - Home Assistant's own signature
    return if_true if value else if_false


def _add(value: Any, amount: float) -> Any:
    return bounded(_float(value) + _float(amount))


def _multiply(value: Any, amount: float) -> Any:
    return bounded(_float(value) * _float(amount))


def _text(function: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: function(str(value))


ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "float": _float,
    "int": _int,
    "bool": bool,
    "is_number": _is_number,
    "iif": _iif,
    "min": min,
    "max": max,
}
FILTERS: Mapping[str, Callable[..., Any]] = {
    "float": _float,
    "int": _int,
    "round": _round,
    "abs": abs,
    "add": _add,
    "multiply": _multiply,
    "min": min,
    "max": max,
    "iif": _iif,
    "is_number": _is_number,
    "default": _default,
    "d": _default,
    "is_defined": _is_defined,
    "lower": _text(str.lower),
    "upper": _text(str.upper),
    "title": _text(str.title),
    "trim": _text(str.strip),
    "string": str,
    "length": len,
    "first": lambda value: value[0],
    "last": lambda value: value[-1],
    "replace": _replace,
    "from_json": _from_json,
    "to_json": _to_json,
    "tojson": _to_json,
}
