"""Keys of devices: a key made here, in a file or in the board's TPM, to a request for a certificate.

Rules:
    - A key never leaves the device. In a file it is readable by its owner alone; in a TPM the file holds what only
      this chip can use (TSS2 PRIVATE KEY).
    - What needs the TPM is done by OpenSSL with its provider `tpm2` (Debian: tpm2-openssl, openssl): its command makes
      keys and requests, and this process has it loaded before Python's ssl is given such a key (`know_tpm`).
"""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
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
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
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


@cache
def know_tpm() -> None:
    """Have this process's OpenSSL use keys of the TPM. Raise IdentityError if it cannot.

    The same as a configuration that activates both providers (OPENSSL_CONF), which would have to be there at the start.
    From then on the chip makes and checks all signatures of TLS in this process, by way of a resource manager
    (/dev/tpmrm0 or tpm2-abrmd; bare it holds three keys): the broker's certificate must be one that it understands,
    such as our own authority's on P-256. Hashes and ciphers stay with the processor.
    """
    try:
        library = ctypes.CDLL("libcrypto.so.3")
        load = library.OSSL_PROVIDER_load
        load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p)
        # The default one first, so that it does everything but what needs the chip.
        is_loaded = all([load(None, b"default"), load(None, b"tpm2")])
        prefer = library.EVP_set_default_properties
        prefer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        # Else tpm2-openssl 1.1 hands the default provider half a key, which then cannot sign.
        is_loaded = is_loaded and prefer(None, b"?tpm2.signature=yes,tpm2.digest!=yes") == 1
    except (OSError, AttributeError) as error:
        raise IdentityError(f"OpenSSL 3 cannot be used: {error}", remedy=_TPM_REMEDY) from error
    if not is_loaded:
        raise IdentityError("OpenSSL cannot load its provider tpm2", remedy=_TPM_REMEDY)


def is_in_tpm(key: bytes) -> bool:
    """Tell whether a key can be used only with the TPM that made it."""
    return key.lstrip().startswith(TPM_MARK)


def request(key: bytes, name: str) -> str:
    """Return a request for a certificate for a key, PEM. Raise IdentityError if the key cannot be used."""
    if is_in_tpm(key):
        asked = ("req", "-new", "-outform", "DER", *_PROVIDERS, "-subj", f"/CN={name}")
        return _readable(_with_file(key, lambda file: _openssl(*asked, "-key", file)))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_private(key), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def public_part(key: bytes) -> bytes:
    """Return what a certificate for this key holds, DER. Raise IdentityError if the key cannot be used."""
    if is_in_tpm(key):
        pem = _with_file(key, lambda file: _openssl("pkey", *_PROVIDERS, "-in", file, "-pubout"))
        public = serialization.load_pem_public_key(pem)
    else:
        public = _private(key).public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError("the key is damaged", remedy="Enrol anew, with a new token.") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise IdentityError("the key is not on a curve", remedy="Enrol anew, with a new token.")
    return found


def _readable(request: bytes) -> str:
    """Return a request as PEM with the algorithm written as it should be.

    tpm2-openssl 1.1 writes parameters behind ecdsa-with-SHA256, where there are none (RFC 5758, 3.2); they are not
    signed. Strict readers refuse that.
    """
    start, _ = _inner(request, 0)
    _, info_end = _inner(request, start)
    _, algorithm_end = _inner(request, info_end)
    body = request[start:info_end] + _ECDSA_WITH_SHA256 + request[algorithm_end:]
    der = b"\x30\x81" + bytes([len(body)]) + body  # a request for P-256 with a short name: 128 to 255 bytes
    try:
        return x509.load_der_x509_csr(der).public_bytes(serialization.Encoding.PEM).decode()
    except ValueError as error:
        raise IdentityError(f"the TPM's request cannot be read: {error}", remedy=_TPM_REMEDY) from error


def _inner(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at a place begins, and where it ends (X.690, 8.1.3)."""
    first = der[at + 1]
    if first < 0x80:  # noqa: PLR2004  # the short form
        return at + 2, at + 2 + first
    size = first & 0x7F
    start = at + 2 + size
    return start, start + int.from_bytes(der[at + 2 : start], "big")


def _with_file(key: bytes, use: Callable[[str], bytes]) -> bytes:
    """Have OpenSSL read a key, which is of no use to anybody without the chip."""
    with tempfile.NamedTemporaryFile(prefix="edgeagent-") as file:
        file.write(key)
        file.flush()
        return use(file.name)


def _openssl(*arguments: str) -> bytes:
    try:
        found = subprocess.run(["openssl", *arguments], capture_output=True, timeout=OPENSSL_S, check=False)  # noqa: S603, S607  # ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IdentityError(f"openssl cannot be used: {error}", remedy=_TPM_REMEDY) from error
    if found.returncode:
        last = found.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason"]
        raise IdentityError(f"the TPM does not do it: {last[0][:300]}", remedy=_TPM_REMEDY)
    return found.stdout
