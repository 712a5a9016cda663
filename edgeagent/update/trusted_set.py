"""Metadata that is verified, to metadata that is trusted: above the floor, and signed by as many keys as announced.

- Nothing below the durable floor is trusted, whatever is on the disk or on the server.
- A key counts once, under however many ids it appears.
- What cannot be read is a RepositoryError, whatever it was that the parser stumbled over.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.signer import Key, Signature
from tuf.api import exceptions
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from edgeagent.update.floor import LARGEST_NUMBER, MOST_ROLES, Floor, Signed

Delegator = Root | Targets
Loaded = tuple[Any, bytes, dict[str, Signature]]


def fingerprint(key: Key) -> str:
    """Return the hash of the public key itself: its id, scheme and the line breaks of its PEM do not matter."""
    public = key.keyval.get("public")
    try:
        if isinstance(public, str) and public.startswith("-----"):
            raw = load_pem_public_key(public.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            raw = bytes.fromhex(str(public))
    except (ValueError, TypeError):
        raw = json.dumps(key.keyval, sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()


def still_holds(entry: Signed, root: Root, role: str) -> bool:
    """Say whether those who signed could still sign for the role, as the root has it now."""
    keys = {fingerprint(root.keys[one]) for one in root.roles[role].keyids if one in root.keys}
    return len(keys & entry.signers) >= root.roles[role].threshold


class FlooredMetadataSet(TrustedMetadataSet):
    """The library's set of trusted metadata, which asks the floor before it takes anything in."""

    def __init__(self, root_data: bytes, floor: Callable[[], Floor], reference: datetime) -> None:
        """Load the first root. `floor` tells the floor as it is now. Raise RepositoryError."""
        self._floor = floor
        self.signers: dict[str, frozenset[str]] = {}
        super().__init__(root_data, EnvelopeType.METADATA)
        self.reference_time = reference

    # The library sets `_load_data` to its own parser and verifier; what it calls is ours, around it.
    @property
    def _load_data(self) -> Callable[..., Loaded]:
        return self._checked

    @_load_data.setter
    def _load_data(self, load: Callable[..., Loaded]) -> None:
        self._load = load

    def _checked(
        self, role: Any, data: bytes, delegator: Delegator | None = None, role_name: str | None = None
    ) -> Loaded:
        name = role_name or role.type
        try:
            loaded = self._load(role, data, delegator, role_name)
            signed, payload, signatures = loaded
            if delegator is not None:
                self.signers[name] = _distinct(delegator, name, payload, signatures)
            if isinstance(signed, Root):
                _distinct(signed, Root.type, payload, signatures)
        except exceptions.RepositoryError:
            raise
        except Exception as error:  # the parser's boundary: whatever a hostile file makes it raise
            raise exceptions.RepositoryError(f"{name}: cannot be read: {type(error).__name__}: {error}") from error
        self._ask_floor(signed)
        return loaded

    def _ask_floor(self, signed: Any) -> None:
        floor = self._floor()
        found = {signed.type: signed.version}
        if isinstance(signed, Timestamp):
            found |= {Snapshot.type: signed.snapshot_meta.version}
            if still_holds(floor.timestamp, self.root, Timestamp.type):
                _compare(found, floor.timestamp.versions)
        elif isinstance(signed, Snapshot):
            found = {name: meta.version for name, meta in signed.meta.items()}
            if still_holds(floor.snapshot, self.root, Snapshot.type):
                _compare(found, floor.snapshot.versions)
        if len(found) > MOST_ROLES or max([signed.version, *found.values()]) >= LARGEST_NUMBER:
            raise exceptions.RepositoryError(f"{signed.type}: more than {MOST_ROLES} roles, or a version beyond 2^53")


def _compare(found: Mapping[str, int], floor: Mapping[str, int]) -> None:
    for name, least in floor.items():
        if found.get(name, 0) < least:
            raise exceptions.BadVersionNumberError(
                f"{name}: expected version {least} or later, which was trusted before, found {found.get(name)}"
            )


def _distinct(delegator: Delegator, name: str, payload: bytes, signatures: dict[str, Signature]) -> frozenset[str]:
    result = delegator.get_verification_result(name, payload, signatures)
    signers = frozenset(fingerprint(key) for key in result.signed.values())
    if len(signers) < result.threshold:
        raise exceptions.UnsignedMetadataError(
            f"{name}: signed by {len(signers)} different keys, expected {result.threshold}"
        )
    return signers
