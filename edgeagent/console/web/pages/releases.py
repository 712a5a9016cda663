"""What can be brought to devices: what is signed by whom, its versions, and how long that holds."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

from datetime import UTC, datetime

from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from edgeagent.console.tables import Device, Installed
from edgeagent.console.web import releases_view
from edgeagent.console.web.releases_view import RepositorySeen
from edgeagent.console.web.visits import Viewing, Visit

router = APIRouter(include_in_schema=False)


@router.get("/f/{fleet}/releases")
def show(visit: Viewing) -> Response:
    """Show the repositories that this console knows, and what of them devices have."""
    with visit.reading() as session:
        have = installed_counts(session, visit.fleet)
    return visit.page("releases.html", repositories=repositories(visit), have=have)


def repositories(visit: Visit) -> list[RepositorySeen]:
    """Return what the repositories hold."""
    now = datetime.fromtimestamp(visit.now, UTC)

    def look() -> list[RepositorySeen]:
        return [releases_view.seen(name, folder, now) for name, folder in visit.site.repositories.items()]

    found: list[RepositorySeen] = visit.site.cached.get(("repositories",), look)
    return found


def installed_counts(session: Session, fleet: str) -> dict[str, dict[str, int]]:
    """Return how many devices of a fleet have which version of which family."""
    rows = session.execute(
        select(Installed.family, Installed.version, func.count())
        .join(Device, Device.id == Installed.device)
        .where(Device.fleet == fleet, Device.retired.is_(None))
        .group_by(Installed.family, Installed.version)
    )
    found: dict[str, dict[str, int]] = {}
    for family, version, count in rows:
        found.setdefault(family, {})[version] = count
    return found
