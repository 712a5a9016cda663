"""Which devices belong to a rollout: those that match its filter get one job each; who leaves is passed over.

Rules:
    - Who has it already, or something newer, is in no wave's count: it is told so at once, and no place is lost to it.
    - Who joins while it runs gets a job; who no longer matches, or was retired, before it was asked, is passed over,
      and is taken in again if it matches again. Who was asked stays asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, Select, and_, exists, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from edgeagent.console.filters import compiled
from edgeagent.console.rollouts.counting import counts_of
from edgeagent.console.rollouts.nouns import Plan, SettingsTo, UpdateTo
from edgeagent.console.rollouts.waves import in_waves, joining
from edgeagent.console.tables import Device, Installed, Job, Rollout
from edgeagent.console.versions import version_key

LEFT = "It no longer matches the filter."
RETIRED = "It was retired before it was asked."
ALREADY = "It has it already."
_CHUNK = 1_000
_JOBS = cast("SqlTable", Job.__table__)
_QUIETLY = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that a filter matches; `verdict` says why it need not be asked: a state and a reason."""

    id: int
    name: str
    online: bool
    verdict: tuple[str, str] | None


def matching(fleet: str, plan: Plan, now: float) -> ColumnElement[bool]:
    """Return the condition that a device belongs to a rollout. Raise ConsoleError for a filter that says nothing."""
    return and_(Device.fleet == fleet, Device.retired.is_(None), compiled(plan.filter, now=now))


def candidates(session: Session, fleet: str, plan: Plan, now: float, *, without_job: str = "") -> list[Candidate]:
    """Return the devices that a plan means, but for those that have a job of the rollout `without_job`."""
    question = with_verdict(plan, select(Device.id, Device.name, Device.online)).where(matching(fleet, plan, now))
    if without_job:
        question = question.where(~exists().where(Job.rollout == without_job, Job.device == Device.id))
    return [Candidate(row.id, row.name, row.online, verdict(plan, row)) for row in session.execute(question)]


def with_verdict(plan: Plan, question: Select[Any]) -> Select[Any]:
    """Return a question for devices that also asks for what `verdict` looks at."""
    match plan.what:
        case UpdateTo(family=family):
            has_family = and_(Installed.device == Device.id, Installed.family == family)
            return question.add_columns(Installed.version.label("has")).outerjoin(Installed, has_family)
        case SettingsTo():
            return question.add_columns(
                Device.desired,
                Device.desired_version,
                Device.desired_seen,
                Device.reported,
                Device.reported_version,
                Device.standing,
            )
        case _:
            return question


def verdict(plan: Plan, row: Row[Any]) -> tuple[str, str] | None:
    """Return state and reason of a device that need not be asked."""
    match plan.what:
        case UpdateTo(version=version):
            if not row.has:
                return None
            if row.has == version:
                return "done", ALREADY
            if version_key(row.has) > version_key(version):
                return "skipped", f"It has something newer: {row.has}."
        case SettingsTo(settings=settings):
            wanted = {key: list(one) if isinstance(one, tuple) else one for key, one in settings.items()}
            is_seen = row.standing == "applied" and row.reported_version == row.desired_version
            if is_seen and all(row.desired.get(key) == value for key, value in wanted.items()):
                return "done", ALREADY
    return None


def take_in(session: Session, rollout: Rollout, plan: Plan, now: float) -> int:
    """Make jobs for those that have none; return how many. The first time all, each in its wave."""
    new = candidates(session, rollout.fleet, plan, now, without_job=rollout.id)
    if not new:
        return 0
    to_ask = [one.name for one in new if one.verdict is None]
    totals = [counts.total - counts.already - counts.skipped for counts in counts_of(session, rollout.id)]
    if sum(totals) == 0 and rollout.wave == 0:
        waves = in_waves(rollout.id, to_ask, plan.pace)
    else:
        waves = {name: joining(rollout.id, name, totals, rollout.wave) for name in to_ask}
    rows = [_row(rollout, plan, one, waves.get(one.name, 0), now) for one in new]
    insert_new = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for first in range(0, len(rows), _CHUNK):
        # Another console may do the same at the same moment.
        session.connection().execute(insert_new(_JOBS).on_conflict_do_nothing(), rows[first : first + _CHUNK])
    return len(rows)


def let_go(session: Session, rollout: Rollout, plan: Plan, now: float) -> None:
    """Pass over those that have left before they were asked; take in again those that have come back."""
    mine = and_(Job.rollout == rollout.id, Job.ended.is_(None), Job.state == "pending")
    retired = select(Device.id).where(Device.fleet == rollout.fleet, Device.retired.is_not(None))
    match = select(Device.id).where(matching(rollout.fleet, plan, now))
    for has_left, reason in ((Job.device.in_(retired), RETIRED), (Job.device.not_in(match), LEFT)):
        gone = update(Job).where(mine, has_left).values(state="skipped", reason=reason, ended=now)
        # What was on the pointer before may be at work.
        called = gone.where(Job.sent.is_not(None)).values(cancel=True, due=now, tries=0)
        session.execute(called, execution_options=_QUIETLY)
        session.execute(gone, execution_options=_QUIETLY)
    was_left = and_(Job.rollout == rollout.id, Job.state == "skipped", Job.reason == LEFT)
    back = update(Job).where(was_left, Job.device.in_(match)).values(state="pending", reason="", ended=None)
    uncalled = back.where(Job.cancel.is_(True)).values(cancel=False, due=now, tries=0)
    session.execute(uncalled, execution_options=_QUIETLY)
    session.execute(back, execution_options=_QUIETLY)


def job_id(rollout: str, device: int) -> str:
    """Return the id of a device's job in a rollout: always the same, so that there is never a second one."""
    return f"{rollout}.{device}"


def names_by_verdict(found: Sequence[Candidate]) -> dict[str, list[str]]:
    """Return who need not be asked, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for one in found:
        if one.verdict is not None:
            by_reason.setdefault(one.verdict[1], []).append(one.name)
    return by_reason


def _row(rollout: Rollout, plan: Plan, one: Candidate, wave: int, now: float) -> dict[str, Any]:
    state, reason = one.verdict or ("pending", "")
    return {
        "id": job_id(rollout.id, one.id),
        "device": one.id,
        "rollout": rollout.id,
        "wave": wave,
        "kind": plan.what.kind,
        "body": {},
        "state": state,
        "reason": reason,
        "created": now,
        "created_by": rollout.created_by,
        "ended": None if one.verdict is None else now,
    }
