"""Tokens by which devices get their identity: made for one or many, shown once, to be printed; listed, taken back."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from edgeagent.console import enrolment
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import EnrolmentToken
from edgeagent.console.web.fleet_view import PageOf, page_of
from edgeagent.console.web.pages.device_changes import tags_typed
from edgeagent.console.web.qr import code
from edgeagent.console.web.refusals import not_found, status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.visits import Looking, Operating, Visit

router = APIRouter(include_in_schema=False)
MOST_AT_ONCE = 500
MOST_DAYS = 90
STATES = ("open", "used", "expired", "revoked")
ON_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A device that a token is wanted for."""

    serial: str
    device: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """A token with its secret, which nobody sees again."""

    token: EnrolmentToken
    secret: str


@router.get("/f/{fleet}/enrolment")
def tokens(
    visit: Looking,
    state: Annotated[str, Query(max_length=20)] = "open",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show the tokens, and the form for new ones."""
    return _page(visit, state if state in STATES else "open", page)


@router.post("/f/{fleet}/enrolment")
def make(
    visit: Operating,
    serial: Annotated[str, Form(max_length=64)] = "",
    device: Annotated[str, Form(max_length=64)] = "",
    tags: Annotated[str, Form(max_length=2_000)] = "",
    lines: Annotated[str, Form(max_length=200_000)] = "",
    days: Annotated[int, Form(ge=1, le=MOST_DAYS)] = 7,
) -> Response:
    """Make tokens, and show their secrets, once."""
    try:
        wanted = typed_lines(lines) if lines.strip() else [Line(serial.strip(), device.strip(), tags_typed(tags))]
        with visit.changing("enrolment.new", wanted[0].device, count=len(wanted), days=days) as session:
            made = [Made(*made_token(session, visit, one, days)) for one in wanted]
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # what was typed
            raise
        return _page(visit, "open", 1, problem=error, typed=(serial, device, tags, lines, days))
    broker = visit.site.settings.broker.host or "BROKER"
    return visit.page("enrolment_made.html", made=made, code=code, broker=broker)


@router.post("/f/{fleet}/enrolment/{token}/revoke")
def revoke(visit: Operating, token: str) -> Response:
    """Take a token back."""
    where = f"/f/{visit.fleet}/enrolment"
    try:
        with visit.changing("enrolment.revoke", token) as session:
            found = token_of(session, visit.fleet, token)
            visit.detail["device"] = found.device
            enrolment.withdraw(session, found, visit.now)
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # it was used
            raise
        return go(where, f"{error}. {error.remedy}", is_problem=True)
    return go(where, "The token was taken back.")


def token_of(session: Session, fleet: str, id_: str) -> EnrolmentToken:
    """Return a token of a fleet. Raise RefusedError 404 if it has none of that id (A84)."""
    token = session.get(EnrolmentToken, id_)
    if token is None or token.fleet != fleet:
        raise not_found("this token")
    return token


def made_token(session: Session, visit: Visit, line: Line, days: int) -> tuple[EnrolmentToken, str]:
    """Make a token. Raise ConsoleError if it cannot be."""
    return enrolment.new_token(
        session,
        fleet=visit.fleet,
        serial=line.serial,
        device=line.device,
        tags=line.tags,
        by=visit.who.user,
        now=visit.now,
        lasts_s=days * 86_400,
        may_return=visit.who.may("admin", visit.fleet),  # an admin has retired it
    )


def typed_lines(text: str) -> list[Line]:
    """Return what a table says: `serial,device,tags` in each line, the tags by spaces. Raise ConsoleError by line."""
    found = []
    for number, row in enumerate(_rows(text), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() == "serial"):
            continue
        if len(cells) not in {2, 3}:
            raise ConsoleError(
                f"line {number}: expected serial,device,tags, found {','.join(cells)!r:.80}",
                remedy="Two or three columns, separated by commas; tags by spaces.",
            )
        try:
            found.append(Line(cells[0], cells[1], tags_typed(cells[2] if len(cells) > 2 else "")))  # noqa: PLR2004
        except ConsoleError as error:
            raise ConsoleError(f"line {number}: {error}", remedy=error.remedy) from error
    if not 1 <= len(found) <= MOST_AT_ONCE:
        raise ConsoleError(f"{len(found)} devices, 1 to {MOST_AT_ONCE} were expected", remedy="Make several tables.")
    return found


def _rows(text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        yield from reader
    except csv.Error as error:
        raise ConsoleError(f"line {reader.line_num}: {error}", remedy="Save the table as CSV again.") from error


def tokens_of(session: Session, fleet: str, state: str, now: float, page: int, size: int = ON_A_PAGE) -> PageOf:
    """Return a page of tokens in a state, the newest first; in any for an empty one."""
    table = EnrolmentToken
    is_open = (table.used.is_(None), table.revoked.is_(None))
    conditions = {
        "open": (*is_open, table.expires >= now),
        "used": (table.used.is_not(None),),
        "expired": (*is_open, table.expires < now),
        "revoked": (table.revoked.is_not(None), table.used.is_(None)),
    }
    wanted = select(table).where(table.fleet == fleet, *conditions.get(state, ())).order_by(table.created.desc())
    return page_of(session, wanted, page, size)


def _page(
    visit: Visit,
    state: str,
    page: int,
    *,
    problem: ConsoleError | None = None,
    typed: tuple[str, str, str, str, int] = ("", "", "", "", 7),
) -> Response:
    with visit.reading() as session:
        shown = tokens_of(session, visit.fleet, state, visit.now, page)
    return visit.page(
        "enrolment.html",
        status=200 if problem is None else status_of(problem),
        shown=shown,
        state=state,
        states=STATES,
        problem=problem,
        typed=typed,
    )
