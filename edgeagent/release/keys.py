"""Keys to sign with: in files with a passphrase, or wherever securesystemslib's signers reach (PKCS#11, a cloud's KMS).

Rules: a private key is written once, for its owner alone, encrypted; it is never replaced, and never read but to sign.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.exceptions import Error as SignerLibraryError
from securesystemslib.signer import AWSSigner, CryptoSigner, GCPSigner, HSMSigner, Key, Signer, SSlibKey

from edgeagent.errors import UpdateError

FILE = "file:"
LARGEST_KEY_BYTES = 64 << 10
Secret = Callable[[str], str]
"""What a key is called to its passphrase; empty for none."""


def make_key(path: Path, passphrase: str) -> Key:
    """Make an Ed25519 key in a new file (0600) and return its public part. Raise UpdateError if the file is there."""
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        remedy = "A key is never replaced: name another file."
        raise UpdateError(f"{path}: {error.strerror}", code="key-file", remedy=remedy) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return SSlibKey.from_crypto(private.public_key())


def public_key(path: Path, secret: Secret) -> Key:
    """Return the public part of a key file. Raise UpdateError if it is none, or the passphrase is wrong."""
    return _signer_of_file(path, secret).public_key


def imported(uri: str, secret: Secret) -> tuple[str, Key]:
    """Return where a key can be used, in full, and its public part, asked of whoever holds it.

    `hsm:2` or `hsm:2?label=TOKEN` is a key of a PKCS#11 token by its number (the environment's PYKCS11LIB names the
    module), `awskms:ID` and `gcpkms:ID` are keys in a cloud, anything else a key file. Raise UpdateError.
    """
    scheme, _, rest = uri.partition(":")
    if scheme not in _HOLDERS:
        path = Path(uri.removeprefix(FILE)).resolve()
        return f"{FILE}{path}", public_key(path, secret)
    try:
        return _HOLDERS[scheme](rest, secret)
    except Exception as error:  # whatever a driver or a cloud may raise
        remedy = "Is it plugged in, PYKCS11LIB set, and the library there: pip install 'edgeagent[release]'?"
        raise UpdateError(f"{uri}: {error or type(error).__name__}", code="key-file", remedy=remedy) from error


def _of_token(place: str, secret: Secret) -> tuple[str, Key]:
    number, _, query = place.partition("?")
    label = dict(parse_qsl(query)).get("label")
    return HSMSigner.import_(int(number) if number else None, label, secret)


_HOLDERS: Mapping[str, Callable[[str, Secret], tuple[str, Key]]] = {
    HSMSigner.SCHEME: _of_token,
    AWSSigner.SCHEME: lambda place, _: AWSSigner.import_(place),
    GCPSigner.SCHEME: lambda place, _: GCPSigner.import_(place),
}


def signer(uri: str, public: Key, secret: Secret) -> Signer:
    """Return what signs with a key: `file:PATH`, or a URI of securesystemslib (`hsm:`, `awskms:`, `gcpkms:`, …).

    Raise UpdateError if the key cannot be reached, or is not the one whose public part is given.
    """
    try:
        if uri.startswith(FILE):
            found: Signer = _signer_of_file(Path(uri.removeprefix(FILE)), secret)
        else:
            found = Signer.from_priv_key_uri(uri, public, secret)
    except (SignerLibraryError, ValueError, OSError, ImportError) as error:
        remedy = "See securesystemslib's signers for the form of such a URI."
        raise UpdateError(f"{uri}: {error}", code="key-file", remedy=remedy) from error
    if found.public_key.keyid != public.keyid:
        raise UpdateError(f"{uri}: is not the key {public.keyid[:12]}…", code="key-mismatch")
    return found


def _signer_of_file(path: Path, secret: Secret) -> CryptoSigner:
    try:
        with path.open("rb") as file:
            pem = file.read(LARGEST_KEY_BYTES)
        passphrase = secret(path.stem) if b"ENCRYPTED" in pem[:200] else ""
        private = load_pem_private_key(pem, passphrase.encode() or None)
    except OSError as error:
        raise UpdateError(f"{path}: {error.strerror}", code="key-file", remedy="Name a readable key file.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        remedy = "Name a key file that `edgeagent release` has made, and its own passphrase."
        raise UpdateError(f"{path}: cannot be opened: {error}", code="key-file", remedy=remedy) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise UpdateError(f"{path}: is no Ed25519 key", code="key-file", remedy="Make one: edgeagent release key FILE")
    return CryptoSigner(private)
