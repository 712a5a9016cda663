"""Signed metadata, to what may be installed: TUF's client with a disk that forgets nothing and a floor that stays.

Every file is written whole or not at all and is on the disk before it counts; the floor is there before the file.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from tuf.api import exceptions
from tuf.api.metadata import Root, Snapshot, TargetFile, Targets, Timestamp

from edgeagent.errors import UpdateError
from edgeagent.update.durable_updater import DurableUpdater, Limits
from edgeagent.update.floor import FileShelf, FloorKeeper, Shelf
from edgeagent.update.nouns import Target, Transport
from edgeagent.update.on_disk import disk_error, make_folder
from edgeagent.update.safe_names import check_name, is_safe
from edgeagent.update.trusted_time import Clock, Reference
from edgeagent.update.tuf_fetcher import TransportFetcher

log = logging.getLogger(__name__)

_GOOD_STEP = timedelta(hours=1)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOP = {Root.type, Timestamp.type, Snapshot.type, Targets.type}
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ExpiredMetadataError, "expired"),
    (exceptions.UnsignedMetadataError, "unsigned"),
    (exceptions.BadVersionNumberError, "rollback"),
    (exceptions.LengthOrHashMismatchError, "mismatch"),
    (exceptions.DownloadLengthMismatchError, "too-long"),
    (exceptions.DownloadHTTPError, "absent"),
    (exceptions.DownloadError, "unreachable"),
    (exceptions.RepositoryError, "bad-metadata"),
)
_REMEDIES = {
    "expired": "Is the clock right (timedatectl)? Else the publisher must sign anew: edgeagent release status.",
    "unreachable": "Is this device online? It will be tried again.",
    "rollback": "The server offers something older than what this device has trusted: tell the publisher.",
    "unsigned": "Nobody whom this device trusts has signed it: tell the publisher, or edgeagent update trust FILE.",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a repository keeps what: prefixes of the paths that transports are asked for."""

    metadata: str = "metadata/"
    targets: str = "targets/"


class TrustedMetadata:
    """What may be installed: the metadata in a folder, its floor, and where newer metadata comes from."""

    def __init__(
        self,
        folder: Path,
        transports: Sequence[Transport],
        *,
        bootstrap: bytes | None,
        clock: Clock,
        second_floor: Shelf | None = None,
        layout: Layout | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take the root of trust that came with the device. Raise UpdateError "no-root", "disk-full", "disk-error"."""
        if not bootstrap:
            raise UpdateError(
                "this device has no root of trust",
                code="no-root",
                remedy="Give it one: edgeagent update trust FILE",
            )
        self._folder, self._bootstrap, self._clock = folder, bootstrap, clock
        self._layout, self._limits = layout or Layout(), limits or Limits()
        self._fetcher = TransportFetcher(transports)
        self._current: DurableUpdater | None = None
        self.is_clock_trusted = True
        shelves = [FileShelf(folder / "floor" / "floor.json"), *([second_floor] if second_floor else [])]
        with _told():
            self._keeper = FloorKeeper(*shelves)

    def refresh(self) -> None:
        """Bring the metadata up to date. Raise UpdateError; what was trusted before stays trusted."""
        reference = self._reference()
        with _told():
            make_folder(self._folder)
            self._sweep()
            updater = DurableUpdater(
                self._folder,
                self._fetcher,
                self._keeper,
                self._bootstrap,
                prefix=self._layout.metadata,
                limits=self._limits,
                reference=reference,
            )
            updater.refresh()
            updater.raise_floor()
            self._remember_good(reference)
        self._current = updater

    def target(self, name: str) -> Target | None:
        """Return a target by its name, looked for as delegations say. Raise UpdateError."""
        found = self._file(name)
        if found is None:
            return None
        sha256, custom = found.hashes.get("sha256", "").lower(), found.custom or {}
        if not _SHA256.fullmatch(sha256) or type(found.length) is not int or not isinstance(custom, dict):
            raise UpdateError(f"{name}: expected a length, a SHA-256 and an object `custom`", code="bad-metadata")
        return Target(name, found.length, sha256, custom)

    def names(self, family: str) -> tuple[str, ...]:
        """Return the names of all targets of a family. Raise UpdateError."""
        check_name(family)
        updater = self._usable()
        with _told():
            told = {name for role in updater.covering(family) for name in role.targets if name.startswith(f"{family}/")}
            return tuple(sorted(name for name in told if is_safe(name) and updater.get_targetinfo(name) is not None))

    def path_of(self, target: Target) -> str:
        """Return a target's path in the repository: with its hash, if the repository's names have hashes."""
        updater = self._usable()
        if not updater.trusted.root.consistent_snapshot:
            return f"{self._layout.targets}{target.name}"
        folder, slash, name = target.name.rpartition("/")
        return f"{self._layout.targets}{folder}{slash}{target.sha256}.{name}"

    def agrees(self, name: str, path: Path) -> bool:
        """Say whether a file has the length and all the hashes that are signed. Raise UpdateError."""
        found = self._file(name)
        try:
            with path.open("rb") as file:
                if found is not None:
                    found.verify_length_and_hashes(file)
        except (OSError, exceptions.LengthOrHashMismatchError):
            return False
        return found is not None

    @property
    def version(self) -> int:
        """Return the version of the targets metadata that is trusted now, 0 before the first refresh ever."""
        if self._current is not None:
            return int(self._current.trusted.targets.version)
        return self._keeper.floor.snapshot.versions.get("targets.json", 0)

    def _file(self, name: str) -> TargetFile | None:
        check_name(name)
        updater = self._usable()
        with _told():
            return updater.get_targetinfo(name)

    def _usable(self) -> DurableUpdater:
        if self._current is None:
            raise UpdateError("nothing is trusted before a refresh", code="not-refreshed")
        trusted, time = self._current.trusted, self._reference().time
        trusted.reference_time = time
        for role in sorted(_TOP):
            if cast("Any", trusted[role]).is_expired(time):
                raise UpdateError(f"{role}: expired", code="expired", remedy=_REMEDIES["expired"])
        return self._current

    def _reference(self) -> Reference:
        reference = self._clock.reference(self._keeper.floor.good)
        if self.is_clock_trusted and not reference.is_trusted:
            log.warning("clock-untrusted", extra={"reference": reference.time.isoformat()})
        self.is_clock_trusted = reference.is_trusted
        return reference

    def _remember_good(self, reference: Reference) -> None:
        floor = self._keeper.floor
        if reference.is_trusted and reference.time - floor.good > _GOOD_STEP:
            self._keeper.keep(replace(floor, good=reference.time.replace(microsecond=0)))

    def _sweep(self) -> None:
        """Remove what a power cut has left of files that were being written."""
        for folder in (self._folder, self._folder / "root_history", self._folder / "floor"):
            for path in folder.glob(".*.json.*"):
                if path.is_file():
                    path.unlink(missing_ok=True)


@contextmanager
def _told() -> Iterator[None]:
    """Let nothing out but UpdateError."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, "metadata") from error
    except (exceptions.RepositoryError, exceptions.DownloadError) as error:
        if isinstance(error.__cause__, UpdateError) and not isinstance(error, exceptions.DownloadHTTPError):
            raise error.__cause__ from error
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        raise UpdateError(str(error)[:500], code=code, remedy=_REMEDIES.get(code, "")) from error
