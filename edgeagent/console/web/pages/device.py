"""The page of a device: how it is, what it heard and did as far as it shares that, how well it hears."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from edgeagent.console.tables import Device
from edgeagent.console.web import charts, events_view, health_view, registry_view
from edgeagent.console.web.say import Answered
from edgeagent.console.web.say import say as say_to
from edgeagent.console.web.visits import Operating, Viewing, Visit

router = APIRouter(include_in_schema=False)
LATELY = 10
USUAL_SPAN = "7 d"


@router.get("/f/{fleet}/d/{device}")
def overview(visit: Viewing, device: str, span: Annotated[str, Query(max_length=10)] = USUAL_SPAN) -> Response:
    """Show how a device is."""
    return overview_page(visit, device, span)


def overview_page(
    visit: Visit, name: str, span: str = USUAL_SPAN, *, answered: Answered | None = None, status: int = 200
) -> Response:
    """Return the overview, perhaps with what a device has just answered."""
    span = span if span in health_view.SPANS else USUAL_SPAN
    with visit.reading() as session:
        device = registry_view.device_of(session, visit.fleet, name)
        hours = registry_view.hours(session, device, health_view.SPANS[span], visit.now)
        return visit.page(
            "device.html",
            status=status,
            device=device,
            standing=standing_of(device),
            installed=registry_view.installed(session, device),
            tags=registry_view.tags(session, device),
            events=registry_view.events(session, device, size=LATELY).items,
            jobs=registry_view.jobs(session, device, size=3).items,
            charts=health_view.charts(hours, health_view.SPANS[span], visit.now),
            span=span,
            spans=health_view.SPANS,
            draw=charts.drawn,
            table=charts.rows,
            tell=events_view.told,
            heard=events_view.said,
            look=events_view.kind_of,
            answered=answered,
        )


@router.post("/f/{fleet}/d/{device}/say")
async def say(visit: Operating, device: str, text: Annotated[str, Form(min_length=1, max_length=500)]) -> Response:
    """Have a device do as if something had been said, and show what came of it."""
    found = await run_in_threadpool(to_be_told, visit, device)
    answered = await say_to(visit.site, found, text)
    return await run_in_threadpool(overview_page, visit, device, answered=answered)


def to_be_told(visit: Visit, name: str) -> Device:
    """Return a device that is about to be ordered something; that is audited, the words are not."""
    with visit.changing("device.say", name) as session:
        return registry_view.device_of(session, visit.fleet, name)


@router.get("/f/{fleet}/d/{device}/log")
def log(
    visit: Viewing,
    device: str,
    kind: Annotated[str, Query(max_length=32)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show what a device has told."""
    kind = kind if kind in events_view.KINDS else ""
    with visit.reading() as session:
        found = registry_view.device_of(session, visit.fleet, device)
        return visit.page(
            "device_log.html",
            device=found,
            shown=registry_view.events(session, found, kind, page),
            kind=kind,
            kinds=events_view.KINDS,
            tell=events_view.told,
            heard=events_view.said,
            look=events_view.kind_of,
        )


def standing_of(device: Device) -> str:
    """Return in words how a device stands to the settings that are wanted of it."""
    if device.desired_version > device.reported_version:
        return "not seen by the device yet"
    return {
        "none": "not answered yet",
        "waiting": "waiting for its next start",
        "trial": "being tried",
        "applied": "in force",
        "refused": "refused by the device",
        "undone": "undone by the device",
    }.get(device.standing, device.standing)
