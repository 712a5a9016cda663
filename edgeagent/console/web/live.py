"""News to pages that are open, as server-sent events: only which topic changed; the page then asks for itself anew."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import asyncio
import re
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from edgeagent.console import tables
from edgeagent.console.web.refusals import RefusedError, not_found
from edgeagent.console.web.sessions import find
from edgeagent.console.web.site import Site
from edgeagent.console.web.visits import Viewing, Visit, site_of

router = APIRouter()
BEAT_S = 20.0
"""A line that says nothing, so that proxies keep the connection; then the session is looked at, too."""
LEAST_PAUSE_S = 0.5
"""Between news to one page: a fleet of thousands always has some."""
_TOPIC = re.compile(r"device:\d{1,12}|rollout:[A-Za-z0-9._-]{1,64}")


@router.get("/f/{fleet}/live", include_in_schema=False)
async def live(visit: Viewing, topic: str) -> StreamingResponse:
    """Tell when something has changed: `topic` is `fleet`, `device:<id>` or `rollout:<id>`."""
    wanted = f"fleet:{visit.fleet}" if topic == "fleet" else topic
    if topic != "fleet" and not await run_in_threadpool(_is_of_fleet, visit, topic):
        raise not_found()
    if visit.site.news.is_full:
        raise RefusedError(503, "too many pages are open", remedy="Close some, or load the page by hand.")
    return StreamingResponse(
        _told(visit.request, visit.site, wanted),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


def _is_of_fleet(visit: Visit, topic: str) -> bool:
    if not _TOPIC.fullmatch(topic):
        return False
    kind, _, key = topic.partition(":")
    with visit.reading() as session:
        if kind == "device":
            device = session.get(tables.Device, int(key))
            return device is not None and device.fleet == visit.fleet
        rollout = session.get(tables.Rollout, key)
        return rollout is not None and rollout.fleet == visit.fleet


async def _told(request: Request, site: Site, topic: str) -> AsyncIterator[str]:
    with site.news.watching(topic) as watch:
        yield "retry: 3000\n\n"
        while True:
            try:
                async with asyncio.timeout(BEAT_S):
                    await watch.changed()
            except TimeoutError:
                if not await run_in_threadpool(_still_in, request):
                    yield "event: ended\ndata: \n\n"
                    return
                yield ": beat\n\n"
                continue
            yield "event: changed\ndata: \n\n"
            await asyncio.sleep(LEAST_PAUSE_S)  # news in between is told together


def _still_in(request: Request) -> bool:
    site = site_of(request)
    secret = request.cookies.get(site.cookie, "")
    with site.database.reading() as session:
        return bool(secret) and find(session, secret, time.time()) is not None
