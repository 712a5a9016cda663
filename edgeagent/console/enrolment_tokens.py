"""Tokens by which devices get their identity: made, taken back, and looked for.

Rules:
    - Only a token's hash is kept. It has 100 bits: nobody guesses it, so wrong ones are not counted,
      and lock nobody out.
    - The name of a device is one over all fleets: it is the user's name at the broker. One token at most is
      open for it.
    - Who was retired gets a token only from somebody who may bring it back.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from edgeagent.console.authority import RESERVED
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Device, EnrolmentToken, Fleet

DAY_S = 86_400.0
GROUPS, GROUP_LETTERS = 5, 4
"""Twenty letters of 32: 100 bits."""
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I and O, 0 and 1, which people take for one another."""
LONGEST_TOKEN_S = 90 * DAY_S
_NAME = r"[a-z0-9][a-z0-9-]{0,63}"
"""None begins with a hyphen: it is an argument of the owner's programs."""
_SERIAL = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token shall be for."""

    fleet: str
    serial: str
    device: str
    tags: Mapping[str, str]


def new_token(  # noqa: PLR0913  # its parts are asked for one by one
    session: Session,
    *,
    fleet: str,
    serial: str,
    device: str,
    tags: Mapping[str, str],
    by: str,
    now: float,
    lasts_s: float,
    may_return: bool = False,
) -> tuple[EnrolmentToken, str]:
    """Make a token, and return it with its secret, which is shown once. Raise ConsoleError if it cannot be.

    A token for a device that is there already gives it a new identity, for another serial number too: a replacement.
    Earlier tokens for the same device that were not used are withdrawn. `may_return` says that who asks may bring a
    retired device back.
    """
    _check(session, Wanted(fleet, serial, device, tags), now, may_return=may_return)
    if not 0 < lasts_s <= LONGEST_TOKEN_S:
        raise ConsoleError(
            f"a token cannot last {lasts_s:.0f} s", remedy=f"Give up to {LONGEST_TOKEN_S / DAY_S:.0f} days."
        )
    # Another fleet's token that has been made since is none of ours: its row refuses this one.
    is_ours_or_over = or_(EnrolmentToken.fleet == fleet, EnrolmentToken.expires <= now)
    earlier = update(EnrolmentToken).where(EnrolmentToken.device == device, is_ours_or_over, *_open())
    session.execute(earlier.values(revoked=now))
    groups = ["".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS)]
    secret = "-".join(groups)
    token = EnrolmentToken(
        id=secrets.token_hex(8),
        hash=hash_of(secret),
        fleet=fleet,
        serial=serial,
        device=device,
        tags=dict(tags),
        created=now,
        created_by=by,
        expires=now + lasts_s,
    )
    session.add(token)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConsoleError(
            f"{device}: somebody else has made a token for this name at the same moment", remedy="Look, and try again."
        ) from error
    return token, secret


def withdraw(session: Session, token: EnrolmentToken, now: float) -> None:
    """Take a token back. Raise ConsoleError if it was used."""
    taken = update(EnrolmentToken).where(EnrolmentToken.id == token.id, EnrolmentToken.used.is_(None))
    # By a statement: it may be used at this moment.
    if session.execute(taken.values(revoked=token.revoked or now)).rowcount != 1:  # type: ignore[attr-defined]  # of an UPDATE
        raise ConsoleError(
            f"the token of {token.device} has been used", remedy="Revoke the device's certificates instead."
        )


def withdraw_all(session: Session, device: str, now: float) -> None:
    """Take back what is open for a device."""
    session.execute(update(EnrolmentToken).where(EnrolmentToken.device == device, *_open()).values(revoked=now))


def hash_of(secret: str) -> str:
    """Return what is kept of a token, however it was typed: small letters, spaces, no hyphens."""
    return hashlib.sha256(re.sub(r"[\s-]", "", secret).upper().encode()).hexdigest()


def known(session: Session, hashes: Iterable[str]) -> set[str]:
    """Return which of these are of tokens that there are."""
    return set(session.scalars(select(EnrolmentToken.hash).where(EnrolmentToken.hash.in_(set(hashes)))))


def _open() -> tuple[ColumnElement[bool], ...]:
    return EnrolmentToken.used.is_(None), EnrolmentToken.revoked.is_(None)


def _check(session: Session, wanted: Wanted, now: float, *, may_return: bool) -> None:
    for what, name, pattern in (("device", wanted.device, _NAME), ("serial number", wanted.serial, _SERIAL)):
        if not re.fullmatch(pattern, name):
            raise ConsoleError(
                f"{name!r:.80} cannot be the {what} of a token",
                remedy="Use 1 to 64 small letters, digits and hyphens, no hyphen first; in a serial number also"
                " capitals and . _ :",
            )
    if wanted.device.startswith(RESERVED):
        raise ConsoleError(
            f"{wanted.device}: names that begin so have other rights at the broker",
            remedy=f"Use a name that does not begin with {', '.join(RESERVED)}.",
        )
    if session.get(Fleet, wanted.fleet) is None:
        raise ConsoleError(f"{wanted.fleet!r:.80}: there is no such fleet", remedy="Make it first.")
    # Tokens first: one that is used in between is a device then.
    named = (EnrolmentToken.device == wanted.device, EnrolmentToken.fleet != wanted.fleet)
    tokens = select(EnrolmentToken.fleet).where(*named, *_open(), EnrolmentToken.expires > now)
    others = select(Device.fleet).where(Device.name == wanted.device, Device.fleet != wanted.fleet)
    if session.scalar(tokens.limit(1)) or session.scalar(others.limit(1)):
        raise ConsoleError(
            f"{wanted.device}: another fleet has a device of this name",
            remedy="Device names are unique over all fleets of a console: choose another one.",
        )
    here = (Device.name == wanted.device, Device.fleet == wanted.fleet, Device.retired.is_not(None))
    if not may_return and session.scalar(select(Device.id).where(*here)) is not None:
        raise ConsoleError(
            f"{wanted.device} was retired", remedy="Ask an administrator for its token, or choose another name."
        )
