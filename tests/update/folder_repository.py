"""A repository in a folder, as `edgeagent.update.nouns` says one behaves: what is in the folder counts as signed."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeagent.errors import UpdateError
from edgeagent.update.manifest import FileEntry, Manifest, read_manifest
from edgeagent.update.nouns import Kind, Target
from edgeagent.update.store import Store

Files = Mapping[str, bytes]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest_of(family: str, version: str, files: Files, **more: Any) -> bytes:
    entries = tuple(FileEntry(path=path, sha256=sha256(raw), length=len(raw)) for path, raw in files.items())
    kind: Kind = more.pop("kind", "model")
    least = more.pop("agent_least", "0.1.0")
    return Manifest(family=family, version=version, kind=kind, agent_least=least, files=entries, **more).raw()


def publish(folder: Path, family: str, version: str, files: Files, **more: Any) -> str:
    """Put a release into the repository; return its id."""
    raw = manifest_of(family, version, files, **more)
    return publish_raw(folder, family, version, raw, files)


def publish_raw(folder: Path, family: str, version: str, manifest: bytes, files: Files) -> str:
    (folder / family / "files").mkdir(parents=True, exist_ok=True)
    (folder / family / f"{version}.json").write_bytes(manifest)
    for raw in files.values():
        (folder / family / "files" / sha256(raw)).write_bytes(raw)
    version_file = folder / "version"
    version_file.write_text(str(int(version_file.read_text()) + 1 if version_file.exists() else 1))
    return sha256(manifest)


@dataclass
class FolderRepository:
    """Trusted metadata: what lies in the folder when it was refreshed the last time."""

    folder: Path
    refusals: list[str] = field(default_factory=list)
    """Codes of errors that the next refreshes raise."""
    version: int = 0
    is_refreshed: bool = False

    def refresh(self) -> None:
        if self.refusals:
            raise UpdateError("refused by the test", code=self.refusals.pop(0))
        self.version = int((self.folder / "version").read_text())
        self.is_refreshed = True

    def target(self, name: str) -> Target | None:
        if not self.is_refreshed:
            raise UpdateError("refresh first", code="not-refreshed")
        path = self.folder / name
        if not path.is_file():
            return None
        raw = path.read_bytes()
        return Target(name, len(raw), sha256(raw))

    def names(self, family: str) -> tuple[str, ...]:
        return tuple(sorted(str(path.relative_to(self.folder)) for path in (self.folder / family).rglob("*")))


@dataclass
class FolderFetcher:
    """Gets files out of the folder into a partial, then under their hash: resumed, verified, synced."""

    folder: Path
    before: Callable[[Target], None] = lambda _: None
    """Called before each file; may raise UpdateError."""
    fetched: list[str] = field(default_factory=list)
    block_bytes: int = 1_000
    saved_bytes: int = 0

    def fetch(self, target: Target, into: Path) -> Path:
        self.before(target)
        self.fetched.append(target.name)
        content = (self.folder / target.name).read_bytes()
        partial, whole = into / f"{target.sha256}.part", into / target.sha256
        try:
            self._fill(partial, content)
        except OSError as error:
            code = "disk-full" if "space" in str(error) else "disk-error"
            partial.unlink(missing_ok=True)
            raise UpdateError(f"{partial}: {error}", code=code) from error
        if sha256(partial.read_bytes()) != target.sha256:
            partial.unlink()
            raise UpdateError(f"{target.name}: another content", code="wrong-content")
        partial.replace(whole)
        return whole

    def _fill(self, partial: Path, content: bytes) -> None:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            done = min(os.fstat(descriptor).st_size, len(content))
            os.ftruncate(descriptor, done)
            if os.pread(descriptor, done, 0) != content[:done]:  # what a power cut has left may be anything
                done = 0
                os.ftruncate(descriptor, 0)
            while done < len(content):
                done += os.pwrite(descriptor, content[done : done + self.block_bytes], done)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def names(paths: Sequence[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def install(state: Path, family: str, files: Files, **more: Any) -> Path:
    """Put a release into the store as an update does; return its folder."""
    store = Store(state / "updates")
    store.prepare()
    manifest = manifest_of(family, "1.0.0", files, **more)
    for content in (manifest, *files.values()):
        (store.root / "files" / sha256(content)).write_bytes(content)
    release = read_manifest(manifest)
    store.stage(release)
    store.switch(family, release.id)
    return store.bundle(release.id)
