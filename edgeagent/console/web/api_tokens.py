"""Programs' ways in: a secret that is shown once, with the rights of its user, or fewer."""

import secrets

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from edgeagent.console import tables
from edgeagent.console.errors import ConsoleError
from edgeagent.console.web.handed_out import hash_of, new_secret
from edgeagent.console.web.roles import LEVELS, Who
from edgeagent.console.web.sessions import USED_EVERY_S, levels_of

BEGIN = "eat_"
"""By which secret scanners know one of ours."""
MOST_OF_A_USER = 100
MOST_DAYS = 3_650


def new(
    session: Session, user: str, title: str, level: str, *, days: int | None, now: float
) -> tuple[tables.ApiToken, str]:
    """Return a new token, and its secret. Raise ConsoleError if it cannot be made."""
    if level not in LEVELS:
        raise ConsoleError(f"{level[:40]!r} is no role", remedy=f"Roles are {', '.join(LEVELS)}.")
    if not 0 < len(title.strip()) <= 200:  # noqa: PLR2004  # the table's
        raise ConsoleError("the token has no title", remedy="Say in a few words what it is for.")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise ConsoleError(f"it would last {days} days", remedy=f"1 to {MOST_DAYS} days are possible.")
    if len(mine(session, user)) >= MOST_OF_A_USER:
        raise ConsoleError(f"{user} has {MOST_OF_A_USER} tokens", remedy="Remove those that are not used.")
    secret = BEGIN + new_secret()
    token = tables.ApiToken(
        id=secrets.token_hex(8),
        hash=hash_of(secret),
        user=user,
        title=title.strip(),
        role=level,
        created=now,
        expires=None if days is None else now + days * 86_400,
    )
    session.add(token)
    return token, secret


def mine(session: Session, user: str) -> list[tables.ApiToken]:
    """Return a user's tokens, the newest first."""
    wanted = select(tables.ApiToken).where(tables.ApiToken.user == user).order_by(tables.ApiToken.created.desc())
    return list(session.scalars(wanted))


def find(session: Session, secret: str, now: float) -> tuple[tables.ApiToken, Who] | None:
    """Return a token that is valid, with who it is; None for any other secret."""
    wanted = select(tables.ApiToken).where(tables.ApiToken.hash == hash_of(secret))
    token = session.scalar(wanted)
    if token is None or (token.expires is not None and token.expires < now):
        return None
    user = session.get(tables.User, token.user)
    if user is None or user.disabled:
        return None
    return token, Who(token.user, levels_of(session, token.user), at_most=token.role)


def is_used_again(token: tables.ApiToken, now: float) -> bool:
    """Tell whether it is worth a write to note that it was used."""
    return token.used is None or token.used + USED_EVERY_S < now


def remove(session: Session, user: str, id_: str) -> bool:
    """Remove a user's token; return whether there was one."""
    wanted = select(tables.ApiToken.id).where(tables.ApiToken.user == user, tables.ApiToken.id == id_)
    is_there = session.scalar(wanted) is not None
    session.execute(delete(tables.ApiToken).where(tables.ApiToken.user == user, tables.ApiToken.id == id_))
    return is_there
