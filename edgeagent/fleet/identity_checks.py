"""An answer to a request for a certificate to the pair that it makes, or why it makes none. Pure.

Rules:
    - The certificate is for our key and our name, and counts now.
    - It comes from a root of the answer's, and the answer's roots include one that this device trusts already: roots
      are replaced by overlap, never all at once.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from edgeagent.errors import BusError
from edgeagent.fleet.identity import chain, common_name, public_key
from edgeagent.fleet.identity_keys import IdentityError
from edgeagent.fleet.wire import Certified
from edgeagent.topics import Address

DEEPEST_CHAIN = 4
_CONSOLE = "Look at the console's authority, and at the ca that this device was given."


def fitting(answer: Certified, *, key: bytes, trusted: bytes, now: float) -> Address:
    """Return who this device is by an answer. `key` is the public one (DER), `trusted` are roots (PEM).

    Raise IdentityError if the certificate is not for this key, from an unknown root, or the clock is wrong.
    """
    try:
        return _fitting(answer, key, trusted, now)
    except (ValueError, UnsupportedAlgorithm) as error:  # what is well formed may still be nonsense inside
        raise IdentityError(f"the answer's certificates cannot be read: {error}", remedy=_CONSOLE) from error


def _fitting(answer: Certified, key: bytes, trusted: bytes, now: float) -> Address:
    certificates = chain(answer.certificate.encode(), "the answer's certificate")
    roots = chain(answer.ca.encode(), "the answer's ca")
    leaf = certificates[0]
    try:
        address = Address(answer.fleet, answer.device)
    except BusError as error:
        raise IdentityError(f"the answer names no device: {error}", remedy=_CONSOLE) from error
    if common_name(leaf) != address.device:
        raise IdentityError(f"the certificate is {common_name(leaf)!r:.80}'s, not {address.device}'s", remedy=_CONSOLE)
    if public_key(leaf) != key:
        raise IdentityError("the certificate is for another key", remedy="Enrol again; look at the console's log.")
    if not set(roots) & set(chain(trusted, "our ca")):
        raise IdentityError("the answer names other authorities than this device trusts", remedy=_CONSOLE)
    if not _comes_from(leaf, certificates[1:], roots):
        raise IdentityError("the certificate was not signed by the authority that the answer names", remedy=_CONSOLE)
    _check_time(leaf, now)
    return address


def _comes_from(leaf: x509.Certificate, between: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> bool:
    current = leaf
    for _ in range(DEEPEST_CHAIN):
        if any(_signed(current, root) for root in roots):
            return True
        above = next((one for one in between if one != current and _signed(current, one)), None)
        if above is None:
            return False
        current = above
    return False


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_time(leaf: x509.Certificate, now: float) -> None:
    began, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if began.timestamp() <= now < ends.timestamp():
        return
    is_early = now < began.timestamp()
    raise IdentityError(
        f"the certificate counts {'only from' if is_early else 'until'} {(began if is_early else ends):%Y-%m-%d %H:%M}"
        " UTC by this device's clock: that is wrong",
        remedy="Set the clock (timedatectl), then enrol again: the same token still works.",
    )
