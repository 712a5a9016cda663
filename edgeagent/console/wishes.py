"""Settings that are wanted of devices: one wish each, in versions that only grow; and taken back where they did harm.

Rules:
    - A version is above all that the console has wanted and the device has told of: after a restore of the database the
      device may know higher ones, and would not hear lower ones (`edgeagent.console.behind`). It has seen a wish when
      it tells that very version.
    - What a job changes is kept with it. It is taken back by key: where something else was wanted since, that stays.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.orm import Session

from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Device, Job
from edgeagent.fleet.settings_wanted import NEVER
from edgeagent.fleet.wire import SUCCEEDED, Setting, Settings
from edgeagent.settings import AgentSettings

MOST_AT_ONCE = 500
"""Devices that are looked at together."""
_SETTINGS: TypeAdapter[Mapping[str, Setting]] = TypeAdapter(Settings)


def want_settings(session: Session, device: Device, settings: Mapping[str, Any], by: str, now: float) -> int:
    """Want settings of a device, beside those that are wanted already; return their version. Raise ConsoleError."""
    changes = refuse_bad_settings(settings)
    if not by:
        raise ConsoleError("nobody wants these settings", remedy="Say who does.")
    _want(device, merged(device.desired, changes), now)
    session.flush()
    return device.desired_version


def next_version(device: Device | Row[Any]) -> int:
    """Return a version that the device has not seen yet."""
    return int(max(device.desired_version, device.reported_version, device.desired_seen)) + 1


def merged(wanted: Mapping[str, Any], changes: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the settings that are wanted with those that change, as JSON has them."""
    return {**wanted, **{key: list(one) if isinstance(one, tuple) else one for key, one in changes.items()}}


def kept_before(wanted: Mapping[str, Any], changes: Mapping[str, Setting]) -> dict[str, Any]:
    """Return what a job keeps of the settings that it changes: `Job.before`."""
    became = merged({}, changes)
    return {key: {"was": wanted.get(key), "became": value} for key, value in became.items()}


def take_back(session: Session, which: ColumnElement[bool], now: float) -> None:
    """Want again what was wanted before these jobs, but for those that have ended well: their devices keep it."""
    asked = select(Job.device).where(which, Job.before.is_not(None), Job.state.not_in(SUCCEEDED)).distinct()
    numbers = list(session.scalars(asked.order_by(Job.device)))
    for first in range(0, len(numbers), MOST_AT_ONCE):
        some = numbers[first : first + MOST_AT_ONCE]
        whole = select(Device).where(Device.id.in_(some)).order_by(Device.id).execution_options(populate_existing=True)
        devices = {device.id: device for device in session.scalars(whole.with_for_update())}
        with_before = select(Job).where(Job.device.in_(some), Job.before.is_not(None)).order_by(Job.created, Job.id)
        with_before = with_before.execution_options(populate_existing=True)
        by_device: dict[int, list[Job]] = {}
        for job in session.scalars(with_before.with_for_update()):
            by_device.setdefault(job.device, []).append(job)
        is_one = which & Job.device.in_(some) & Job.state.not_in(SUCCEEDED)
        ones = set(session.scalars(select(Job.id).where(is_one, Job.before.is_not(None))))
        for number, jobs in by_device.items():
            # The newest first: what it has put in the place of an older one's is then that one's again.
            for job in [job for job in reversed(jobs) if job.id in ones]:
                _take_one_back(devices[number], job, jobs, now)
        session.flush()


def _take_one_back(device: Device, job: Job, others: list[Job], now: float) -> None:
    wanted = dict(device.desired)
    for key, change in (job.before or {}).items():
        newer = [one for one in others if one is not job and one.before and one.created > job.created]
        after = next((one for one in newer if (one.before or {}).get(key, {}).get("was") == change["became"]), None)
        if after is not None:  # it shall not come back when that is taken back, too
            after.before = {**(after.before or {}), key: {**(after.before or {})[key], "was": change["was"]}}
        elif wanted.get(key) != change["became"]:
            continue
        elif change["was"] is None:
            del wanted[key]
        else:
            wanted[key] = change["was"]
    job.before = None
    if wanted != device.desired:
        _want(device, wanted, now)


def _want(device: Device, wanted: dict[str, Any], now: float) -> None:
    device.desired, device.desired_version = wanted, next_version(device)
    device.desired_due, device.desired_tries = now, 0


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
