"""What the API takes and gives of rollouts, enrolment tokens, command sets and releases."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from edgeagent.console.rollouts.nouns import Plan
from edgeagent.console.web.api.models import Count, FleetName, In, JobOut, Out, Tags, Text


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
