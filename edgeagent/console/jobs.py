"""What is asked of one device: made, called back, given up. How it reaches the device: `edgeagent.console.pointers`.

Rules:
    - A device does updates beside everything else: an update takes the place of an older one of its family, another job
      that of an older one that is no update. The older one is ended as superseded, and says by what.
    - The device's pointer names the newest of its open jobs; when that ends, the next one comes back to it.
    - What is called back is open until the device tells how it ended, or a while has passed; for a device that is not
      there, and has told nothing, it ends at once. The cancellation then stays on its pointer.
    - What has ended stays ended. `ended` is set where nothing follows, by whoever ends it.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.pointers import Due, due_messages, published, sweep_pointers
from edgeagent.console.tables import Device, Job
from edgeagent.fleet.settings_wanted import NEVER
from edgeagent.fleet.wire import FleetJob, Setting, Settings
from edgeagent.jobs import UpdateJob
from edgeagent.settings import AgentSettings

__all__ = [
    "Due",
    "ask",
    "body_of",
    "call_back",
    "cancel",
    "due_messages",
    "merged",
    "published",
    "refuse_bad_settings",
    "sweep",
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
_SETTINGS: TypeAdapter[Mapping[str, Setting]] = TypeAdapter(Settings)


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
    if kind == "settings":
        asked = {"version": want_settings(session, device, options, by, now)}
    job_id = f"{int(now * 1000):012x}-{secrets.token_hex(4)}"
    body = body_of(job_id, kind, asked, created=created, not_after=until)
    supersede(session, device.id, kind, str(options.get("family", "")), f"{job_id}, which {by} asked for", now)
    job = Job(
        id=job_id,
        device=device.id,
        kind=kind,
        body=body,
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
    call_back(session, Job.id == job.id, words, now)
    session.refresh(job)


def want_settings(session: Session, device: Device, settings: Mapping[str, Any], by: str, now: float) -> int:
    """Want settings of a device, beside those that are wanted already; return their version. Raise ConsoleError."""
    changes = refuse_bad_settings(settings)
    if not by:
        raise ConsoleError("nobody wants these settings", remedy="Say who does.")
    device.desired = merged(device.desired, changes)
    device.desired_version += 1
    device.desired_due, device.desired_tries = now, 0
    session.flush()
    return device.desired_version


def merged(wanted: Mapping[str, Any], changes: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the settings that are wanted with those that change, as JSON has them."""
    return {**wanted, **{key: list(one) if isinstance(one, tuple) else one for key, one in changes.items()}}


def refuse_bad_settings(settings: Mapping[str, Any]) -> Mapping[str, Setting]:
    """Return settings that a device can have. Raise ConsoleError naming the key and what was expected."""
    remedy = "`edgeagent settings show --docs` lists every setting with its meaning."
    plain = {key: tuple(one) if isinstance(one, list) else one for key, one in settings.items()}
    for key in plain:
        if key in NEVER or key.rpartition(".")[2] == "password":
            raise ConsoleError(f"{key} is not for the fleet to change", remedy="Change it on the device itself.")
    try:
        valid = _SETTINGS.validate_python(plain, strict=True)
        # By way of JSON, since only there strict takes a list for a tuple, and text for a path.
        AgentSettings.model_validate_json(json.dumps(_nested(valid)), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConsoleError(f"{'.'.join(map(str, first['loc']))}: {problem}", remedy=remedy) from error
    return valid


def _nested(settings: Mapping[str, Setting]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in settings.items():
        *tables, last = key.split(".")
        table = document
        for one in tables:
            table = table.setdefault(one, {})
            if not isinstance(table, dict):
                raise ConsoleError(f"{key}: there is no such setting", remedy="Leave it out.")
        table[last] = value
    return document


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
    _set(session, is_open, Job.state == "pending", state="skipped", reason=reason, ended=now)
    is_away = exists().where(Device.id == Job.device, Device.online.is_(False))
    gone = {"state": "cancelled", "reason": reason, "ended": now}
    _set(session, is_open, Job.told.is_(None), is_away, **gone, cancel=True, due=now, tries=0)
    asked = {"cancel": True, "reason": reason, "until": now + CANCEL_WAIT_S}
    _set(session, is_open, Job.cancel.is_(False), **asked, due=now, tries=0)
    session.expire_all()


def sweep(session: Session, now: float) -> None:
    """Give up what has had its time, and bring pointers into line with what was told. Set by set; cheap when idle."""
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
    _set(session, is_out, is_new, or_(Job.told.is_not(None), and_(Job.sent.is_not(None), is_there)), **got)


def _set(session: Session, *which: ColumnElement[bool], **values: Any) -> None:
    """Change rows without bringing them here."""
    session.execute(update(Job).where(*which).values(values), execution_options={"synchronize_session": False})
