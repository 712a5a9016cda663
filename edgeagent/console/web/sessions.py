"""Log-ins: a secret in a cookie, its hash in the database, an end after idleness and an end at all events."""

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from edgeagent.console import tables
from edgeagent.console.web.handed_out import derived, hash_of, new_secret
from edgeagent.console.web.roles import Who

IDLE_S = 12 * 3600.0
LASTS_S = 7 * 86_400.0
MOST_OF_A_USER = 20
"""One more ends the oldest."""
USED_EVERY_S = 60.0
"""How exactly it is known when a session was used last: each time is a write."""


def start(session: Session, user: str, now: float) -> str:
    """Return the secret of a new session."""
    session.execute(delete(tables.Session).where(_has_ended(now)))
    mine = select(tables.Session.hash).where(tables.Session.user == user).order_by(tables.Session.used.desc())
    if old := session.scalars(mine).all()[MOST_OF_A_USER - 1 :]:
        session.execute(delete(tables.Session).where(tables.Session.hash.in_(old)))
    secret = new_secret()
    session.add(
        tables.Session(
            hash=hash_of(secret),
            user=user,
            csrf=hash_of(csrf_of(secret)),
            created=now,
            used=now,
            expires=now + LASTS_S,
        )
    )
    return secret


def find(session: Session, secret: str, now: float) -> tuple[tables.Session, Who] | None:
    """Return a session that has not ended, with who it is; None for any other secret."""
    row = session.get(tables.Session, hash_of(secret))
    if row is None or row.expires < now or row.used + IDLE_S < now:
        return None
    user = session.get(tables.User, row.user)
    if user is None or user.disabled:
        return None
    return row, Who(row.user, levels_of(session, row.user), session=row.hash, since=row.created, csrf=csrf_of(secret))


def levels_of(session: Session, user: str) -> dict[str, str]:
    """Return what a user may, by fleet."""
    rows = session.execute(select(tables.Role.fleet, tables.Role.role).where(tables.Role.user == user))
    return {row.fleet: row.role for row in rows}


def csrf_of(secret: str) -> str:
    """Return what a session's forms carry: nobody else can know it, and it does not tell the secret."""
    return derived(secret, "forms")


def used(session: Session, hash_: str, now: float) -> None:
    """Note that a session was used."""
    session.execute(update(tables.Session).where(tables.Session.hash == hash_).values(used=now))


def end(session: Session, hash_: str) -> None:
    """End a session."""
    session.execute(delete(tables.Session).where(tables.Session.hash == hash_))


def end_all(session: Session, user: str, *, but: str = "") -> None:
    """End all sessions of a user, but for one."""
    session.execute(delete(tables.Session).where(tables.Session.user == user, tables.Session.hash != but))


def _has_ended(now: float) -> ColumnElement[bool]:
    return (tables.Session.expires < now) | (tables.Session.used < now - IDLE_S)
