"""Which console does what only one may do at a time: a lease that runs out where its holder is gone."""

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from edgeagent.console.tables import Lease

LASTS_S = 15.0
"""A conductor that is killed is followed within this time; it is renewed every second."""


def hold(session: Session, name: str, holder: str, now: float, *, lasts_s: float = LASTS_S) -> bool:
    """Take a lease, or keep it; return False where another has it."""
    now = _shared(session, now)
    # What ends later than anybody could have said was taken before the clock was put back.
    mine = or_(Lease.holder == holder, Lease.until < now, Lease.until > now + 2 * lasts_s)
    taken = session.execute(
        update(Lease).where(Lease.name == name, mine).values(holder=holder, until=now + lasts_s).returning(Lease.name)
    ).scalar()
    if taken is not None:
        return True
    insert = sqlite_insert if _is_sqlite(session) else postgresql_insert
    fresh = insert(Lease).values(name=name, holder=holder, until=now + lasts_s).on_conflict_do_nothing()
    return session.execute(fresh.returning(Lease.name)).scalar() is not None


def let_go(session: Session, name: str, holder: str) -> None:
    """Give a lease back, so that another need not wait until it runs out."""
    session.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))


def holder_of(session: Session, name: str, now: float) -> str:
    """Return who has a lease; empty where nobody has."""
    wanted = select(Lease.holder).where(Lease.name == name, Lease.until >= _shared(session, now))
    return session.scalar(wanted) or ""


def _shared(session: Session, now: float) -> float:
    """Return the time by the clock that all consoles on a database share: their own may be hours apart."""
    if _is_sqlite(session):
        return now  # one machine
    return float(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or now)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
