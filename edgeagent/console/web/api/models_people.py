"""What the API takes and gives of people: users, API tokens, the audit trail."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from edgeagent.console.web.api.models import In, Level, Out, Text
from edgeagent.console.web.api_tokens import MOST_DAYS


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
