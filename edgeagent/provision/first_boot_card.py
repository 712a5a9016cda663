"""Our folder on the boot partition, as the running board sees it: what is read there, erased, and left as a note.

Rules:
    - A secret is overwritten where it lies, synced, and only then unlinked: FAT keeps what it unlinks. A flash chip may
      still hold an older copy of a block, which no program reaches: whoever opens the card itself finds a spent token.
    - What stands in the way is written beside it in plain words, for whoever puts the card into a computer.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeagent.files import write_durably
from edgeagent.provision.enrol_file import (
    ENROL,
    FOLDER,
    LARGEST_BYTES,
    SEED,
    EnrolFile,
    Seed,
    read_enrol_file,
    read_seed,
)
from edgeagent.provision.errors import ImageError
from edgeagent.provision.first_boot_rules import Card, Trouble
from edgeagent.update.on_disk import read_bounded, sync_folder

NOTE = "problem.txt"
BOOT = (Path("boot/firmware"), Path("boot"))
"""Where the boot partition is mounted: newer systems, and older ones."""


@dataclass(frozen=True, slots=True)
class BootCard:
    """The folder `edgeagent` of a boot partition."""

    folder: Path

    @property
    def is_there(self) -> bool:
        """Tell whether there is anything of ours."""
        return self.folder.is_dir()

    @property
    def has_token(self) -> bool:
        """Tell whether there is a file to enrol with, or what is left of one."""
        return (self.folder / ENROL).exists()

    @property
    def has_seed(self) -> bool:
        """Tell whether there is a seed."""
        return (self.folder / SEED).exists()

    def seed(self) -> Seed | None:
        """Return the seed; None where there is no such file. Raise ImageError if it cannot be read."""
        raw = self._raw(SEED)
        return None if raw is None else read_seed(raw, self.folder / SEED)

    def enrol_file(self) -> tuple[Card, EnrolFile | None, str]:
        """Return what there is, the file if it is good, and else what is wrong with it."""
        try:
            raw = self._raw(ENROL)
            if raw is None:
                return "absent", None, ""
            if b"\0" in raw or not raw.strip():
                return "wiped", None, ""
            return "good", read_enrol_file(raw, self.folder / ENROL), ""
        except ImageError as error:
            return "unreadable", None, str(error)

    def erase(self) -> None:
        """Have no such file, and nothing of it where it was. Raise ImageError: read-only, or the card fails."""
        path = self.folder / ENROL
        try:
            with suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
                length = os.fstat(file.fileno()).st_size
                file.write(b"\0" * min(length, LARGEST_BYTES))
                os.fsync(file.fileno())
            path.unlink(missing_ok=True)
            sync_folder(self.folder)
        except OSError as error:
            raise ImageError(
                f"{path}: the token cannot be erased: {error.strerror or error}",
                remedy="Mount the boot partition so that it can be written to; or delete the file in a computer.",
            ) from error

    def note(self, trouble: Trouble | None) -> None:
        """Leave what stands in the way, or nothing, as a file. What the card does not take is left out."""
        path = self.folder / NOTE
        with suppress(OSError):
            if trouble is None:
                if path.exists():
                    path.unlink()
                    sync_folder(self.folder)
                return
            lines = ("edgeagent is not enrolled.", "", f"{trouble.said}.", trouble.remedy, "")
            content = "\r\n".join(line for part in lines for line in part.split("\n")).encode()  # for any editor
            if not path.exists() or path.read_bytes() != content:
                write_durably(path, content)

    def _raw(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            return read_bounded(path, LARGEST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ImageError(
                f"{path}: cannot be read: {error.strerror or error}", remedy="Write the card anew; it may be worn out."
            ) from error


def find_card(root: Path) -> BootCard:
    """Return the card below a root folder: the first boot partition that holds anything of ours."""
    places = [BootCard(root / boot / FOLDER) for boot in BOOT]
    return next((card for card in places if card.is_there), places[0])
