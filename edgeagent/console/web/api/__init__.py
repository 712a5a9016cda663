"""The API, version 1: every action of the pages, for programs."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from edgeagent.console.web.api import devices, people, rollouts, work
from edgeagent.console.web.api.described import START, description
from edgeagent.console.web.visits import ApiKnown, Known

_about = APIRouter(include_in_schema=False)


@_about.get(f"{START}/openapi.json")
def openapi(visit: ApiKnown) -> Response:
    """Return the API's own description."""
    return JSONResponse(description(visit.request.app))


@_about.get("/api")
def about(visit: Known) -> Response:
    """Show what the API can do."""
    return visit.page("api.html", described=description(visit.request.app), start=START, base=_base(visit.request))


def routers() -> Sequence[APIRouter]:
    """Return the routes of the API."""
    return (devices.router, rollouts.router, people.router, work.router, work.figures, _about)


def _base(request: Request) -> str:
    origin: str = request.app.state.site.settings.origin
    return origin
