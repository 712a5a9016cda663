"""What a device proves to be: a key, its certificate, and whom it trusts, read from numbered folders.

    <state_dir>/identity/            0700
        1/, 2/                       key.pem (0600), certificate.pem, ca.pem, names.json: one pair each, never changed
        current -> 2                 the pair in use
        candidate -> 3               a pair that has not connected yet
        next/key.pem                 a key for which a certificate is being asked

Rules:
    - What is read is looked at: a certificate that does not fit its key, or names another device, is no identity.
    - Nothing here writes; `edgeagent.fleet.identity_store` does.
"""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from edgeagent.errors import BusError
from edgeagent.fleet.identity_keys import LARGEST_KEY_BYTES, IdentityError, is_in_tpm, public_part
from edgeagent.settings import TlsSettings
from edgeagent.topics import Address
from edgeagent.update.on_disk import read_bounded

IDENTITY = "identity"
"""In the state folder."""
KEY, CERTIFICATE, CA, NAMES = "key.pem", "certificate.pem", "ca.pem", "names.json"
CURRENT, CANDIDATE = "current", "candidate"
LARGEST_BYTES = 64 << 10
RENEW_AFTER = 2 / 3
"""Of its life, then a certificate is renewed: at 90 days a month is left for it."""
_ANEW = "Enrol anew, with a new token: edgeagent enrol."


@dataclass(frozen=True, slots=True)
class Identity:
    """A pair that is whole. Times in seconds since 1970, `serial` in hexadecimal."""

    folder: Path
    fleet: str
    device: str
    not_before: float
    not_after: float
    serial: str
    in_tpm: bool

    @property
    def certificate(self) -> Path:
        """The certificate with its chain, PEM."""
        return self.folder / CERTIFICATE

    @property
    def key(self) -> Path:
        """The private key, PEM."""
        return self.folder / KEY

    @property
    def ca(self) -> Path:
        """The roots by which the broker is known, PEM."""
        return self.folder / CA

    @property
    def trusted(self) -> bytes:
        """The content of `ca`. Raise IdentityError if it cannot be read."""
        return _content(self.ca)

    @property
    def address(self) -> Address:
        """Where this device lives on the bus."""
        return Address(self.fleet, self.device)

    @property
    def tls(self) -> TlsSettings:
        """What a link needs to be this device."""
        return TlsSettings(ca=self.ca, certificate=self.certificate, key=self.key)

    @property
    def renewal_due(self) -> float:
        """When it is time to ask for the next certificate."""
        return self.not_before + RENEW_AFTER * (self.not_after - self.not_before)

    def is_due_for_renewal(self, now: float) -> bool:
        """Tell whether two thirds of its life are over."""
        return now >= self.renewal_due

    def is_expired(self, now: float) -> bool:
        """Tell whether no broker takes it any more."""
        return now >= self.not_after


def current(state_dir: Path) -> Identity | None:
    """Return the identity in use; None where the device was never enrolled. Raise IdentityError if it is damaged."""
    return linked(state_dir / IDENTITY, CURRENT)


def candidate(state_dir: Path) -> Identity | None:
    """Return the pair that has not connected yet, or None. Raise IdentityError if it is damaged."""
    return linked(state_dir / IDENTITY, CANDIDATE)


def linked(root: Path, link: str) -> Identity | None:
    """Return the pair to which a link leads. Raise IdentityError if it is damaged."""
    target = _target(root / link)
    while target is not None:
        try:
            return read(root / target)
        except IdentityError:
            # Another thread may have adopted a newer pair meanwhile, and removed this one.
            before, target = target, _target(root / link)
            if target == before:
                raise
    return None


def _target(path: Path) -> str | None:
    try:
        target = os.readlink(path)  # noqa: PTH115  # its words alone, not where they lead
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror or error}", remedy=_remedy(error)) from error
    if not target.isdecimal():
        raise IdentityError(f"{path}: expected a link to a number, found {target!r:.80}", remedy=_ANEW)
    return target


def read(folder: Path) -> Identity:
    """Read a pair. Raise IdentityError if something is missing, damaged, or readable by others."""
    try:
        return _read(folder)
    except (ValueError, UnsupportedAlgorithm) as error:  # what is well formed may still be nonsense inside
        raise IdentityError(f"{folder}: {CERTIFICATE} cannot be read: {error}", remedy=_ANEW) from error
    except OSError as error:
        raise IdentityError(f"{folder}: cannot be read: {error.strerror or error}", remedy=_remedy(error)) from error


def _read(folder: Path) -> Identity:
    names = _names(folder / NAMES)
    pem = _content(folder / CERTIFICATE)
    key = _content(folder / KEY, most=LARGEST_KEY_BYTES)
    _content(folder / CA)
    if (folder / KEY).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise IdentityError(f"{folder / KEY}: others can read it", remedy=f"chmod 600 {folder / KEY}")
    found = first_certificate(pem, str(folder / CERTIFICATE))
    if common_name(found) != names["device"]:
        raise IdentityError(f"{folder}: the certificate is {common_name(found)!r:.80}'s, not ours", remedy=_ANEW)
    in_tpm = is_in_tpm(key)
    # What a TPM holds is only asked when it is used: that takes it a second.
    if not in_tpm and public_part(key) != public_key(found):
        raise IdentityError(f"{folder}: {CERTIFICATE} is not for {KEY}", remedy=_ANEW)
    return Identity(
        folder=folder,
        fleet=names["fleet"],
        device=names["device"],
        not_before=found.not_valid_before_utc.timestamp(),
        not_after=found.not_valid_after_utc.timestamp(),
        serial=f"{found.serial_number:x}",
        in_tpm=in_tpm,
    )


def first_certificate(pem: bytes, where: str) -> x509.Certificate:
    """Return the first certificate of a chain. Raise IdentityError if there is none."""
    return chain(pem, where)[0]


def chain(pem: bytes, where: str) -> list[x509.Certificate]:
    """Return the certificates of a file, one at least. Raise IdentityError."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise IdentityError(f"{where}: no certificate in PEM: {error}", remedy=_ANEW) from error


def common_name(certificate: x509.Certificate) -> str:
    """Return whose certificate it is."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def public_key(certificate: x509.Certificate) -> bytes:
    """Return the key that a certificate is for, DER. Raise IdentityError if it is of no kind that is known."""
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        return certificate.public_key().public_bytes(serialization.Encoding.DER, info)
    except (UnsupportedAlgorithm, ValueError) as error:
        raise IdentityError(f"a certificate has no key that can be used: {error}", remedy=_ANEW) from error


def _names(path: Path) -> dict[str, str]:
    try:
        found = json.loads(_content(path))
        address = Address(found["fleet"], found["device"])
    except (ValueError, LookupError, TypeError, BusError) as error:
        raise IdentityError(f"{path}: expected the names of fleet and device", remedy=_ANEW) from error
    return {"fleet": address.fleet, "device": address.device}


def _content(path: Path, most: int = LARGEST_BYTES) -> bytes:
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror or error}", remedy=_remedy(error)) from error


def _remedy(error: OSError) -> str:
    return "Run this as the user to whom the state folder belongs." if isinstance(error, PermissionError) else _ANEW
