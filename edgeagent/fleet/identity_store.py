"""Where a device keeps its keys and certificates: a power cut at any step leaves the old pair, or the new one.

Rules:
    - A pair is written whole into a folder of its own, synced, and then gets its number by a rename.
    - A key is on the disk before anybody is asked to certify it: a lost answer can be asked for again.
    - A new pair is a candidate until a connection was made with it; then `current` is switched, by a rename, and only
      then the old one is removed.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.fleet.identity import (
    CA,
    CANDIDATE,
    CERTIFICATE,
    CURRENT,
    IDENTITY,
    KEY,
    NAMES,
    Identity,
    linked,
    read,
)
from edgeagent.fleet.identity_keys import LARGEST_KEY_BYTES, IdentityError, Kind, is_in_tpm, make_key
from edgeagent.topics import Address
from edgeagent.update.on_disk import make_folder, read_bounded, remove, switch_link, sync_folder

NEXT = "next"
_NEW = ".new"


class Identities:
    """The identities of a device. What writes raises IdentityError, and is done by one process at a time."""

    def __init__(self, state_dir: Path) -> None:
        """Look at a state folder; nothing is made before it is needed."""
        self.root = state_dir / IDENTITY

    def current(self) -> Identity | None:
        """Return the identity in use, or None. Raise IdentityError if it is damaged."""
        return linked(self.root, CURRENT)

    def candidate(self) -> Identity | None:
        """Return the pair that has not connected yet, or None. Raise IdentityError if it is damaged."""
        return linked(self.root, CANDIDATE)

    def next_key(self, kind: Kind) -> bytes:
        """Return the key to be certified next: the one for which it was asked already, or a new one."""
        path = self.root / NEXT / KEY
        with _disk(path):
            with suppress(FileNotFoundError):
                key = read_bounded(path, LARGEST_KEY_BYTES)
                if is_in_tpm(key) == (kind == "tpm2"):
                    return key
            self._have(self.root)
            if path.parent.exists():
                shutil.rmtree(path.parent)  # what a power cut has left there may be half a key
            self._have(self.root / NEXT)
            key = make_key(kind)
            write_durably(path, key)
            return key

    def forget_next_key(self) -> None:
        """Begin anew: the key was refused, or belongs to a token that is spent."""
        with _disk(self.root), suppress(FileNotFoundError):
            remove(self.root / NEXT / KEY)

    def add(self, key: bytes, certificate: str, ca: str, address: Address) -> Identity:
        """Keep a new pair beside the one in use, as the candidate."""
        with _disk(self.root):
            self._have(self.root)
            new = self.root / _NEW
            if new.exists():
                shutil.rmtree(new)
            self._have(new)
            write_durably(new / KEY, key)
            write_durably(new / CERTIFICATE, certificate.encode(), mode=0o644)
            write_durably(new / CA, ca.encode(), mode=0o644)
            names = {"fleet": address.fleet, "device": address.device}
            write_durably(new / NAMES, json.dumps(names).encode(), mode=0o644)
            read(new)  # what the disk gives back is what was meant
            number = str(1 + max(self._numbers(), default=0))
            new.rename(self.root / number)
            sync_folder(self.root)
            switch_link(self.root / CANDIDATE, number)
            return read(self.root / number)

    def adopt(self) -> Identity:
        """Make the candidate the identity in use, now that it has connected; the old one is removed."""
        with _disk(self.root):
            number = os.readlink(self.root / CANDIDATE)  # noqa: PTH115  # its words alone, not where they lead
            adopted = read(self.root / number)
            switch_link(self.root / CURRENT, number)
            remove(self.root / CANDIDATE)
            self.forget_next_key()
            self._prune({number})
            return adopted

    def drop_candidate(self) -> None:
        """Give a candidate up that was refused; the identity in use stays."""
        with _disk(self.root):
            kept = {os.readlink(self.root / CURRENT)} if (self.root / CURRENT).is_symlink() else set()  # noqa: PTH115
            remove(self.root / CANDIDATE)
            self.forget_next_key()
            self._prune(kept)

    def _numbers(self) -> list[int]:
        return [int(entry.name) for entry in self.root.iterdir() if entry.name.isdecimal()]

    def _prune(self, kept: set[str]) -> None:
        for number in map(str, self._numbers()):
            if number not in kept:
                shutil.rmtree(self.root / number)
        sync_folder(self.root)

    @staticmethod
    def _have(folder: Path) -> None:
        """Have a folder that nobody else can look into, durably."""
        if not folder.parent.is_dir():
            make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        sync_folder(folder.parent)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IdentityError(
            f"{error.filename or path}: {error.strerror or error}",
            remedy="Look at the disk and at who owns the state folder; then do it again.",
        ) from error
    except UpdateError as error:  # something else has the name of a folder of ours
        raise IdentityError(str(error), remedy=error.remedy) from error
