"""Jobs of a rollout brought to their devices, or called back from those that have not begun them.

Rules:
    - A job is sent when its wave has begun, the hours are right, its device still matches, and no other job of this
      sort is at work there; one that the device has not begun gives way, unless it is newer: then ours does. A rollout
      is as new as its beginning. Who is kept by another job for all of `unreached_s` is passed over.
    - What was sent and not begun comes back when the rollout is paused, or its hours are over; but for settings, which
      a device takes as soon as it sees them.
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, and_, bindparam, exists, func, not_, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import Session, aliased

from edgeagent.console.jobs import body_of
from edgeagent.console.rollouts.members import matching, verdict, with_verdict
from edgeagent.console.rollouts.nouns import Order, Plan, SettingsTo, UpdateTo
from edgeagent.console.tables import Device, Job, Rollout
from edgeagent.console.wishes import kept_before, merged, next_version

MOST_AT_ONCE = 1_000
"""Jobs that are sent in one step: what is published in about a second."""
_JOBS = cast("SqlTable", Job.__table__)
_DEVICES = cast("SqlTable", Device.__table__)


def send(session: Session, rollout: Rollout, plan: Plan, now: float) -> int:
    """Send what is to be sent now; return how many jobs have changed."""
    _pass_over(session, rollout, plan, now)
    rows = session.execute(_to_send(rollout, plan, now)).all()
    if not rows:
        return 0
    asked: list[Row[Any]] = []
    spared: list[dict[str, Any]] = []
    for row in rows:
        if (why := verdict(plan, row)) is None:
            asked.append(row)
        else:
            spared.append({"b_id": row.job, "b_state": why[0], "b_reason": why[1], "b_ended": now})
    created, beaten = _make_room(session, rollout, plan, asked, now)
    spared += [
        {"b_id": row.job, "b_state": "superseded", "b_reason": beaten[row.device], "b_ended": now}
        for row in asked
        if row.device in beaten
    ]
    asked = [row for row in asked if row.device not in beaten]
    versions = _want(session, plan, asked, now)
    bodies = [
        {
            "b_id": row.job,
            "b_body": _body(plan, row, created.get(row.device, now), versions),
            "b_created": created.get(row.device, now),
            "b_before": kept_before(row.desired, plan.what.settings) if isinstance(plan.what, SettingsTo) else None,
        }
        for row in asked
    ]
    is_pending = and_(_JOBS.c.id == bindparam("b_id"), _JOBS.c.state == "pending")
    fresh = {"state": "sent", "due": now, "tries": 0, "reached": None, "until": None, "reason": ""}
    if bodies:
        documents = {name: bindparam(f"b_{name}", type_=_JOBS.c[name].type) for name in ("body", "before")}
        values = fresh | documents | {"created": bindparam("b_created")}
        session.connection().execute(update(_JOBS).where(is_pending).values(values), bodies)
    if spared:
        values = {name: bindparam(f"b_{name}") for name in ("state", "reason", "ended")}
        session.connection().execute(update(_JOBS).where(is_pending).values(values), spared)
    return len(rows)


def call_back_unbegun(session: Session, rollout: Rollout, plan: Plan, now: float) -> None:
    """Take what was sent off the pointers of devices that have not told of it: they are asked again later."""
    if isinstance(plan.what, SettingsTo):
        return
    mine = and_(Job.rollout == rollout.id, Job.ended.is_(None), Job.state == "sent")
    # `sent` stays, and is set where it might be: who may have it needs a cancellation if it is given up.
    was_sent = func.coalesce(Job.sent, now)
    back = {"state": "pending", "due": now, "tries": 0, "sent": was_sent, "reached": None, "until": None}
    statement = update(Job).where(mine, Job.told.is_(None), Job.cancel.is_(False)).values(back)
    session.execute(statement, execution_options={"synchronize_session": False})


def _pass_over(session: Session, rollout: Rollout, plan: Plan, now: float) -> None:
    """End what another job has kept its device from, all the time that is given to those that are not reached."""
    earliest = now - plan.unreached_s
    if rollout.wave_began is None or rollout.wave_began > earliest:
        return
    mine = and_(Job.rollout == rollout.id, Job.ended.is_(None), Job.state == "pending", Job.wave <= rollout.wave)
    reason = "Another job was at work on it, and has not ended in the time that is given to devices not reached."
    gone = update(Job).where(mine, _is_at_work(plan, made_before=earliest))
    session.execute(
        gone.values(state="skipped", reason=reason, ended=now), execution_options={"synchronize_session": False}
    )


def _is_at_work(plan: Plan, *, made_before: float | None = None) -> ColumnElement[bool]:
    other = aliased(Job)
    is_alike = other.kind == "update" if plan.what.kind == "update" else other.kind != "update"
    found = exists().where(
        other.device == Job.device,
        other.ended.is_(None),
        other.state != "pending",
        other.told.is_not(None),
        other.id != Job.id,
        is_alike,
    )
    return found if made_before is None else found.where(other.created <= made_before)


def _to_send(rollout: Rollout, plan: Plan, now: float) -> Any:
    return (
        with_verdict(plan, select(Job.id.label("job"), Device.id.label("device")))
        .join(Job, Job.device == Device.id)
        .where(Job.rollout == rollout.id, Job.ended.is_(None), Job.state == "pending", Job.wave <= rollout.wave)
        .where(matching(rollout.fleet, plan, now), not_(_is_at_work(plan)))
        .order_by(Job.wave, Job.id)
        .limit(MOST_AT_ONCE)
        .with_for_update(of=[Device, Job])
    )


def _make_room(
    session: Session, rollout: Rollout, plan: Plan, rows: Sequence[Row[Any]], now: float
) -> tuple[dict[int, float], dict[int, str]]:
    """End what has not been begun and gives way.

    Return when jobs must be made so as to be newer than all others, and why ours give way, by device.
    """
    created: dict[int, float] = {}
    beaten: list[dict[str, Any]] = []
    ours_beaten: dict[int, str] = {}
    our_age = (rollout.began or rollout.created, rollout.id)
    began = func.coalesce(Rollout.began, Rollout.created).label("began")
    ours = [row.device for row in rows]
    for first in range(0, len(ours), 500):
        rivals = session.execute(
            select(Job.id, Job.device, Job.kind, Job.created, Job.told, Job.body, Job.rollout, Rollout.title, began)
            .outerjoin(Rollout, Rollout.id == Job.rollout)
            .where(Job.device.in_(ours[first : first + 500]), Job.ended.is_(None), Job.state != "pending")
        )
        for rival in rivals:
            created[rival.device] = max(created.get(rival.device, now), rival.created + 0.001)
            if rival.told is not None or not _gives_way(plan, rival):
                continue
            if (rival.created if rival.rollout is None else rival.began, rival.rollout or "") > our_age:
                by_what = f"rollout {rival.title or rival.rollout}" if rival.rollout else f"job {rival.id}"
                ours_beaten[rival.device] = f"Superseded by {by_what}, which is newer."
            else:
                beaten.append({"b_id": rival.id, "b_device": rival.device})
    beaten = [{"b_id": one["b_id"]} for one in beaten if one["b_device"] not in ours_beaten]
    if beaten:
        reason = f"Superseded by rollout {rollout.title or rollout.id}."
        ends = {"state": "superseded", "ended": now, "until": None, "reason": reason}
        is_open = and_(_JOBS.c.id == bindparam("b_id"), _JOBS.c.ended.is_(None))
        session.connection().execute(update(_JOBS).where(is_open).values(ends), beaten)
    return created, ours_beaten


def _gives_way(plan: Plan, rival: Row[Any]) -> bool:
    match plan.what:
        case UpdateTo(family=family):
            return bool(rival.kind == "update" and rival.body.get("family") == family)
        case _:
            return bool(rival.kind != "update")


def _want(session: Session, plan: Plan, rows: Sequence[Row[Any]], now: float) -> dict[int, int]:
    """Want the settings of a plan of these devices; return the versions."""
    if not isinstance(plan.what, SettingsTo) or not rows:
        return {}
    changed = [
        {"b_id": row.device, "b_desired": merged(row.desired, plan.what.settings), "b_next": next_version(row)}
        for row in rows
    ]
    values = {
        "desired": bindparam("b_desired", type_=_DEVICES.c.desired.type),
        "desired_version": bindparam("b_next"),
        "desired_due": now,
        "desired_tries": 0,
    }
    session.connection().execute(update(_DEVICES).where(_DEVICES.c.id == bindparam("b_id")).values(values), changed)
    return {one["b_id"]: one["b_next"] for one in changed}


def _body(plan: Plan, row: Row[Any], created: float, versions: dict[int, int]) -> dict[str, Any]:
    match plan.what:
        case UpdateTo(family=family, version=version):
            options: dict[str, Any] = {"family": family, "version": version}
        case SettingsTo():
            options = {"version": versions[row.device]}
        case Order(options=given):
            options = dict(given)
    return body_of(row.job, plan.what.kind, options, created=created, not_after=None)
