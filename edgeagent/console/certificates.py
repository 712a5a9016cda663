"""Revoked certificates to a broker that lets nobody in with them, and lets go of who is in.

Rules:
    - The list is written before the broker is told, and nobody is disconnected before the broker is seen to use it:
      who is disconnected comes back at once.
    - That it is used is proved: a certificate made for this alone, which the list names, is let in before, and
      refused after.
    - Mosquitto keeps a connection whose certificate was revoked. It is ended by a connection of the same name, for
      which the authority makes a certificate of a few minutes: client ids are names here.
    - What is revoked is in the database: whoever is killed in between begins anew (`is_enforced`).
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from edgeagent.console.authority import Authority, Pair, Revoked, issued_of
from edgeagent.console.errors import ConsoleError
from edgeagent.console.external_authority import ran
from edgeagent.console.tables import Certificate, Device
from edgeagent.errors import BusError
from edgeagent.files import write_durably
from edgeagent.fleet.identity_probe import ask, enter
from edgeagent.settings import BrokerSettings, TlsSettings

RELOAD_S = 30.0
_LOOK_S = 0.05
_CANARY = "canary"
_PRINT = "It must print that authority's list of revoked certificates as PEM."
_RELOAD = "Check reload in [authority] (systemctl reload edgeagent-broker), and that the broker reads this crlfile."


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker that shall know: how it is reached, which list it reads, what makes it read that again."""

    link: BrokerSettings
    crl: Path
    reload: Sequence[str] = ()
    revoke: Sequence[str] = ()
    """A program that revokes at another authority and prints that one's list."""


def revoked(session: Session, now: float) -> list[Revoked]:
    """Return what is revoked and would still be valid, oldest first."""
    counted = (Certificate.revoked.is_not(None), Certificate.not_after > now)
    rows = session.execute(
        select(Certificate.serial, Certificate.revoked).where(*counted).order_by(Certificate.revoked)
    )
    return [Revoked(serial, at or now) for serial, at in rows]


def recall(session: Session, crl: Path, now: float) -> int:
    """Note as revoked what the broker was seen to refuse, and a database that was put back does not know of."""
    refused = _enforced(crl)
    if not refused:
        return 0
    valid = (Certificate.revoked.is_(None), Certificate.not_after > now)
    rows = session.scalars(select(Certificate).where(*valid, Certificate.serial.in_(refused))).all()
    for row in rows:
        row.revoked, row.revoked_for = now, "it was revoked before the database was put back"
    return len(rows)


def is_enforced(wanted: Sequence[Revoked], crl: Path) -> bool:
    """Tell whether the broker was seen to refuse everything that is revoked, and has let go of who had it."""
    return {one.serial for one in wanted} <= _enforced(crl)


def fresh(session: Session, wanted: Sequence[Revoked], crl: Path) -> list[str]:
    """Return the devices whose revocation was not enforced to its end yet."""
    missing = {one.serial for one in wanted} - _enforced(crl)
    rows = session.scalars(
        select(Device.name).join(Certificate, Certificate.device == Device.id).where(Certificate.serial.in_(missing))
    )
    return sorted(set(rows))


def enforce(
    wanted: Sequence[Revoked], devices: Sequence[str], authority: Authority, broker: Broker, now: float
) -> None:
    """Make the broker refuse what is revoked, and disconnect these devices. Blocks; for a thread.

    Raise ConsoleError if it cannot be proved that the broker refuses it, BusError if the broker cannot be reached.
    """
    with _shown(authority.passing_certificate(_CANARY, now), broker.link) as canary:
        if ask(canary.link) != "accepted":
            raise ConsoleError(
                "the broker does not take certificates of this authority", remedy="Compare its cafile with authority/."
            )
        listed = [*wanted, Revoked(canary.serial, now, is_passing=True)]
        previous, others = parted(_previous(broker.crl), authority)
        text = authority.crl(listed, previous, now)
        if broker.revoke:
            others = ran(broker.revoke, "".join(f"{one.serial}\n" for one in wanted), "the revoking command").encode()
            _check_lists(others)
        text += others
        with _writing(broker.crl):
            write_durably(broker.crl, text, mode=0o644)
        if broker.reload:
            ran(broker.reload, "", "the reloading command")
        _await_refusal(canary.link)
    for device in devices:
        kick(device, authority, broker.link, now)
    with _writing(_mark(broker.crl)):
        write_durably(_mark(broker.crl), "".join(f"{one.serial}\n" for one in wanted).encode(), mode=0o644)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConsoleError(
            f"{path}: cannot be written: {error.strerror or error}", remedy="Let the console's user write it."
        ) from error


def kick(device: str, authority: Authority, link: BrokerSettings, now: float) -> None:
    """End a device's session at the broker. Raise ConsoleError if that does not work."""
    with _shown(authority.passing_certificate(device, now), link) as passing:
        if enter(passing.link, device) != "accepted":
            raise ConsoleError(
                f"{device} could not be disconnected",
                remedy="Restart the broker: systemctl restart edgeagent-broker.",
            )


@dataclass(frozen=True, slots=True)
class _Shown:
    link: BrokerSettings
    serial: str


@contextmanager
def _shown(pair: Pair, link: BrokerSettings) -> Iterator[_Shown]:
    """Give the broker's address with a certificate of ours, which lies in a folder meanwhile."""
    if link.tls is None:
        raise ConsoleError("the broker is reached without TLS", remedy="Set [broker.tls].")
    with tempfile.TemporaryDirectory(prefix="edgeagent-") as name:
        folder = Path(name)  # 0700
        (folder / "certificate.pem").write_bytes(pair.certificate)
        (folder / "key.pem").write_bytes(pair.key)
        tls = TlsSettings(ca=link.tls.ca, certificate=folder / "certificate.pem", key=folder / "key.pem")
        yield _Shown(link.model_copy(update={"tls": tls}), issued_of(pair.certificate.decode()).serial)


def _await_refusal(link: BrokerSettings) -> None:
    deadline = time.monotonic() + RELOAD_S
    while time.monotonic() < deadline:
        try:
            if ask(link) == "refused":
                return
        except BusError:  # it may be starting anew
            pass
        time.sleep(_LOOK_S)  # nothing tells when a broker has read its files
    raise ConsoleError(f"the broker does not use its new list within {RELOAD_S:g} s", remedy=_RELOAD)


def _previous(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConsoleError(f"{path}: cannot be read: {error.strerror or error}", remedy=_RELOAD) from error


_END = b"-----END X509 CRL-----"


def _lists(pem: bytes) -> list[bytes]:
    return [part + _END + b"\n" for part in pem.split(_END)[:-1]]


def parted(pem: bytes, authority: Authority) -> tuple[bytes, bytes]:
    """Return our own authority's list among those of a file, and the others; what is damaged is left out."""
    issuer = x509.load_pem_x509_certificate(authority.trusted.encode()).subject
    own, others = b"", b""
    for one in _lists(pem):
        try:
            is_own = x509.load_pem_x509_crl(one).issuer == issuer
        except ValueError:
            continue
        own, others = (one, others) if is_own else (own, others + one)
    return own, others


def _check_lists(pem: bytes) -> None:
    """Raise ConsoleError if these are no lists: the broker would let nobody in any more."""
    try:
        lists = [x509.load_pem_x509_crl(one) for one in _lists(pem)]
    except ValueError as error:
        raise ConsoleError(f"the revoking command prints no list: {error}", remedy=_PRINT) from error
    if not lists:
        raise ConsoleError("the revoking command prints no list", remedy=_PRINT)


def _enforced(crl: Path) -> set[str]:
    return set(_previous(_mark(crl)).decode(errors="replace").split())


def _mark(crl: Path) -> Path:
    """Return where the serial numbers stand that were enforced to the end."""
    return crl.with_name(f"{crl.name}.enforced")
