"""TUF's client with a disk that forgets nothing: each file whole or not at all, and the floor raised before it.

It overrides how the library keeps files, follows roots, and bounds what is downloaded; `pyproject.toml` pins it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import cast
from urllib.parse import quote

from tuf.api import exceptions
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from edgeagent.errors import UpdateError
from edgeagent.update.floor import FloorKeeper, Signed
from edgeagent.update.on_disk import read_bounded, set_aside, write_once
from edgeagent.update.trusted_set import FlooredMetadataSet, still_holds
from edgeagent.update.trusted_time import Reference
from edgeagent.update.tuf_fetcher import TransportFetcher

log = logging.getLogger(__name__)

MOST_LOCAL_ROOTS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one refresh may cost."""

    root_rotations: int = 32
    delegations: int = 32
    root_bytes: int = 512_000
    timestamp_bytes: int = 16_384
    snapshot_bytes: int = 2_000_000
    targets_bytes: int = 5_000_000

    def of(self, role: str) -> int:
        """Return the most bytes that a role's metadata may have."""
        sizes = {Root.type: self.root_bytes, Timestamp.type: self.timestamp_bytes, Snapshot.type: self.snapshot_bytes}
        return sizes.get(role, self.targets_bytes)


class DurableUpdater(Updater):
    """TUF's client with its files kept durably, below `folder`; one refresh per object."""

    def __init__(
        self,
        folder: Path,
        fetcher: TransportFetcher,
        keeper: FloorKeeper,
        bootstrap: bytes,
        *,
        prefix: str,
        limits: Limits,
        reference: Reference,
    ) -> None:
        """Load the first root. Raise RepositoryError, OSError."""
        self._folder, self._keeper, self._limits = folder, keeper, limits
        self._prefix = prefix
        self._newest_root = bootstrap  # of those that are on the disk
        config = UpdaterConfig(max_delegations=limits.delegations)
        super().__init__(str(folder), prefix, fetcher=fetcher, config=config, bootstrap=bootstrap)
        self._trusted_set = FlooredMetadataSet(bootstrap, lambda: keeper.floor, reference.time)

    @property
    def trusted(self) -> FlooredMetadataSet:
        """Return what is trusted."""
        return cast("FlooredMetadataSet", self._trusted_set)

    def _download_metadata(self, rolename: str, length: int, version: int | None = None) -> bytes:
        number = "" if version is None else f"{version}."
        # A length that stolen keys announce is no bound (A15).
        most = min(length, self._limits.of(rolename))
        return self._fetcher.download_bytes(f"{self._prefix}{number}{quote(rolename, '')}.json", most)

    def _load_local_metadata(self, rolename: str) -> bytes:
        path = self._path(rolename)
        content = read_bounded(path, self._limits.of(rolename))
        if not content.startswith(b"{") or not content.rstrip().endswith(b"}"):
            log.warning("metadata damaged", extra={"role": rolename, "bytes": len(content)})
            set_aside(path)
            raise FileNotFoundError(f"{path}: damaged, set aside")
        return content

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        self._raise_floor(rolename)
        write_once(self._path(rolename), data)

    def _persist_root(self, version: int, data: bytes) -> None:
        floor = self._keeper.floor
        self._keeper.keep(replace(floor, root=max(floor.root, version)))
        write_once(self._folder / "root_history" / f"{version}.root.json", data)
        self._newest_root = data

    def _update_root_symlink(self) -> None:
        """Leave root.json alone while the library begins with the first root: it tells the newest one."""

    def _tell_root(self) -> None:
        # A whole file, replaced in one step: the library's remove and symlink leave no root when killed between.
        write_once(self._folder / "root.json", self._newest_root)

    def _load_root(self) -> None:
        self._load_local_roots()
        try:
            for _ in range(self._limits.root_rotations):
                if not self._load_next_root():
                    break
            else:
                self._expect_last_root()
        finally:
            self._tell_root()
        found, least = self._trusted_set.root.version, self._keeper.floor.root
        if found < least:
            raise exceptions.BadVersionNumberError(f"root: expected version {least} or later, found {found}")

    def _load_local_roots(self) -> None:
        """Follow the chain that was verified before: it costs nothing and counts as no rotation."""
        for _ in range(MOST_LOCAL_ROOTS):
            version = self._trusted_set.root.version + 1
            path = self._folder / "root_history" / f"{version}.root.json"
            try:
                data = read_bounded(path, self._limits.root_bytes)
                self._trusted_set.update_root(data)
            except FileNotFoundError:
                return
            except (OSError, exceptions.RepositoryError) as error:
                log.warning("root damaged", extra={"version": version, "reason": str(error)})
                return  # fetched anew, and replaced
            self._newest_root = data

    def _load_next_root(self) -> bool:
        version = self._trusted_set.root.version + 1
        try:
            data = self._download_metadata(Root.type, self._limits.root_bytes, version)
        except exceptions.DownloadHTTPError:
            return False  # there is none: the root is the newest
        self._trusted_set.update_root(data)
        self._persist_root(version, data)
        return True

    def _expect_last_root(self) -> None:
        """Raise UpdateError if there are more roots than one refresh may follow; those that were followed stay."""
        version = self._trusted_set.root.version + 1
        try:
            self._download_metadata(Root.type, self._limits.root_bytes, version)
        except exceptions.DownloadHTTPError:
            return
        raise UpdateError(
            f"root: more than {self._limits.root_rotations} new versions, kept up to {version - 1}",
            code="too-many-roots",
            remedy="The next refresh goes on from there.",
        )

    def _raise_floor(self, role: str) -> None:
        floor, trusted = self._keeper.floor, self.trusted
        if role == Timestamp.type:
            found = {Timestamp.type: trusted.timestamp.version, Snapshot.type: trusted.timestamp.snapshot_meta.version}
            floor = replace(floor, timestamp=self._raised(floor.timestamp, found, role))
        elif role == Snapshot.type:
            found = {name: meta.version for name, meta in trusted.snapshot.meta.items()}
            floor = replace(floor, snapshot=self._raised(floor.snapshot, found, role))
        self._keeper.keep(floor)

    def _raised(self, before: Signed, found: dict[str, int], role: str) -> Signed:
        if still_holds(before, self._trusted_set.root, role):
            found = {name: max(found.get(name, 0), before.versions.get(name, 0)) for name in {*found, *before.versions}}
        return Signed(found, self.trusted.signers[role])

    def raise_floor(self) -> None:
        """Keep what is trusted, also where it was on the disk before. Raise OSError."""
        self._raise_floor(Timestamp.type)
        self._raise_floor(Snapshot.type)

    def covering(self, family: str) -> Iterator[Targets]:
        """Yield the targets roles that may tell of a family, within bounds. Raise RepositoryError, OSError."""
        waiting, seen = [(Targets.type, Root.type)], set[str]()
        while waiting and len(seen) <= self._limits.delegations:
            name, parent = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            targets = self._load_targets(name, parent)
            yield targets
            waiting += [(child, name) for child in islice(_children(targets, family), self._limits.delegations)]

    def _path(self, role: str) -> Path:
        return self._folder / f"{quote(role, '')}.json"


def _children(targets: Targets, family: str) -> Iterator[str]:
    delegations = targets.delegations
    if delegations is not None and delegations.succinct_roles is not None:
        yield from delegations.succinct_roles.get_roles()
    elif delegations is not None:
        for role in (delegations.roles or {}).values():
            # Bins by hash may hold anything; so may a pattern whose first part could be the family's name.
            if role.paths is None or any(_may_begin(path, family) for path in role.paths):
                yield role.name


def _may_begin(pattern: str, family: str) -> bool:
    first = pattern.partition("/")[0]
    return first == family or any(sign in first for sign in "*?[")
