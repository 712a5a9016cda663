"""Releases on disk, content-addressed, and the links that say which is current. Any of it may be cut off at any point.

    files/<sha256>                            0444, shared by all releases that have it
    releases/<id>/bundle/<path>               hard links to files
    releases/<id>/manifest.json               written last, removed first: with it the release is whole
    slots/<family>/{current,previous,candidate} -> ../../releases/<id>
    staging/                                  what is being fetched; on the same file system

Rules:
- a file is renamed to its place after its hash was read back from the disk, and synced before;
- a link is switched by renaming a new one over it, `previous` before `current`;
- every opening checks every hash: no mark says that a file was whole once;
- what was planted (a link, a pipe, a file too many) is refused, and nothing is read through it;
- reading needs nothing that can be written to: on a read-only file system the current release goes on.
"""

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeagent.errors import UpdateError
from edgeagent.update.kept import Kept
from edgeagent.update.manifest import LARGEST_BYTES, read_manifest
from edgeagent.update.nouns import Release, ReleaseFile
from edgeagent.update.on_disk import (
    disk,
    make_folder,
    names_in,
    open_regular,
    read_small,
    remove,
    sha256_of,
    switch_link,
    sync_folder,
)

log = logging.getLogger(__name__)

Slot = Literal["current", "previous", "candidate"]
SLOTS: tuple[Slot, ...] = ("current", "previous", "candidate")
MANIFEST = "manifest.json"
_TARGET = re.compile(r"\.\./\.\./releases/([0-9a-f]{64})", re.ASCII)
_FAMILY = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_AGAIN = "Update again."


@dataclass(frozen=True, slots=True)
class Opened:
    """A release that is whole: its folder, and why it is not the one that was meant.

    `release` is None for the one that ships with the package, whose folder checks itself.
    """

    folder: Path
    release: Release | None
    source: Literal["current", "previous", "built-in"]
    problems: tuple[str, ...] = ()


class Store:
    """The releases of a device. What writes raises UpdateError, and wants the lock."""

    def __init__(self, root: Path) -> None:
        """Look at a folder; nothing is made before `prepare`."""
        self.root = root
        self.staging = root / "staging"
        self.kept = Kept(root)
        self._files = root / "files"
        self._releases = root / "releases"
        self._slots = root / "slots"

    def prepare(self) -> None:
        """Have the folders. Raise UpdateError "read-only", "disk-full", "planted"."""
        with disk(f"{self.root} cannot be prepared"):
            if not self.root.is_dir():
                self.root.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self._files, self._releases, self._slots, self.staging):
                make_folder(folder)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only updater. Raise UpdateError "busy" if there is another."""
        with disk(f"{self.root} cannot be locked"):
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UpdateError(
                    f"another updater is at work in {self.root}",
                    code="busy",
                    remedy="Wait until it has finished: edgeagent update status.",
                ) from error
            yield
        finally:
            os.close(descriptor)

    def id_in(self, family: str, slot: Slot) -> str | None:
        """Return which release a link names; None if there is none, or it leads anywhere else."""
        if _FAMILY.fullmatch(family) is None:
            return None
        try:
            target = str((self._slots / family / slot).readlink())
        except OSError:
            return None
        found = _TARGET.fullmatch(target)
        return found[1] if found else None

    def since(self, family: str) -> int:
        """Return a number that is another one each time that a release becomes current; 0 where none is."""
        try:
            return (self._slots / family / "current").lstat().st_mtime_ns
        except OSError:
            return 0

    def families(self) -> tuple[str, ...]:
        """Return the families that have links."""
        try:
            return tuple(name for name in names_in(self._slots) if _FAMILY.fullmatch(name))
        except OSError:
            return ()

    def release(self, release_id: str) -> Release:
        """Return a release by its manifest. Raise UpdateError "damaged" if it is not there, or not what it was."""
        return self._manifest(self._releases / release_id / MANIFEST, release_id)

    def planned(self, release_id: str) -> Release:
        """Return a release whose manifest is a file here, put together or not. Raise UpdateError "damaged"."""
        return self._manifest(self._files / release_id, release_id)

    def _manifest(self, path: Path, release_id: str) -> Release:
        try:
            found = read_manifest(read_small(path, self.root, LARGEST_BYTES))
        except OSError as error:
            raise UpdateError(f"{path}: {error.strerror}", code="damaged", remedy=_AGAIN) from error
        if found.id != release_id:
            raise UpdateError(f"{path}: its hash is another", code="damaged", remedy=_AGAIN)
        return found

    def bundle(self, release_id: str) -> Path:
        """Return the folder that holds a release's files as its maker laid them out."""
        return self._releases / release_id / "bundle"

    def check(self, release_id: str) -> Release:
        """Return a release of which every file was read and is right. Raise UpdateError "damaged" or "planted"."""
        release = self.release(release_id)
        bundle = self.bundle(release_id)
        for file in release.files:
            path = bundle / file.path
            try:
                descriptor = open_regular(path, self.root)
                try:
                    found = sha256_of(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise UpdateError(f"{path}: {error.strerror}", code="damaged", remedy=_AGAIN) from error
            if found != (file.sha256, file.length):
                raise UpdateError(f"{path}: damaged: its hash is another", code="damaged", remedy=_AGAIN)
        known = {str(bundle / file.path) for file in release.files}
        for folder, folders, names in os.walk(bundle):
            for name in (*names, *(one for one in folders if (Path(folder) / one).is_symlink())):
                if (found_path := str(Path(folder) / name)) not in known:
                    raise UpdateError(f"{found_path}: not in the manifest", code="planted", remedy=f"rm {found_path}")
        return release

    def opening(self, family: str, built_in: Path | None) -> Opened | None:
        """Return the current release if it is whole, else the previous, else the one that ships; None without any.

        Where none is current, the one that ships is.
        """
        problems: list[str] = []
        has_current = _FAMILY.fullmatch(family) and os.path.lexists(self._slots / family / "current")
        for slot in ("current", "previous"):
            if not has_current or (release_id := self.id_in(family, slot)) is None:
                continue
            try:
                return Opened(self.bundle(release_id), self.check(release_id), slot, tuple(problems))
            except UpdateError as error:
                log.warning("a release is damaged", extra={"family": family, "slot": slot, "problem": str(error)})
                problems.append(str(error))
        return None if built_in is None else Opened(built_in, None, "built-in", tuple(problems))

    def has(self, file: ReleaseFile) -> bool:
        """Tell whether a file is here, whole. One that is damaged is removed: its releases are damaged already."""
        path = self._files / file.sha256
        try:
            descriptor = open_regular(path, self.root)
        except FileNotFoundError:
            return False
        except UpdateError:
            with disk(f"{path} cannot be removed"):
                remove(path)
            return False
        try:
            with disk(f"{path} cannot be read"):
                is_whole = sha256_of(descriptor) == (file.sha256, file.length)
                if not is_whole:
                    remove(path)
                else:
                    os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return is_whole

    def adopt(self, fetched: Path, file: ReleaseFile) -> None:
        """Take a file from `staging` if it is what it should be, else remove it.

        Raise UpdateError "damaged", "planted", "disk-full", "disk-error": after a failed sync it is fetched again, for
        what is read back then may be what the disk never got.
        """
        try:
            with disk(f"{fetched} cannot be taken"):
                self._adopt(fetched, file)
        except UpdateError:
            with suppress(OSError):
                remove(fetched)
            raise

    def _adopt(self, fetched: Path, file: ReleaseFile) -> None:
        path = self._files / file.sha256
        descriptor = open_regular(fetched, self.staging)
        try:
            os.fsync(descriptor)
            if sha256_of(descriptor) != (file.sha256, file.length):
                raise UpdateError(f"{fetched}: damaged: its hash is another", code="damaged", remedy=_AGAIN)
            os.fchmod(descriptor, 0o444)
            os.fsync(descriptor)
            fetched.replace(path)
            if not os.path.samestat(os.fstat(descriptor), path.lstat()):  # exchanged while we looked
                remove(path)
                raise UpdateError(f"{fetched}: another file took its place", code="planted", remedy=_AGAIN)
        finally:
            os.close(descriptor)
        sync_folder(self._files)
        sync_folder(self.staging)

    def stage(self, release: Release) -> Path:
        """Put a release together from its manifest and files, which are here. Raise UpdateError."""
        folder, bundle = self._releases / release.id, self.bundle(release.id)
        with disk(f"{folder} cannot be put together"):
            sync_folder(self._files)
            folders = {bundle / parent for file in release.files for parent in Path(file.path).parents}
            for one in (folder, *sorted(folders)):
                make_folder(one)
            for file in release.files:
                self._link(self._files / file.sha256, bundle / file.path)
            for one in folders:
                sync_folder(one)
            self._link(self._files / release.id, folder / MANIFEST)
            sync_folder(folder)
        self.check(release.id)
        return bundle

    @staticmethod
    def _link(file: Path, path: Path) -> None:
        if os.path.lexists(path):
            if os.path.samestat(file.lstat(), path.lstat()):
                return
            path.unlink()
        os.link(file, path, follow_symlinks=False)

    def nominate(self, family: str, release_id: str) -> None:
        """Make a release the candidate of its family. Raise UpdateError."""
        with disk(f"the candidate of {family} cannot be noted"):
            make_folder(self._slots / family)
            self._point(family, "candidate", release_id)

    def switch(self, family: str, release_id: str) -> None:
        """Make a release current; the one that was becomes the previous one first. Raise UpdateError."""
        with disk(f"{family} cannot be switched"):
            make_folder(self._slots / family)
            was = self.id_in(family, "current")
            if was is not None and was != release_id:
                self._point(family, "previous", was)
            self._point(family, "current", release_id)
            self._point(family, "candidate", None)

    def put_back(self, family: str, *, current: str | None, previous: str | None) -> None:
        """Make the links of a family what they were; None: no such link. Raise UpdateError."""
        if not (self._slots / family).is_dir():
            return
        with disk(f"{family} cannot be put back"):
            self._point(family, "current", current)
            self._point(family, "previous", previous)
            self._point(family, "candidate", None)

    def _point(self, family: str, slot: Slot, release_id: str | None) -> None:
        link = self._slots / family / slot
        if release_id is None:
            remove(link)
        else:
            switch_link(link, f"../../releases/{release_id}")

    def missing(self, release: Release) -> tuple[ReleaseFile, ...]:
        """Return the files of a release that are not here, each once. Raise UpdateError."""
        each = {file.sha256: file for file in release.files}
        return tuple(file for file in each.values() if not self.has(file))

    def room(self) -> int:
        """Return how many bytes can be written. Raise UpdateError."""
        with disk(f"{self.root} cannot be measured"):
            return shutil.disk_usage(self.root).free
