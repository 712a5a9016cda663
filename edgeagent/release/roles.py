"""The signed metadata of a repository: who may sign what, drafts that wait for signatures, and what is published.

The roles (TUF):
- root: 2 of 3 offline keys, a year; names all other keys;
- targets: the same holders, 2 of 3, 90 days; delegates each family of releases to keys of its own, terminating;
- one role per family: its releases, 90 days;
- snapshot (7 days) and timestamp (one day): online keys; they only say what is newest.

A draft is the next version of a role. It is published when enough of those who may sign it have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably

LASTS_DAYS: Mapping[str, int] = {"root": 365, "targets": 90, "snapshot": 7, "timestamp": 1}
FAMILY_LASTS_DAYS = 90
ONLINE = ("snapshot", "timestamp")
_TYPES: Mapping[str, Any] = {"root": Root, "targets": Targets, "snapshot": Snapshot, "timestamp": Timestamp}
State = Literal["published", "draft", "ready"]


@dataclass(frozen=True, slots=True)
class RoleState:
    """How a role stands: what is published of it and until when, and what its draft still needs."""

    role: str
    version: int
    expires: datetime | None
    state: State
    missing: int = 0
    may_sign: tuple[str, ...] = ()


class Roles:
    """The metadata in a folder: `published/` with every version, and `drafts/`."""

    def __init__(self, folder: Path) -> None:
        """Use the folder; it may be empty."""
        self.published = folder / "published"
        self.drafts = folder / "drafts"

    def latest(self, role: str) -> Metadata[Any] | None:
        """Return the newest published version; None if there is none. Raise UpdateError if it is damaged."""
        name = "timestamp.json" if role == "timestamp" else None
        versions = sorted(self.published.glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".", 1)[0]))
        path = self.published / name if name else (versions[-1] if versions else None)
        return None if path is None or not path.is_file() else _read(path)

    def draft(self, role: str) -> Metadata[Any] | None:
        """Return the draft of a role, or None. Raise UpdateError if it is damaged."""
        path = self.drafts / f"{role}.json"
        return _read(path) if path.is_file() else None

    def current(self, role: str) -> Metadata[Any]:
        """Return the draft, else what is published. Raise UpdateError if there is neither."""
        found = self.draft(role) or self.latest(role)
        if found is None:
            remedy = "`edgeagent release init` makes a repository."
            raise UpdateError(f"there is no {role}", code="no-repository", remedy=remedy)
        return found

    def keep_draft(self, role: str, signed: Any, now: datetime) -> None:
        """Keep the next version of a role, without signatures: what was signed of a draft before is void."""
        before = self.latest(role)
        signed.version = 1 if before is None else before.signed.version + 1
        days = LASTS_DAYS.get(role, FAMILY_LASTS_DAYS)
        signed.expires = (now + timedelta(days=days)).replace(microsecond=0)
        write_durably(self.drafts / f"{role}.json", _bytes(Metadata(signed)), mode=0o644)

    def sign(self, role: str, signer: Signer) -> bool:
        """Add a signature to a role's draft; return whether this key may sign it.

        Raise UpdateError if the key cannot be used.
        """
        draft = self.draft(role)
        if draft is None or signer.public_key.keyid not in self._may_sign(role):
            return False
        try:
            draft.sign(signer, append=True)
        except UnsignedMetadataError as error:
            why = f"{error}".rstrip(": ") or type(error.__cause__).__name__
            remedy = "Is it plugged in, and the passphrase or PIN right?"
            raise UpdateError(f"{role}: {why}", code="not-signed", remedy=remedy) from error
        write_durably(self.drafts / f"{role}.json", _bytes(draft), mode=0o644)
        return True

    def states(self) -> tuple[RoleState, ...]:
        """Return how every role stands, root first."""
        return tuple(self.state(role) for role in ("root", "targets", *self.families(), *ONLINE))

    def state(self, role: str) -> RoleState:
        """Return how a role stands."""
        published, draft = self.latest(role), self.draft(role)
        version = 0 if published is None else published.signed.version
        expires = None if published is None else published.signed.expires
        if draft is None:
            return RoleState(role, version, expires, "published")
        missing, unsigned = self._missing(role, draft)
        return RoleState(role, version, expires, "draft" if missing else "ready", missing, unsigned)

    def families(self) -> tuple[str, ...]:
        """Return the families that releases are delegated to."""
        targets = self.draft("targets") or self.latest("targets")
        delegations = None if targets is None else targets.signed.delegations
        return () if delegations is None or delegations.roles is None else tuple(sorted(delegations.roles))

    def publish(self, role: str) -> None:
        """Make a draft the newest version. Raise UpdateError, naming who must sign, if signatures are missing."""
        draft = self.draft(role)
        if draft is None:
            return
        missing, unsigned = self._missing(role, draft)
        if missing:
            who = ", ".join(keyid[:12] for keyid in unsigned)
            raise UpdateError(
                f"{role} {draft.signed.version} lacks {missing} signature{'s' if missing > 1 else ''}: {who}",
                code="unsigned",
                remedy="Have a key holder run: edgeagent release sign --key FILE",
            )
        name = "timestamp.json" if role == "timestamp" else f"{draft.signed.version}.{role}.json"
        write_durably(self.published / name, _bytes(draft), mode=0o644)
        (self.drafts / f"{role}.json").unlink()

    def _may_sign(self, role: str) -> frozenset[str]:
        keyids = set(self._delegator(role).get_delegated_role(role).keyids)
        published = self.latest("root") if role == "root" else None
        return frozenset(keyids | (set(published.signed.roles["root"].keyids) if published else set()))

    def _delegator(self, role: str) -> Any:
        return self.current("root" if role in _TYPES else "targets").signed

    def _missing(self, role: str, draft: Metadata[Any]) -> tuple[int, tuple[str, ...]]:
        """Return how many signatures are missing, and whose could be added."""
        payload, signatures = draft.signed_bytes, draft.signatures
        if role == "root":
            before = self.latest("root")
            result = draft.signed.get_root_verification_result(before and before.signed, payload, signatures)
            return max(result.first.missing, result.second.missing), tuple(result.unsigned)
        found = self._delegator(role).get_verification_result(role, payload, signatures)
        return found.missing, tuple(found.unsigned)


def first_root(roots: Sequence[Key], online: Mapping[str, Key], threshold: int) -> Root:
    """Return a root in which these keys sign root and targets, and the online keys snapshot and timestamp."""
    root = Root(consistent_snapshot=True)
    for role in ("root", "targets"):
        for key in roots:
            root.add_key(key, role)
        root.roles[role] = Role(root.roles[role].keyids, threshold)
    for role in ONLINE:
        root.add_key(online[role], role)
    return root


def delegate(targets: Targets, family: str, keys: Sequence[Key], threshold: int) -> None:
    """Let these keys sign a family's releases, and nobody after them."""
    delegations = targets.delegations or Delegations({}, {})
    delegations.keys |= {key.keyid: key for key in keys}
    role = DelegatedRole(family, [key.keyid for key in keys], threshold, terminating=True, paths=_paths(family))
    delegations.roles = {**(delegations.roles or {}), family: role}
    targets.delegations = delegations


def snapshot_of(roles: Roles) -> Snapshot:
    """Return a snapshot of what is published."""
    meta = {}
    for role in ("targets", *roles.families()):
        if (latest := roles.latest(role)) is not None:
            meta[f"{role}.json"] = MetaFile.from_data(latest.signed.version, _bytes(latest), ["sha256"])
    return Snapshot(meta=meta)


def timestamp_of(roles: Roles) -> Timestamp:
    """Return a timestamp of the snapshot that is published."""
    latest = roles.latest("snapshot")
    if latest is None:
        raise UpdateError("there is no snapshot", code="no-repository")
    return Timestamp(snapshot_meta=MetaFile.from_data(latest.signed.version, _bytes(latest), ["sha256"]))


def target_of(name: str, content: bytes, custom: Mapping[str, Any] | None = None) -> TargetFile:
    """Return what metadata says of a file."""
    target = TargetFile.from_data(name, content, ["sha256"])
    if custom:
        target.unrecognized_fields["custom"] = dict(custom)
    return target


def _paths(family: str) -> list[str]:
    return [f"{family}/*", f"{family}/files/*", f"{family}/deltas/*"]


def _bytes(metadata: Metadata[Any]) -> bytes:
    return metadata.to_bytes(JSONSerializer(compact=False))


def _read(path: Path) -> Metadata[Any]:
    try:
        return Metadata.from_file(str(path))
    except (RepositoryError, OSError) as error:
        remedy = "Take it from a copy of the repository: nothing is signed over a damaged file."
        raise UpdateError(f"{path}: cannot be read: {error}", code="damaged-repository", remedy=remedy) from error
