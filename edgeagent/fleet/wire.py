"""What a device and its console say to one another, read strictly and within bounds. Pure; both sides use it.

Rules:
    - What comes in is measured before it is parsed; unknown fields are ignored, so that both sides may learn new ones.
    - A pointer (`dn/job`, `dn/desired`) is retained and idempotent: it may come again, at any time, and then the device
      tells again how it stands; nothing is done twice.
    - What a device tells of a job has a number that only grows (`step`): an older one that comes late changes nothing.
    - Counters are counted since the device's start (`boot`): a sample that is lost costs resolution, no counts.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Message
from edgeagent.topics import VERSION, Address

LARGEST_BYTES = 200 << 10
"""A message of ours; the broker that we configure takes 256 KiB."""
LARGEST_SMALL_BYTES = 16 << 10
"""Births, states, samples: what a stranger could flood a console with."""
MOST_SETTINGS = 200
HEALTH_BUCKETS_MS: tuple[int, ...] = (50, 100, 150, 200, 300, 400, 500, 600, 800, 1_000, 1_500, 2_000, 3_000, 5_000)
"""Upper bounds of the histogram of decision times; a last bucket holds what is above."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Time = Annotated[float, Field(ge=0, le=1e11)]
"""Seconds since 1970."""
Count = Annotated[int, Field(ge=0, le=1 << 53)]
Text = Annotated[str, Field(max_length=500)]
Setting = bool | int | float | str | tuple[bool | int | float | str, ...]
"""The value of one setting; its key is dotted, as in `hearing.unsure_below`."""
Settings = Annotated[
    Mapping[Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+){1,3}$")], Setting], Field(max_length=MOST_SETTINGS)
]
Kind = Literal["update", "cancel", "settings", "restart", "logs", "diagnostics", "self-test", "clips", "identify"]
"""What a job asks for. `update` and `cancel` have forms of their own in `edgeagent.jobs`."""


class Form(BaseModel):
    """What all messages share."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False, populate_by_name=True)


class Birth(Form):
    """`up/birth`, retained: what a device is. `desired` and `job` say which pointers it has seen last."""

    boot: Id
    version: Text
    capabilities: tuple[Text, ...] = ()
    releases: Mapping[Text, Text] = Field(default_factory=dict)
    board: Text = "generic"
    hardware: Text = ""
    system: Text = ""
    serial: Text = ""
    area: Text = ""
    desired: Count = 0
    job: Annotated[str, Field(max_length=64)] = ""
    certificate_until: Time | None = None


class State(Form):
    """`up/state`, retained, and the last will: whether the device is there. `at` is its own clock; a will has none."""

    online: bool
    boot: Id
    seq: Count
    reason: Text = ""
    muted: bool = False
    at: Time | None = None


class Desired(Form):
    """`dn/desired`, retained: the settings that the fleet wants, all of them; a higher version replaces a lower one."""

    version: Annotated[int, Field(ge=1, le=1 << 53)]
    settings: Settings = Field(default_factory=dict)


Standing = Literal["none", "waiting", "trial", "applied", "refused", "undone"]
"""How a device stands to the desired settings: applied in `trial` until the fleet was reached with them."""


class Reported(Form):
    """`up/reported`, retained: how the device stands to version `version`, and its settings as they are, no secrets."""

    version: Count
    standing: Standing
    problem: Text = ""
    settings: Settings = Field(default_factory=dict)


class FleetJob(Form):
    """`dn/job`, retained: what is asked of the device besides updates. `options` depend on the kind.

    settings: {"version": n}; logs: {"lines": n, "since_s": s}; identify: {"seconds": s}; others have none.
    """

    id: Id
    kind: Literal["settings", "restart", "logs", "diagnostics", "self-test", "clips", "identify"]
    created: Time
    not_after: Time | None = None
    options: Mapping[Text, Setting] = Field(default_factory=dict)


class Progress(Form):
    """`up/job/<id>`: how far a job has come; `step` only grows. `result` is what came of it, by kind.

    Updates tell their states (`edgeagent.update.states`); other jobs: accepted, working, done, failed, rejected,
    cancelled, superseded, timed out.
    """

    id: Annotated[str, Field(max_length=100)]
    job: Id
    state: Text
    at: Time
    code: Text = ""
    problem: Annotated[str, Field(max_length=2_000, validation_alias=AliasChoices("problem", "detail"))] = ""
    result: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def step(self) -> int:
        """Return the number that only grows, 0 where there is none."""
        tail = self.id.rpartition(":")[2]
        return int(tail) if tail.isdecimal() and len(tail) <= 9 else 0  # noqa: PLR2004  # a count of steps


SUCCEEDED = frozenset({"confirmed", "done"})
UNDONE = frozenset({"cancelled", "superseded"})
FAILED = frozenset({"failed", "rejected", "timed out"})
ENDS = SUCCEEDED | UNDONE | FAILED
"""States of a job after which nothing follows."""


class Sample(Form):
    """`up/metrics`: what was counted since the start, how things are now, and how long decisions took.

    `counters`: decisions, rejected, repeated, ended_by_cap, overflows, clipped, orders, outcomes_failed, …
    `gauges`: temperature_c, memory_free_mb, memory_used_mb, disk_free_mb, noise_floor_db, load, throttled (0/1), …
    `decision_ms`: counts for HEALTH_BUCKETS_MS and the last one above.
    """

    boot: Id
    at: Time
    uptime_s: Annotated[float, Field(ge=0, le=1e10)]
    counters: Annotated[Mapping[Text, Count], Field(max_length=64)] = Field(default_factory=dict)
    gauges: Annotated[Mapping[Text, float], Field(max_length=64)] = Field(default_factory=dict)
    decision_ms: Annotated[tuple[Count, ...], Field(max_length=64)] = ()


class EnrolRequest(Form):
    """`enrol/<nonce>/req`: a device asks for a certificate. `csr` is PEM; `token` is the one-time secret."""

    serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    token: Annotated[str, Field(min_length=8, max_length=128)]
    csr: Annotated[str, Field(max_length=8_000)]


class RenewRequest(Form):
    """`up/renew`: a device that has an identity asks for the next one, over the one it has."""

    nonce: Id
    csr: Annotated[str, Field(max_length=8_000)]


SUBJECT = "subject"
"""How the problem of an answer begins that asks for the same request again, made out to the device that it names."""


class Certified(Form):
    """`enrol/<nonce>/rsp` and `dn/certificate`: the certificate with its chain, or why there is none."""

    nonce: Id
    certificate: Annotated[str, Field(max_length=32_000)] = ""
    ca: Annotated[str, Field(max_length=32_000)] = ""
    fleet: Annotated[str, Field(max_length=64)] = ""
    device: Annotated[str, Field(max_length=64)] = ""
    problem: Text = ""


AnyForm = TypeVar("AnyForm", bound=Form)


def read(form: type[AnyForm], payload: bytes, *, largest: int = LARGEST_SMALL_BYTES) -> AnyForm:
    """Return the message that a payload holds. Raise PayloadError naming the field that is wrong."""
    found = parse(payload, largest=largest)
    try:
        # By way of JSON, since only there strict takes a list for a tuple.
        return form.model_validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PayloadError(f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}") from error


def written(message: Form) -> bytes:
    """Return the payload of a message, ASCII, with the protocol's version in front."""
    body = {"v": VERSION} | message.model_dump(mode="json", exclude_none=True)
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")


def desired(address: Address, wanted: Desired) -> Message:
    """Return the pointer to the settings that a device shall have."""
    return Message(_down(address, "desired"), written(wanted), qos=1, retain=True)


def job(address: Address, wanted: FleetJob) -> Message:
    """Return the pointer to what a device shall do."""
    return Message(address.job, written(wanted), qos=1, retain=True)


def no_job(address: Address) -> Message:
    """Return what takes the pointer away."""
    return Message(address.job, b"", qos=1, retain=True)


def reported(address: Address, how: Reported) -> Message:
    """Return how a device stands to its desired settings."""
    return Message(f"{address.up}/reported", written(how), qos=1, retain=True)


def sample(address: Address, counted: Sample) -> Message:
    """Return what a device has counted."""
    return Message(f"{address.up}/metrics", written(counted))


def progress(address: Address, how: Progress) -> Message:
    """Return how far a job has come."""
    return Message(f"{address.up}/job/{how.job}", written(how), qos=1)


def renewal(address: Address, asked: RenewRequest) -> Message:
    """Return the question for the next certificate."""
    return Message(f"{address.up}/renew", written(asked), qos=1, expiry_s=60)


def certified(address: Address, answer: Certified) -> Message:
    """Return the answer to a question for the next certificate."""
    return Message(_down(address, "certificate"), written(answer), qos=1, expiry_s=60)


def down(address: Address) -> str:
    """Return the filter of everything that is told to a device alone."""
    return _down(address, "#")


def enrolment(fleet: str, nonce: str) -> tuple[str, str]:
    """Return the topics of a request for an identity, and of its answer."""
    start = f"ea/{VERSION}/{fleet}/enrol/{nonce}"
    return f"{start}/req", f"{start}/rsp"


def announcement(fleet: str) -> str:
    """Return where a fleet is told that there is new metadata: a hint, never trusted."""
    return f"ea/{VERSION}/{fleet}/all/dn/announce"


def _down(address: Address, what: str) -> str:
    return f"ea/{VERSION}/{address.fleet}/d/{address.device}/dn/{what}"
