"""Log-ins that fail, by who tries and from where, to how long the next try has to wait (A83).

Rules:
    - A try counts before the password is looked at, in one statement: a hundred at once are a hundred, not one.
    - A user who does not exist is counted as one who does; only hashes of names are kept: some are mistyped passwords.
    - A browser that has logged in as a user before (`browsers`) has a count of its own, and no other: what strangers
      do blocks nobody where they usually log in. Nor does it block passkeys, which cannot be guessed.
    - Others are counted by user and address together, where the wait grows to a quarter of an hour; by address, to a
      minute, as many people may share one; and by user, after many failures, to a second: whoever guesses from many
      addresses is let look at one password a second at most. While that goes on, who logs in from a new browser may
      find their turn taken, and tries again, or uses a passkey.
    - Of IPv6 the first 64 bits are an address: the others are for anybody to choose.
    - Who was let in forgets their own count, and one of those that are shared.
"""

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from edgeagent.console import tables

FORGOTTEN_S = 86_400.0
MOST_KEYS = 20_000
"""Counts that are remembered; beyond, the least are forgotten, the oldest of them first."""
_IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures cost nothing, and how long the wait gets after that."""

    free: int
    most_s: float

    def wait_s(self, failures: int) -> float:
        """Return how long after the last failure the next try may come."""
        return 0.0 if failures < self.free else min(2.0 ** min(failures - self.free, 30), self.most_s)


PATIENCE: Mapping[str, Patience] = {
    "pair": Patience(4, 900.0),
    "address": Patience(30, 60.0),
    "user": Patience(50, 1.0),
    "browser": Patience(8, 300.0),
    "session": Patience(4, 900.0),
    "passkey": Patience(30, 10.0),
}
"""By what is counted: the part of a key before the colon."""
_SHARED = ("address:", "user:", "passkey:")


def keys_of(user: str, address: str, browser: str = "") -> tuple[str, ...]:
    """Return what a try is counted under. `browser` is the name of one that has logged in as this user before."""
    if browser:
        return (f"browser:{browser}",)
    name, prefix = hashlib.sha256(user.encode(errors="replace")).hexdigest()[:40], prefix_of(address)
    return f"pair:{name}:{prefix}", f"address:{prefix}", f"user:{name}"


def keys_of_session(hash_: str) -> tuple[str, ...]:
    """Return what is counted of somebody who is logged in, and says a password again."""
    return (f"session:{hash_}",)


def keys_of_passkeys(address: str) -> tuple[str, ...]:
    """Return what answers of passkeys are counted under."""
    return (f"passkey:{prefix_of(address)}",)


def prefix_of(address: str) -> str:
    """Return the part of an address that somebody cannot choose freely."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), _IPV6_PREFIX), strict=False))


def count_try(session: Session, keys: Sequence[str], now: float) -> float:
    """Count a try, and return 0; or, where it comes too early, how long to wait."""
    held = _held(session, keys, now)
    wait_s: float = max(row.last + PATIENCE[row.key.partition(":")[0]].wait_s(row.failures) - now for row in held)
    if wait_s > 0:
        return wait_s
    counted = update(tables.LogInTry).where(tables.LogInTry.key.in_(keys))
    session.execute(counted.values(failures=tables.LogInTry.failures + 1, last=now))
    _forget(session, now)
    return 0.0


def let_in(session: Session, keys: Sequence[str]) -> None:
    """Take back what was counted for a try that was right."""
    table = tables.LogInTry
    one_less = case((table.failures > 0, table.failures - 1), else_=0)
    for key in sorted(keys):
        left = one_less if key.startswith(_SHARED) else 0
        session.execute(update(table).where(table.key == key).values(failures=left))


def _held(session: Session, keys: Sequence[str], now: float) -> Sequence[Row[tuple[str, int, float]]]:
    """Return the counts, made where there were none; until the transaction ends nobody else has them."""
    table = tables.LogInTry
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(table) if is_postgresql else sqlite.insert(table)
    has_passed: ColumnElement[bool] = table.last < now - FORGOTTEN_S
    made = insert.values(
        [{"key": key, "failures": 0, "last": now} for key in sorted(keys)]
    )  # in one order: no deadlock
    held = made.on_conflict_do_update(
        index_elements=[table.key], set_={"failures": case((has_passed, 0), else_=table.failures)}
    )
    return session.execute(held.returning(table.key, table.failures, table.last)).all()


def _forget(session: Session, now: float) -> None:
    table = tables.LogInTry
    old = select(table.key).where(table.last < now - FORGOTTEN_S).with_for_update(skip_locked=True)
    session.execute(delete(table).where(table.key.in_(old)))
    if (session.scalar(select(func.count()).select_from(table)) or 0) <= MOST_KEYS:
        return
    least = select(table.key).order_by(table.failures, table.last).limit(max(MOST_KEYS // 10, 4))
    session.execute(delete(table).where(table.key.in_(least.with_for_update(skip_locked=True))))
