"""A filter as operators write it to a condition on devices: `tag:floor=2 and not board:rpi4 and (online or seen>7d)`.

Rules:
    - Every condition is true or false, also where a device has not told: what is unknown is no match.
    - What was written reaches the database as bound values alone, never as a part of a statement.
    - Letters are compared without their case; versions as dotted numbers; ages by the console's clock.
"""

import operator
import re
import time
from collections.abc import Callable, Mapping
from typing import Any as Anything
from typing import assert_never

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

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
from edgeagent.console.filter_text import parsed
from edgeagent.console.tables import Device, Installed, Tag
from edgeagent.console.versions import version_key

_COMPARE: Mapping[Comparison, Callable[[Anything, Anything], ColumnElement[bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_AGED: Mapping[str, InstrumentedAttribute[float | None]] = {"seen": Device.seen, "added": Device.created}


def compiled(text: str, *, now: float | None = None) -> ColumnElement[bool]:
    """Return the condition on `Device` that a filter says; ages count from `now`, the clock's time where None.

    Raise ConsoleError naming the column of the mistake and what was expected.
    """
    return condition(parsed(text), time.time() if now is None else now)


def condition(what: Condition, now: float) -> ColumnElement[bool]:  # noqa: C901, PLR0912  # one case per noun
    """Return a filter's noun as a condition."""
    match what:
        case Flag("online"):
            return Device.online == true()
        case Flag("offline"):
            return Device.online == false()
        case Flag():
            return Device.muted == true()
        case Like(field, pattern):
            return _like(getattr(Device, field), pattern)
        case Tagged(key, pattern):
            is_so = Tag.key == key if pattern is None else and_(Tag.key == key, _like(Tag.value, pattern))
            return Device.id.in_(select(Tag.device).where(is_so))
        case Versioned(None, comparison, version):
            return _version(Device.version_key, comparison, version)
        case Versioned(family, comparison, version):
            is_so = and_(Installed.family == family, _version(Installed.version_key, comparison, version))
            return Device.id.in_(select(Installed.device).where(is_so))
        case Aged(field, comparison, age_s):
            return _longer_ago(_AGED[field], comparison, now - age_s)
        case Measured(key, comparison, value):
            measured = Device.gauges[key].as_float()
            return func.coalesce(_COMPARE[comparison](measured, value), false())
        case Not(inner):
            return not_(condition(inner, now))
        case All(parts):
            return and_(true(), *(condition(part, now) for part in parts))
        case Any(parts):
            return or_(false(), *(condition(part, now) for part in parts))
        case never:
            assert_never(never)


def _like(column: ColumnElement[str] | InstrumentedAttribute[str], pattern: Pattern) -> ColumnElement[bool]:
    if all(isinstance(piece, str) for piece in pattern.pieces):
        return func.lower(column) == func.lower("".join(map(str, pattern.pieces)))
    written = "".join(_WILD.get(piece) or _escaped(str(piece)) for piece in pattern.pieces)
    return func.lower(column).like(func.lower(written), escape="\\")


_WILD: Mapping[str | int | None, str] = {None: "%", 1: "_"}


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _version(key: InstrumentedAttribute[str], comparison: Comparison | None, version: str) -> ColumnElement[bool]:
    if comparison is None:
        return true()
    return and_(key != "", _COMPARE[comparison](key, version_key(version)))


def _longer_ago(
    column: InstrumentedAttribute[float | None], comparison: Comparison, since: float
) -> ColumnElement[bool]:
    if comparison in {">", ">="}:
        return or_(column.is_(None), column < since if comparison == ">" else column <= since)
    return and_(column.is_not(None), column > since if comparison == "<" else column >= since)
