"""Rollouts: listed, made with a look at what would happen, watched while waves fill, held up and ended."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import time
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts import forecast, service
from edgeagent.console.rollouts.nouns import Plan, plan_of
from edgeagent.console.rollouts.statistics import Comparison
from edgeagent.console.tables import Rollout
from edgeagent.console.web import plan_form, releases_view, rollout_view
from edgeagent.console.web.pages.device_changes import filled_in
from edgeagent.console.web.refusals import not_found, status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.visits import Looking, Operating, Viewing, Visit

router = APIRouter(include_in_schema=False)
Filled = Annotated[FormData, Depends(filled_in)]
Act = Callable[[Session, str, str, service.Change], Rollout]
ACTS: Mapping[str, Act] = {
    "start": service.start,
    "approve": service.approve,
    "pause": service.pause,
    "resume": service.resume,
    "abort": service.abort,
}


@router.get("/f/{fleet}/rollouts")
def show_all(visit: Viewing, page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """Show the rollouts of a fleet."""
    with visit.reading() as session:
        shown, counts = rollout_view.listed(session, visit.fleet, page)
    plans = {one.id: plan_of(one.plan) for one in shown.items}
    return visit.page(
        "rollouts.html",
        shown=shown,
        counts=counts,
        plans=plans,
        what=plan_form.told_what,
        bar=rollout_view.bar,
        tell=rollout_view.told,
    )


@router.get("/f/{fleet}/rollouts/new")
def ask(
    visit: Looking,
    filter: Annotated[str, Query(max_length=2_000)] = "",  # noqa: A002  # as it is called everywhere
    family: Annotated[str, Query(max_length=64)] = "",
    version: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Show the form for a new rollout."""
    begin = {"filter": filter, "family": family, "version": version}
    return _form_page(visit, plan_form.usual() | {key: value for key, value in begin.items() if value})


@router.post("/f/{fleet}/rollouts/what-if")
def what_if(visit: Operating, form: Filled) -> Response:
    """Show what would happen."""
    texts = _texts(form)
    with visit.reading() as session:
        try:
            plan = plan_form.plan_typed(texts)
            service.refuse_bad_plan(session, visit.fleet, plan, visit.now)
            seen = forecast.what_if(session, visit.fleet, plan, visit.now)
        except ConsoleError as error:
            return visit.page("forecast.html", problem=error, forecast=None, span=plan_form.span)
    return visit.page("forecast.html", problem=None, forecast=seen, span=plan_form.span)


@router.post("/f/{fleet}/rollouts")
def make(visit: Operating, form: Filled) -> Response:
    """Make a rollout, and begin it unless it shall be a draft."""
    texts = _texts(form)
    try:
        plan = plan_form.plan_typed(texts)
        with visit.changing("rollout.new", texts.get("title", ""), what=plan_form.told_what(plan)) as session:
            rollout = made(session, visit, plan, texts.get("title", ""), is_draft=texts.get("do") == "draft")
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # what was typed
            raise
        return _form_page(visit, plan_form.usual() | _unticked() | texts, problem=error)
    return go(f"/f/{visit.fleet}/rollouts/{rollout.id}")


def made(session: Session, visit: Visit, plan: Plan, title: str, *, is_draft: bool) -> Rollout:
    """Make a rollout. Raise ConsoleError for one that cannot be carried out."""
    if visit.site.repositories:
        known = releases_view.versions(tuple(visit.site.repositories.values()))
        service.refuse_unknown_release(plan, known)
    make_it = service.draft if is_draft else service.create
    rollout = make_it(session, visit.fleet, plan, title=title, by=visit.who.user, now=visit.now)
    visit.detail["rollout"] = rollout.id
    return rollout


@router.get("/f/{fleet}/rollouts/{rollout}")
def watch(
    visit: Viewing,
    rollout: str,
    show: Annotated[str, Query(max_length=20)] = "all",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show a rollout as it stands."""
    return _watch_page(visit, rollout, show, page)


@router.post("/f/{fleet}/rollouts/{rollout}/{act}")
def change(visit: Operating, rollout: str, act: str, revision: Annotated[int, Form(ge=0, le=10**9)]) -> Response:
    """Begin, agree to, pause, resume or abort a rollout as one has seen it (A85)."""
    if act not in ACTS:
        raise not_found("this")
    try:
        with visit.changing(f"rollout.{act}", rollout) as session:
            found = act_on(session, visit, rollout, act, revision)
    except ConsoleError as error:
        if status_of(error) not in {409, 422}:
            raise
        return _watch_page(visit, rollout, "all", 1, problem=error)
    return go(f"/f/{visit.fleet}/rollouts/{rollout}", found.reason)


def act_on(session: Session, visit: Visit, rollout: str, act: str, revision: int) -> Rollout:
    """Change a rollout. Raise ConsoleError, Conflict if somebody else was quicker."""
    found = ACTS[act](session, visit.fleet, rollout, service.Change(visit.who.user, visit.now, revision))
    visit.detail["title"] = found.title
    return found


def comparisons(rollout: Rollout) -> list[Comparison]:
    """Return the last comparison of voice health."""
    return [Comparison(**one) for one in rollout.health.get("compared", ())]


def _watch_page(visit: Visit, id_: str, show: str, page: int, *, problem: ConsoleError | None = None) -> Response:
    show = show if show in rollout_view.SHOWS else "all"
    with visit.reading() as session:
        rollout = service.get(session, visit.fleet, id_)
        plan = plan_of(rollout.plan)
        waves = rollout_view.waves(session, rollout)
        is_forecast = rollout.wave_began is None and rollout.state in {"draft", "waiting-for-approval"}
        return visit.page(
            "rollout.html",
            status=200 if problem is None else status_of(problem),
            rollout=rollout,
            plan=plan_form.told(plan),
            what=plan_form.told_what(plan),
            waves=waves,
            whole=rollout_view.together(waves),
            shown=rollout_view.devices(session, rollout, show, page),
            reasons=rollout_view.reasons(session, rollout),
            compared=comparisons(rollout),
            forecast=forecast.what_if(session, visit.fleet, plan, time.time(), rollout=id_) if is_forecast else None,
            span=plan_form.span,
            bar=rollout_view.bar,
            tell=rollout_view.told,
            parts=rollout_view.PARTS,
            show=show,
            shows=rollout_view.SHOWS,
            problem=problem,
        )


def _form_page(visit: Visit, form: dict[str, str], *, problem: ConsoleError | None = None) -> Response:
    known = releases_view.versions(tuple(visit.site.repositories.values())) if visit.site.repositories else {}
    return visit.page(
        "rollout_new.html",
        status=200 if problem is None else status_of(problem),
        form={"title": ""} | form,
        kinds=plan_form.KINDS,
        releases=known,
        problem=problem,
    )


def _texts(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _unticked() -> dict[str, str]:
    """Return what a form says of boxes that are not ticked: browsers leave them out."""
    return {"approval": "", "guard": ""}
