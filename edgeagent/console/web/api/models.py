"""What the API takes and gives, as types. What comes in is read strictly: no number for a text, no unknown field."""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from edgeagent.fleet.wire import Setting

AnyItem = TypeVar("AnyItem")
Level = Literal["viewer", "operator", "admin"]
FleetName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
Count = Annotated[int, Field(ge=0, le=1 << 53)]
Tags = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")],
         Annotated[str, StringConstraints(pattern=r"^\S{0,200}$")]],
    Field(max_length=32),
]  # fmt: skip
Text = Annotated[str, StringConstraints(max_length=200)]
Long = Annotated[str, StringConstraints(max_length=5_000)]
SettingKey = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+){1,3}$", max_length=200)]


class In(BaseModel):
    """What all that comes in shares."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Out(BaseModel):
    """What all that goes out shares: it is read from the rows that hold it."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Out):
    """What went wrong (RFC 9457); `remedy` says what to do."""

    type: str = "about:blank"
    status: int
    title: str
    remedy: str = ""


class Page(Out, Generic[AnyItem]):
    """A page of something longer."""

    items: list[AnyItem]
    total: int
    page: int
    pages: int


class FleetOut(Out):
    """A fleet, and how its devices are."""

    name: str
    title: str
    devices: int
    well: int
    warn: int
    bad: int
    offline: int


class FleetIn(In):
    """A fleet to be made."""

    name: FleetName
    title: Text = ""


class DeviceShort(Out):
    """A device in a list. `health` is ok, warn or bad; times are in seconds since 1970."""

    name: str
    title: str
    area: str
    online: bool
    health: str
    health_reason: str
    version: str
    board: str
    seen: float | None
    retired: float | None
    tags: dict[str, str] = Field(default_factory=dict)


class DeviceOut(DeviceShort):
    """A device."""

    fleet: str
    serial: str
    note: str
    online_since: float | None
    reason: str
    muted: bool
    hardware: str
    system: str
    capabilities: list[Any]
    releases: dict[str, str]
    clock_ahead_s: float | None
    gauges: dict[str, Any]
    desired_version: int
    reported_version: int
    standing: str
    standing_problem: str
    certificate_until: float | None


class DescribeIn(In):
    """What people call a device. What is left out stays as it is; `tags` are all of them."""

    title: Text | None = None
    note: Long | None = None
    tags: Tags | None = None


class SettingsOut(Out):
    """Settings that are wanted of a device, and those that it has."""

    desired_version: int
    desired: dict[str, Any]
    reported_version: int
    reported: dict[str, Any]
    standing: str
    standing_problem: str


class SettingsIn(In):
    """Settings to be wanted: all of them with `replace`, else beside those that are wanted already.

    With `version`, only if that is still the version that is wanted.
    """

    settings: Annotated[Mapping[SettingKey, Setting | list[bool | int | float | str]], Field(max_length=200)]
    replace: bool = False
    version: Count | None = None


class JobOut(Out):
    """Something that was asked of a device."""

    id: str
    kind: str
    state: str
    reason: str
    result: dict[str, Any]
    rollout: str | None
    wave: int
    created: float
    created_by: str
    sent: float | None
    told: float | None
    ended: float | None
    cancel: bool


class JobIn(In):
    """Something to be asked. Options: update: family, version; logs: lines, since_s; identify: seconds."""

    kind: Literal["update", "restart", "logs", "diagnostics", "self-test", "clips", "identify"]
    options: Annotated[dict[Text, bool | int | float | Text], Field(max_length=8)] = Field(default_factory=dict)


class EventOut(Out):
    """Something that a device has told."""

    id: int
    at: float
    kind: str
    body: dict[str, Any]


class HourOut(Out):
    """What a device counted in an hour; `hour` counts from 1970."""

    hour: int
    decisions: int
    rejected: int
    repeated: int
    ended_by_cap: int
    decision_ms: list[Any]
    gauges: dict[str, Any]


class CertificateOut(Out):
    """A device's certificate, without itself."""

    serial: str
    issued: float
    not_before: float
    not_after: float
    revoked: float | None
    revoked_for: str


class SayIn(In):
    """A sentence, as if it had been said at the device."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class SayOut(Out):
    """What came of a sentence. `answered` is false where the device has told nothing in time."""

    answered: bool
    took_ms: float
    events: list[EventOut]
