"""Who did what: of a fleet, or of all, narrowed down as one types."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Select, or_, select
from starlette.responses import Response

from edgeagent.console.tables import Audited
from edgeagent.console.web.fleet_view import page_of
from edgeagent.console.web.visits import Inspecting, Visit

router = APIRouter(include_in_schema=False)
ON_A_PAGE = 100


@router.get("/f/{fleet}/audit")
def of_fleet(
    visit: Inspecting,
    user: Annotated[str, Query(max_length=64)] = "",
    search: Annotated[str, Query(max_length=100)] = "",
    refused: Annotated[str, Query(max_length=3)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show who did what in a fleet."""
    return _page(visit, user, search, refused, page)


@router.get("/audit")
def of_all(
    visit: Inspecting,
    user: Annotated[str, Query(max_length=64)] = "",
    search: Annotated[str, Query(max_length=100)] = "",
    refused: Annotated[str, Query(max_length=3)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show who did what anywhere."""
    return _page(visit, user, search, refused, page)


def lines(fleet: str, user: str, search: str, *, refused_only: bool) -> Select[tuple[Audited]]:
    """Return what is asked for, the newest first; of all fleets where none is named."""
    wanted = select(Audited).order_by(Audited.at.desc(), Audited.id.desc())
    if fleet:
        wanted = wanted.where(Audited.fleet == fleet)
    if user:
        wanted = wanted.where(Audited.user == user)
    if refused_only:
        wanted = wanted.where(Audited.is_allowed.is_(False))
    if search:
        like = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        wanted = wanted.where(or_(*(one.ilike(like, escape="\\") for one in (Audited.action, Audited.subject))))
    return wanted


def _page(visit: Visit, user: str, search: str, refused: str, page: int) -> Response:
    with visit.reading() as session:
        wanted = lines(visit.fleet, user.strip(), search.strip(), refused_only=bool(refused))
        shown = page_of(session, wanted, page, ON_A_PAGE)
    where = f"/f/{visit.fleet}/audit" if visit.fleet else "/audit"
    return visit.page("audit.html", shown=shown, where=where, user=user, search=search, refused=refused)
