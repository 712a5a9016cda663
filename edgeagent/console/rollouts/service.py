"""What operators do with rollouts: made, agreed to, held up, ended; each by somebody, who has seen how it stands.

Rules:
    - A rollout is asked for by its fleet and its id: that of another fleet is not there.
    - Who changes one names the revision that he has seen. When somebody else was faster, he is told who did what.
    - Who made it, changed it or began it does not agree to it: that is for another person.
    - What has ended stays ended.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.filters import compiled
from edgeagent.console.jobs import body_of, call_back, refuse_bad_options, refuse_bad_settings
from edgeagent.console.rollouts.counting import standing_of
from edgeagent.console.rollouts.forecast import what_if
from edgeagent.console.rollouts.nouns import MOST_WAVES, Constant, Plan, SettingsTo, UpdateTo, plan_of
from edgeagent.console.rollouts.rules import failures_seen
from edgeagent.console.rollouts.showing import NotThere, devices_of, get, summary
from edgeagent.console.tables import Device, Fleet, Job, Rollout
from edgeagent.console.wishes import take_back

__all__ = [
    "Change",
    "Conflict",
    "NotThere",
    "abort",
    "approve",
    "create",
    "devices_of",
    "draft",
    "entitle",
    "get",
    "pause",
    "refuse_bad_plan",
    "refuse_unknown_release",
    "replan",
    "resume",
    "rollouts_of",
    "start",
    "summary",
    "what_if",
]

LONGEST_TITLE = 200
MOST_OPEN = 50
"""Rollouts of a fleet that have not ended: more is a program that has gone wild."""


class Conflict(ConsoleError):  # noqa: N818  # it is what has happened, and nobody's error
    """Somebody else has changed it meanwhile: who, and what."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes a rollout, when, and which revision he has seen."""

    by: str
    now: float
    revision: int


def create(
    session: Session,
    fleet: str,
    plan: Plan,
    *,
    title: str,
    by: str,
    now: float,
) -> Rollout:
    """Make a rollout that begins at once, or when a second person agrees. Raise ConsoleError for one that cannot."""
    rollout = draft(session, fleet, plan, title=title, by=by, now=now)
    return start(session, fleet, rollout.id, Change(by, now, rollout.revision))


def draft(session: Session, fleet: str, plan: Plan, *, title: str, by: str, now: float) -> Rollout:
    """Make a rollout that does not begin yet. Raise ConsoleError for a plan that cannot be carried out."""
    if session.get(Fleet, fleet) is None:
        raise NotThere(f"there is no fleet {fleet!r:.80}", remedy="Name one that the console has.")
    refuse_bad_plan(session, fleet, plan, now)
    is_open = Rollout.state.in_(("draft", "waiting-for-approval", "running", "paused", "stopping"))
    if len(session.scalars(select(Rollout.id).where(Rollout.fleet == fleet, is_open)).all()) >= MOST_OPEN:
        raise ConsoleError(f"{MOST_OPEN} rollouts of {fleet} have not ended", remedy="End some of them first.")
    rollout = Rollout(
        id=f"r{int(now):x}-{secrets.token_hex(4)}",
        fleet=fleet,
        title=_title(title),
        plan=plan.model_dump(mode="json"),
        state="draft",
        created=now,
        created_by=by,
        changed_by=by,
        change="made it",
        makers=[by],
    )
    session.add(rollout)
    session.flush()
    return rollout


def start(session: Session, fleet: str, rollout_id: str, change: Change) -> Rollout:
    """Begin a draft, or put it before a second person."""
    row = get(session, fleet, rollout_id)
    plan = plan_of(row.plan)
    if plan.needs_approval:
        state, reason = "waiting-for-approval", f"Waits for somebody other than {change.by} to agree."
    else:
        state, reason = "running", "Begins."
    values = {"state": state, "reason": reason, "makers": _with(row, change.by)}
    return _changed(session, fleet, rollout_id, change, ("draft",), "begun it", **values)


def approve(session: Session, fleet: str, rollout_id: str, change: Change) -> Rollout:
    """Agree to a rollout that somebody else has made. Raise ConsoleError for one's own."""
    row = get(session, fleet, rollout_id)
    if change.by in {row.created_by, *row.makers}:
        did = "made this rollout" if change.by == row.created_by else "changed or begun this rollout"
        raise ConsoleError(f"{change.by} has {did}", remedy="Ask another person to agree to it.")
    values = {"state": "running", "reason": f"Agreed to by {change.by}.", "approved_by": change.by}
    return _changed(session, fleet, rollout_id, change, ("waiting-for-approval",), "agreed to it", **values)


def pause(session: Session, fleet: str, rollout_id: str, change: Change) -> Rollout:
    """Ask no further devices; those that have begun go on."""
    reason = f"Paused by {change.by}."
    return _changed(session, fleet, rollout_id, change, ("running",), "paused it", state="paused", reason=reason)


def resume(session: Session, fleet: str, rollout_id: str, change: Change) -> Rollout:
    """Go on, with what has failed and what is known of voice health in this wave accepted."""
    row = get(session, fleet, rollout_id)
    standing = standing_of(session, row)
    values = {
        "state": "running",
        "reason": f"Resumed by {change.by}.",
        "forgiven": failures_seen(plan_of(row.plan), standing),
        "resumed": {"at": change.now, "undone": standing.current.undone},
        "health": dict(row.health) | {"accepted": row.wave},
    }
    return _changed(session, fleet, rollout_id, change, ("paused",), "resumed it", **values)


def abort(session: Session, fleet: str, rollout_id: str, change: Change) -> Rollout:
    """End a rollout: nothing more is sent, what is under way is called back.

    Settings stay where they have ended well; all other devices get back those that were wanted before.
    """
    reason = f"Aborted by {change.by}."
    before = ("draft", "waiting-for-approval", "running", "paused")
    is_begun = get(session, fleet, rollout_id).wave_began is not None
    values: dict[str, Any] = {"state": "stopping", "ends_as": "aborted", "reason": reason}
    if not is_begun:
        values = {"state": "aborted", "reason": reason, "ended": change.now}
    row = _changed(session, fleet, rollout_id, change, before, "aborted it", **values)
    take_back(session, Job.rollout == rollout_id, change.now)
    call_back(session, Job.rollout == rollout_id, f"The rollout was stopped: {reason}", change.now)
    return row


def entitle(session: Session, fleet: str, rollout_id: str, change: Change, title: str) -> Rollout:
    """Give a rollout another title."""
    states = tuple(_ALL)
    return _changed(session, fleet, rollout_id, change, states, "given it another title", title=_title(title))


def replan(session: Session, fleet: str, rollout_id: str, change: Change, plan: Plan) -> Rollout:
    """Give a draft another plan."""
    refuse_bad_plan(session, fleet, plan, change.now)
    values = {"plan": plan.model_dump(mode="json"), "makers": _with(get(session, fleet, rollout_id), change.by)}
    return _changed(session, fleet, rollout_id, change, ("draft",), "given it another plan", **values)


def rollouts_of(session: Session, fleet: str, *, states: Collection[str] = (), most: int = 100) -> list[Rollout]:
    """Return the rollouts of a fleet, the newest first."""
    question = select(Rollout).where(Rollout.fleet == fleet).order_by(Rollout.created.desc(), Rollout.id).limit(most)
    return list(session.scalars(question.where(Rollout.state.in_(states)) if states else question))


def refuse_bad_plan(session: Session, fleet: str, plan: Plan, now: float) -> None:
    """Raise ConsoleError for a plan whose filter, settings or options say nothing, or that would never end."""
    compiled(plan.filter, now=now)
    match plan.what:
        case UpdateTo():
            pass
        case SettingsTo(settings=settings):
            refuse_bad_settings(settings)
        case order:
            refuse_bad_options(order.kind, order.options)
            body_of("try", order.kind, order.options, created=now, not_after=None)
    if isinstance(plan.pace, Constant):
        devices = len(session.scalars(select(Device.id).where(Device.fleet == fleet, Device.retired.is_(None))).all())
        if devices > MOST_WAVES * plan.pace.per_minute:
            raise ConsoleError(
                f"{plan.pace.per_minute} per minute would take {devices // plan.pace.per_minute} minutes",
                remedy=f"Take at least {-(-devices // MOST_WAVES)} per minute.",
            )


def refuse_unknown_release(plan: Plan, releases: Mapping[str, Collection[str]]) -> None:
    """Raise ConsoleError for an update to what is not in the repository; `releases`: versions by family."""
    if not isinstance(plan.what, UpdateTo):
        return
    family, version = plan.what.family, plan.what.version
    if family not in releases:
        known = ", ".join(sorted(releases)[:20]) or "none"
        raise ConsoleError(f"there is no family {family}", remedy=f"Families in the repository: {known}.")
    if version not in releases[family]:
        known = ", ".join(sorted(releases[family])[-20:]) or "none"
        raise ConsoleError(f"there is no {family} {version}", remedy=f"Its versions in the repository: {known}.")


_ALL: Mapping[str, str] = {
    "draft": "is a draft",
    "waiting-for-approval": "waits for approval",
    "running": "runs",
    "paused": "is paused",
    "stopping": "is being stopped",
    "stopped": "was stopped",
    "aborted": "was aborted",
    "done": "is done",
}


def _changed(
    session: Session, fleet: str, rollout_id: str, change: Change, states: Collection[str], what: str, **values: Any
) -> Rollout:
    """Change a rollout that is in one of these states, if nobody has changed it since. Raise Conflict, ConsoleError."""
    row = get(session, fleet, rollout_id)
    if row.revision != change.revision:
        raise Conflict(
            f"{row.changed_by} has {row.change} meanwhile: it {_ALL.get(row.state, row.state)} now",
            remedy="Look at it as it stands now, and decide again.",
        )
    if row.state not in states:
        wanted = " or ".join(states)
        raise ConsoleError(f"the rollout {_ALL.get(row.state, row.state)}", remedy=f"This is for one that is {wanted}.")
    is_it = (Rollout.id == rollout_id, Rollout.revision == change.revision, Rollout.state == row.state)
    news = {"revision": change.revision + 1, "changed_by": change.by, "change": what}
    statement = update(Rollout).where(*is_it).values(**news, **values)
    found = cast("CursorResult[Any]", session.execute(statement, execution_options={"synchronize_session": False}))
    row = get(session, fleet, rollout_id)
    if found.rowcount != 1:
        raise Conflict(f"{row.changed_by} has {row.change} meanwhile", remedy="Look at it as it stands now.")
    return row


def _with(row: Rollout, by: str) -> list[str]:
    return sorted({*row.makers, by})


def _title(title: str) -> str:
    if len(title) > LONGEST_TITLE:
        raise ConsoleError(f"a title of {len(title)} letters", remedy=f"Take at most {LONGEST_TITLE}.")
    return title.strip()
