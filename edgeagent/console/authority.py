"""The console's own small certificate authority: requests to certificates, revoked serial numbers to lists.

Rules:
    - There are two roots: one signs devices, consoles and the broker, the other only claims. So a claim certificate
      is no certificate at all where devices connect, and a device's is none where claims do.
    - A device's certificate is for clients only and names nothing but the device and its fleet: what a request
      says of itself is not read, only its key, and only if the request is signed with it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from edgeagent.console.authority_roots import (
    DAY_S,
    Pair,
    Revoked,
    Root,
    client,
    key_pem,
    named,
    new_root,
    pem_of,
    read_root,
)
from edgeagent.console.errors import ConsoleError
from edgeagent.files import write_durably

__all__ = [
    "Authority",
    "Issued",
    "Pair",
    "Revoked",
    "Signer",
    "certified_hash",
    "common_name_of",
    "issued_of",
    "key_hash",
    "request_of",
]

DEVICE_DAYS = 90
SERVICE_DAYS = 825
"""The broker's, the consoles' and the claims': `edgeagent console broker renew` makes them anew."""
PASSING_S = 300.0
"""A certificate that is used once, at once."""
LARGEST_REQUEST_BYTES = 8_000
RESERVED = ("claim-", "console-")
"""Beginnings of names that devices cannot have: who has one has other rights at the broker."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate for a device: PEM with what is needed up to its root, `serial` in hexadecimal."""

    pem: str
    serial: str
    not_before: float
    not_after: float


class Signer(Protocol):
    """Who signs devices: the console's own authority, or one outside."""

    @property
    def trusted(self) -> str:
        """PEM of the roots that devices shall trust the broker by."""

    @property
    def signs_subjects(self) -> bool:
        """Whether it signs the name that a request says, in place of the one that it is told."""

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:
        """Return a certificate for a device. Raise ConsoleError if the request is not right, or nobody signs."""


def request_of(csr_pem: str) -> x509.CertificateSigningRequest:
    """Return a request that is well formed and signed by its own key, on P-256 or P-384. Raise ConsoleError."""
    remedy = "Make the request as `edgeagent enrol` does: PKCS#10 in PEM, a key on the curve P-256."
    if len(csr_pem) > LARGEST_REQUEST_BYTES:
        raise ConsoleError(f"the request has {len(csr_pem)} bytes, at most {LARGEST_REQUEST_BYTES}", remedy=remedy)
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key, is_signed = request.public_key(), request.is_signature_valid
    except Exception as error:  # the library has a dozen kinds for what is malformed
        raise ConsoleError(f"the request cannot be read: {error}", remedy=remedy) from error
    if not is_signed:
        raise ConsoleError("the request is not signed by its own key", remedy=remedy)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in {"secp256r1", "secp384r1"}:
        raise ConsoleError("the request's key is not on the curve P-256 or P-384", remedy=remedy)
    return request


def key_hash(csr_pem: str) -> str:
    """Return what names a request's key: the same key, asked for again, is the same request. Raise ConsoleError."""
    return _hash(request_of(csr_pem).public_key())


def common_name_of(csr_pem: str) -> str:
    """Return the name that a request says. Raise ConsoleError if it cannot be read."""
    names = request_of(csr_pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def certified_hash(pem: str) -> str:
    """Return the same of the key that a certificate is for."""
    return _hash(x509.load_pem_x509_certificate(pem.encode()).public_key())


def _hash(key: CertificatePublicKeyTypes) -> str:
    info = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def issued_of(pem: str) -> Issued:
    """Return what a certificate (the first of `pem`) says of itself. Raise ConsoleError if it is none."""
    try:
        first = x509.load_pem_x509_certificates(pem.encode())[0]
    except (ValueError, IndexError) as error:
        raise ConsoleError(f"no certificate: {error}", remedy="Look at what the authority has answered.") from error
    began, ends = first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()
    return Issued(pem, f"{first.serial_number:x}", began, ends)


class Authority:
    """The two roots in a folder: `ca.pem`, `ca.key`, `claims.pem`, `claims.key`."""

    signs_subjects = False

    def __init__(self, folder: Path, devices: Root, claims: Root) -> None:
        """Take roots that were read; `open` reads them."""
        self.folder = folder
        self._devices, self._claims = devices, claims

    @classmethod
    def init(cls, folder: Path, name: str, now: float) -> "Authority":
        """Make the roots of a new authority. Raise ConsoleError if there is one, or the folder cannot be written."""
        if (folder / "ca.key").exists():
            raise ConsoleError(f"{folder}: holds an authority already", remedy="Name another folder, or use that one.")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            for file, title in (("claims", f"{name} claims"), ("ca", name)):  # ca.key last: with it all is there
                root = new_root(f"edgeagent {title}"[:64], now)
                write_durably(folder / f"{file}.pem", pem_of(root.certificate), mode=0o644)
                write_durably(folder / f"{file}.key", key_pem(root.key))
        except OSError as error:
            raise ConsoleError(
                f"{folder}: cannot be written: {error.strerror or error}",
                remedy="Name a folder that can be written to.",
            ) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """Read an authority. Raise ConsoleError if it is missing, damaged, or others can read its keys."""
        return cls(folder, read_root(folder, "ca"), read_root(folder, "claims"))

    @property
    def trusted(self) -> str:
        """PEM of the root that signs devices, consoles and the broker."""
        return pem_of(self._devices.certificate).decode()

    @property
    def claims(self) -> str:
        """PEM of the root that signs claims."""
        return pem_of(self._claims.certificate).decode()

    @property
    def ends(self) -> float:
        """When the roots end, in seconds since 1970."""
        roots = (self._devices, self._claims)
        return min(root.certificate.not_valid_after_utc.timestamp() for root in roots)

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:
        """Return a certificate for 90 days. Raise ConsoleError if the request is not right."""
        subject = named(device, fleet)
        certificate = self._devices.sign(client(subject, request_of(csr_pem).public_key(), now, DEVICE_DAYS * DAY_S))
        return issued_of(pem_of(certificate).decode())

    def server_certificate(self, names: Sequence[str], now: float) -> Pair:
        """Return the broker's, for these host names and addresses. Raise ConsoleError if one is none."""
        return self._devices.server_pair(names, now, SERVICE_DAYS * DAY_S)

    def console_certificate(self, name: str, now: float) -> Pair:
        """Return a console's, whose user name at the broker is `console-<name>`."""
        return self._devices.client_pair(f"console-{name}", now, SERVICE_DAYS * DAY_S)

    def claim_certificate(self, batch: str, now: float) -> Pair:
        """Return what devices of a batch ask for their identity with; it can do nothing else."""
        return self._claims.client_pair(f"claim-{batch}", now, SERVICE_DAYS * DAY_S)

    def passing_certificate(self, name: str, now: float) -> Pair:
        """Return a certificate for a few minutes under a device's name: with it the console ends that one's session."""
        return self._devices.client_pair(name, now, PASSING_S)

    def crl(self, revoked: Iterable[Revoked], previous: bytes, now: float) -> bytes:
        """Return the list of revoked certificates, newer than the `previous` one (PEM, or nothing)."""
        return self._devices.crl(revoked, previous, now)

    def claims_crl(self, revoked: Iterable[Revoked], previous: bytes, now: float) -> bytes:
        """Return the list of revoked claims."""
        return self._claims.crl(revoked, previous, now)
