"""Who signs instead of the console's own authority: a command, or a server that speaks EST (RFC 7030).

Rules:
    - What comes back is believed only as far as it can be seen: the right key, the right name, for clients, valid now,
      from a root that the owner has named.
    - The console's own authority stays: it signs the broker and the consoles, and ends sessions.
      Authorities that come with the answer count as far as they lead to such a root.
    - An authority that is slow holds up enrolments and renewals until its deadline, and nothing else.
    - Servers that speak EST sign the name that a request says: a device that enrols is told its name first, and asks
      again with it. They must take that name, and let this console's user have any.
"""

import base64
import binascii
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import Field, SecretStr, model_validator

from edgeagent.console.authority import Authority, Issued, Signer, certified_hash, issued_of, key_hash
from edgeagent.console.errors import ConsoleError
from edgeagent.settings import FilePath, Settings

DEADLINE_S = 8.0
LARGEST_ANSWER_BYTES = 64 << 10
DEEPEST_CHAIN = 4
"""Authorities above a device's certificate."""
_PKCS7 = "application/pkcs7-mime"
Sign = Callable[[str, str, str], str]
"""A request (PEM), fleet and device to a certificate with its chain (PEM). Raise ConsoleError."""


class EstSettings(Settings):
    """A server that signs by EST: the name that a request says, whichever it is. Devices put theirs there."""

    url: Annotated[str, Field(pattern=r"^https://[^\s?#]+$")]
    """Its address up to /.well-known/est, or with a label behind that: https://ca.example/.well-known/est."""
    ca: FilePath
    """PEM file with the authority of its own certificate."""
    username: str = ""
    """User name, where it asks for one."""
    password: SecretStr = SecretStr("")
    """Password; never shown."""
    certificate: FilePath | None = None
    """PEM file with our certificate and its key, where it asks for one."""


class AuthoritySettings(Settings):
    """Who signs devices, and how the broker learns of revocations."""

    folder: FilePath
    """The folder that `edgeagent console broker init` has made."""
    command: tuple[str, ...] = ()
    """A program that signs instead of our own authority: the request on its input, PEM on its output. Fleet and
    device are its last two arguments; none begins with a hyphen."""
    est: EstSettings | None = None
    """A server that signs instead of our own authority."""
    roots: FilePath | None = None
    """PEM file with the roots of that other authority."""
    revoke: tuple[str, ...] = ()
    """A program that revokes there: serial numbers on its input, a line each; the list of revocations on its output."""
    reload: tuple[str, ...] = ()
    """A program that makes the broker read its files again; none, where edgeagent-broker.path sees to that."""

    @model_validator(mode="after")
    def _one(self) -> "AuthoritySettings":
        is_external = bool(self.command) or self.est is not None
        if self.command and self.est is not None:
            raise ValueError("command and est do not go together: give one")
        if is_external != (self.roots is not None):
            raise ValueError("roots go with command or est")
        return self

    @property
    def crl(self) -> Path:
        """Return where the broker reads the list of revocations."""
        return self.folder / "broker" / "crl.pem"


class ExternalAuthority:
    """Signs by somebody else, and looks at what comes back."""

    def __init__(self, own: Authority, sign: Sign, roots: str, *, signs_subjects: bool = False) -> None:
        """Take our own authority, what signs, and that one's roots (PEM)."""
        self._own, self._sign, self._roots = own, sign, roots
        self.signs_subjects = signs_subjects

    @property
    def trusted(self) -> str:
        """PEM of the roots by which devices know the broker, and their own certificates."""
        return self._own.trusted + self._roots

    def sign_device(self, csr_pem: str, fleet: str, device: str, now: float) -> Issued:
        """Return a certificate for a device. Raise ConsoleError if none comes, or another than was asked for."""
        wanted = key_hash(csr_pem)
        issued = issued_of(self._sign(csr_pem, fleet, device))
        problem = _problem(issued, wanted, device, self._roots, now)
        if problem:
            raise ConsoleError(f"the authority's certificate {problem}", remedy="Look at how that authority is set up.")
        return issued


def signer_of(settings: AuthoritySettings) -> tuple[Authority, Signer]:
    """Return our own authority, and who signs devices. Raise ConsoleError if a file cannot be read."""
    own = Authority.open(settings.folder / "authority")
    if settings.roots is None:
        return own, own
    try:
        roots = settings.roots.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConsoleError(f"{settings.roots}: cannot be read", remedy="Set roots in [authority].") from error
    sign = by_est(settings.est) if settings.est is not None else by_command(settings.command)
    return own, ExternalAuthority(own, sign, roots, signs_subjects=settings.est is not None)


def by_command(command: Sequence[str]) -> Sign:
    """Return what signs by a program of the owner's."""

    def sign(csr_pem: str, fleet: str, device: str) -> str:
        if fleet.startswith("-") or device.startswith("-"):
            raise ConsoleError(
                f"{fleet} {device}: the authority's command would take it for an option",
                remedy="Use names that begin with a letter or a digit.",
            )
        return ran((*command, fleet, device), csr_pem, "the authority's command")

    return sign


def ran(command: Sequence[str], given: str, what: str) -> str:
    """Return what a program of the owner's prints. Raise ConsoleError if it fails, or takes too long."""
    remedy = f"Try it by hand: {command[0]}"
    try:
        done = subprocess.run(  # noqa: S603  # the owner's
            list(command), input=given.encode(), capture_output=True, timeout=DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConsoleError(f"{what} does not run: {error}", remedy=remedy) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise ConsoleError(f"{what} ends with {done.returncode}: {said}", remedy=remedy)
    if len(done.stdout) > LARGEST_ANSWER_BYTES:
        raise ConsoleError(f"{what} prints more than {LARGEST_ANSWER_BYTES} bytes", remedy=remedy)
    return done.stdout.decode(errors="replace")


def by_est(settings: EstSettings) -> Sign:
    """Return what signs by EST's simpleenroll (RFC 7030, 4.2)."""

    def sign(csr_pem: str, fleet: str, device: str) -> str:  # noqa: ARG001  # the request alone is what EST knows
        request = x509.load_pem_x509_csr(csr_pem.encode())
        body = base64.encodebytes(request.public_bytes(serialization.Encoding.DER))
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        if settings.username:
            pair = f"{settings.username}:{settings.password.get_secret_value()}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        asked = urllib.request.Request(f"{settings.url.rstrip('/')}/simpleenroll", body, headers)  # noqa: S310  # https
        return _certificates(_fetched(settings, asked))

    return sign


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A password goes nowhere else."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


def _fetched(settings: EstSettings, asked: urllib.request.Request) -> bytes:
    remedy = "See that it runs; 202 means that somebody must agree there first: the device asks again."
    try:
        context = ssl.create_default_context(cafile=str(settings.ca))
        if settings.certificate is not None:
            context.load_cert_chain(str(settings.certificate))
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirects)
        with opener.open(asked, timeout=DEADLINE_S) as answer:
            if answer.status != 200:  # noqa: PLR2004  # HTTP's OK
                raise ConsoleError(f"the EST server answers {answer.status}", remedy=remedy)
            content: bytes = answer.read(LARGEST_ANSWER_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise ConsoleError(f"the EST server answers {error.code} {error.reason}", remedy=remedy) from error
    except OSError as error:  # URLError, TLS, a timeout
        raise ConsoleError(f"the EST server cannot be asked: {error}", remedy=remedy) from error
    if len(content) > LARGEST_ANSWER_BYTES:
        raise ConsoleError("the EST server answers with too much", remedy=remedy)
    return content


def _certificates(answer: bytes) -> str:
    """Return the certificates of an answer (base64 of a PKCS#7 without signature) as PEM, the leaf first."""
    try:
        found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer))
    except (ValueError, binascii.Error) as error:
        raise ConsoleError(f"the EST server's answer is not PKCS#7: {error}", remedy="Look at that server.") from error
    leaf_first = sorted(found, key=_is_authority)
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in leaf_first)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _problem(issued: Issued, wanted: str, device: str, roots: str, now: float) -> str:
    """Return what is wrong with a certificate, or nothing."""
    leaf, *between = x509.load_pem_x509_certificates(issued.pem.encode())
    names = [str(one.value) for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if certified_hash(issued.pem) != wanted:
        return "is for another key"
    if names != [device]:
        return f"is for {names!r:.100}, not for {device}"
    if _is_authority(leaf):
        return "is an authority's"
    if not issued.not_before <= now < issued.not_after:
        return "is not valid now"
    try:
        if ExtendedKeyUsageOID.CLIENT_AUTH not in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
            return "is not for clients"
    except x509.ExtensionNotFound:
        pass  # without the extension it is for everything
    is_rooted = _leads_to(leaf, between, x509.load_pem_x509_certificates(roots.encode()), now)
    return "" if is_rooted else "is not from the roots that were named"


def _leads_to(
    leaf: x509.Certificate, between: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: float
) -> bool:
    """Tell whether a leaf was signed by a root, or by authorities of which the uppermost was."""
    below = leaf
    for depth in range(DEEPEST_CHAIN):
        if any(_signed(below, root) and _may_sign(root, depth, now) for root in roots):
            return True
        above = (one for one in between if one != below and _may_sign(one, depth, now) and _signed(below, one))
        found = next(above, None)
        if found is None:
            return False
        below = found
    return False


def _may_sign(certificate: x509.Certificate, depth: int, now: float) -> bool:
    """Tell whether this is an authority, now, above so many others."""
    if not _is_authority(certificate):
        return False
    began, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    longest = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    try:
        signs = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        signs = True  # without the extension it is for everything
    return signs and began <= now < ends and (longest is None or depth <= longest)


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
