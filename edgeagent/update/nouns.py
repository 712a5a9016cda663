"""The nouns of updates, frozen, and the seams between their parts.

A release is a manifest and files by their hash. In the repository (TUF) a manifest is the target
`<family>/<version>.json`, a file `<family>/files/<sha256>`, a delta `<family>/deltas/<sha256 of the old>-<sha256 of the
new>`. Who holds a Target or a Release holds something verified.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Kind = Literal["model", "commands", "wake", "pronunciations"]
"""What a family of releases is: a command model, command files, wake words, pronunciations."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file that signed metadata names: its length in bytes, its SHA-256 in hexadecimal, what the signer adds."""

    name: str
    length: int
    sha256: str
    custom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a release: its path inside the bundle (relative, no `..`), hash and length."""

    path: str
    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class Release:
    """A release whose manifest is verified. `id` is the hash of the manifest.

    `boards` are the board profiles that it is for, empty for all; `agent_least` and `abi` say which agents understand
    it; `memory_mb` is what it needs; `security` counts security-relevant releases: nothing below the highest that was
    ever confirmed is installed.
    """

    id: str
    family: str
    version: str
    kind: Kind
    files: tuple[ReleaseFile, ...]
    agent_least: str
    abi: int = 1
    boards: tuple[str, ...] = ()
    memory_mb: int = 0
    security: int = 0


class Repository(Protocol):
    """Trusted metadata: what may be installed. Everything here blocks; it runs in the updater's process."""

    def refresh(self) -> None:
        """Bring the metadata up to date. Raise UpdateError; what was trusted before stays trusted."""
        ...

    def target(self, name: str) -> Target | None:
        """Return a target by its name, looked for as delegations say; None if nobody has signed one."""
        ...

    def names(self, family: str) -> tuple[str, ...]:
        """Return the names of all targets of a family. Raise UpdateError."""
        ...

    @property
    def version(self) -> int:
        """Return the version of the targets metadata that is trusted now."""
        ...


class Transport(Protocol):
    """Where bytes come from: they are never trusted. The names are paths relative to the repository."""

    def read(self, path: str, start: int = 0, *, most: int) -> Iterator[bytes]:
        """Yield a file's bytes from an offset on, at most `most`. Raise UpdateError: `code` "absent", "unreachable"."""
        ...


class Fetcher(Protocol):
    """Gets verified files."""

    @property
    def saved_bytes(self) -> int:
        """Return how many bytes fewer than the files are long have been fetched since this was made."""
        ...

    def fetch(self, target: Target, into: Path) -> Path:
        """Return the file, whole and verified, in the folder `into`, resumed where it was left. Raise UpdateError."""
        ...
