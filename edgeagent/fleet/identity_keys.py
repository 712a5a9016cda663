"""Keys of devices: a key made here, in a file or in the board's TPM, to a request for a certificate.

Rules:
    - A key never leaves the device. In a file it is readable by its owner alone; in a TPM the file holds what only
      this chip can use (TSS2 PRIVATE KEY).
    - What needs the TPM is done by OpenSSL with its provider `tpm2`; Python's ssl loads such a key where the
      environment names a configuration that activates the provider (`OPENSSL_CONF`).
"""

import subprocess
import tempfile
from collections.abc import Callable
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgeagent.errors import EdgeAgentError

Kind = Literal["file", "tpm2"]
TPM_MARK = b"-----BEGIN TSS2 PRIVATE KEY-----"
LARGEST_KEY_BYTES = 16 << 10
OPENSSL_S = 60.0
"""A TPM makes a key in seconds."""
_PROVIDERS = ("-provider", "tpm2", "-provider", "default")
_TPM_REMEDY = (
    "Install tpm2-openssl and openssl, let this user read /dev/tpmrm0 (group tss), and see `openssl list -providers"
    " -provider tpm2`; a simulator is named by TPM2OPENSSL_TCTI."
)


class IdentityError(EdgeAgentError):
    """The device's identity is missing, damaged or refused: where, what was expected, what to do."""


def make_key(kind: Kind) -> bytes:
    """Return a new key on P-256 as PEM. Raise IdentityError if the TPM makes none."""
    if kind == "tpm2":
        return _openssl("genpkey", *_PROVIDERS, "-algorithm", "EC", "-pkeyopt", "group:P-256")
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def is_in_tpm(key: bytes) -> bool:
    """Tell whether a key can be used only with the TPM that made it."""
    return key.lstrip().startswith(TPM_MARK)


def request(key: bytes, name: str) -> str:
    """Return a request for a certificate for a key, PEM. Raise IdentityError if the key cannot be used."""
    if is_in_tpm(key):
        return _with_file(key, lambda file: _openssl("req", "-new", *_PROVIDERS, "-key", file, "-subj", f"/CN={name}"))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_private(key), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def public_part(key: bytes) -> bytes:
    """Return what a certificate for this key holds, DER. Raise IdentityError if the key cannot be used."""
    if is_in_tpm(key):
        pem = _with_file(key, lambda file: _openssl("pkey", *_PROVIDERS, "-in", file, "-pubout"))
        public = serialization.load_pem_public_key(pem.encode())
    else:
        public = _private(key).public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise IdentityError("the key is damaged", remedy="Enrol anew, with a new token.") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise IdentityError("the key is not on a curve", remedy="Enrol anew, with a new token.")
    return found


def _with_file(key: bytes, use: Callable[[str], bytes]) -> str:
    """Have OpenSSL read a key, which is of no use to anybody without the chip."""
    with tempfile.NamedTemporaryFile(prefix="edgeagent-") as file:
        file.write(key)
        file.flush()
        return use(file.name).decode()


def _openssl(*arguments: str) -> bytes:
    try:
        found = subprocess.run(["openssl", *arguments], capture_output=True, timeout=OPENSSL_S, check=False)  # noqa: S603, S607  # ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IdentityError(f"openssl cannot be used: {error}", remedy=_TPM_REMEDY) from error
    if found.returncode:
        last = found.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason"]
        raise IdentityError(f"the TPM does not do it: {last[0][:300]}", remedy=_TPM_REMEDY)
    return found.stdout
