"""A publisher's folder: keys known by name, files of releases by hash, metadata; and the repository that comes of it.

Layout:
    keys.json         the public keys, who holds each, and where its private part is (`file:` or a signer's URI)
    keys/             private keys that `init` has made; better kept elsewhere
    metadata/         drafts and published metadata (roles.py)
    targets/          manifests, files and deltas, by their names in the repository

What is published is complete: files first, the timestamp last, each file whole or not at all. A device that reads in
between sees the old repository.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Targets

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.release.keys import FILE, Secret, make_key, signer
from edgeagent.release.roles import (
    ONLINE,
    Roles,
    RoleState,
    delegate,
    first_root,
    snapshot_of,
    target_of,
    timestamp_of,
)
from edgeagent.update.deltas import make
from edgeagent.update.nouns import Kind, ReleaseFile

KEYS = "keys.json"
ROOT_KEYS, ROOT_THRESHOLD = 3, 2
SOON_DAYS: Mapping[str, int] = {"root": 30, "targets": 14, "snapshot": 2, "timestamp": 0}
FAMILY_SOON_DAYS = 14
MOST_FILES = 64
LARGEST_FILE_BYTES = 512 << 20
MANIFEST_FORMAT = 1
NOT_RELEASED = frozenset({"README.md", "report"})
"""What a bundle's folder holds for people, and no device needs."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A key as the publisher knows it: who holds it, its public part, and where its private part can be used."""

    name: str
    public: Mapping[str, Any]
    keyid: str
    uri: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What is to be released: the folder of a bundle, and what its manifest says of it."""

    folder: Path
    family: str
    version: str
    kind: Kind
    agent_least: str
    abi: int = 1
    boards: tuple[str, ...] = ()
    memory_mb: int = 0
    security: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a repository, and what to do about it."""

    role: str
    problem: str
    remedy: str


class Shop:
    """A publisher's folder."""

    def __init__(self, folder: Path, secret: Secret) -> None:
        """Use a folder; `secret` gives passphrases."""
        self.folder = folder
        self.roles = Roles(folder / "metadata")
        self._targets = folder / "targets"
        self._secret = secret

    def init(self, families: Sequence[str], now: datetime) -> None:
        """Make keys and drafts of every role. Raise UpdateError if there is a repository already."""
        if (self.folder / KEYS).exists():
            raise UpdateError(f"{self.folder}: is a repository already", code="repository-there")
        names = [*(f"root-{number}" for number in range(1, ROOT_KEYS + 1)), *ONLINE, *families]
        keys = {name: self._made(name) for name in names}
        roots = [keys[f"root-{number}"] for number in range(1, ROOT_KEYS + 1)]
        self.roles.keep_draft("root", first_root(roots, {role: keys[role] for role in ONLINE}, ROOT_THRESHOLD), now)
        targets = Targets()
        for family in families:
            delegate(targets, family, [keys[family]], 1)
            self.roles.keep_draft(family, Targets(), now)
        self.roles.keep_draft("targets", targets, now)
        holders = [Holder(name, key.to_dict(), key.keyid, f"{FILE}keys/{name}.pem") for name, key in keys.items()]
        self._keep_holders(holders)

    def add_key(self, name: str, key: Key, uri: str) -> None:
        """Take a key that somebody else holds, or that another signer reaches."""
        holders = [one for one in self.holders() if one.name != name]
        self._keep_holders([*holders, Holder(name, key.to_dict(), key.keyid, uri)])

    def holders(self) -> tuple[Holder, ...]:
        """Return the keys that are known. Raise UpdateError if the file is missing or damaged."""
        path = self.folder / KEYS
        try:
            return tuple(Holder(**one) for one in json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            remedy = "`edgeagent release init` makes a repository."
            raise UpdateError(f"{path}: cannot be read: {error}", code="no-repository", remedy=remedy) from error

    def add(self, offer: Offer, now: datetime, *, with_deltas: bool = True) -> str:
        """Take a release into the draft of its family; return its manifest's name in the repository.

        Raise UpdateError if the bundle is unusable or the version is there already.
        """
        if offer.family not in self.roles.families():
            known = ", ".join(self.roles.families()) or "none"
            raise UpdateError(f"there is no family {offer.family}: {known}", code="no-family")
        name = f"{offer.family}/{offer.version}.json"
        draft: Targets = self.roles.current(offer.family).signed
        if name in draft.targets:
            remedy = "A version is published once: name a new one."
            raise UpdateError(f"{name}: is there already", code="version-there", remedy=remedy)
        files = tuple(_files_of(offer.folder))
        for file in files:
            self._take(draft, f"{offer.family}/files/{file.sha256}", (offer.folder / file.path).read_bytes())
        if with_deltas:
            self._take_deltas(draft, offer, files)
        self._take(draft, name, _manifest(offer, files), {"version": offer.version, "released": int(now.timestamp())})
        self.roles.keep_draft(offer.family, draft, now)
        return name

    def withdraw(self, family: str, version: str, now: datetime) -> None:
        """Take a release out of the draft of its family: no device installs it any more."""
        draft: Targets = self.roles.current(family).signed
        if draft.targets.pop(f"{family}/{version}.json", None) is None:
            raise UpdateError(f"{family}/{version}: is not there", code="no-version")
        self.roles.keep_draft(family, draft, now)

    def replace_key(self, old: str, new: Key | None, now: datetime) -> tuple[str, ...]:
        """Put a new key in the place of an old one in every role that knows it (None: in no place); return the roles.

        `old` is a key id, or the name of its holder. Raise UpdateError if no role knows it, or too few would be left.
        """
        keyid = next((one.keyid for one in self.holders() if one.name == old), old)
        changed = []
        for role, delegator in self._trusting(keyid):
            known = delegator.get_delegated_role(role)
            if new is None and len(known.keyids) - 1 < known.threshold:
                remedy = "Give another key in its place."
                raise UpdateError(f"{role} would have too few keys", code="too-few-keys", remedy=remedy)
            delegator.revoke_key(keyid, role)
            if new is not None:
                delegator.add_key(new, role)
            changed.append((role, delegator))
        if not changed:
            raise UpdateError(f"no role knows the key {old}", code="no-key")
        for delegator in {id(one): one for _, one in changed}.values():
            self.roles.keep_draft(delegator.type, delegator, now)
        return tuple(role for role, _ in changed)

    def sign(self, holder: Holder, uri: str | None = None) -> tuple[str, ...]:
        """Sign every draft that a holder may sign; return the roles. Raise UpdateError if the key cannot be used."""
        with_key = signer(
            self._absolute(uri or holder.uri), Key.from_dict(holder.keyid, dict(holder.public)), self._secret
        )
        waiting = [
            state.role for state in self.roles.states() if state.state != "published" and state.role not in ONLINE
        ]
        return tuple(role for role in waiting if self.roles.sign(role, with_key))

    def publish(self, out: Path, now: datetime) -> None:
        """Publish every draft, and write the repository to a folder. Raise UpdateError if a signature is missing."""
        for role in ("root", "targets", *self.roles.families()):
            self.roles.publish(role)
        self.refresh("snapshot", now)
        self.refresh("timestamp", now)
        self._write(out)

    def refresh(self, role: str, now: datetime) -> None:
        """Make and sign the next snapshot or timestamp with the online key."""
        made = snapshot_of(self.roles) if role == "snapshot" else timestamp_of(self.roles)
        self.roles.keep_draft(role, made, now)
        for keyid in self.roles.current("root").signed.roles[role].keyids:
            holder = next((one for one in self.holders() if one.keyid == keyid), None)
            if holder is not None:
                public = Key.from_dict(holder.keyid, dict(holder.public))
                self.roles.sign(role, signer(self._absolute(holder.uri), public, self._secret))
        self.roles.publish(role)

    def refresh_timestamp(self, out: Path, now: datetime) -> None:
        """Say anew what is newest, and write that alone; the snapshot too, where it would soon expire."""
        snapshot = next(state for state in self.roles.states() if state.role == "snapshot")
        if snapshot.expires is None or snapshot.expires - now < timedelta(days=SOON_DAYS["snapshot"]):
            self.refresh("snapshot", now)
        self.refresh("timestamp", now)
        self._write_metadata(out)

    def status(self) -> tuple[RoleState, ...]:
        """Return how every role stands."""
        return self.roles.states()

    def findings(self, now: datetime) -> tuple[Finding, ...]:
        """Return what is wrong, or soon will be."""
        return tuple(self._findings(now))

    def _findings(self, now: datetime) -> Iterator[Finding]:
        for state in self.roles.states():
            soon = timedelta(days=SOON_DAYS.get(state.role, FAMILY_SOON_DAYS))
            if state.expires is not None and state.expires - now < soon:
                when = "has expired" if state.expires < now else f"expires on {state.expires:%Y-%m-%d %H:%M}"
                remedy = "edgeagent release refresh-timestamp" if state.role in ONLINE else "edgeagent release renew"
                yield Finding(state.role, when, remedy)
            if state.state == "draft":
                who = ", ".join(self._name_of(keyid) for keyid in state.may_sign)
                yield Finding(
                    state.role, f"lacks {state.missing} signatures: {who}", "edgeagent release sign --key NAME"
                )
            elif state.state == "ready":
                yield Finding(state.role, "is signed and not published", "edgeagent release publish DIR")
        for family in self.roles.families():
            for name, target in self.roles.current(family).signed.targets.items():
                path = self._targets / name
                if not path.is_file() or _sha256(path.read_bytes()) != target.hashes["sha256"]:
                    yield Finding(family, f"{name} is missing or damaged", "Take the file from a copy.")
        for path in sorted((self.folder / "keys").glob("*.pem")):
            if path.stat().st_mode & 0o077:
                yield Finding(path.name, "can be read by others", f"chmod 600 {path}")

    def renew(self, role: str, now: datetime) -> None:
        """Make a draft of a role as it is, which lasts as long as a new one."""
        self.roles.keep_draft(role, self.roles.current(role).signed, now)

    def _trusting(self, keyid: str) -> Iterator[tuple[str, Any]]:
        root, targets = self.roles.current("root").signed, self.roles.current("targets").signed
        for role in ("root", "targets", *ONLINE):
            if keyid in root.roles[role].keyids:
                yield role, root
        for family in self.roles.families():
            if keyid in targets.get_delegated_role(family).keyids:
                yield family, targets

    def _take(self, draft: Targets, name: str, content: bytes, custom: Mapping[str, Any] | None = None) -> None:
        path = self._targets / name
        if not path.exists():
            write_durably(path, content, mode=0o644)
        draft.targets[name] = target_of(name, content, custom)

    def _take_deltas(self, draft: Targets, offer: Offer, files: Sequence[ReleaseFile]) -> None:
        """Take deltas from the files of the newest release of the family that stand at the same paths."""
        before = [name for name in draft.targets if name.startswith(f"{offer.family}/") and name.count("/") == 1]
        newest = max(before, key=lambda name: draft.targets[name].custom.get("released", 0), default=None)
        if newest is None:
            return
        old = {file["path"]: file["sha256"] for file in json.loads((self._targets / newest).read_bytes())["files"]}
        for file in files:
            base = old.get(file.path)
            if base is None or base == file.sha256:
                continue
            whole = (self._targets / offer.family / "files" / file.sha256).read_bytes()
            delta = make((self._targets / offer.family / "files" / base).read_bytes(), whole)
            if delta is not None:
                self._take(draft, f"{offer.family}/deltas/{base}-{file.sha256}", delta)

    def _write(self, out: Path) -> None:
        """Write the repository in consistent-snapshot form: whoever comes in between finds the old one whole."""
        for family in self.roles.families():
            for name, target in self.roles.current(family).signed.targets.items():
                folder, _, plain = name.rpartition("/")
                to = out / "targets" / folder / f"{target.hashes['sha256']}.{plain}"
                if not to.exists():
                    write_durably(to, (self._targets / name).read_bytes(), mode=0o644)
        self._write_metadata(out)

    def _write_metadata(self, out: Path) -> None:
        newest = self.roles.published / "timestamp.json"
        for path in sorted(self.roles.published.glob("*.json"), key=lambda one: one == newest):
            to = out / "metadata" / path.name
            if path == newest or not to.exists():
                write_durably(to, path.read_bytes(), mode=0o644)

    def _made(self, name: str) -> Key:
        return make_key(self.folder / "keys" / f"{name}.pem", self._secret(name))

    def _absolute(self, uri: str) -> str:
        path = uri.removeprefix(FILE)
        return f"{FILE}{self.folder / path}" if uri.startswith(FILE) else uri

    def _name_of(self, keyid: str) -> str:
        return next((one.name for one in self.holders() if one.keyid == keyid), keyid[:12])

    def _keep_holders(self, holders: Sequence[Holder]) -> None:
        content = json.dumps([asdict(one) for one in holders], indent=1).encode()
        write_durably(self.folder / KEYS, content, mode=0o644)


def _files_of(folder: Path) -> Iterator[ReleaseFile]:
    """Yield the files of a bundle. Raise UpdateError if there are too many, or one is a link or too large."""
    if not folder.is_dir():
        raise UpdateError(f"{folder}: is no folder", code="bad-bundle", remedy="Name the folder of a bundle.")
    everything = (path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in NOT_RELEASED)
    paths = sorted(path for path in everything if path.is_symlink() or not path.is_dir())
    if not 0 < len(paths) <= MOST_FILES:
        raise UpdateError(f"{folder}: {len(paths)} files, expected 1 to {MOST_FILES}", code="bad-bundle")
    for path in paths:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_FILE_BYTES:
            raise UpdateError(f"{path}: is no plain file of at most {LARGEST_FILE_BYTES >> 20} MB", code="bad-bundle")
        content = path.read_bytes()
        yield ReleaseFile(path.relative_to(folder).as_posix(), _sha256(content), len(content))


def _manifest(offer: Offer, files: Sequence[ReleaseFile]) -> bytes:
    told = {
        "format": MANIFEST_FORMAT,
        "family": offer.family,
        "version": offer.version,
        "kind": offer.kind,
        "files": [asdict(file) for file in files],
        "agent_least": offer.agent_least,
        "abi": offer.abi,
        "boards": list(offer.boards),
        "memory_mb": offer.memory_mb,
        "security": offer.security,
    }
    return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
