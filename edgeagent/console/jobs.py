"""What is asked of one device: made, called back, given up. How it reaches the device: `edgeagent.console.pointers`.

Rules:
    - A device does updates beside everything else: an update takes the place of an older one of its family, another job
      that of an older one that is no update. The older one is ended as superseded, and says by what.
    - The device's pointer names the newest of its open jobs; when that ends, the next one comes back to it.
    - What is called back is open until the device tells how it ended, or a while has passed; for a device that is not
      there, and has told nothing, it ends at once. The cancellation then stays on its pointer.
    - What was ever on a pointer is called back on it, too, when it had been taken off again: its device may be at work.
    - What has ended stays ended. `ended` is set where nothing follows, by whoever ends it. But what the console has
      ended by itself, for want of an answer, ends as its device says, when that comes.
    - Settings that are cancelled are taken back, as `edgeagent.console.wishes` says.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.pointers import Due, due_messages, published, sweep_pointers, sweep_settings
from edgeagent.console.tables import Device, Job
from edgeagent.console.wishes import kept_before, merged, refuse_bad_settings, take_back, want_settings
from edgeagent.fleet.wire import ENDS, UNDONE, FleetJob
from edgeagent.jobs import UpdateJob

__all__ = [
    "Due",
    "ask",
    "body_of",
    "call_back",
    "cancel",
    "due_messages",
    "is_news",
    "may_still_tell",
    "merged",
    "published",
    "refuse_bad_settings",
    "state_told",
    "sweep",
    "under_the_clock",
    "want_settings",
]

CANCEL_WAIT_S = 600.0
"""How long a device that is there may take to say that it has cancelled: the way back of an update takes minutes."""
LASTS_S: Mapping[str, float] = {
    "update": 90 * 86_400.0,
    "settings": 90 * 86_400.0,
    "restart": 3_600.0,
    "identify": 600.0,
}
"""How long what an operator asks is worth doing: nobody wants a light to blink a week later."""
LASTS_ELSE_S = 7 * 86_400.0
ENDS_WITHIN_S = 3 * 86_400.0
"""How long a job may take beyond the time until which it may begin."""
_OPTIONS: Mapping[str, TypeAdapter[Any]] = {
    "logs": TypeAdapter(Annotated[int, Field(ge=1, le=86_400 * 90)]),
    "identify": TypeAdapter(Annotated[int, Field(ge=1, le=60)]),
}
_NAMES = {"logs": {"lines", "since_s"}, "identify": {"seconds"}}
_KINDS = ("update", "settings", "restart", "logs", "diagnostics", "self-test", "clips", "identify")


def ask(session: Session, device: Device, kind: str, options: Mapping[str, Any], *, by: str, now: float) -> Job:
    """Ask one device for something; what it takes the place of is ended. Raise ConsoleError for what cannot be asked.

    `options`: update: family, version; settings: the settings that change; logs: lines, since_s; identify: seconds.
    """
    if device.retired is not None:
        raise ConsoleError(f"{device.name} is retired", remedy="Enrol it again before asking anything of it.")
    refuse_bad_options(kind, options)
    newest = session.scalar(select(func.max(Job.created)).where(Job.device == device.id, Job.ended.is_(None)))
    created = max(now, (newest or 0.0) + 0.001)  # the device goes by this which one is newer
    until = now + LASTS_S.get(kind, LASTS_ELSE_S)
    asked: Mapping[str, Any] = options
    before: dict[str, Any] | None = None
    if kind == "settings":
        before = kept_before(device.desired, options)
        asked = {"version": want_settings(session, device, options, by, now)}
    job_id = f"{int(now * 1000):012x}-{secrets.token_hex(4)}"
    body = body_of(job_id, kind, asked, created=created, not_after=until)
    supersede(session, device.id, kind, str(options.get("family", "")), f"{job_id}, which {by} asked for", now)
    job = Job(
        id=job_id,
        device=device.id,
        kind=kind,
        body=body,
        before=before,
        state="sent",
        created=created,
        created_by=by,
        due=now,
        until=until + ENDS_WITHIN_S,
    )
    session.add(job)
    session.flush()
    return job


def cancel(session: Session, job: Job, *, by: str, now: float, reason: str = "") -> None:
    """Call a job back. Raise ConsoleError if it has ended."""
    if job.ended is not None:
        raise ConsoleError(f"{job.id} has ended already: {job.state}", remedy="There is nothing left to cancel.")
    session.flush()
    words = f"Cancelled by {by}" + (f": {reason}" if reason else ".")
    take_back(session, Job.id == job.id, now)
    call_back(session, Job.id == job.id, words, now)
    session.refresh(job)


def may_still_tell(job: Mapping[str, Any], state: str) -> bool:
    """Tell whether what a device says of a job that has ended changes it: its own end, where the console has ended it.

    `job`: ended and told, as they are in its row.
    """
    return state in ENDS and (job["told"] is None or job["told"] < job["ended"])


def is_news(job: Mapping[str, Any], state: str) -> bool:
    """Tell whether a higher step changes a job. One that took too long has failed, also if it was then cancelled.

    `job`: state and ended, as they are in its row.
    """
    if job["ended"] is None:
        return True
    return bool(state != job["state"] and not (job["state"] == "timed out" and state in UNDONE))


def under_the_clock(job: Mapping[str, Any], state: str, now: float) -> dict[str, Any]:
    """Return what changes in a job that its device tells of, although it was taken off its pointer: it is there again.

    `job`: due, as it is in its row.
    """
    return {"due": now, "tries": 0} if job["due"] is None and state not in ENDS else {}


def state_told(state: str, code: str) -> str:
    """Return the state of a job of which a device tells this."""
    return "superseded" if state == "failed" and code == "superseded" else state


def refuse_bad_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise ConsoleError for a kind that there is not, and for options that it does not have."""
    if kind not in _KINDS:
        raise ConsoleError(f"there is no job {kind!r:.40}", remedy=f"Ask for one of: {', '.join(_KINDS)}.")
    if kind in {"update", "settings"}:
        return
    if unknown := set(options) - _NAMES.get(kind, set()):
        known = ", ".join(sorted(_NAMES.get(kind, set()))) or "none"
        raise ConsoleError(f"{kind} has no option {min(unknown)!r:.40}", remedy=f"Its options: {known}.")
    for name, value in options.items():
        try:
            _OPTIONS[kind].validate_python(value, strict=True)
        except ValidationError as error:
            raise ConsoleError(f"{name}: {error.errors()[0]['msg']}", remedy="Give a whole number.") from error


def body_of(
    job_id: str, kind: str, options: Mapping[str, Any], *, created: float, not_after: float | None
) -> dict[str, Any]:
    """Return a pointer as it is published. Raise ConsoleError for what no device would take."""
    common = {"id": job_id, "kind": kind, "created": created, "not_after": not_after}
    try:
        if kind == "update":
            wanted = {"family": options.get("family"), "version": options.get("version")}
            return UpdateJob.model_validate(common | wanted).model_dump(mode="json", exclude_none=True)
        return FleetJob.model_validate(common | {"options": dict(options)}).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConsoleError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}", remedy="Mend what is named, and ask again."
        ) from error


def supersede(session: Session, device: int, kind: str, family: str, by_what: str, now: float) -> None:
    """End what is open for a device, was sent to it, and would be replaced there by a newer job of this kind."""
    is_rival = Job.kind == "update" if kind == "update" else Job.kind != "update"
    rivals = session.scalars(
        select(Job).where(Job.device == device, Job.ended.is_(None), Job.state != "pending", is_rival)
    )
    for old in rivals:
        if kind == "update" and old.body.get("family") != family:
            continue
        old.state, old.ended, old.until = "superseded", now, None
        old.reason = f"Superseded by job {by_what}."
    session.flush()


def call_back(session: Session, which: ColumnElement[bool], reason: str, now: float) -> None:
    """Call back all open jobs of these: those that were not sent end at once, also those that nobody has begun."""
    is_open = and_(which, Job.ended.is_(None))
    _set(session, is_open, Job.state == "pending", Job.sent.is_(None), state="skipped", reason=reason, ended=now)
    is_away = exists().where(Device.id == Job.device, Device.online.is_(False))
    gone = {"state": "cancelled", "reason": reason, "ended": now}
    is_not_there = or_(is_away, Job.state == "pending")
    _set(session, is_open, Job.told.is_(None), is_not_there, **gone, cancel=True, due=now, tries=0)
    asked = {"cancel": True, "reason": reason, "until": now + CANCEL_WAIT_S}
    _set(session, is_open, Job.cancel.is_(False), **asked, due=now, tries=0)
    session.expire_all()


def sweep(session: Session, now: float) -> None:
    """Give up what has had its time, and bring pointers into line with what was told. Set by set; cheap when idle."""
    sweep_settings(session, now)
    is_over = and_(Job.ended.is_(None), Job.until < now)
    silent = Job.reason + " It has not said how it ended; the cancellation stays for it."
    _set(session, is_over, Job.cancel.is_(True), state="cancelled", ended=now, due=now, tries=0, reason=silent)
    for was_reached, reason in (
        (Job.reached.is_not(None), "It has not ended in the time that it was given."),
        (Job.reached.is_(None), "It was not reached in time."),
    ):
        over = {"state": "timed out", "ended": now, "reason": reason}
        _set(session, is_over, was_reached, **over, cancel=True, due=now, tries=0)
    is_gone = exists().where(Device.id == Job.device, Device.retired.is_not(None))
    is_out = and_(Job.ended.is_(None), Job.due.is_not(None))
    _set(session, is_out, is_gone, state="lost", reason="The device was retired.", ended=now)
    mark_reached(session, Job.rollout.is_(None), now, None)
    sweep_pointers(session, now)
    session.expire_all()


def mark_reached(session: Session, which: ColumnElement[bool], now: float, timeout_s: float | None) -> None:
    """Note which devices have got their jobs; who goes away without a word is waited for again.

    From then on they have `timeout_s`; None leaves them what they had.
    """
    is_out = and_(which, Job.ended.is_(None), Job.due.is_not(None), Job.cancel.is_(False), Job.state != "pending")
    is_there = exists().where(Device.id == Job.device, Device.online.is_(True))
    is_away = exists().where(Device.id == Job.device, Device.online.is_(False))
    back: dict[str, Any] = {"reached": None}
    got: dict[str, Any] = {"reached": func.coalesce(Job.reached, now)}
    is_new: ColumnElement[bool] = Job.reached.is_(None)
    if timeout_s is not None:
        back["until"], got["until"] = None, now + timeout_s
        is_new = or_(is_new, Job.until.is_(None))
    _set(session, is_out, Job.told.is_(None), Job.reached.is_not(None), is_away, **back)
    _set(session, is_out, is_new, or_(Job.told.is_not(None), and_(Job.tries > 0, is_there)), **got)


def _set(session: Session, *which: ColumnElement[bool], **values: Any) -> None:
    """Change rows without bringing them here."""
    session.execute(update(Job).where(*which).values(values), execution_options={"synchronize_session": False})
