"""Jobs on the bus: what the fleet asks of this device, read strictly; and what has become of it, told. Pure.

`dn/job` is retained: the job of this device, a pointer and no queue. `up/job/<id>` is told at every step, with an `id`
by which a repetition is known. A job is a hint: what may be installed is decided by signed metadata alone.
"""

import json
import re
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.fleet.wire import FleetJob, read
from edgeagent.messages import Message
from edgeagent.topics import Address
from edgeagent.update.course import Job, Told
from edgeagent.update.manifest import FAMILY, VERSION

LARGEST_JOB_BYTES = 4_096
LARGEST_RESULT_BYTES = 16 << 10
LONGEST_WAIT_S = 90 * 86_400.0
_LONGEST_TEXT = 300

Time = Annotated[float, Field(ge=0, le=1e11)]


_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, Field(pattern=_ID)]


class UpdateJob(_Form):
    """To have a version of a family. Times in seconds since 1970."""

    kind: Literal["update"]
    family: Annotated[str, Field(pattern=FAMILY)]
    version: Annotated[str, Field(pattern=VERSION)]
    created: Time
    not_before: Time = 0.0
    not_after: Time | None = None


class CancelJob(_Form):
    """To end the job of this id as far as it can still be ended."""

    kind: Literal["cancel"]


def job_of(payload: bytes, now: float) -> Job | CancelJob | None:
    """Return what is asked for; None where nothing is: the pointer was removed. Raise PayloadError.

    A job is not newer than `now`, in seconds since 1970, whatever it says, and does not wait for longer than a quarter
    of a year: no clock that is wrong, and nobody who lies, keeps later jobs away for ever.
    """
    if not payload:
        return None
    found = parse(payload, largest=LARGEST_JOB_BYTES)
    kind = found.get("kind") if isinstance(found, dict) else None
    form = CancelJob if kind == "cancel" else UpdateJob
    try:
        asked = form.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PayloadError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if isinstance(asked, CancelJob):
        return asked
    if asked.not_before > now + LONGEST_WAIT_S:
        raise PayloadError(f"not_before: {asked.not_before - now:.0f} s from now, at most {LONGEST_WAIT_S:.0f}")
    created = min(asked.created, now)
    return Job(asked.id, asked.family, asked.version, created, asked.not_before, asked.not_after)


def fleet_job_of(payload: bytes) -> FleetJob | CancelJob | None:
    """Return what is asked for besides updates; None for an update, and where nothing is asked. Raise PayloadError."""
    if not payload:
        return None
    found = parse(payload, largest=LARGEST_JOB_BYTES)
    match found.get("kind") if isinstance(found, dict) else None:
        case "update":
            return None
        case "cancel":
            asked = job_of(payload, 0.0)
            return asked if isinstance(asked, CancelJob) else None
    return read(FleetJob, payload, largest=LARGEST_JOB_BYTES)


def name_of(payload: bytes) -> str | None:
    """Return the id in what is no job for us, where there is one."""
    with suppress(PayloadError):
        found = parse(payload, largest=LARGEST_JOB_BYTES)
        name = found.get("id") if isinstance(found, dict) else None
        return name if isinstance(name, str) and re.fullmatch(_ID, name) else None
    return None


def told(address: Address, what: Told, *, is_short: bool = False) -> Message:
    """Return the message that tells the fleet of a step, `is_short` without the evidence."""
    payload = json.dumps(dict(what.body), separators=(",", ":")).encode()
    if is_short or len(payload) > LARGEST_RESULT_BYTES:
        short = {key: value for key, value in what.body.items() if isinstance(value, int | float | str)}
        payload = json.dumps({key: _cut(value) for key, value in short.items()}, separators=(",", ":")).encode()
    return Message(f"{address.up}/job/{what.body['job']}", payload, qos=1)


def _cut(value: float | str) -> float | str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else value
