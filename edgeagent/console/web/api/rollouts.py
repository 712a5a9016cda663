"""Rollouts: made, forecast, seen, changed."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from edgeagent.console.rollouts import forecast, service
from edgeagent.console.rollouts.nouns import Counts
from edgeagent.console.tables import Rollout
from edgeagent.console.web import rollout_view
from edgeagent.console.web.api.described import described
from edgeagent.console.web.api.devices import PageNumber, Size
from edgeagent.console.web.api.models import JobOut, Page
from edgeagent.console.web.api.models_work import ActIn, ForecastOut, RolloutDeviceOut, RolloutIn, RolloutOut
from edgeagent.console.web.pages.rollouts import act_on, made
from edgeagent.console.web.plan_form import told_what
from edgeagent.console.web.visits import ApiOperator, ApiViewer

router: APIRouter = described("rollouts")
ROLLOUTS = "/fleets/{fleet}/rollouts"
Act = Literal["start", "approve", "pause", "resume", "abort"]


@router.get(ROLLOUTS)
def list_rollouts(visit: ApiViewer, fleet: str, page: PageNumber = 1, size: Size = 25) -> Page[RolloutOut]:
    """Return rollouts, the newest first."""
    with visit.reading() as session:
        shown, counts = rollout_view.listed(session, fleet, page, size)
    items = [_with(one, counts[one.id]) for one in shown.items]
    return Page(items=items, total=shown.total, page=shown.page, pages=shown.pages)


@router.post(ROLLOUTS, status_code=201)
def new_rollout(visit: ApiOperator, fleet: str, wanted: RolloutIn) -> RolloutOut:  # noqa: ARG001  # in the path
    """Make a rollout, and begin it unless it shall be a draft."""
    with visit.changing("rollout.new", wanted.title, what=told_what(wanted.plan)) as session:
        return _whole(session, made(session, visit, wanted.plan, wanted.title, is_draft=wanted.draft))


@router.post(f"{ROLLOUTS}/what-if")
def what_if(visit: ApiOperator, fleet: str, wanted: RolloutIn) -> ForecastOut:
    """Return what would happen. Nothing is changed."""
    with visit.reading() as session:
        service.refuse_bad_plan(session, fleet, wanted.plan, visit.now)
        return ForecastOut.model_validate(asdict(forecast.what_if(session, fleet, wanted.plan, visit.now)))


@router.get(f"{ROLLOUTS}/{{rollout}}")
def show_rollout(visit: ApiViewer, fleet: str, rollout: str) -> RolloutOut:
    """Return a rollout, wave by wave."""
    with visit.reading() as session:
        return _whole(session, service.get(session, fleet, rollout))


@router.get(f"{ROLLOUTS}/{{rollout}}/devices")
def list_devices(
    visit: ApiViewer,
    fleet: str,
    rollout: str,
    show: Annotated[str, Query(pattern="^(all|failed|open|succeeded)$")] = "all",
    page: PageNumber = 1,
    size: Size = 100,
) -> Page[RolloutDeviceOut]:
    """Return the devices of a rollout, with what came of it and why."""
    with visit.reading() as session:
        found = rollout_view.devices(session, service.get(session, fleet, rollout), show, page, size)
        items = [RolloutDeviceOut(device=row.device, job=JobOut.model_validate(row.job)) for row in found.items]
    return Page(items=items, total=found.total, page=found.page, pages=found.pages)


@router.post(f"{ROLLOUTS}/{{rollout}}/{{act}}")
def change(visit: ApiOperator, fleet: str, rollout: str, act: Act, wanted: ActIn) -> RolloutOut:  # noqa: ARG001
    """Begin, agree to, pause, resume or abort a rollout."""
    with visit.changing(f"rollout.{act}", rollout) as session:
        return _whole(session, act_on(session, visit, rollout, act, wanted.revision))


def _whole(session: Session, rollout: Rollout) -> RolloutOut:
    waves = rollout_view.waves(session, rollout)
    out = _with(rollout, rollout_view.together(waves))
    return out.model_copy(update={"waves": [asdict(one) for one in waves]})


def _with(rollout: Rollout, counts: Counts) -> RolloutOut:
    own = {name: getattr(rollout, name) for name in RolloutOut.model_fields if name not in {"counts", "waves"}}
    return RolloutOut.model_validate(own | {"counts": asdict(counts), "waves": []})
