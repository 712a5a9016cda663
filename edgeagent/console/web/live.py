"""News to pages that are open, as server-sent events: only which topic changed; the page then asks for itself anew."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import asyncio
import re
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from edgeagent.console import tables
from edgeagent.console.news import Watch
from edgeagent.console.web.refusals import RefusedError, not_found
from edgeagent.console.web.sessions import find
from edgeagent.console.web.visits import Viewing, Visit

router = APIRouter()
BEAT_S = 20.0
"""A line that says nothing, so that proxies keep the connection."""
LOOK_EVERY_S = 5.0
"""How often the log-in, and the role in this fleet, are looked at: also while there is news."""
LEAST_PAUSE_S = 0.5
"""Between news to one page: a fleet of thousands always has some."""
_TOPIC = re.compile(r"device:\d{1,12}|rollout:[A-Za-z0-9._-]{1,64}")


@router.get("/f/{fleet}/live", include_in_schema=False)
async def live(visit: Viewing, topic: str) -> StreamingResponse:
    """Tell when something has changed: `topic` is `fleet`, `device:<id>` or `rollout:<id>`."""
    wanted = f"fleet:{visit.fleet}" if topic == "fleet" else topic
    if topic != "fleet" and not await run_in_threadpool(_is_of_fleet, visit, topic):
        raise not_found()
    if visit.site.news.is_full or not visit.site.seats.has_one_for(visit.who.user):
        raise RefusedError(503, "too many pages are open", remedy="Close some, or load the page by hand.")
    return StreamingResponse(
        _told(visit, wanted),
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


async def _told(visit: Visit, topic: str) -> AsyncIterator[str]:
    with visit.site.seats.taken(visit.who.user), visit.site.news.watching(topic) as watch:
        yield "retry: 3000\n\n"
        loop = asyncio.get_running_loop()
        looked = told = loop.time()
        while True:
            has_changed = await _has_changed(watch, looked + LOOK_EVERY_S)
            if loop.time() >= looked + LOOK_EVERY_S:
                if not await run_in_threadpool(_may_still, visit):
                    yield "event: ended\ndata: \n\n"
                    return
                looked = loop.time()
            if has_changed:
                yield "event: changed\ndata: \n\n"
                told = loop.time()
                await asyncio.sleep(LEAST_PAUSE_S)  # news in between is told together
            elif loop.time() >= told + BEAT_S:
                yield ": beat\n\n"
                told = loop.time()


async def _has_changed(watch: Watch, until: float) -> bool:
    try:
        async with asyncio.timeout_at(until):
            await watch.changed()
    except TimeoutError:
        return False
    return True


def _may_still(visit: Visit) -> bool:
    secret = visit.request.cookies.get(visit.site.cookie, "")
    with visit.reading() as session:
        found = find(session, secret, time.time())
    return found is not None and found[1].may("viewer", visit.fleet)
