"""Messages from the bus to rows: many at once, in one transaction of the caller's.

Rules:
    - Whatever a device sends, nothing is raised: what cannot be used is refused, counted by reason, and forgotten.
    - All rows that a batch is about are read by one question, changed as `edgeagent.console.changes` says, and written
      together; what says nothing new writes nothing.
    - A device that we do not know, or that is retired, is not heard. At home (`adopt`) whoever is born is taken in.
    - What devices tell of jobs has a step that only grows; what has ended stays as it is, but for
      what the console has ended itself (`edgeagent.console.jobs.may_still_tell`).
    - Of a device the newest events are kept, so that none fills the disk.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

from sqlalchemy import Table as SqlTable
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from edgeagent.console.behind import want_anew
from edgeagent.console.changes import Known, cut, judge, note
from edgeagent.console.heard import Heard, Incoming, Refused, heard
from edgeagent.console.jobs import is_news, may_still_tell, state_told, under_the_clock
from edgeagent.console.tables import Device, Event, Fleet, HealthHour, Installed, Job
from edgeagent.console.versions import version_key
from edgeagent.console.voice_hours import added
from edgeagent.fleet.wire import ENDS, FAILED, SUCCEEDED, Birth, EnrolRequest, Progress, RenewRequest
from edgeagent.update.states import STATES

__all__ = ["MOST_EVENTS", "Effects", "Incoming", "ingest"]

MOST_EVENTS = 200
"""Of one device that are kept."""
SPARE_EVENTS = 20
"""More before the oldest go: they go together."""
MOST_ADOPTED = 20_000
"""Devices that are taken in because they announce themselves: whoever may write there could invent more."""
JOB_STATES = {*STATES, *ENDS, "accepted", "working"}

_DEVICES = cast("SqlTable", Device.__table__)
_JOBS = cast("SqlTable", Job.__table__)
_HOURS = cast("SqlTable", HealthHour.__table__)
_NOT_READ = {"note", "title", "desired", "desired_sent", "desired_due", "desired_tries", "desired_version", "job"}
_WHO = (
    select(*(column for column in _DEVICES.c if column.name not in _NOT_READ))
    .where(_DEVICES.c.fleet == bindparam("fleet"), _DEVICES.c.name.in_(bindparam("names", expanding=True)))
    # In one order, so that two consoles do not wait for one another in a circle.
    .order_by(_DEVICES.c.id)
    .with_for_update()
)


@dataclass(slots=True)
class Effects:
    """What came of a batch: whose rows changed, and what is to be answered in the same transaction."""

    changed: set[int] = field(default_factory=set)
    fleets: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    rollouts: set[str] = field(default_factory=set)
    born: list[tuple[str, str]] = field(default_factory=list)
    renewals: list[tuple[str, str, RenewRequest]] = field(default_factory=list)
    enrolments: list[tuple[str, str, EnrolRequest]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)

    def with_more(self, other: "Effects") -> "Effects":
        """Return what came of two batches."""
        mine = [getattr(self, one.name) for one in fields(self)]
        theirs = [getattr(other, one.name) for one in fields(self)]
        return Effects(*((a | b if isinstance(a, set) else a + b) for a, b in zip(mine, theirs, strict=True)))


def ingest(
    session: Session, batch: Sequence[Incoming], now: float, *, adopt: bool = False, is_live: bool = True
) -> Effects:
    """Write down what a batch of messages says; `now` is in seconds since 1970.

    `is_live`: nothing waits for this console any more, so that what comes was said just now.
    """
    effects = Effects()
    said: list[Heard] = []
    for incoming in batch:
        what = heard(incoming)
        if isinstance(what, Refused):
            effects.refused[what.reason] += 1
        elif what is not None:
            effects.heard[what.kind] += 1
            said.append(what)
    for what in said:
        if isinstance(what.said, EnrolRequest) and not what.retained:  # nobody waits for the answer to an old one
            effects.enrolments.append((what.fleet, what.tail, what.said))
    of_devices = [what for what in said if what.device]
    known = _all_known(session, of_devices, now, adopt=adopt)
    _hear(session, of_devices, known, now, is_live=is_live, effects=effects)
    return effects


def _all_known(session: Session, said: Sequence[Heard], now: float, *, adopt: bool) -> dict[tuple[str, str], Known]:
    known = _known(session, {(what.fleet, what.device) for what in said})
    if adopt and (strangers := {(w.fleet, w.device) for w in said if isinstance(w.said, Birth)} - known.keys()):
        _adopt(session, strangers, now)
        known |= _known(session, strangers)
    return known


def _hear(
    session: Session,
    said: Sequence[Heard],
    known: Mapping[tuple[str, str], Known],
    now: float,
    *,
    is_live: bool,
    effects: Effects,
) -> None:
    progress: list[tuple[Known, Progress]] = []
    for what in said:
        device = known.get((what.fleet, what.device))
        if device is None or device["retired"] is not None:
            effects.refused["unknown device" if device is None else "retired"] += 1
        elif not note(device, what, now, is_live=is_live):
            effects.refused["earlier start"] += 1
        elif isinstance(what.said, Progress):
            progress.append((device, what.said))
        elif isinstance(what.said, RenewRequest):
            effects.renewals.append((what.fleet, what.device, what.said))
    _write_jobs(session, progress, now, effects)
    _count_anew(session, [device.id for device in known.values() if device.has_begun])
    want_anew(session, [device for device in known.values() if device.desired_at_least], now)
    write(session, list(known.values()), now, effects)


def _known(session: Session, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    by_fleet: dict[str, list[str]] = {}
    for fleet, device in names:
        by_fleet.setdefault(fleet, []).append(device)
    found: dict[tuple[str, str], Known] = {}
    for fleet, devices in by_fleet.items():
        for row in session.connection().execute(_WHO, {"fleet": fleet, "names": devices}).mappings():
            found[fleet, row["name"]] = Known(dict(row))
    return found


def _adopt(session: Session, strangers: Iterable[tuple[str, str]], now: float) -> None:
    fleets = set(session.scalars(select(Fleet.name)))
    room = MOST_ADOPTED - (session.scalar(select(func.count()).select_from(Device)) or 0)
    rows = [{"fleet": fleet, "name": name, "created": now} for fleet, name in sorted(strangers) if fleet in fleets]
    if rows := rows[: max(0, room)]:
        insert_new = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
        # Another console may take it in at the same moment.
        session.connection().execute(insert_new(_DEVICES).on_conflict_do_nothing(), rows)


def _write_jobs(session: Session, progress: Sequence[tuple[Known, Progress]], now: float, effects: Effects) -> None:
    if not progress:
        return
    names = ("id", "device", "rollout", "state", "step", "ended", "told", "reached", "due")
    columns = [_JOBS.c[name] for name in names]
    wanted = select(*columns).where(_JOBS.c.id.in_({said.job for _, said in progress})).order_by(_JOBS.c.id)
    rows = {row["id"]: dict(row) for row in session.execute(wanted.with_for_update()).mappings()}
    changed: dict[str, dict[str, Any]] = {}
    for device, said in progress:
        row = rows.get(said.job)
        if row is None or row["device"] != device.id or said.state not in JOB_STATES:
            effects.refused[
                "unknown job" if row is None else "not its job" if row["device"] != device.id else "state"
            ] += 1
            continue
        state, has_ended = state_told(said.state, said.code), row["ended"] is not None
        if has_ended and not may_still_tell(row, state):
            continue
        change: dict[str, Any] = {"told": now, "reached": now if row["reached"] is None else row["reached"]}
        if not has_ended:
            change |= under_the_clock(row, state, now)
        is_end = state in ENDS and not has_ended  # of a device that was set up anew, and counts from 1 again
        if (said.step > row["step"] or is_end) and is_news(row, state):
            change |= _of_job(said, state, now)
            effects.jobs.add(said.job)
            if row["rollout"] is not None:
                effects.rollouts.add(row["rollout"])
            if state in FAILED | SUCCEEDED:
                problem = change["reason"] or state
                device.set(job_problem=cut(problem, 500) if state in FAILED else "")
        row |= change
        changed[said.job] = changed.get(said.job, {}) | change
    _update(session, _JOBS, changed)


def _count_anew(session: Session, devices: Sequence[int]) -> None:
    """Take the steps of what these devices are at from the first one again: they have started."""
    if devices:
        at_work = (_JOBS.c.device.in_(devices), _JOBS.c.ended.is_(None), _JOBS.c.step >= 0)
        session.execute(update(_JOBS).where(*at_work).values(step=-1))


def _of_job(said: Progress, state: str, now: float) -> dict[str, Any]:
    return {
        "state": state,
        "step": said.step,
        "reason": cut(": ".join(part for part in (said.code, said.problem) if part), 2_500),
        "result": dict(said.result),
        "ended": now if state in ENDS else None,
    }


def write(session: Session, known: Sequence[Known], now: float, effects: Effects) -> None:
    """Write what has changed of devices, and what is noted beside them."""
    for device in known:
        if device.changed.keys() - {"seen"}:
            judge(device, now)
        if "version" in device.changed:
            device.changed["version_key"] = version_key(device.changed["version"])
        if device.changed or device.events:
            effects.changed.add(device.id)
            effects.fleets.add(device["fleet"])
        if device.is_born:
            effects.born.append((device["fleet"], device["name"]))
    _update(session, _DEVICES, {device.id: device.changed for device in known if device.changed})
    _write_installed(session, [device for device in known if device.releases is not None])
    _write_hours(session, [device for device in known if device.counted])
    _write_events(session, [device for device in known if device.events], now)


def _update(session: Session, table: SqlTable, changed: Mapping[Any, Mapping[str, Any]]) -> None:
    """Change rows by key, those that change the same columns together."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for key, values in changed.items():
        if values:
            names = tuple(sorted(values))
            groups.setdefault(names, []).append({"b_key": key} | {f"b_{name}": values[name] for name in names})
    for names, rows in groups.items():
        values = {name: bindparam(f"b_{name}", type_=table.c[name].type) for name in names}
        statement = update(table).where(table.c.id == bindparam("b_key")).values(values)
        session.connection().execute(statement, rows)


def _write_installed(session: Session, devices: Sequence[Known]) -> None:
    if not devices:
        return
    session.execute(delete(Installed).where(Installed.device.in_([device.id for device in devices])))
    rows = [
        {"device": device.id, "family": family, "version": version, "version_key": version_key(version)}
        for device in devices
        for family, version in (device.releases or {}).items()
    ]
    if rows:
        session.connection().execute(insert(Installed), rows)


def _write_hours(session: Session, devices: Sequence[Known]) -> None:
    counted = [(device.id, *one) for device in devices for one in device.counted]
    if not counted:
        return
    which = (_HOURS.c.hour.in_({one[1] for one in counted}), _HOURS.c.device.in_({one[0] for one in counted}))
    rows = session.execute(select(_HOURS).where(*which)).mappings()
    there = {(row["device"], row["hour"]): dict(row) for row in rows}
    sums: dict[tuple[int, int], Mapping[str, Any]] = {}
    for device, hour, what, gauges in counted:
        place = device, hour
        sums[place] = added(sums.get(place, there.get(place, {})), what, gauges)
    connection = session.connection()
    if fresh := [{"device": key[0], "hour": key[1], **more} for key, more in sums.items() if key not in there]:
        connection.execute(insert(HealthHour), fresh)
    if changed := [
        {f"b_{name}": value for name, value in more.items()} | {"b_device": key[0], "b_hour": key[1]}
        for key, more in sums.items()
        if key in there
    ]:
        names = [column.name for column in _HOURS.c if not column.primary_key]
        values = {name: bindparam(f"b_{name}", type_=_HOURS.c[name].type) for name in names}
        which_one = (_HOURS.c.device == bindparam("b_device"), _HOURS.c.hour == bindparam("b_hour"))
        connection.execute(update(_HOURS).where(*which_one).values(values), changed)


def _write_events(session: Session, devices: Sequence[Known], now: float) -> None:
    if not devices:
        return
    rows = [
        {"device": device.id, "at": now, "kind": kind, "body": dict(body)}
        for device in devices
        for kind, body in device.events[-MOST_EVENTS:]
    ]
    session.connection().execute(insert(Event), rows)
    counts = (
        select(Event.device)
        .where(Event.device.in_([device.id for device in devices]))
        .group_by(Event.device)
        .having(func.count() > MOST_EVENTS + SPARE_EVENTS)
    )
    for crowded in session.scalars(counts).all():
        newest = select(Event.id).where(Event.device == crowded).order_by(Event.id.desc()).limit(MOST_EVENTS)
        session.execute(delete(Event).where(Event.device == crowded, Event.id.not_in(newest)))
