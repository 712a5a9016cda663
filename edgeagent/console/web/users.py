"""Who may log in, and what each may."""

import re
from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from edgeagent.console import tables
from edgeagent.console.errors import ConsoleError
from edgeagent.console.web import sessions
from edgeagent.console.web.passwords import Passwords
from edgeagent.console.web.roles import EVERY_FLEET, LEVELS

NAME = r"^[a-z0-9][a-z0-9._@-]{0,63}$"
FLEET = r"^[a-z0-9-]{1,64}$"
MOST_USERS = 1_000


def add(
    session: Session, passwords: Passwords, name: str, password: str | None, levels: Mapping[str, str], now: float
) -> tables.User:
    """Add a user, without a password for one who will use passkeys alone. Raise ConsoleError if it cannot be."""
    return add_kept(session, name, None if password is None else passwords.hashed(password), levels, now)


def add_kept(session: Session, name: str, kept: str | None, levels: Mapping[str, str], now: float) -> tables.User:
    """Add a user, with what is kept of the password: that takes long to compute. Raise ConsoleError."""
    if not re.fullmatch(NAME, name):
        raise ConsoleError(
            f"{name[:80]!r} is no user name", remedy="1 to 64 small letters, digits, dots, hyphens, @; first a letter."
        )
    if session.get(tables.User, name) is not None:
        raise ConsoleError(f"there is a user {name} already", remedy="Take another name, or change that user.")
    if len(session.scalars(select(tables.User.name).limit(MOST_USERS)).all()) >= MOST_USERS:
        raise ConsoleError(f"there are {MOST_USERS} users", remedy="Users are disabled, not deleted: use one again.")
    user = tables.User(name=name, password=kept, created=now)
    session.add(user)
    session.flush()
    set_levels(session, name, levels)
    return user


def existing(session: Session, name: str) -> tables.User:
    """Return a user by name. Raise ConsoleError if there is none."""
    user = session.get(tables.User, name)
    if user is None:
        raise ConsoleError(f"there is no user {name[:80]!r}", remedy="`edgeagent console user add` makes one.")
    return user


def set_levels(session: Session, name: str, levels: Mapping[str, str]) -> None:
    """Say what a user may, by fleet; what is not named is not allowed any more. Raise ConsoleError."""
    for fleet, level in levels.items():
        if level not in LEVELS:
            raise ConsoleError(f"{level[:40]!r} is no role", remedy=f"Roles are {', '.join(LEVELS)}.")
        if fleet != EVERY_FLEET and not re.fullmatch(FLEET, fleet):
            raise ConsoleError(f"{fleet[:80]!r} is no fleet's name", remedy="Name a fleet, or * for all.")
    session.execute(delete(tables.Role).where(tables.Role.user == name))
    session.add_all(tables.Role(user=name, fleet=fleet, role=level) for fleet, level in levels.items())
    session.flush()
    _refuse_nobody(session)


def disable(session: Session, name: str, *, is_disabled: bool) -> None:
    """Let a user in no more, end what is open, and void API tokens for good; or let in again. Raise ConsoleError."""
    existing(session, name).disabled = is_disabled
    session.flush()
    if is_disabled:
        sessions.end_all(session, name)
        session.execute(delete(tables.ApiToken).where(tables.ApiToken.user == name))
        _refuse_nobody(session)


def set_password(session: Session, passwords: Passwords, name: str, password: str) -> None:
    """Give a user another password, as `reset`. Raise ConsoleError."""
    reset(session, name, passwords.hashed(password))


def reset(session: Session, name: str, kept: str) -> None:
    """Give a user another password, and close every way in that there was. Raise ConsoleError."""
    change_password(session, name, kept)
    session.execute(delete(tables.ApiToken).where(tables.ApiToken.user == name))
    session.execute(delete(tables.Passkey).where(tables.Passkey.user == name))


def change_password(session: Session, name: str, kept: str) -> None:
    """Keep the password that a user has changed, and end all their sessions. Raise ConsoleError."""
    existing(session, name).password = kept
    sessions.end_all(session, name)


def _refuse_nobody(session: Session) -> None:
    """Raise ConsoleError where nobody would be left who can add users."""
    admins = (
        select(tables.User.name)
        .join(tables.Role, tables.Role.user == tables.User.name)
        .where(tables.Role.fleet == EVERY_FLEET, tables.Role.role == "admin", tables.User.disabled.is_(False))
    )
    has_users = session.scalar(select(tables.User.name).limit(1)) is not None
    if has_users and session.scalar(admins.limit(1)) is None:
        raise ConsoleError(
            "nobody would be left who may change users",
            remedy="Make somebody else admin of all fleets (*) first.",
        )
