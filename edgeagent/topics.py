"""Our own names on the bus, version 1: nouns to topics and payloads, and what others publish to orders or refusals.

Rules:
    - A payload is one flat JSON object in UTF-8. What comes in is measured before it is parsed, then parsed strictly;
      unknown fields are ignored, so that both sides may learn new ones.
    - No sound leaves the device, ever. What was said leaves it only where `with_text` says so.
    - An order that is retained or out of date is never carried out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeagent.bounded_json import parse
from edgeagent.errors import BusError, EdgeAgentError, PayloadError
from edgeagent.messages import Command, Message, Outcome, Question, Rejection

VERSION = 1
LARGEST_TOPIC_BYTES = 65_535
"""MQTT 5, 1.5.4: a string has a length of two bytes."""
LARGEST_ORDER_BYTES = 4_096
"""An order is a sentence; this is a page."""
LONGEST_ORDER_S = 60
"""An order expires within this many seconds (DESIGN.md section 8) ..."""
CLOCK_SKEW_S = 30
"""... by the sender's clock, which may be ahead of ours by this much."""

Reported = Command | Rejection | Question | Outcome | EdgeAgentError
"""What becomes an event; an error is reported as a fault."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device lives on the bus. Raise BusError if fleet or device is not a name of ours."""

    fleet: str
    device: str

    def __post_init__(self) -> None:
        for name in (self.fleet, self.device):
            if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
                raise BusError(
                    f"{name!r} is not a name on the bus",
                    remedy="Use 1 to 64 small letters, digits and hyphens for the device and its fleet.",
                )

    @property
    def up(self) -> str:
        """What the device may write begins with this."""
        return f"ea/{VERSION}/{self.fleet}/d/{self.device}/up"

    @property
    def orders(self) -> str:
        """The filter that catches the orders for this device."""
        return f"ea/{VERSION}/{self.fleet}/d/{self.device}/dn/do/+"

    @property
    def job(self) -> str:
        """What the fleet asks of this device: retained, a pointer."""
        return f"ea/{VERSION}/{self.fleet}/d/{self.device}/dn/job"

    @property
    def blocks(self) -> str:
        """Where blocks of files come, that this device has asked for."""
        return f"ea/{VERSION}/{self.fleet}/d/{self.device}/dn/block"


@dataclass(frozen=True, slots=True)
class Birth:
    """What a device says of itself when it comes. `boot` names this run of the program; releases are by their kind."""

    boot: str
    version: str
    capabilities: Sequence[str] = ()
    releases: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, str | float] = field(default_factory=dict)
    """What else a fleet wants to know: `edgeagent.fleet.wire.Birth`."""


class Say(BaseModel):
    """The order to do as if `text` had been said. `expires` is in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    text: Annotated[str, Field(min_length=1, max_length=500)]
    expires: float


class Listen(BaseModel):
    """The order to listen to what is said next, as after a wake word."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    expires: float


class Mute(BaseModel):
    """The order to close the microphone, or to open it again."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    on: bool
    expires: float


class Confirm(BaseModel):
    """The answer to the question that is open: yes, or no."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    yes: bool
    expires: float


Order = Say | Listen | Mute | Confirm
ORDERS: Mapping[str, type[Order]] = {"say": Say, "listen": Listen, "mute": Mute, "confirm": Confirm}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something from outside is not an order to carry out."""

    reason: Literal["not-for-us", "unknown", "retained", "too-large", "not-json", "not-valid", "expired", "too-early"]
    detail: str = ""


def birth(address: Address, born: Birth) -> Message:
    """Say who this device is; kept by the broker."""
    payload = {
        "v": VERSION,
        "device": address.device,
        "boot": born.boot,
        "version": born.version,
        "capabilities": list(born.capabilities),
        "releases": dict(born.releases),
        **born.more,
    }
    return Message(f"{address.up}/birth", _encode(payload), qos=1, retain=True)


def state(  # all of it is the state
    address: Address,
    *,
    online: bool,
    boot: str,
    seq: int,
    reason: str = "",
    muted: bool = False,
    at_s: float | None = None,
) -> Message:
    """Say whether this device is there, and whether it can hear; kept by the broker. `at_s`: by our own clock.

    With `online` false this is also the last will, which has no time: it is said later.
    """
    payload = {"v": VERSION, "online": online, "reason": reason, "muted": muted, "boot": boot, "seq": seq}
    if at_s is not None:
        payload["at"] = round(at_s, 3)
    return Message(f"{address.up}/state", _encode(payload), qos=1, retain=True)


def event(address: Address, what: Reported, *, boot: str, seq: int, at_s: float, with_text: bool = False) -> Message:
    """Report something that happened at `at_s` (seconds since 1970); the words spoken only where `with_text`."""
    kind, fields, spoken = _describe(what)
    payload = {"v": VERSION, "boot": boot, "seq": seq, "at": round(at_s, 3)} | fields
    if with_text:
        payload |= spoken
    return Message(f"{address.up}/event/{kind}", _encode(payload), qos=1)


def order(address: Address, topic: str, payload: bytes, *, retained: bool, now_s: float) -> Order | Refusal:
    """Read what came in on `address.orders`. The caller remembers ids: the same order may come twice (QoS 1)."""
    start = address.orders.removesuffix("+")
    if not topic.startswith(start):
        return Refusal("not-for-us", topic[:200])
    kind = ORDERS.get(topic.removeprefix(start))
    if kind is None:
        return Refusal("unknown", topic.removeprefix(start)[:64])
    if retained:
        return Refusal("retained")
    parsed = _parse(payload)
    return parsed if isinstance(parsed, Refusal) else _valid(kind, parsed, now_s)


def is_topic(name: str) -> bool:
    """Tell whether a name from outside can be published to (MQTT 5, 4.7)."""
    return _is_name(name) and "+" not in name and "#" not in name


def is_filter(name: str) -> bool:
    """Tell whether a name can be subscribed to (MQTT 5, 4.7.1): a wildcard fills its level, `#` only the last."""
    levels = name.split("/")
    return (
        _is_name(name)
        and all(level in {"+", "#"} or not set(level) & set("+#") for level in levels)
        and "#" not in levels[:-1]
    )


def matches(pattern: str, topic: str) -> bool:
    """Tell whether a filter catches a topic (MQTT 5, 4.7): `a/#` also catches `a`; a wildcard never a `$` in front."""
    if topic.startswith("$") and pattern[:1] in {"+", "#"}:
        return False
    wanted, found = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(w in {"+", f} for w, f in zip(wanted, found, strict=True))


def _is_name(name: str) -> bool:
    try:
        return 0 < len(name.encode()) <= LARGEST_TOPIC_BYTES and "\0" not in name
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON lets through
        return False


def _encode(payload: Mapping[str, Any]) -> bytes:
    # ASCII, because a device's name may hold half of a surrogate pair, which has no UTF-8.
    return json.dumps(payload, separators=(",", ":"), allow_nan=False).encode("ascii")


def _parse(payload: bytes) -> dict[str, Any] | Refusal:
    if len(payload) > LARGEST_ORDER_BYTES:
        return Refusal("too-large", f"{len(payload)} bytes, at most {LARGEST_ORDER_BYTES} are read")
    try:
        parsed = parse(payload, largest=LARGEST_ORDER_BYTES)
    except PayloadError as error:
        return Refusal("not-json", str(error)[:100])
    return parsed if isinstance(parsed, dict) else Refusal("not-json", "not an object")


def _valid(kind: type[Order], parsed: dict[str, Any], now_s: float) -> Order | Refusal:
    try:
        order = kind.model_validate(parsed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Refusal("not-valid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if order.expires < now_s:
        return Refusal("expired", f"{now_s - order.expires:.0f} s ago")
    if order.expires > now_s + LONGEST_ORDER_S + CLOCK_SKEW_S:
        return Refusal("too-early", f"expires in {order.expires - now_s:.0f} s, at most {LONGEST_ORDER_S} are allowed")
    return order


def _describe(what: Reported) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the event's kind, its fields, and the fields that repeat what was said."""
    match what:
        case Command():
            fields = {
                "utterance": what.utterance,
                "intent": what.intent,
                "slots": {slot.name: slot.value for slot in what.slots},
                "exit": what.exit,
                "confidence": what.confidence,
            }
            return "command", fields, {"text": what.text}
        case Rejection():
            fields = {"utterance": what.utterance, "reason": what.reason}
            return "rejection", fields, {"text": what.text, "detail": what.detail}
        case Question():
            fields = {"utterance": what.utterance, "kind": what.kind, "choices": list(what.choices)}
            return "question", fields, {"prompt": what.prompt}
        case Outcome(action=action):
            fields = {
                "utterance": action.utterance,
                "action": action.id,
                "device": action.device.id,
                "capability": action.capability,
                "value": action.value,
                "status": what.status,
                "took_s": what.took_s,
                "reason": what.reason,
            }
            return "outcome", fields, {}
        case EdgeAgentError():
            return "fault", {"error": type(what).__name__, "message": str(what), "remedy": what.remedy}, {}
        case never:
            assert_never(never)
