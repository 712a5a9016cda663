"""A root of trust, looked at before anybody trusts it. Nothing here is of one system alone."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from edgeagent.errors import UpdateError
from edgeagent.update.on_disk import read_bounded
from edgeagent.update.places import LARGEST_ROOT_BYTES

_NAME_IT = "Name the file N.root.json that your publisher has given you."


@dataclass(frozen=True, slots=True)
class RootFacts:
    """What a root of trust says of itself: its version, when it expires, who must sign, and the keys' short names."""

    version: int
    expires: datetime
    threshold: int
    keys: tuple[str, ...]


def look_at_root(path: Path) -> tuple[bytes, RootFacts]:
    """Return a root of trust and what it says. Raise UpdateError "bad-root" if it is none, or not signed by itself."""
    try:
        content = read_bounded(path, LARGEST_ROOT_BYTES)
    except OSError as error:
        raise UpdateError(f"{path}: {error.strerror}", code="bad-root", remedy=_NAME_IT) from error
    return content, facts_of(content, str(path))


def facts_of(content: bytes, where: str) -> RootFacts:
    """Return what a root of trust says. Raise UpdateError "bad-root"."""
    try:
        metadata = Metadata[Root].from_bytes(content)
        root = metadata.signed
        if not isinstance(root, Root):
            raise UpdateError(f"{where}: is no root", code="bad-root", remedy=_NAME_IT)
        result = root.get_root_verification_result(None, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError, KeyError) as error:
        raise UpdateError(f"{where}: is no root of trust: {error}", code="bad-root", remedy=_NAME_IT) from error
    if not result.verified:
        raise UpdateError(f"{where}: is not signed by its own keys", code="bad-root", remedy=_NAME_IT)
    role = root.roles["root"]
    return RootFacts(root.version, root.expires, role.threshold, tuple(key[:12] for key in role.keyids))
