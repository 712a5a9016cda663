"""What the owner of one device asks of its updates: whom it trusts, what there is, what was done.

The root of trust is changed by a ceremony: the new one is looked at, shown, agreed to, and then everything that was
trusted under the old one is forgotten, the floor as well.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.settings import UpdateSettings
from edgeagent.update.bandwidth import Bandwidth
from edgeagent.update.durable import read_bounded
from edgeagent.update.journal import Journal
from edgeagent.update.metadata import TrustedMetadata
from edgeagent.update.store import Store
from edgeagent.update.transports import HttpTransport
from edgeagent.update.trusted_time import BoardClock

UPDATES, TRUST, TUF = "updates", "root.json", "tuf"
BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""This program was not there before: a clock that says so is wrong."""
LARGEST_ROOT_BYTES = 512 << 10


@dataclass(frozen=True, slots=True)
class RootFacts:
    """What a root of trust says of itself: its version, when it expires, who must sign, and the keys' short names."""

    version: int
    expires: datetime
    threshold: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JournalShelf:
    """The second copy of the floor, in the journal."""

    journal: Journal

    def load(self) -> bytes | None:
        """Return the copy. Raise OSError."""
        try:
            return self.journal.copy("floor") or None
        except UpdateError as error:
            raise OSError(str(error)) from error

    def save(self, content: bytes) -> None:
        """Keep the copy. Raise OSError."""
        try:
            self.journal.keep_copy("floor", content)
        except UpdateError as error:
            raise OSError(str(error)) from error


def look_at_root(path: Path) -> tuple[bytes, RootFacts]:
    """Return a root of trust and what it says. Raise UpdateError "bad-root" if it is none, or not signed by itself."""
    remedy = "Name the file N.root.json that your publisher has given you."
    try:
        content = read_bounded(path, LARGEST_ROOT_BYTES)
        metadata = Metadata[Root].from_bytes(content)
        root = metadata.signed
        if not isinstance(root, Root):
            raise UpdateError(f"{path}: is no root", code="bad-root", remedy=remedy)
        result = root.get_root_verification_result(None, metadata.signed_bytes, metadata.signatures)
    except OSError as error:
        raise UpdateError(f"{path}: {error.strerror}", code="bad-root", remedy=remedy) from error
    except (RepositoryError, ValueError, KeyError) as error:
        raise UpdateError(f"{path}: is no root of trust: {error}", code="bad-root", remedy=remedy) from error
    if not result.verified:
        raise UpdateError(f"{path}: is not signed by its own keys", code="bad-root", remedy=remedy)
    role = root.roles["root"]
    return content, RootFacts(root.version, root.expires, role.threshold, tuple(key[:12] for key in role.keyids))


def trust(state: Path, root: bytes) -> None:
    """Trust this root from now on, and forget what was trusted before. Raise UpdateError."""
    store = Store(state / UPDATES)
    store.prepare()
    with store.lock(), closing(Journal(store.root / "journal.db")) as journal:
        if journal.under_way() is not None:
            raise UpdateError("an update is under way", code="busy", remedy="Wait, or cancel it first.")
        journal.keep_copy("floor", b"")
        shutil.rmtree(state / TUF, ignore_errors=True)
        write_durably(state / TRUST, root)


def trusted_root(state: Path) -> bytes | None:
    """Return the root of trust, None if this device has none. Raise UpdateError if it cannot be read."""
    try:
        return read_bounded(state / TRUST, LARGEST_ROOT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UpdateError(f"{state / TRUST}: {error.strerror}", code="disk-error") from error


@contextmanager
def repository(settings: UpdateSettings, state: Path) -> Iterator[TrustedMetadata]:
    """Give the repository that this device is updated from, brought up to date. Raise UpdateError."""
    if settings.url is None:
        remedy = "Set [update] url to the address of the repository."
        raise UpdateError("no repository is named", code="no-repository", remedy=remedy)
    store = Store(state / UPDATES)
    store.prepare()
    rate = None if settings.bytes_per_second is None else Bandwidth(settings.bytes_per_second)
    with (
        store.lock(),
        closing(Journal(store.root / "journal.db")) as journal,
        closing(HttpTransport(settings.url, bandwidth=rate)) as web,
    ):
        clock = BoardClock(lambda: (datetime.now(UTC), True), BUILT)
        trusted = TrustedMetadata(
            state / TUF, [web], bootstrap=trusted_root(state), clock=clock, second_floor=JournalShelf(journal)
        )
        trusted.refresh()
        yield trusted


def versions_of(trusted: TrustedMetadata, family: str) -> tuple[str, ...]:
    """Return the versions of a family that may be installed, the one that was released last first."""
    names = [name for name in trusted.names(family) if name.count("/") == 1 and name.endswith(".json")]
    found = [(trusted.target(name), name) for name in names]
    known = [(int(target.custom.get("released", 0)), name) for target, name in found if target is not None]
    return tuple(name.partition("/")[2].removesuffix(".json") for _, name in sorted(known, reverse=True))


def history_of(state: Path) -> list[dict[str, object]]:
    """Return what became of the last jobs, the newest first. Raise UpdateError."""
    path = state / UPDATES / "journal.db"
    if not path.exists():
        return []
    with closing(Journal(path)) as journal:
        return [
            {
                "job": course.job.id,
                "family": course.job.family,
                "version": course.job.version,
                "state": course.state,
                "since": datetime.fromtimestamp(course.changed, UTC).isoformat(timespec="seconds"),
                "notes": json.loads(json.dumps(dict(course.notes), default=str)),
            }
            for course in journal.history()
        ]
