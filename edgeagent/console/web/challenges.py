"""Challenges for passkeys: signed by the console, so that strangers cause no writes, and good for one answer each."""

import hashlib
import hmac
import secrets
import struct

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Kept

LASTS_S = 300
_KEY = "challenge-key"
_USED = "challenge-used:"
_RANDOM, _SEAL = 16, 32


def key_of(database: Database) -> bytes:
    """Return the key that challenges are signed with; it is made when it is asked for first."""
    with database.reading() as session:
        kept = session.get(Kept, _KEY)
    if kept is None:
        with database.session() as session:
            kept = session.get(Kept, _KEY)
            if kept is None:
                kept = Kept(name=_KEY, value=secrets.token_hex(32))
                session.add(kept)
    return bytes.fromhex(kept.value)


def new(key: bytes, purpose: str, now: float) -> bytes:
    """Return a challenge for a purpose, as `log in` or a user's registration."""
    body = secrets.token_bytes(_RANDOM) + struct.pack(">Q", int(now) + LASTS_S)
    return body + _seal(key, purpose, body)


def use(session: Session, key: bytes, purpose: str, challenge: bytes, now: float) -> None:
    """Take a challenge that was answered. Raise ConsoleError if it is none of ours, too old, or was used before."""
    body, seal = challenge[:-_SEAL], challenge[-_SEAL:]
    is_ours = len(body) == _RANDOM + 8 and hmac.compare_digest(seal, _seal(key, purpose, body))
    ends = struct.unpack(">Q", body[_RANDOM:])[0] if is_ours else 0
    name = f"{_USED}{ends:012d}:{hashlib.sha256(challenge).hexdigest()[:32]}"
    if ends < now or session.scalar(select(Kept.name).where(Kept.name == name)) is not None:
        raise ConsoleError("this took too long, or was answered already", remedy="Try again.")
    old = (Kept.name.startswith(_USED), Kept.name < f"{_USED}{int(now):012d}")
    session.execute(delete(Kept).where(*old))
    session.add(Kept(name=name, value=""))


def _seal(key: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.new(key, purpose.encode() + b"\0" + body, hashlib.sha256).digest()
