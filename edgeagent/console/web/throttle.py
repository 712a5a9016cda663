"""Log-ins that fail, by user and by address, to how long the next try has to wait (A83).

Rules:
    - A try counts before the password is looked at: a hundred at once are a hundred, not one.
    - A user who does not exist is counted as one who does.
    - Who was let in forgets the user's failures, and one of the address's.
    - The wait grows from a second to a bound: nobody can lock a user out for longer than a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from edgeagent.console import tables

FORGOTTEN_S = 86_400.0
MOST_KEYS = 20_000
"""Names and addresses that are remembered; beyond, the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures cost nothing, and how long the wait gets after that."""

    free: int
    most_s: float

    def wait_s(self, failures: int) -> float:
        """Return how long after the last failure the next try may come."""
        return 0.0 if failures < self.free else min(2.0 ** min(failures - self.free, 30), self.most_s)


PATIENCE: Mapping[str, Patience] = {"user": Patience(4, 60.0), "address": Patience(12, 900.0)}


def keys_of(user: str, address: str) -> tuple[str, str]:
    """Return what a try is counted under."""
    return f"user:{user[:150]}", f"address:{address[:150]}"


def count_try(session: Session, keys: tuple[str, ...], now: float) -> float:
    """Count a try, and return 0; or, where it comes too early, how long to wait."""
    rows = {row.key: row for row in session.scalars(select(tables.LogInTry).where(tables.LogInTry.key.in_(keys)))}
    waits = [
        row.last + PATIENCE[key.partition(":")[0]].wait_s(row.failures) - now
        for key, row in rows.items()
        if row.last + FORGOTTEN_S > now
    ]
    if waits and max(waits) > 0:
        return max(waits)
    for key in keys:
        row = rows.get(key)
        if row is None:
            session.add(tables.LogInTry(key=key, failures=1, last=now))
        else:
            row.failures = row.failures + 1 if row.last + FORGOTTEN_S > now else 1
            row.last = now
    _forget(session, now)
    return 0.0


def let_in(session: Session, keys: tuple[str, ...]) -> None:
    """Take back what was counted for a try that was right."""
    for row in session.scalars(select(tables.LogInTry).where(tables.LogInTry.key.in_(keys))):
        row.failures = 0 if row.key.startswith("user:") else max(0, row.failures - 1)


def _forget(session: Session, now: float) -> None:
    session.flush()
    session.execute(delete(tables.LogInTry).where(tables.LogInTry.last < now - FORGOTTEN_S))
    if (session.scalar(select(func.count()).select_from(tables.LogInTry)) or 0) <= MOST_KEYS:
        return
    oldest = select(tables.LogInTry.key).order_by(tables.LogInTry.last).limit(MOST_KEYS // 10)
    session.execute(delete(tables.LogInTry).where(tables.LogInTry.key.in_(oldest.scalar_subquery())))
