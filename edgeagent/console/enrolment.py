"""One-time tokens to identities: who may become which device, asked over the bus, and who loses that again.

Rules:
    - A token is for one device, one serial number, one fleet, and one key: the same key that asks again, because the
      answer was lost, is answered again; another one is refused.
    - Who has none learns nothing: that it is unknown, withdrawn, or for another serial number or fleet, is one and the
      same answer. It costs a look, and writes nothing: whoever asks wrongly holds up nobody who writes.
    - The authority may be slow, and is asked between two transactions, never within one: the first reserves, so that
      nothing is signed twice; the second looks again, and writes.
    - Who gets a new identity by a token loses those from before: it may have been replaced.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from edgeagent.console.authority import Issued, Signer, certified_hash, common_name_of, key_hash
from edgeagent.console.database import Database
from edgeagent.console.enrolment_tokens import DAY_S, hash_of, known, new_token, withdraw, withdraw_all
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import Audited, Certificate, Device, EnrolmentToken, Tag
from edgeagent.fleet.wire import SUBJECT, Certified, EnrolRequest, RenewRequest

__all__ = ["enrol", "hash_of", "known", "new_token", "renew", "retire", "revoke", "withdraw"]

ANSWERED_AGAIN_S = DAY_S
"""How long the same request is answered again after the token was used."""
RESERVED_S = 15.0
"""How long nobody else asks the authority for the same: longer than it may take."""
MOST_RENEWALS, RENEWALS_IN_S = 5, DAY_S
"""Also those that the authority has not signed."""

REFUSED = "refused: this token is not for this device"
EXPIRED = "expired: this token is too old"
USED = "used: this token has been used already, with another key"
UNRENEWED = "refused: this device gets no further certificate"
TOO_OFTEN = "slowed: too many renewals"
UNSIGNED = "unsigned: the authority does not sign"


@dataclass(frozen=True, slots=True)
class _Right:
    """A request that is to be signed."""

    token: str
    fleet: str
    device: str
    key: str


def enrol(
    database: Database, authority: Signer, fleet: str, request: EnrolRequest, now: float, *, nonce: str
) -> Certified | None:
    """Answer a device that asks for its identity: with a certificate, or with the reason why there is none.

    None where somebody else is about to answer: it asks again.
    """
    with database.reading() as session:
        right = _looked_at(session, authority, fleet, request, now, nonce)
    if isinstance(right, Certified):
        return right
    with database.session() as session:
        if not _reserve(session, right, now):
            return None
    try:
        issued = authority.sign_device(request.csr, right.fleet, right.device, now)
    except ConsoleError as error:
        with database.session() as session:
            _audit(session, right.fleet, "enrol", right.device, now, refused=str(error))
        return Certified(nonce=nonce, problem=UNSIGNED)
    with database.session() as session:
        if not _become(session, right, issued, now):
            return Certified(nonce=nonce, problem=REFUSED)
        _audit(session, right.fleet, "enrol", right.device, now, serial=request.serial, certificate=issued.serial)
    return _answer(nonce, authority, right.fleet, right.device, issued.pem)


def renew(
    database: Database, authority: Signer, fleet: str, device: str, request: RenewRequest, now: float
) -> Certified | None:
    """Answer a device that asks, under its identity, for the next certificate. None as for `enrol`."""
    nonce = request.nonce
    try:
        key = key_hash(request.csr)
    except ConsoleError as error:
        return Certified(nonce=nonce, problem=f"bad request: {error}"[:500])
    with database.reading() as session:
        given = _renewed_already(session, fleet, device, key, now)
    if given is not None:
        return _answer(nonce, authority, fleet, device, given)
    with database.session() as session:
        begun = _begin(session, fleet, device, key, now)
    if not isinstance(begun, int):
        return None if begun is None else Certified(nonce=nonce, problem=begun)
    try:
        issued = authority.sign_device(request.csr, fleet, device, now)
    except ConsoleError as error:
        with database.session() as session:
            _end(session, begun, refused=str(error))
        return Certified(nonce=nonce, problem=UNSIGNED)
    with database.session() as session:
        row = _renewable(session, fleet, device, now)
        _end(session, begun, **({"certificate": issued.serial} if row else {"refused": UNRENEWED}))
        if row is not None:
            _keep(session, row, issued, now)
    if row is None:
        return Certified(nonce=nonce, problem=UNRENEWED)
    return _answer(nonce, authority, fleet, device, issued.pem)


def revoke(session: Session, device: Device, reason: str, now: float) -> int:
    """Mark all certificates of a device as revoked, and return how many; its open tokens are withdrawn.

    `edgeagent.console.certificates.enforce` makes the broker know, after the transaction.
    """
    session.execute(select(Device.id).where(Device.id == device.id).with_for_update())  # nothing is renewed meanwhile
    withdraw_all(session, device.name, now)
    return _revoke_others(session, device, reason, now)


def retire(session: Session, device: Device, now: float) -> None:
    """Take a device out of its fleet: its certificates are revoked, and what it says is not heard any more."""
    revoke(session, device, "retired", now)
    device.retired = now
    session.flush()


def _looked_at(
    session: Session, authority: Signer, fleet: str, request: EnrolRequest, now: float, nonce: str
) -> Certified | _Right:
    token = session.scalar(select(EnrolmentToken).where(EnrolmentToken.hash == hash_of(request.token)))
    if token is None or token.revoked is not None or (token.serial, token.fleet) != (request.serial, fleet):
        return Certified(nonce=nonce, problem=REFUSED)
    try:
        key, subject = key_hash(request.csr), common_name_of(request.csr)
    except ConsoleError as error:
        return Certified(nonce=nonce, problem=f"bad request: {error}"[:500])
    if token.used is not None:
        again = _given(session, token, key, now)
        if again is None:
            return Certified(nonce=nonce, problem=USED)
        return _answer(nonce, authority, token.fleet, token.device, again)
    if token.expires < now:
        return Certified(nonce=nonce, problem=EXPIRED)
    if authority.signs_subjects and subject != token.device:
        return Certified(nonce=nonce, device=token.device, problem=f"{SUBJECT}: the request must be for this device")
    return _Right(token.id, token.fleet, token.device, key)


def _reserve(session: Session, right: _Right, now: float) -> bool:
    """Tell whether the authority is ours to ask."""
    free = EnrolmentToken.reserved.is_(None) | (EnrolmentToken.reserved <= now - RESERVED_S)
    mine = update(EnrolmentToken).where(EnrolmentToken.id == right.token, *_unspent(), free).values(reserved=now)
    return bool(session.execute(mine).rowcount == 1)  # type: ignore[attr-defined]  # of an UPDATE


def _become(session: Session, right: _Right, issued: Issued, now: float) -> bool:
    """Make a device of who was certified, unless the token was taken back meanwhile."""
    used = update(EnrolmentToken).where(EnrolmentToken.id == right.token, *_unspent())
    if session.execute(used.values(used=now, csr_hash=right.key)).rowcount != 1:  # type: ignore[attr-defined]  # of an UPDATE
        return False
    token = session.get_one(EnrolmentToken, right.token)
    named = (Device.fleet == token.fleet, Device.name == token.device)
    device = session.scalar(select(Device).where(*named).with_for_update())
    if device is None:
        device = Device(fleet=token.fleet, name=token.device, created=now)
        session.add(device)
        session.flush()
    if device.retired is not None and device.retired >= token.created:
        return False
    device.serial, device.retired = token.serial, None
    for key, value in token.tags.items():
        session.merge(Tag(device=device.id, key=str(key)[:64], value=str(value)[:200]))
    _revoke_others(session, device, "replaced", now)
    _keep(session, device, issued, now)
    return True


def _unspent() -> tuple[ColumnElement[bool], ...]:
    return EnrolmentToken.used.is_(None), EnrolmentToken.revoked.is_(None)


def _renewed_already(session: Session, fleet: str, device: str, key: str, now: float) -> str | None:
    """Return the certificate that was given for this key lately."""
    row = _renewable(session, fleet, device, now, is_written=False)
    if row is None:
        return None
    recent = (Certificate.device == row.id, Certificate.issued > now - RENEWALS_IN_S, Certificate.revoked.is_(None))
    found = session.scalars(select(Certificate).where(*recent))
    return next((one.pem for one in found if certified_hash(one.pem) == key), None)


def _renewable(session: Session, fleet: str, device: str, now: float, *, is_written: bool = True) -> Device | None:
    """Return a device that may have a further certificate; nobody revokes those of it before the transaction ends."""
    wanted = select(Device).where(Device.fleet == fleet, Device.name == device)
    row = session.scalar(wanted.with_for_update() if is_written else wanted)
    if row is None or row.retired is not None:
        return None
    valid = (Certificate.device == row.id, Certificate.revoked.is_(None), Certificate.not_after > now)
    return row if session.scalar(select(Certificate.serial).where(*valid).limit(1)) is not None else None


def _begin(session: Session, fleet: str, device: str, key: str, now: float) -> int | str | None:
    """Note that the authority is asked, and return that note's id; or why not; None where it is asked already."""
    if _renewable(session, fleet, device, now) is None:
        return UNRENEWED
    recent = (Audited.fleet == fleet, Audited.action == "renew", Audited.subject == device)
    tries = session.scalars(select(Audited).where(*recent, Audited.at > now - RENEWALS_IN_S)).all()
    if any(one.detail == {"key": key} and one.at > now - RESERVED_S for one in tries):
        return None
    if len(tries) >= MOST_RENEWALS:
        return TOO_OFTEN
    return _audit(session, fleet, "renew", device, now, key=key)


def _end(session: Session, begun: int, **detail: str) -> None:
    note = session.get(Audited, begun)
    if note is not None:
        note.detail, note.is_allowed = dict(detail), "refused" not in detail


def _given(session: Session, token: EnrolmentToken, key: str, now: float) -> str | None:
    """Return the certificate that was given for a used token, where the same key asks for it again soon."""
    if token.csr_hash != key or token.used is None or now - token.used > ANSWERED_AGAIN_S:
        return None
    of_device = (Device.fleet == token.fleet, Device.name == token.device, Certificate.revoked.is_(None))
    found = session.scalars(select(Certificate).join(Device, Device.id == Certificate.device).where(*of_device))
    return next((one.pem for one in found if certified_hash(one.pem) == key), None)


def _revoke_others(session: Session, device: Device, reason: str, now: float) -> int:
    """Mark what a device has as revoked."""
    valid = (Certificate.device == device.id, Certificate.revoked.is_(None))
    marked = session.execute(update(Certificate).where(*valid).values(revoked=now, revoked_for=reason[:200]))
    session.flush()
    return int(marked.rowcount)  # type: ignore[attr-defined]  # of an UPDATE


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


def _audit(session: Session, fleet: str, action: str, device: str, now: float, **detail: str) -> int:
    row = Audited(
        at=now,
        user=f"device {device}"[:64],
        fleet=fleet,
        action=action,
        subject=device,
        is_allowed="refused" not in detail,
        detail=dict(detail),
    )
    session.add(row)
    session.flush()
    return row.id
