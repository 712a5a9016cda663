"""Users and what each may, for admins of all fleets."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from edgeagent.console import tables
from edgeagent.console.errors import ConsoleError
from edgeagent.console.web import fleet_view, users
from edgeagent.console.web.refusals import status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.roles import LEVELS
from edgeagent.console.web.visits import Administering, Inspecting, Visit

router = APIRouter(include_in_schema=False)


@router.get("/users")
def show(visit: Inspecting) -> Response:
    """Show all users."""
    return _page(visit)


@router.post("/users")
def add(
    visit: Administering,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1_000)],
    roles: Annotated[str, Form(max_length=4_000)] = "",
) -> Response:
    """Add a user."""
    try:
        kept = visit.site.passwords.hashed(password)  # not inside: it takes a while, and others write meanwhile
        with visit.changing("user.new", name, roles=" ".join(roles.split())) as session:
            users.add_kept(session, name.strip(), kept, levels_typed(roles), visit.now)
    except ConsoleError as error:
        return _page(visit, problem=error, typed=(name, roles))
    return go("/users", f"{name} can log in.")


@router.post("/users/{name}/roles")
def set_levels(visit: Administering, name: str, roles: Annotated[str, Form(max_length=4_000)] = "") -> Response:
    """Change what a user may."""
    return _changed(visit, "user.roles", name, lambda session: _set_levels(session, name, roles), roles=roles)


@router.post("/users/{name}/disabled")
def disable(visit: Administering, name: str, disabled: Annotated[str, Form(max_length=5)] = "yes") -> Response:
    """Let a user in no more, or again."""
    is_disabled = disabled == "yes"
    return _changed(
        visit,
        "user.disable" if is_disabled else "user.enable",
        name,
        lambda session: users.disable(session, name, is_disabled=is_disabled),
    )


@router.post("/users/{name}/password")
def set_password(visit: Administering, name: str, password: Annotated[str, Form(max_length=1_000)]) -> Response:
    """Give a user another password; their log-ins end, their API tokens and passkeys are void."""
    try:
        kept = visit.site.passwords.hashed(password)
    except ConsoleError as error:
        return _page(visit, problem=error)
    return _changed(visit, "user.password", name, lambda session: users.reset(session, name, kept))


def levels_typed(text: str) -> dict[str, str]:
    """Return roles that were typed as `fleet=role`, by spaces or lines. Raise ConsoleError naming what is none."""
    levels: dict[str, str] = {}
    for word in text.split():
        fleet, sign, level = word.partition("=")
        if not sign or level not in LEVELS:
            raise ConsoleError(
                f"{word!r:.80} is no role", remedy=f"Write fleet=role, * for all fleets; roles: {', '.join(LEVELS)}."
            )
        levels[fleet] = level
    return levels


def _set_levels(session: Session, name: str, roles: str) -> None:
    users.existing(session, name)
    users.set_levels(session, name, levels_typed(roles))


def _changed(visit: Visit, action: str, name: str, change: Callable[[Session], None], **detail: str) -> Response:
    try:
        with visit.changing(action, name, **detail) as session:
            change(session)
    except ConsoleError as error:
        return _page(visit, problem=error)
    return go("/users", f"{name} was changed.")


def _page(visit: Visit, *, problem: ConsoleError | None = None, typed: tuple[str, str] = ("", "")) -> Response:
    with visit.reading() as session:
        everybody = session.scalars(select(tables.User).order_by(tables.User.name).limit(users.MOST_USERS)).all()
        roles = session.scalars(select(tables.Role).order_by(tables.Role.fleet)).all()
        used = select(tables.Session.user, func.max(tables.Session.used)).group_by(tables.Session.user)
        seen = {row[0]: row[1] for row in session.execute(used)}
        tokens = select(tables.ApiToken.user, func.count()).group_by(tables.ApiToken.user)
        counts = {row[0]: row[1] for row in session.execute(tokens)}
        fleets = [one.name for one in fleet_view.fleets(session)]
    return visit.page(
        "users.html",
        status=200 if problem is None else status_of(problem),
        users=everybody,
        roles={user.name: [role for role in roles if role.user == user.name] for user in everybody},
        seen=seen,
        counts=counts,
        fleets=fleets,
        levels=LEVELS,
        problem=problem,
        typed=typed,
    )
