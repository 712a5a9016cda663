"""Who asks, users, API tokens, and the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from edgeagent.console import tables
from edgeagent.console.web import api_tokens, sessions, users
from edgeagent.console.web.api.described import described
from edgeagent.console.web.api.devices import PageNumber, Size
from edgeagent.console.web.api.models import Page
from edgeagent.console.web.api.models_people import (
    ApiTokenIn,
    ApiTokenOut,
    AuditOut,
    MeOut,
    NewApiTokenOut,
    UserChange,
    UserIn,
    UserOut,
)
from edgeagent.console.web.fleet_view import page_of
from edgeagent.console.web.pages.audit import lines
from edgeagent.console.web.refusals import RefusedError, not_found
from edgeagent.console.web.visits import ApiAdmin, ApiKnown, Visit

router: APIRouter = described("people")
User = Annotated[str, Query(max_length=64)]
Search = Annotated[str, Query(max_length=100)]


@router.get("/me")
def who_am_i(visit: ApiKnown) -> MeOut:
    """Return who asks, and what they may."""
    return MeOut(user=visit.who.user, roles=dict(visit.who.levels), at_most=visit.who.at_most)


@router.get("/me/tokens")
def list_tokens(visit: ApiKnown) -> list[ApiTokenOut]:
    """Return one's own API tokens. For people: a program sees none, makes none, and removes none."""
    _refuse_programs(visit)
    with visit.reading() as session:
        return [ApiTokenOut.model_validate(one) for one in api_tokens.mine(session, visit.who.user)]


@router.post("/me/tokens", status_code=201)
def new_token(visit: ApiKnown, wanted: ApiTokenIn) -> NewApiTokenOut:
    """Make an API token."""
    _refuse_programs(visit)
    with visit.changing("api.new", wanted.title, role=wanted.role) as session:
        visit.refuse_stale()
        token, secret = api_tokens.new(
            session, visit.who.user, wanted.title, wanted.role, days=wanted.days, now=visit.now
        )
        return NewApiTokenOut(**ApiTokenOut.model_validate(token).model_dump(), secret=secret)


@router.delete("/me/tokens/{token}", status_code=204)
def remove_token(visit: ApiKnown, token: str) -> None:
    """Remove one of one's own API tokens."""
    _refuse_programs(visit)
    with visit.changing("api.remove", token) as session:
        if not api_tokens.remove(session, visit.who.user, token):
            raise not_found("this token")


@router.get("/users")
def list_users(visit: ApiAdmin) -> list[UserOut]:
    """Return all users."""
    with visit.reading() as session:
        names = session.scalars(select(tables.User).order_by(tables.User.name).limit(users.MOST_USERS))
        return [_user(session, one) for one in names]


@router.post("/users", status_code=201)
def new_user(visit: ApiAdmin, wanted: UserIn) -> UserOut:
    """Add a user."""
    kept = None if wanted.password is None else visit.site.passwords.hashed(wanted.password)
    with visit.changing("user.new", wanted.name) as session:
        made = users.add_kept(session, wanted.name, kept, wanted.roles, visit.now)
        return _user(session, made)


@router.patch("/users/{user}")
def change_user(visit: ApiAdmin, user: str, wanted: UserChange) -> UserOut:
    """Change a user's password, roles, or whether they are let in.

    Another password voids their API tokens and passkeys; to disable them voids their API tokens.
    """
    kept = None if wanted.password is None else visit.site.passwords.hashed(wanted.password)
    with visit.changing("user.change", user, changed=" ".join(sorted(wanted.model_fields_set))) as session:
        if session.get(tables.User, user) is None:
            raise not_found("this user")
        if wanted.roles is not None:
            users.set_levels(session, user, wanted.roles)
        if wanted.disabled is not None:
            users.disable(session, user, is_disabled=wanted.disabled)
        if kept is not None:
            users.reset(session, user, kept)
        session.flush()
        return _user(session, users.existing(session, user))


@router.get("/fleets/{fleet}/audit")
def audit_of_fleet(  # what can be asked for
    visit: ApiAdmin,
    fleet: str,
    user: User = "",
    search: Search = "",
    *,
    refused: bool = False,
    page: PageNumber = 1,
    size: Size = 100,
) -> Page[AuditOut]:
    """Return who did what in a fleet, the newest first."""
    return _audit(visit, fleet, user, search, refused_only=refused, page=page, size=size)


@router.get("/audit")
def audit_of_all(  # what can be asked for
    visit: ApiAdmin,
    user: User = "",
    search: Search = "",
    *,
    refused: bool = False,
    page: PageNumber = 1,
    size: Size = 100,
) -> Page[AuditOut]:
    """Return who did what anywhere, the newest first."""
    return _audit(visit, "", user, search, refused_only=refused, page=page, size=size)


def _refuse_programs(visit: Visit) -> None:
    if visit.who.is_program:
        visit.refuse("refused", visit.request.url.path, method=visit.request.method)
        raise RefusedError(403, "programs have no say in API tokens", remedy="Log in with a browser: Account.")


def _audit(  # what can be asked for
    visit: Visit, fleet: str, user: str, search: str, *, refused_only: bool, page: int, size: int
) -> Page[AuditOut]:
    with visit.reading() as session:
        shown = page_of(session, lines(fleet, user, search, refused_only=refused_only), page, size)
        items = [AuditOut.model_validate(one) for one in shown.items]
    return Page(items=items, total=shown.total, page=shown.page, pages=shown.pages)


def _user(session: Session, user: tables.User) -> UserOut:
    roles = sessions.levels_of(session, user.name)
    return UserOut(name=user.name, created=user.created, disabled=user.disabled, roles=roles)
