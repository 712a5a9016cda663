"""How a rollout stands, for people: counts as the database has them at this moment, and each device with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts.counting import class_of, counts_of
from edgeagent.console.rollouts.nouns import Counts, Plan, plan_of
from edgeagent.console.rollouts.windows import is_open
from edgeagent.console.tables import Device, Job, Rollout
from edgeagent.fleet.wire import FAILED, SUCCEEDED, UNDONE

MOST_ROWS = 1_000
_STATES: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"pending"}),
    "skipped": frozenset({"skipped", "lost"}),
    "failed": FAILED,
    "undone": UNDONE,
}


class NotThere(ConsoleError):  # noqa: N818  # it is what was found, and nobody's error
    """There is none of this name in this fleet."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A rollout as it stands: its row, its plan, and its devices counted. `by_state`: the jobs' own states.

    `compared`: the last comparison of voice health, one mapping for each measure, with its words.
    """

    rollout: Rollout
    plan: Plan
    waves: tuple[Counts, ...]
    total: Counts
    by_state: Mapping[str, int]
    compared: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class DeviceInRollout:
    """A device and its job. `stands` is one of the names of Counts; `words` says in plain words why it stands so."""

    device: int
    name: str
    title: str
    online: bool
    job: str
    wave: int
    state: str
    stands: str
    words: str
    sent: float | None
    told: float | None
    ended: float | None
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the devices; `after` asks for the next ones, None when there are none."""

    rows: tuple[DeviceInRollout, ...]
    after: str | None


def get(session: Session, fleet: str, rollout_id: str) -> Rollout:
    """Return a rollout of this fleet. Raise NotThere, also for those of others."""
    row = session.get(Rollout, rollout_id, populate_existing=True)
    if row is None or row.fleet != fleet:
        raise NotThere(f"there is no rollout {rollout_id!r:.80} in {fleet!r:.80}", remedy="Look at the list of them.")
    return row


def summary(session: Session, fleet: str, rollout_id: str) -> Summary:
    """Return how a rollout stands at this moment, exactly. Raise NotThere."""
    row = get(session, fleet, rollout_id)
    waves = counts_of(session, rollout_id)
    total = Counts()
    for one in waves:
        total = total.plus(one)
    states = select(Job.state, func.count()).where(Job.rollout == rollout_id).group_by(Job.state)
    by_state = {state: count for state, count in session.execute(states)}  # noqa: C416  # rows to a mapping
    return Summary(row, plan_of(row.plan), waves, total, by_state, tuple(row.health.get("compared", ())))


def devices_of(  # noqa: PLR0913  # what a page of a table is asked by
    session: Session,
    fleet: str,
    rollout_id: str,
    now: float,
    *,
    wave: int | None = None,
    stands: str = "",
    after: str = "",
    most: int = 100,
) -> Page:
    """Return devices by wave and number, those after `after`. Raise NotThere, ConsoleError for no such cursor."""
    rollout = get(session, fleet, rollout_id)
    question = select(Job, Device.name, Device.title, Device.online, Device.seen).join(Device, Device.id == Job.device)
    question = question.where(Job.rollout == rollout_id).order_by(Job.wave, Job.device)
    if wave is not None:
        question = question.where(Job.wave == wave)
    if stands:
        question = question.where(_stands(stands))
    if after:
        last_wave, last_device = _cursor(after)
        question = question.where(or_(Job.wave > last_wave, and_(Job.wave == last_wave, Job.device > last_device)))
    count = max(1, min(most, MOST_ROWS))
    rows = session.execute(question.limit(count + 1)).all()
    plan = plan_of(rollout.plan)
    shown = tuple(_shown(rollout, plan, row, now) for row in rows[:count])
    return Page(shown, f"{shown[-1].wave}.{shown[-1].device}" if len(rows) > count else None)


def words_of(rollout: Rollout, plan: Plan, job: Job, *, online: bool, seen: float | None, now: float) -> str:
    """Return in plain words why a device stands as it does."""
    stands = class_of(job.state, is_unreached=job.reached is None, is_untold=job.told is None)
    match stands:
        case "pending" if rollout.state in {"draft", "waiting-for-approval", "paused"}:
            return f"The rollout {'is paused' if rollout.state == 'paused' else 'has not begun'}."
        case "pending" if job.wave > rollout.wave:
            return f"Wave {job.wave + 1} has not begun."
        case "pending" if not is_open(plan.window, plan.time_zone, now):
            return f"Waits for the hours {plan.window} ({plan.time_zone})."
        case "pending":
            return "Is asked next; another job may be at work on it."
        case "waiting" if not online:
            return f"Not reached: offline{_since(plan, seen)}. It is asked as soon as it comes."
        case "waiting":
            return "Asked just now." if job.sent is None or job.tries == 0 else "Asked; has not answered."
        case "under_way" if job.cancel:
            return f"Is being called back. {job.reason}"
        case "under_way" if job.told is None:
            return "Asked; has not answered."
        case "under_way":
            there = "" if online else f"; offline{_since(plan, seen)}"
            return f"At work: {job.state}{there}." + (f" {job.reason}" if job.reason else "")
        case "succeeded":
            return "Done."
    return job.reason or f"{job.state[:1].upper()}{job.state[1:]}."


def _shown(rollout: Rollout, plan: Plan, row: Row[Any], now: float) -> DeviceInRollout:
    job: Job = row.Job
    return DeviceInRollout(
        device=job.device,
        name=row.name,
        title=row.title,
        online=row.online,
        job=job.id,
        wave=job.wave,
        state=job.state,
        stands=class_of(job.state, is_unreached=job.reached is None, is_untold=job.told is None),
        words=words_of(rollout, plan, job, online=row.online, seen=row.seen, now=now),
        sent=job.sent,
        told=job.told,
        ended=job.ended,
        result=job.result,
    )


def _stands(stands: str) -> Any:
    known: Sequence[str] = tuple(Counts.__dataclass_fields__)
    if stands not in known:
        raise ConsoleError(f"devices do not stand as {stands!r:.40}", remedy=f"One of: {', '.join(known)}.")
    is_untold = Job.told.is_(None)
    match stands:
        case "already" | "succeeded":
            return and_(Job.state.in_(SUCCEEDED), is_untold if stands == "already" else Job.told.is_not(None))
        case "waiting":
            return and_(Job.ended.is_(None), Job.state != "pending", is_untold, Job.reached.is_(None))
        case "under_way":
            has_it = or_(Job.told.is_not(None), Job.reached.is_not(None))
            return and_(Job.ended.is_(None), Job.state != "pending", has_it)
    return Job.state.in_(_STATES[stands])


def _cursor(after: str) -> tuple[int, int]:
    wave, dot, device = after.partition(".")
    if not (dot and wave.isdecimal() and device.isdecimal() and len(after) <= 30):  # noqa: PLR2004  # two numbers
        raise ConsoleError(f"there is no place {after!r:.40} in the list", remedy="Begin at the first page.")
    return int(wave), int(device)


def _since(plan: Plan, seen: float | None) -> str:
    if seen is None:
        return ", never seen"
    return f" since {datetime.fromtimestamp(seen, UTC).astimezone(ZoneInfo(plan.time_zone)):%Y-%m-%d %H:%M}"
