"""One-time tokens to identities: who may become which device, asked over the bus, and who loses that again.

Rules:
    - A token is for one device, one serial number, one fleet, and one key: the same key that asks again, because the
      answer was lost, is answered again; another one is refused.
    - Only a token's hash is kept. Who has none learns nothing: that it is unknown, withdrawn, or for another serial
      number or fleet, is one and the same answer.
    - Who fails too often under a serial number is not looked at for a while, right or wrong.
    - The name of a device is one over all fleets: it is the user's name at the broker.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from edgeagent.console.authority import RESERVED, Issued, Signer, certified_hash, key_hash
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Audited, Certificate, Device, EnrolmentToken, Fleet, LogInTry, Tag
from edgeagent.fleet.wire import Certified, EnrolRequest, RenewRequest

DAY_S = 86_400.0
GROUPS, GROUP_LETTERS = 5, 4
"""Twenty letters of 32: 100 bits."""
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I and O, 0 and 1, which people take for one another."""
LONGEST_TOKEN_S = 90 * DAY_S
MOST_FAILURES = 5
FAILURES_LAST_S = 15 * 60.0
MOST_FAILING = 1_000
"""Serial numbers under which failures are counted; with more, all further ones are counted as one."""
ANSWERED_AGAIN_S = DAY_S
"""How long the same request is answered again after the token was used."""
MOST_RENEWALS, RENEWALS_IN_S = 5, DAY_S
_NAME = r"[a-z0-9-]{1,64}"
_SERIAL = r"[A-Za-z0-9._:-]{1,64}"
_TRIES = "enrol:"

REFUSED = "refused: this token is not for this device"
EXPIRED = "expired: this token is too old"
USED = "used: this token has been used already, with another key"
SLOWED = "slowed: too many failures under this serial number"
UNRENEWED = "refused: this device gets no further certificate"
TOO_OFTEN = "slowed: too many renewals"
UNSIGNED = "unsigned: the authority does not sign"


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
) -> tuple[EnrolmentToken, str]:
    """Make a token, and return it with its secret, which is shown once. Raise ConsoleError if it cannot be.

    A token for a device that is there already gives it a new identity, for another serial number too: a replacement.
    Earlier tokens for the same device that were not used are withdrawn.
    """
    _check(session, Wanted(fleet, serial, device, tags))
    if not 0 < lasts_s <= LONGEST_TOKEN_S:
        raise ConsoleError(
            f"a token cannot last {lasts_s:.0f} s", remedy=f"Give up to {LONGEST_TOKEN_S / DAY_S:.0f} days."
        )
    open_ones = (EnrolmentToken.device == device, EnrolmentToken.used.is_(None), EnrolmentToken.revoked.is_(None))
    session.execute(update(EnrolmentToken).where(*open_ones).values(revoked=now))
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
    session.flush()
    return token, secret


def withdraw(session: Session, token: EnrolmentToken, now: float) -> None:
    """Take a token back. Raise ConsoleError if it was used."""
    if token.used is not None:
        raise ConsoleError(
            f"the token of {token.device} has been used", remedy="Revoke the device's certificates instead."
        )
    token.revoked = token.revoked or now
    session.flush()


def hash_of(secret: str) -> str:
    """Return what is kept of a token, however it was typed: small letters, spaces, no hyphens."""
    return hashlib.sha256(re.sub(r"[\s-]", "", secret).upper().encode()).hexdigest()


def enrol(
    session: Session, authority: Signer, fleet: str, request: EnrolRequest, now: float, *, nonce: str
) -> Certified:
    """Answer a device that asks for its identity: with a certificate, or with the reason why there is none."""
    if _is_slowed(session, request.serial, now):
        return Certified(nonce=nonce, problem=SLOWED)
    token = session.scalar(select(EnrolmentToken).where(EnrolmentToken.hash == hash_of(request.token)))
    if token is None or token.revoked is not None or (token.serial, token.fleet) != (request.serial, fleet):
        return _failed(session, request, nonce, REFUSED, now)
    try:
        key = key_hash(request.csr)
    except ConsoleError as error:
        return _failed(session, request, nonce, f"bad request: {error}"[:500], now)
    if token.used is not None:
        again = _given(session, token, key, now)
        if again is None:
            return _failed(session, request, nonce, USED, now)
        return _answer(nonce, authority, token.fleet, token.device, again)
    if token.expires < now:
        return _failed(session, request, nonce, EXPIRED, now)
    try:
        issued = authority.sign_device(request.csr, token.fleet, token.device, now)
    except ConsoleError as error:
        _audit(session, token.fleet, "enrol", token.device, now, refused=str(error))
        return Certified(nonce=nonce, problem=UNSIGNED)
    used = update(EnrolmentToken).where(EnrolmentToken.id == token.id, EnrolmentToken.used.is_(None))
    if session.execute(used.values(used=now, csr_hash=key)).rowcount != 1:  # type: ignore[attr-defined]  # of an UPDATE
        return _failed(session, request, nonce, USED, now)
    device = _device(session, token, now)
    _keep(session, device, issued, now)
    _audit(session, token.fleet, "enrol", token.device, now, serial=request.serial, certificate=issued.serial)
    return _answer(nonce, authority, token.fleet, token.device, issued.pem)


def renew(session: Session, authority: Signer, fleet: str, device: str, request: RenewRequest, now: float) -> Certified:
    """Answer a device that asks, under its identity, for the next certificate."""
    nonce = request.nonce
    row = session.scalar(select(Device).where(Device.fleet == fleet, Device.name == device))
    if row is None or row.retired is not None or not _has_valid(session, row, now):
        return Certified(nonce=nonce, problem=UNRENEWED)
    recent = (Certificate.device == row.id, Certificate.issued > now - RENEWALS_IN_S)
    try:
        key = key_hash(request.csr)
        for one in session.scalars(select(Certificate).where(*recent, Certificate.revoked.is_(None))):
            if certified_hash(one.pem) == key:
                return _answer(nonce, authority, fleet, device, one.pem)
        if (session.scalar(select(func.count()).select_from(Certificate).where(*recent)) or 0) >= MOST_RENEWALS:
            return Certified(nonce=nonce, problem=TOO_OFTEN)
        issued = authority.sign_device(request.csr, fleet, device, now)
    except ConsoleError as error:
        _audit(session, fleet, "renew", device, now, refused=str(error))
        return Certified(nonce=nonce, problem=UNSIGNED)
    _keep(session, row, issued, now)
    _audit(session, fleet, "renew", device, now, certificate=issued.serial)
    return _answer(nonce, authority, fleet, device, issued.pem)


def revoke(session: Session, device: Device, reason: str, now: float) -> int:
    """Mark all certificates of a device as revoked, and return how many; its open tokens are withdrawn.

    `edgeagent.console.certificates.enforce` makes the broker know, after the transaction.
    """
    open_ones = (EnrolmentToken.device == device.name, EnrolmentToken.used.is_(None), EnrolmentToken.revoked.is_(None))
    session.execute(update(EnrolmentToken).where(*open_ones).values(revoked=now))
    valid = (Certificate.device == device.id, Certificate.revoked.is_(None))
    marked = session.execute(update(Certificate).where(*valid).values(revoked=now, revoked_for=reason[:200]))
    session.flush()
    return int(marked.rowcount)  # type: ignore[attr-defined]  # of an UPDATE


def retire(session: Session, device: Device, now: float) -> None:
    """Take a device out of its fleet: its certificates are revoked, and what it says is not heard any more."""
    revoke(session, device, "retired", now)
    device.retired = now
    session.flush()


def _check(session: Session, wanted: Wanted) -> None:
    for what, name, pattern in (("device", wanted.device, _NAME), ("serial number", wanted.serial, _SERIAL)):
        if not re.fullmatch(pattern, name):
            raise ConsoleError(
                f"{name!r:.80} cannot be the {what} of a token",
                remedy="Use 1 to 64 small letters, digits and hyphens; in a serial number also capitals and . _ :",
            )
    if wanted.device.startswith(RESERVED):
        raise ConsoleError(
            f"{wanted.device}: names that begin so have other rights at the broker",
            remedy=f"Use a name that does not begin with {', '.join(RESERVED)}.",
        )
    if session.get(Fleet, wanted.fleet) is None:
        raise ConsoleError(f"{wanted.fleet!r:.80}: there is no such fleet", remedy="Make it first.")
    others = select(Device.fleet).where(Device.name == wanted.device, Device.fleet != wanted.fleet)
    tokens = select(EnrolmentToken.fleet).where(
        EnrolmentToken.device == wanted.device,
        EnrolmentToken.fleet != wanted.fleet,
        EnrolmentToken.used.is_(None),
        EnrolmentToken.revoked.is_(None),
    )
    if session.scalar(others.limit(1)) or session.scalar(tokens.limit(1)):
        raise ConsoleError(
            f"{wanted.device}: another fleet has a device of this name",
            remedy="Device names are unique over all fleets of a console: choose another one.",
        )


def _is_slowed(session: Session, serial: str, now: float) -> bool:
    tries = session.get(LogInTry, _TRIES + serial)
    return tries is not None and tries.failures >= MOST_FAILURES and now - tries.last < FAILURES_LAST_S


def _failed(session: Session, request: EnrolRequest, nonce: str, problem: str, now: float) -> Certified:
    """Count a failure; forget those that are old, so that nobody can fill the table."""
    ours = LogInTry.key.startswith(_TRIES)
    session.execute(delete(LogInTry).where(ours, LogInTry.last < now - FAILURES_LAST_S))
    key = _TRIES + request.serial
    tries = session.get(LogInTry, key)
    if tries is None and (session.scalar(select(func.count()).select_from(LogInTry).where(ours)) or 0) >= MOST_FAILING:
        return Certified(nonce=nonce, problem=problem)
    if tries is None:
        tries = LogInTry(key=key, failures=0, last=now)
        session.add(tries)
    tries.failures += 1
    tries.last = now
    session.flush()
    return Certified(nonce=nonce, problem=problem)


def _given(session: Session, token: EnrolmentToken, key: str, now: float) -> str | None:
    """Return the certificate that was given for a used token, where the same key asks for it again soon."""
    if token.csr_hash != key or token.used is None or now - token.used > ANSWERED_AGAIN_S:
        return None
    of_device = (Device.fleet == token.fleet, Device.name == token.device, Certificate.revoked.is_(None))
    found = session.scalars(select(Certificate).join(Device, Device.id == Certificate.device).where(*of_device))
    return next((one.pem for one in found if certified_hash(one.pem) == key), None)


def _has_valid(session: Session, device: Device, now: float) -> bool:
    valid = (Certificate.device == device.id, Certificate.revoked.is_(None), Certificate.not_after > now)
    return session.scalar(select(Certificate.serial).where(*valid).limit(1)) is not None


def _device(session: Session, token: EnrolmentToken, now: float) -> Device:
    device = session.scalar(select(Device).where(Device.fleet == token.fleet, Device.name == token.device))
    if device is None:
        device = Device(fleet=token.fleet, name=token.device, created=now)
        session.add(device)
        session.flush()
    device.serial, device.retired = token.serial, None
    for key, value in token.tags.items():
        session.merge(Tag(device=device.id, key=str(key)[:64], value=str(value)[:200]))
    return device


def _keep(session: Session, device: Device, issued: Issued, now: float) -> None:
    session.add(
        Certificate(
            serial=issued.serial,
            device=device.id,
            pem=issued.pem,
            not_before=issued.not_before,
            not_after=issued.not_after,
            issued=now,
        )
    )
    session.flush()


def _answer(nonce: str, authority: Signer, fleet: str, device: str, pem: str) -> Certified:
    return Certified(nonce=nonce, certificate=pem, ca=authority.trusted, fleet=fleet, device=device)


def _audit(session: Session, fleet: str, action: str, device: str, now: float, **detail: str) -> None:
    session.add(
        Audited(
            at=now,
            user=f"device {device}"[:64],
            fleet=fleet,
            action=action,
            subject=device,
            is_allowed="refused" not in detail,
            detail=dict(detail),
        )
    )
