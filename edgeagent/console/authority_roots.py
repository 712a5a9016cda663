"""The roots of the console's authority: a key and its certificate, and what is signed with it. No files but its own.

Rules:
    - A certificate is for clients or for servers, never for both, and never signs another.
    - A list of revocations is newer than the one before it by its own dates, whatever the clock says: OpenSSL takes
      the newest that it has loaded.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from edgeagent.console.errors import ConsoleError

DAY_S = 86_400.0
ROOT_DAYS = 3_653
LISTED_S = 91 * DAY_S
"""How long what was revoked stays on the list: longer than a device's certificate lasts."""
EARLIER_S = DAY_S
"""Certificates are valid from a day ago, so that clocks may be apart by hours."""
_PASSING = x509.ReasonFlags.cessation_of_operation
_AGAIN = "Copy the authority's folder back from a backup, or make a new one and enrol the devices anew."


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that counts no more. `serial` in hexadecimal."""

    serial: str
    at: float
    is_passing: bool = False
    """Whether it lasts minutes, and need not be on the next list."""


@dataclass(frozen=True, slots=True)
class Root:
    """A self-signed certificate and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign what was built."""
        ours = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours)
        named = builder.issuer_name(self.certificate.subject).add_extension(identifier, critical=False)
        return named.sign(self.key, hashes.SHA256())

    def client_pair(self, name: str, now: float, lasts_s: float) -> Pair:
        """Make a key and a certificate for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Pair(pem_of(self.sign(client(named(name), key.public_key(), now, lasts_s))), key_pem(key))

    def server_pair(self, names: Sequence[str], now: float, lasts_s: float) -> Pair:
        """Make a key and a certificate for servers of these names. Raise ConsoleError if one cannot be a name."""
        if not names:
            raise ConsoleError("a server's certificate needs a name", remedy="Give the broker's host name.")
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH
        builder = _certificate(named(names[0][:64]), key.public_key(), now, lasts_s, purpose)
        alternative = x509.SubjectAlternativeName([_alternative(name) for name in names])
        return Pair(pem_of(self.sign(builder.add_extension(alternative, critical=False))), key_pem(key))

    def crl(self, revoked: Iterable[Revoked], previous: bytes, now: float) -> bytes:
        """Return a list of revoked certificates that is newer than the `previous` one (PEM, or nothing).

        What stands on that one stays: a database that was put back does not know of it, and nothing is ever let in
        again.
        """
        listed = {int(one.serial, 16): one for one in revoked}
        number, began = 1, dt.datetime.fromtimestamp(int(now - EARLIER_S), dt.UTC)
        if previous:
            last = x509.load_pem_x509_crl(previous)
            number = last.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
            listed = {int(one.serial, 16): one for one in revoked_in(previous) if one.at > now - LISTED_S} | listed
            began = max(began, last.last_update_utc + dt.timedelta(seconds=1))
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(began)
            # It is read from a file, not fetched: one that ran out would lock every device out, and help nobody.
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for serial, one in listed.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_time(one.at))
            if one.is_passing:
                entry = entry.add_extension(x509.CRLReason(_PASSING), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def new_root(name: str, now: float) -> Root:
    """Make a root."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = named(name)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _dated(subject, key.public_key(), now, ROOT_DAYS * DAY_S)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Root(key, builder.sign(key, hashes.SHA256()))


def read_root(folder: Path, file: str) -> Root:
    """Read a root of a folder. Raise ConsoleError if it is missing, damaged, or others can read its key."""
    certificate, secret = folder / f"{file}.pem", folder / f"{file}.key"
    try:
        if secret.stat().st_mode & 0o077:
            raise ConsoleError(f"{secret}: others can read it", remedy=f"chmod 600 {secret}")
        key = serialization.load_pem_private_key(secret.read_bytes(), None)
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise ConsoleError(f"{error.filename}: cannot be read: {error.strerror}", remedy=_AGAIN) from error
    except (ValueError, TypeError) as error:
        raise ConsoleError(f"{folder}: {file}.pem or {file}.key is damaged: {error}", remedy=_AGAIN) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != found.public_key():
        raise ConsoleError(f"{folder}: {file}.key is not the key of {file}.pem", remedy=_AGAIN)
    return Root(key, found)


def issued_from(certificate: bytes, root: str) -> str:
    """Return a certificate's serial number, hexadecimal. Raise ValueError if it is none, or not from this root."""
    found = x509.load_pem_x509_certificate(certificate)
    try:
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(root.encode()))
    except (TypeError, InvalidSignature) as error:
        raise ValueError("it was signed by somebody else") from error
    return f"{found.serial_number:x}"


def name_in(certificate: bytes) -> str:
    """Return the name that a certificate is for. Raise ValueError if it is none."""
    names = x509.load_pem_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def revoked_in(crl: bytes) -> list[Revoked]:
    """Return what a list names, but for what was passing. Raise ValueError if it is none."""
    found = x509.load_pem_x509_crl(crl)
    lasting = [one for one in found if not _is_passing(one)]
    return [Revoked(f"{one.serial_number:x}", one.revocation_date_utc.timestamp()) for one in lasting]


def _is_passing(entry: x509.RevokedCertificate) -> bool:
    reasons = [one.value for one in entry.extensions if isinstance(one.value, x509.CRLReason)]
    return any(one.reason == _PASSING for one in reasons)


def client(subject: x509.Name, key: object, now: float, lasts_s: float) -> x509.CertificateBuilder:
    """Return what is to be signed for a client that has this key."""
    return _certificate(subject, key, now, lasts_s, ExtendedKeyUsageOID.CLIENT_AUTH)


def _certificate(
    subject: x509.Name, key: object, now: float, lasts_s: float, purpose: ObjectIdentifier
) -> x509.CertificateBuilder:
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101  # request_of let no other through
    return (
        _dated(subject, key, now, lasts_s)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )


def _dated(subject: x509.Name, key: ec.EllipticCurvePublicKey, now: float, lasts_s: float) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(now - EARLIER_S))
        .not_valid_after(_time(now + lasts_s))
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise ConsoleError(f"{name!r:.100} is neither a host name nor an address", remedy="Use ASCII.") from error


def named(common: str, organisation: str = "") -> x509.Name:
    """Return a subject."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _time(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(at), dt.UTC)


def pem_of(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM, not encrypted."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
