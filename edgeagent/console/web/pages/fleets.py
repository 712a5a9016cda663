"""The first page, all fleets, and the page of one: counts, a picture of all devices, a table to search in."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import re
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Device, Fleet
from edgeagent.console.web import device_map, fleet_view
from edgeagent.console.web.fleet_view import LONGEST_FILTER, LONGEST_SEARCH, Wanted
from edgeagent.console.web.refusals import forbidden, not_found, status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.roles import EVERY_FLEET
from edgeagent.console.web.users import FLEET
from edgeagent.console.web.visits import Known, KnownForm, Viewing, Visit

router = APIRouter(include_in_schema=False)
MOST_AS_LINKS = 400
"""Devices that are shown as links, each with its name; more are a picture."""
WIDTHS = {"wide": 1120, "narrow": 330}


def wanted(
    search: Annotated[str, Query(max_length=LONGEST_SEARCH)] = "",
    filter: Annotated[str, Query(max_length=LONGEST_FILTER)] = "",  # noqa: A002  # as it is called everywhere
    show: Annotated[str, Query(max_length=20)] = "all",
    sort: Annotated[str, Query(max_length=20)] = "name",
    by: Annotated[str, Query(max_length=80)] = "condition",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Wanted:
    """Return what a query asks for; a word that is none of ours is as if it were not there."""
    usual = Wanted()
    return Wanted(
        search,
        filter,
        show if show in fleet_view.SHOWS else usual.show,
        sort if sort in fleet_view.SORTS else usual.sort,
        by if by in fleet_view.BYS or by.startswith("tag:") else usual.by,
        page,
    )


Asked = Annotated[Wanted, Depends(wanted)]


@router.get("/")
def first(visit: Known) -> Response:
    """Go where somebody most likely wants to: the only fleet, its only device, or all fleets."""
    with visit.reading() as session:
        mine = [one.name for one in fleet_view.fleets(session) if visit.who.may("viewer", one.name)]
        if len(mine) != 1:
            return go("/fleets")
        names = session.scalars(
            select(Device.name).where(Device.fleet == mine[0], Device.retired.is_(None)).limit(2)
        ).all()
    return go(f"/f/{mine[0]}/d/{names[0]}" if len(names) == 1 else f"/f/{mine[0]}")


@router.get("/fleets")
def fleets(visit: Known) -> Response:
    """Show all fleets that somebody may see."""
    with visit.reading() as session:
        mine = [one for one in fleet_view.fleets(session) if visit.who.may("viewer", one.name)]
        counts = {one.name: fleet_view.counts(session, one.name) for one in mine}
    return visit.page("fleets.html", fleets=mine, counts=counts)


@router.post("/fleets")
def new_fleet(
    visit: KnownForm, name: Annotated[str, Form(max_length=64)], title: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Make a fleet."""
    try:
        with visit.changing("fleet.new", name) as session:
            make_fleet(session, visit, name, title)
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # what was typed
            raise
        return go("/fleets", f"{error}. {error.remedy}", is_problem=True)
    return go(f"/f/{name}", f"Fleet {name} is there. Make tokens for its devices under Enrolment.")


def make_fleet(session: Session, visit: Visit, name: str, title: str) -> None:
    """Make a fleet. Raise ConsoleError if it cannot be."""
    if not visit.who.may("admin", EVERY_FLEET):
        raise forbidden("admin of all fleets")
    if not re.fullmatch(FLEET, name):
        raise ConsoleError(f"{name[:80]!r} is no fleet's name", remedy="Use small letters, digits and hyphens.")
    if session.get(Fleet, name) is not None:
        raise ConsoleError(f"there is a fleet {name} already", remedy="Take another name.")
    session.add(Fleet(name=name, title=title.strip(), created=visit.now))


@router.get("/f/{fleet}")
def fleet_page(visit: Viewing, want: Asked) -> Response:
    """Show a fleet."""
    problem = None
    with visit.reading() as session:
        fleet = session.get(Fleet, visit.fleet)
        if fleet is None:
            raise not_found("this fleet")
        counts = visit.site.cached.get(("counts", visit.fleet), lambda: fleet_view.counts(session, visit.fleet))
        try:
            shown = fleet_view.devices(session, visit.fleet, want)
        except ConsoleError as error:
            problem, want = error, replace(want, filter="")
            shown = fleet_view.devices(session, visit.fleet, want)
        tags = fleet_view.tags_of(session, [device.id for device in shown.items])
        keys = fleet_view.tag_keys(session, visit.fleet)
        groups = _groups(visit, session, want) if shown.total <= MOST_AS_LINKS else None
    return visit.page(
        "fleet.html",
        fleet=fleet,
        counts=counts,
        shown=shown,
        tags=tags,
        keys=keys,
        want=want,
        groups=groups,
        typed=visit.request.query_params.get("filter", "")[:LONGEST_FILTER],
        problem=problem,
        widths=WIDTHS,
        fingerprint=int(visit.now),
    )


@router.get("/f/{fleet}/map.svg")
def picture(visit: Viewing, want: Asked, theme: str = "light", width: str = "wide") -> Response:
    """Return the picture of all devices."""
    if theme not in device_map.COLOURS or width not in WIDTHS:
        raise not_found("this picture")
    layout = _layout(visit, want, WIDTHS[width])
    drawn = visit.site.cached.get(
        ("svg", visit.fleet, want.query(page=1), theme, width), lambda: device_map.drawn(layout, theme)
    )
    return Response(drawn, media_type="image/svg+xml", headers={"Cache-Control": "private, max-age=1"})


@router.get("/f/{fleet}/map")
def pointed(visit: Viewing, want: Asked, width: str = "wide") -> Response:
    """Go to the device that was pointed at: browsers add the place in the picture as `?x,y`."""
    found = re.search(r"[?&](\d{1,5}),(\d{1,6})$", f"?{visit.request.url.query}")
    if width not in WIDTHS or found is None:
        raise not_found("this place")
    cell = device_map.at(_layout(visit, want, WIDTHS[width]), float(found[1]), float(found[2]))
    if "application/json" in visit.request.headers.get("accept", ""):
        return JSONResponse({"name": cell.name, "condition": cell.condition} if cell else {})
    return go(f"/f/{visit.fleet}/d/{cell.name}" if cell else f"/f/{visit.fleet}")


def _layout(visit: Visit, want: Wanted, width: int) -> device_map.Layout:
    def make() -> device_map.Layout:
        with visit.reading() as session:
            return device_map.laid_out(_groups(visit, session, want), width)

    layout: device_map.Layout = visit.site.cached.get(("layout", visit.fleet, want.query(page=1), width), make)
    return layout


def _groups(visit: Visit, session: Session, want: Wanted) -> list[device_map.Group]:
    def make() -> list[device_map.Group]:
        return device_map.grouped(fleet_view.cells(session, visit.fleet, want))

    groups: list[device_map.Group] = visit.site.cached.get(("groups", visit.fleet, want.query(page=1)), make)
    return groups
