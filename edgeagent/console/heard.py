"""What came from the bus to what a device says, or why it is refused. Pure.

Rules:
    - A topic has the names of a fleet and of a device in it, as we allow them, and one of the kinds that we know.
    - A payload is measured before it is parsed, then read strictly; what no database takes (zero bytes, half letters)
      is replaced.
    - An empty payload says nothing: somebody has taken a retained message away.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.fleet import wire
from edgeagent.topics import VERSION

MOST_EVENT_BYTES = 4 << 10
EVENTS = frozenset({"command", "rejection", "question", "outcome", "fault"})

Reason = Literal["topic", "payload", "too-large", "event", "job"]
Said = (
    wire.Birth
    | wire.State
    | wire.Reported
    | wire.Sample
    | wire.Progress
    | wire.RenewRequest
    | wire.EnrolRequest
    | Mapping[str, Any]
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the bus."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What a device says. `tail` is the rest of the topic: the kind of an event, a job's id, a nonce."""

    fleet: str
    device: str
    kind: str
    tail: str
    said: Said
    retained: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a message is not heard."""

    reason: Reason
    detail: str = ""


_TOPIC = re.compile(
    rf"ea/{VERSION}/(?P<fleet>[a-z0-9-]{{1,64}})/(?:d/(?P<device>[a-z0-9-]{{1,64}})/up/(?P<kind>[a-z]{{1,16}})"
    r"(?:/(?P<tail>[A-Za-z0-9][A-Za-z0-9._-]{0,63}))?|enrol/(?P<nonce>[A-Za-z0-9][A-Za-z0-9._-]{0,63})/req)"
)
_FORMS: Mapping[str, tuple[type[wire.Form], int]] = {
    "birth": (wire.Birth, wire.LARGEST_SMALL_BYTES),
    "state": (wire.State, wire.LARGEST_SMALL_BYTES),
    "reported": (wire.Reported, wire.LARGEST_SMALL_BYTES),
    "metrics": (wire.Sample, wire.LARGEST_SMALL_BYTES),
    "job": (wire.Progress, wire.LARGEST_BYTES),
    "renew": (wire.RenewRequest, wire.LARGEST_SMALL_BYTES),
    "enrol": (wire.EnrolRequest, wire.LARGEST_SMALL_BYTES),
}
_WITH_TAIL = {"job", "event"}
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def heard(incoming: Incoming) -> Heard | Refused | None:
    """Return what a message says, why it is refused, or None where it says nothing."""
    found = _TOPIC.fullmatch(incoming.topic)
    if found is None:
        return Refused("topic", incoming.topic[:200])
    kind, tail = ("enrol", found["nonce"]) if found["nonce"] else (found["kind"], found["tail"] or "")
    if (kind not in _FORMS and kind != "event") or bool(tail) != (kind in _WITH_TAIL or kind == "enrol"):
        return Refused("topic", incoming.topic[:200])
    if not incoming.payload:
        return None
    said = _event(tail, incoming.payload) if kind == "event" else _said(kind, incoming.payload)
    if isinstance(said, Refused):
        return said
    if isinstance(said, wire.Progress) and said.job != tail:
        return Refused("job", f"{said.job} is told as {tail}")
    return Heard(found["fleet"], found["device"] or "", kind, tail, said, incoming.retained)


def _said(kind: str, payload: bytes) -> Said | Refused:
    form, largest = _FORMS[kind]
    if len(payload) > largest:
        return Refused("too-large", f"{kind}: {len(payload)} bytes")
    try:
        if kind == "job" or b"\\u" in payload or not payload.isascii():
            found = clean(parse(payload, largest=largest))
            payload = json.dumps(_of_job(found) if kind == "job" and isinstance(found, dict) else found).encode()
            largest = len(payload)  # it was measured before, and may have become longer
        return wire.read(form, payload, largest=largest)  # type: ignore[return-value]  # forms of _FORMS are Said
    except PayloadError as error:
        return Refused("payload", f"{kind}: {error}"[:300])


def _of_job(body: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a job with everything that has no place of its own as a part of its result.

    An update that has failed tells under `at` in which of its states that was, in place of the time.
    """
    places = {"v", "id", "job", "state", "at", "code", "problem", "detail", "result"}
    result = body.get("result", {})
    if not isinstance(result, dict):
        return body
    more = {key: value for key, value in body.items() if key not in places}
    if isinstance(body.get("at"), str):
        more, body = more | {"failed_in": body["at"]}, body | {"at": 0}
    return {key: value for key, value in body.items() if key in places} | {"result": result | more}


def _event(kind: str, payload: bytes) -> Mapping[str, Any] | Refused:
    if kind not in EVENTS:
        return Refused("event", kind)
    if len(payload) > MOST_EVENT_BYTES:
        return Refused("too-large", f"event: {len(payload)} bytes")
    try:
        found = parse(payload, largest=MOST_EVENT_BYTES)
    except PayloadError as error:
        return Refused("payload", f"event: {error}"[:300])
    if not isinstance(found, dict):
        return Refused("payload", "event: not an object")
    body: Mapping[str, Any] = clean(found)
    return body


def clean(value: Any) -> Any:
    """Return a JSON value without letters that a database or a page cannot take: zero bytes, halves of a pair."""
    match value:
        case str():
            return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)
        case list():
            return [clean(one) for one in value]
        case dict():
            return {clean(key): clean(one) for key, one in value.items()}
    return value
