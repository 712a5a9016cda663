"""What the API takes and gives, as types. What comes in is read strictly: no number for a text, no unknown field."""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from edgeagent.console.rollouts.nouns import Plan
from edgeagent.console.web.api_tokens import MOST_DAYS
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


class RolloutOut(Out):
    """A rollout, as it stands: `counts` by part over all waves, `waves` the same for each."""

    id: str
    fleet: str
    title: str
    plan: dict[str, Any]
    state: str
    reason: str
    wave: int
    revision: int
    created: float
    created_by: str
    approved_by: str
    began: float | None
    ended: float | None
    changed_by: str
    health: dict[str, Any]
    counts: dict[str, int] = Field(default_factory=dict)
    waves: list[dict[str, int]] = Field(default_factory=list)


class RolloutIn(In):
    """A rollout to be made; a draft does not begin."""

    title: Text = ""
    plan: Plan
    draft: bool = False


class ActIn(In):
    """A change of a rollout by somebody who has seen this revision of it."""

    revision: Count


class RolloutDeviceOut(Out):
    """A device of a rollout."""

    device: str
    job: JobOut


class WaveForecast(Out):
    """A wave as it would be."""

    devices: int
    offline: int
    names: list[str]
    begins_after_s: float


class ExcludedOut(Out):
    """Devices that would not be asked."""

    reason: str
    devices: int
    names: list[str]


class ForecastOut(Out):
    """What would happen."""

    to_ask: int
    waves: list[WaveForecast]
    excluded: list[ExcludedOut]
    least_s: float
    warnings: list[str]


class TokenIn(In):
    """A token to be made for one device."""

    serial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    device: FleetName
    tags: Tags = Field(default_factory=dict)


class TokensIn(In):
    """Tokens to be made."""

    devices: Annotated[list[TokenIn], Field(min_length=1, max_length=500)]
    days: Annotated[int, Field(ge=1, le=90)] = 7


class TokenOut(Out):
    """A token, without its secret."""

    id: str
    device: str
    serial: str
    tags: dict[str, Any]
    created: float
    created_by: str
    expires: float
    used: float | None
    revoked: float | None


class NewTokenOut(TokenOut):
    """A token with its secret, which is shown this once."""

    secret: str


class AuditOut(Out):
    """Who did what."""

    id: int
    at: float
    user: str
    address: str
    fleet: str
    action: str
    subject: str
    is_allowed: bool
    detail: dict[str, Any]


class UserOut(Out):
    """Somebody who may log in."""

    name: str
    created: float
    disabled: bool
    roles: dict[str, str] = Field(default_factory=dict)


class UserIn(In):
    """Somebody to be let in. Roles by fleet, `*` for all."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$")]
    password: Annotated[str, StringConstraints(min_length=12, max_length=200)]
    roles: Annotated[dict[Text, Level], Field(max_length=1_000)] = Field(default_factory=dict)


class UserChange(In):
    """What shall be otherwise about a user."""

    password: Annotated[str, StringConstraints(min_length=12, max_length=200)] | None = None
    roles: Annotated[dict[Text, Level], Field(max_length=1_000)] | None = None
    disabled: bool | None = None


class MeOut(Out):
    """Who asks."""

    user: str
    roles: dict[str, str]
    at_most: str


class ApiTokenIn(In):
    """An API token to be made; without `days` it does not end."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
    role: Level
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None


class ApiTokenOut(Out):
    """An API token, without itself."""

    id: str
    title: str
    role: str
    created: float
    expires: float | None
    used: float | None


class NewApiTokenOut(ApiTokenOut):
    """An API token with its secret, which is shown this once."""

    secret: str


class CommandSetOut(Out):
    """A revision of a command set."""

    name: str
    revision: int
    text: str
    saved: float
    saved_by: str


class CommandSetIn(In):
    """A revision to be kept by somebody who has seen revision `seen`; 0 where there is none yet."""

    text: Annotated[str, StringConstraints(max_length=200_000)]
    seen: Count


class TryIn(In):
    """A sentence to be tried on a text."""

    text: Annotated[str, StringConstraints(max_length=200_000)]
    sentence: Annotated[str, StringConstraints(max_length=500)] = ""
    built_in: bool = True


class TryOut(Out):
    """What is wrong with a text, and how a sentence is understood with it."""

    problems: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    templates: int


class RoleOut(Out):
    """A role's metadata in a repository."""

    role: str
    version: int
    expires: float
    signed_by: list[str]
    threshold: int
    condition: str


class ReleaseOut(Out):
    """A release that devices can install."""

    version: str
    released: float | None
    devices: int


class RepositoryOut(Out):
    """A repository of signed releases."""

    name: str
    problem: str
    roles: list[RoleOut]
    releases: dict[str, list[ReleaseOut]]
