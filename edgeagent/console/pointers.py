"""Which pointers are to be published now, and what is noted once the broker has them.

Rules:
    - `Job.due` says when a pointer is published next. It is None exactly where none of that job is, or shall be, on the
      broker; what has ended or was called back and is still due is to be taken off it.
    - What was published is noted after the broker has acknowledged it: killed in between, it is published again, which
      is harmless, for a pointer is no order.
    - A pointer is retained, so a device that is away need not be told twice. One that is there and tells nothing is
      told again, ever more seldom; so is one that has begun and tells no more, for a broker under load drops messages
      that it has acknowledged. One whose birth names another pointer is told at once.
    - One pointer per device: cancellations first, then the newest job that is open.
    - Operators' jobs are sure of half of a batch, settings, removals and rollouts of an eighth of it at least; what is
      left over is anybody's. Of each, what is due first goes first, so that nobody waits for ever.
    - Rows of devices are changed before those of jobs, as where messages are written down: two consoles that work at
      once then seldom wait for one another in a circle.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Boolean, ColumnElement, Row, Select, and_, bindparam, exists, not_, or_, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import Session, aliased

from edgeagent.console.tables import Device, Job
from edgeagent.fleet.wire import Desired, desired, no_job
from edgeagent.messages import Message
from edgeagent.topics import VERSION, Address

REPEAT_S = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0)
"""How long nothing is heard before a pointer is published again."""
STALLED_S = 300.0
"""A device that has begun and told nothing for this long is told again: its last word may have been lost."""
CANCEL_STAYS_S = 7 * 86_400.0
"""How long a cancellation stays on the pointer of a device that has not answered it."""
BIRTHS_S = 3_600.0
"""How old a birth may be and still be looked at: more than a console takes to start."""

_JOBS = cast("SqlTable", Job.__table__)
_DEVICES = cast("SqlTable", Device.__table__)
_QUIETLY = {"synchronize_session": False}
What = Literal["job", "cancel", "nothing", "desired"]


@dataclass(frozen=True, slots=True)
class Due:
    """A pointer to publish; `nothing` takes the one of `job` away. `version` is that of desired settings."""

    what: What
    device: int
    message: Message
    job: str = ""
    tries: int = 0
    version: int = 0
    stays_until: float | None = None
    """Of a cancellation that nobody waits for any more: when it is taken away."""


def due_messages(session: Session, now: float, most: int = 500) -> list[Due]:
    """Return pointers to publish now, at most so many. Reads only; `published` notes that the broker has them."""
    operators = [_pointer(row) for row in session.execute(_open_due(now, Job.rollout.is_(None)).limit(most))]
    settings, gone = _settings_due(session, now, most), _removals(session, now, most)
    rollouts = [_pointer(row) for row in session.execute(_open_due(now, Job.rollout.is_not(None)).limit(most))]
    shares = ((operators, most // 2), (settings, most // 8), (gone, most // 8), (rollouts, most // 4))
    found: dict[tuple[int, bool], Due] = {}
    for due in _fairly(most, *shares):
        found.setdefault((due.device, due.what == "desired"), due)
    return list(found.values())


def _fairly(most: int, *queues: tuple[Sequence[Due], int]) -> list[Due]:
    """Return what each queue is sure of, and then what others have left over, in their order."""
    sure = [due for queue, share in queues for due in queue[: max(1, share)]]
    return (sure + [due for queue, share in queues for due in queue[max(1, share) :]])[:most]


def published(session: Session, dues: Sequence[Due], now: float) -> None:
    """Note that the broker has these. What has changed meanwhile stays due."""
    if not dues:
        return
    out, gone = ([due for due in dues if due.what in which] for which in ({"job", "cancel"}, {"nothing"}))
    _note_named(session, {due.device: due.job for due in out} | {due.device: "" for due in gone})
    _note_wishes(session, [due for due in dues if due.what == "desired"], now)
    _note_out(session, out, now)
    is_off = or_(_JOBS.c.ended.is_not(None), _JOBS.c.state == "pending")
    _each(
        session,
        update(_JOBS).where(_JOBS.c.id == bindparam("b_job"), is_off).values(due=None),
        [{"b_job": due.job} for due in gone],
    )
    session.expire_all()


def _note_wishes(session: Session, dues: Sequence[Due], now: float) -> None:
    _each(
        session,
        update(_DEVICES)
        .where(_DEVICES.c.id == bindparam("b_device"), _DEVICES.c.desired_version == bindparam("b_version"))
        .values(desired_sent=now, desired_tries=_DEVICES.c.desired_tries + 1, desired_due=bindparam("b_due")),
        [{"b_device": due.device, "b_version": due.version, "b_due": now + repeat_after(due.tries)} for due in dues],
    )


def _note_out(session: Session, out: Sequence[Due], now: float) -> None:
    is_still = or_(
        and_(_JOBS.c.ended.is_(None), _JOBS.c.state != "pending"),
        and_(_JOBS.c.ended.is_not(None), bindparam("b_stays", type_=Boolean)),
    )
    _each(
        session,
        update(_JOBS)
        .where(_JOBS.c.id == bindparam("b_job"), _JOBS.c.cancel == bindparam("b_cancel"), is_still)
        .values(sent=now, tries=_JOBS.c.tries + 1, due=bindparam("b_due")),
        [
            {
                "b_job": due.job,
                "b_cancel": due.what == "cancel",
                "b_stays": due.stays_until is not None,
                "b_due": due.stays_until or now + repeat_after(due.tries),
            }
            for due in out
        ],
    )


def _note_named(session: Session, jobs: Mapping[int, str]) -> None:
    _each(
        session,
        update(_DEVICES).where(_DEVICES.c.id == bindparam("b_device")).values(job=bindparam("b_job")),
        [{"b_device": device, "b_job": job} for device, job in jobs.items()],
    )


def repeat_after(tries: int) -> float:
    """Return how many seconds after a publication that `tries` have gone before the next one is due."""
    return REPEAT_S[min(tries, len(REPEAT_S) - 1)]


def sweep_pointers(session: Session, now: float) -> None:
    """Bring what is due into line with what devices have told since."""
    has_said_so = update(Job).where(
        Job.ended.is_(None), Job.due <= now, Job.tries > 0, Job.told > now - STALLED_S, Job.cancel.is_(False)
    )
    session.execute(has_said_so.values(due=Job.told + STALLED_S), execution_options=_QUIETLY)
    is_replaced = exists().where(Device.id == Job.device, Device.job != "", Device.job != Job.id)
    for is_off in (Job.ended.is_not(None), and_(Job.ended.is_(None), Job.due <= now, Job.state == "pending")):
        replaced = update(Job).where(is_off, Job.due.is_not(None), is_replaced)
        session.execute(replaced.values(due=None), execution_options=_QUIETLY)
    _take_births_in(session, now)


def sweep_settings(session: Session, now: float) -> None:
    """Bring what is wanted of devices into line with what they have told since."""
    has_seen = update(Device).where(
        Device.desired_due.is_not(None), Device.desired_tries > 0, Device.reported_version == Device.desired_version
    )
    session.execute(has_seen.values(desired_due=None), execution_options=_QUIETLY)
    is_behind = and_(Device.desired_seen < Device.desired_version, Device.reported_version < Device.desired_version)
    session.execute(
        update(Device)
        .where(Device.born > now - BIRTHS_S, is_behind)
        .where(or_(Device.desired_sent.is_(None), Device.desired_sent < Device.born))
        .values(desired_due=now, desired_tries=0),
        execution_options=_QUIETLY,
    )


def _take_births_in(session: Session, now: float) -> None:
    is_new = Device.born > now - BIRTHS_S
    unseen = (
        select(Job.id)
        .join(Device, Device.job == Job.id)
        .where(is_new, Device.job != "", Device.job_seen != Device.job)
        .where(Job.ended.is_(None), Job.sent < Device.born)
    )
    if found := list(session.scalars(unseen.limit(5_000))):
        _each(
            session,
            update(_JOBS).where(_JOBS.c.id == bindparam("b_job")).values(due=now, tries=0),
            [{"b_job": one} for one in found],
        )


def _open_due(now: float, which: ColumnElement[bool]) -> Select[Any]:
    """Return the question for pointers of open jobs, and of those that were called back before they were begun."""
    other = aliased(Job)
    goes_before = or_(
        and_(other.cancel, not_(Job.cancel)),
        and_(other.cancel == Job.cancel, other.created > Job.created),
        and_(other.cancel == Job.cancel, other.created == Job.created, other.id > Job.id),
    )
    is_behind = exists().where(
        other.device == Job.device,
        other.ended.is_(None),
        other.due.is_not(None),
        other.state != "pending",
        or_(Job.state == "pending", goes_before),
        other.id != Job.id,
    )
    is_silent = and_(Device.online, or_(Job.told.is_(None), Job.told <= now - STALLED_S, Job.cancel))
    return (
        select(Job.id, Job.device, Job.body, Job.cancel, Job.state, Job.tries, Device.fleet, Device.name)
        .join(Device, Device.id == Job.device)
        .where(Job.ended.is_(None), Job.due <= now, which)
        .where(or_(Job.tries == 0, is_silent), not_(is_behind))
        .order_by(Job.due)
    )


def _pointer(row: Row[Any]) -> Due:
    address = Address(row.fleet, row.name)
    if row.state == "pending":
        return Due("nothing", row.device, no_job(address), row.id)
    if row.cancel:
        return Due("cancel", row.device, _cancellation(address, row.id), row.id, row.tries)
    return Due("job", row.device, _message(address, row.body), row.id, row.tries)


def _removals(session: Session, now: float, most: int) -> list[Due]:
    """Return what takes ended jobs off their pointers, or puts back what they were in front of."""
    is_unanswered = and_(Job.cancel, or_(Job.told.is_(None), Job.told < Job.ended))
    rows = session.execute(
        select(Job.id, Job.device, Job.ended, Job.tries, is_unanswered.label("silent"), Device.fleet, Device.name)
        .join(Device, Device.id == Job.device)
        .where(Job.ended.is_not(None), Job.due.is_not(None), not_(and_(is_unanswered, Job.tries > 0, Job.due > now)))
        .order_by(Job.ended)
        .limit(most)
    ).all()
    behind = _next_of(session, [row.device for row in rows])
    found: dict[int, Due] = {}
    for row in rows:
        address = Address(row.fleet, row.name)
        stays_until = row.ended + CANCEL_STAYS_S
        if row.device in behind:
            found[row.device] = _pointer(behind[row.device])
        elif row.silent and now < stays_until:
            message = _cancellation(address, row.id)
            found[row.device] = Due("cancel", row.device, message, row.id, row.tries, stays_until=stays_until)
        else:
            found.setdefault(row.device, Due("nothing", row.device, no_job(address), row.id))
    return list(found.values())


def _next_of(session: Session, devices: Sequence[int]) -> dict[int, Row[Any]]:
    """Return the open job that the pointer of each device shall name, where there is one."""
    if not devices:
        return {}
    rows = session.execute(
        select(Job.id, Job.device, Job.body, Job.cancel, Job.state, Job.tries, Device.fleet, Device.name)
        .join(Device, Device.id == Job.device)
        .where(Job.device.in_(devices), Job.ended.is_(None), Job.due.is_not(None), Job.state != "pending")
        .order_by(Job.cancel, Job.created, Job.id)
    )
    return {row.device: row for row in rows}


def _settings_due(session: Session, now: float, most: int) -> list[Due]:
    rows = session.execute(
        select(Device.id, Device.fleet, Device.name, Device.desired, Device.desired_version, Device.desired_tries)
        .where(Device.desired_due <= now, Device.retired.is_(None), or_(Device.desired_tries == 0, Device.online))
        .order_by(Device.desired_due)
        .limit(most)
    )
    return [Due("desired", row.id, _wanted(row), tries=row.desired_tries, version=row.desired_version) for row in rows]


def _wanted(row: Row[Any]) -> Message:
    settings = {key: tuple(one) if isinstance(one, list) else one for key, one in row.desired.items()}
    return desired(Address(row.fleet, row.name), Desired(version=row.desired_version, settings=settings))


def _cancellation(address: Address, job_id: str) -> Message:
    return _message(address, {"id": job_id, "kind": "cancel"})


def _message(address: Address, body: dict[str, Any]) -> Message:
    payload = json.dumps({"v": VERSION} | body, separators=(",", ":"), allow_nan=False).encode("ascii")
    return Message(address.job, payload, qos=1, retain=True)


def _each(session: Session, statement: Any, values: Sequence[dict[str, Any]]) -> None:
    if values:
        session.connection().execute(statement, values)
