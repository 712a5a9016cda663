"""What the page of a fleet shows: counts, a page of its devices, and cells for the picture of all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from edgeagent.console.filters import compiled
from edgeagent.console.tables import Device, Fleet, Tag
from edgeagent.console.web.device_map import Cell

ON_A_PAGE = 50
MOST_ON_A_PAGE = 500
MOST_CELLS = 20_000
"""In the picture; the devices of a larger fleet are narrowed down by a filter first."""
LONGEST_SEARCH, LONGEST_FILTER = 100, 1_000
Show = Literal["all", "well", "warn", "bad", "online", "offline", "retired"]
SHOWS: tuple[Show, ...] = get_args(Show)
SORTS = ("name", "condition", "seen", "version", "area")
BYS = ("condition", "area", "version", "board")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to see of a fleet. `by` groups the picture: one of BYS, or `tag:<key>`."""

    search: str = ""
    filter: str = ""
    show: str = "all"
    sort: str = "name"
    by: str = "condition"
    page: int = 1
    size: int = ON_A_PAGE

    def query(self, **changed: object) -> str:
        """Return this as the query of an address, with changes; what is as usual is left out."""
        usual = Wanted()
        mine = {name: getattr(self, name) for name in ("search", "filter", "show", "sort", "by", "page")} | changed
        return urlencode({name: value for name, value in mine.items() if value != getattr(usual, name)})


@dataclass(frozen=True, slots=True)
class Counts:
    """How many devices are how."""

    well: int = 0
    warn: int = 0
    bad: int = 0
    offline: int = 0
    retired: int = 0

    @property
    def online(self) -> int:
        """How many are there."""
        return self.well + self.warn + self.bad

    @property
    def all(self) -> int:
        """How many belong to the fleet."""
        return self.online + self.offline


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page of something longer."""

    items: Sequence[Any]
    total: int
    page: int
    size: int

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, math.ceil(self.total / self.size))

    @property
    def first(self) -> int:
        """The number of the first one here, counted from 1."""
        return min(self.total, (self.page - 1) * self.size + 1)

    @property
    def last(self) -> int:
        """The number of the last one here."""
        return min(self.total, self.first + len(self.items) - 1) if self.items else self.first


def page_of(session: Session, wanted: Select[Any], page: int, size: int) -> PageOf:
    """Return a page of what a query finds, each row's first column; a page that is not there is the nearest one."""
    total = session.scalar(select(func.count()).select_from(wanted.order_by(None).subquery())) or 0
    page = min(max(page, 1), max(1, math.ceil(total / size)))
    items = session.scalars(wanted.limit(size).offset((page - 1) * size)).all()
    return PageOf(items, total, page, size)


def counts(session: Session, fleet: str) -> Counts:
    """Return how many devices of a fleet are how."""
    found: dict[str, int] = {}
    how = select(Device.retired.is_(None), Device.online, Device.health, func.count())
    grouped = how.where(Device.fleet == fleet).group_by(Device.retired.is_(None), Device.online, Device.health)
    for is_member, online, health, count in session.execute(grouped):
        key = "retired" if not is_member else "offline" if not online else {"ok": "well"}.get(health, health)
        found[key] = found.get(key, 0) + count
    return Counts(**{name: found.get(name, 0) for name in ("well", "warn", "bad", "offline", "retired")})


def chosen(fleet: str, wanted: Wanted) -> ColumnElement[bool]:
    """Return the condition for what is wanted. Raise ConsoleError where the filter is wrong, with its column."""
    parts = [Device.fleet == fleet, _shown(wanted.show)]
    if wanted.search.strip():
        like = "%" + wanted.search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        fields = (Device.name, Device.title, Device.serial, Device.area)
        parts.append(or_(*(field.ilike(like, escape="\\") for field in fields)))
    if wanted.filter.strip():
        parts.append(compiled(wanted.filter))
    return and_(*parts)


def devices(session: Session, fleet: str, wanted: Wanted) -> PageOf:
    """Return a page of devices. Raise ConsoleError where the filter is wrong."""
    query = select(Device).where(chosen(fleet, wanted)).order_by(*_order(wanted.sort))
    return page_of(session, query, wanted.page, wanted.size)


def tags_of(session: Session, ids: Sequence[int]) -> Mapping[int, dict[str, str]]:
    """Return the tags of devices, by the device's number."""
    found: dict[int, dict[str, str]] = {number: {} for number in ids}
    for device, key, value in session.execute(
        select(Tag.device, Tag.key, Tag.value).where(Tag.device.in_(ids)).order_by(Tag.key)
    ):
        found[device][key] = value
    return found


def cells(session: Session, fleet: str, wanted: Wanted) -> list[tuple[str, Cell]]:
    """Return a cell per device with the label of its group. Raise ConsoleError where the filter is wrong."""
    label, joined = _label(wanted.by)
    query = select(label, Device.name, _condition())
    if joined is not None:
        query = query.outerjoin(Tag, joined)
    rows = session.execute(query.where(chosen(fleet, wanted)).order_by(Device.name).limit(MOST_CELLS))
    return [(said or "none", Cell(name, condition)) for said, name, condition in rows]


def tag_keys(session: Session, fleet: str) -> Sequence[str]:
    """Return the tags' keys of a fleet."""
    return session.scalars(
        select(Tag.key).join(Device, Device.id == Tag.device).where(Device.fleet == fleet).distinct().limit(50)
    ).all()


def fleets(session: Session) -> Sequence[Fleet]:
    """Return all fleets."""
    return session.scalars(select(Fleet).order_by(Fleet.name).limit(1_000)).all()


def _condition() -> ColumnElement[str]:
    return case(
        (Device.online.is_(False), literal("off")),
        (Device.health == "bad", literal("bad")),
        (Device.health == "warn", literal("warn")),
        else_=literal("ok"),
    )


def _shown(show: str) -> ColumnElement[bool]:
    is_member = Device.retired.is_(None)
    match show:
        case "retired":
            return Device.retired.is_not(None)
        case "online":
            return and_(is_member, Device.online)
        case "offline":
            return and_(is_member, Device.online.is_(False))
        case "well" | "warn" | "bad":
            return and_(is_member, Device.online, Device.health == {"well": "ok"}.get(show, show))
    return is_member


def _order(sort: str) -> tuple[Any, ...]:
    match sort:
        case "condition":
            rank = case({"bad": 0, "warn": 1, "off": 2}, value=_condition(), else_=3)
            return (rank, Device.name)
        case "seen":
            return (Device.seen.desc().nulls_last(), Device.name)
        case "version":
            return (Device.version_key, Device.name)
        case "area":
            return (Device.area, Device.name)
    return (Device.name,)


def _label(by: str) -> tuple[ColumnElement[Any], ColumnElement[bool] | None]:
    if by.startswith("tag:"):
        return Tag.value.expression, and_(Tag.device == Device.id, Tag.key == by.removeprefix("tag:"))
    words = case({"bad": "bad", "warn": "warning", "off": "offline"}, value=_condition(), else_="well")
    by_name: Mapping[str, ColumnElement[Any]] = {
        "area": Device.area.expression, "version": Device.version.expression, "board": Device.board.expression
    }  # fmt: skip
    return by_name.get(by, words), None
