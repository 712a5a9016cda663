"""Where the parts of a device's updates lie in its state folder, and whom it trusts."""

from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.update.journal import Journal
from edgeagent.update.on_disk import read_bounded

UPDATES, TRUST, TUF, JOURNAL = "updates", "root.json", "tuf", "journal.db"
ENDED, SWITCHED, LATER, TROUBLE = 0, 10, 11, 3
"""How the updater's process ends."""
LARGEST_ROOT_BYTES = 512 << 10
EMBEDDED = Path(__file__).with_name("root.json")
"""The root of our own channel, which comes with the package."""


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


def trusted_root(state: Path, embedded: Path = EMBEDDED) -> bytes | None:
    """Return the root of trust: the owner's, else the one that comes with the package; None if there is none.

    Raise UpdateError if it cannot be read: another one does not stand in for it.
    """
    for path in (state / TRUST, embedded):
        try:
            return read_bounded(path, LARGEST_ROOT_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UpdateError(f"{path}: {error.strerror}", code="disk-error", remedy="Look at the disk.") from error
    return None
