"""Files that ship with the package are taken from there; others by a signed delta from one that is here; else whole.

A delta is never trusted: what it makes must have the hash that is signed for the whole file. One that does not is
forgotten, and the whole file is fetched.
"""

import logging
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.update.deltas import apply
from edgeagent.update.nouns import Fetcher, Repository, Target
from edgeagent.update.on_disk import disk, read_bounded
from edgeagent.update.store import SLOTS, Store

log = logging.getLogger(__name__)

LARGEST_BASE_BYTES = 64 << 20
"""Three times this is held in memory while a delta is applied."""
_NOT_ITS_FAULT = frozenset({"cancelled", "disk-full", "disk-error", "read-only", "not-refreshed"})


class DeltaFetcher:
    """Gets verified files, of which some are made from what is here."""

    def __init__(
        self, whole: Fetcher, repository: Repository, store: Store, shipped: Callable[[str], Path | None]
    ) -> None:
        """Take who fetches targets, who knows what is signed, where files are, and the folder that ships by family."""
        self._whole, self._repository, self._store, self._shipped = whole, repository, store, shipped
        self._known: dict[str, list[tuple[str, Path]]] = {}
        self._saved_bytes = 0

    @property
    def saved_bytes(self) -> int:
        """Return how many bytes fewer than the files are long have been fetched since this was made."""
        return self._saved_bytes

    def fetch(self, target: Target, into: Path) -> Path:
        """Return the file, whole and verified, in the folder `into`. Raise UpdateError."""
        family, _, rest = target.name.partition("/")
        if rest == f"files/{target.sha256}" and 0 < target.length <= LARGEST_BASE_BYTES:
            try:
                if (made := self._made(family, target, into)) is not None:
                    return made
            except UpdateError as error:
                if error.code in _NOT_ITS_FAULT:
                    raise
                log.warning("delta", extra={"target": target.name, "problem": str(error)})
        return self._whole.fetch(target, into)

    def _made(self, family: str, target: Target, into: Path) -> Path | None:
        """Return the file, or made from one, that is here; None where no delta is worth it."""
        here = next((path for base, path in self._bases(family) if base == target.sha256), None)
        if here is not None:
            with disk(f"{here} cannot be copied"):
                return self._kept(read_bounded(here, LARGEST_BASE_BYTES), target, into, cost=0)
        found = min(self._deltas(family, target), key=lambda one: one[1].length, default=None)
        if found is None:
            return None
        base, delta = found
        fetched = self._whole.fetch(delta, into)
        try:
            with disk(f"{base} cannot be read"):
                old, difference = read_bounded(base, LARGEST_BASE_BYTES), read_bounded(fetched, LARGEST_BASE_BYTES)
            made = apply(old, difference, target.length)
            with disk(f"{into} cannot be written to"):
                return self._kept(made, target, into, cost=delta.length)
        finally:
            with disk(f"{fetched} cannot be removed"):
                fetched.unlink(missing_ok=True)

    def _kept(self, content: bytes, target: Target, into: Path, *, cost: int) -> Path:
        if sha256(content).hexdigest() != target.sha256:
            raise UpdateError(f"{target.name}: another file was made", code="bad-delta")
        write_durably(into / target.sha256, content)
        self._saved_bytes += target.length - cost
        return into / target.sha256

    def _deltas(self, family: str, target: Target) -> Iterator[tuple[Path, Target]]:
        for base, path in self._bases(family):
            delta = self._repository.target(f"{family}/deltas/{base}-{target.sha256}")
            if delta is not None and delta.length < min(target.length, LARGEST_BASE_BYTES):
                yield path, delta

    def _bases(self, family: str) -> Iterator[tuple[str, Path]]:
        for release_id in {self._store.id_in(family, slot) for slot in SLOTS} - {None}:
            try:
                release = self._store.release(str(release_id))
            except UpdateError:
                continue
            for file in release.files:
                yield file.sha256, self._store.bundle(release.id) / file.path
        yield from self._shipped_files(family)

    def _shipped_files(self, family: str) -> Iterator[tuple[str, Path]]:
        """Yield the files that ship with the package, read once."""
        if family not in self._known:
            folder = self._shipped(family)
            paths = [] if folder is None else [path for path in sorted(folder.rglob("*")) if path.is_file()]
            with disk(f"{folder} cannot be read"):
                self._known[family] = [
                    (sha256(read_bounded(path, LARGEST_BASE_BYTES)).hexdigest(), path) for path in paths
                ]
        yield from self._known[family]
