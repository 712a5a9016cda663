"""A manifest's bytes to the release that they describe, and whether that release is for this machine.

Rules:
- everything is bounded, every key is known, no number is a text;
- a file's path is relative, of plain names, the same on every file system: nothing above the bundle, no two names that
  differ in case alone, no name that is also a folder;
- what the release needs is judged apart from what it says: a release that is kept may be for another agent.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError, UpdateError
from edgeagent.update.nouns import Kind, Release, ReleaseFile

LARGEST_BYTES = 256 << 10
"""Of a manifest: 1,000 files take 160 kB."""
MOST_FILES = 1_000
LARGEST_FILE_BYTES = 2 << 30
LARGEST_RELEASE_BYTES = 4 << 30
LONGEST_PATH = 200
DEEPEST_PATH = 6
ABIS = frozenset({1})
"""Forms of release that this agent reads."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}(?<!\.)", re.ASCII)
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))})
"""Names that other systems keep for devices: a stick with a repository may be written there."""
FAMILY = r"^[a-z0-9][a-z0-9-]{0,63}$"
VERSION = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,3}$"
_REMEDY = "Ask who publishes it for another release."

Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class FileEntry(_Form):
    """A file: its path inside the bundle, its hash, its length in bytes."""

    path: Annotated[str, Field(min_length=1, max_length=LONGEST_PATH)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    length: Annotated[int, Field(ge=0, le=LARGEST_FILE_BYTES)]


class Manifest(_Form):
    """What a manifest's JSON may hold."""

    format: Literal[1] = 1
    family: Annotated[str, Field(pattern=FAMILY)]
    version: Annotated[str, Field(pattern=VERSION)]
    kind: Kind
    abi: Count = 1
    agent_least: Annotated[str, Field(pattern=VERSION)]
    boards: Annotated[tuple[Annotated[str, Field(pattern=FAMILY)], ...], Field(max_length=64)] = ()
    memory_mb: Count = 0
    security: Count = 0
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=MOST_FILES)]

    def raw(self) -> bytes:
        """Return the bytes that are signed: always the same for the same manifest."""
        return self.model_dump_json(indent=1).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a release must fit: the board's profile, this agent's version, memory that a release may take."""

    board: str
    agent: str
    memory_mb: int


def read_manifest(raw: bytes) -> Release:
    """Return the release. Raise UpdateError "bad-manifest" for anything doubtful."""
    try:
        parse(raw, largest=LARGEST_BYTES)  # sees keys that stand twice, and depth
        manifest = Manifest.model_validate_json(raw)
    except PayloadError as error:
        raise _bad(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    _check_files(manifest.files)
    return Release(
        id=hashlib.sha256(raw).hexdigest(),
        family=manifest.family,
        version=manifest.version,
        kind=manifest.kind,
        files=tuple(ReleaseFile(one.path, one.sha256, one.length) for one in manifest.files),
        agent_least=manifest.agent_least,
        abi=manifest.abi,
        boards=manifest.boards,
        memory_mb=manifest.memory_mb,
        security=manifest.security,
    )


def refuse_unfit(release: Release, machine: Machine) -> None:
    """Raise UpdateError if a release is not for this machine.

    The codes: "unsupported-abi", "agent-too-old", "wrong-board", "too-little-memory".
    """
    if release.abi not in ABIS:
        raise UpdateError(
            f"{_called(release)} has form {release.abi}, this agent reads {max(ABIS)}",
            code="unsupported-abi",
            remedy="Update edgeagent first.",
        )
    if by_version(release.agent_least) > by_version(machine.agent):
        raise UpdateError(
            f"{_called(release)} is for edgeagent from {release.agent_least} on, this is {machine.agent}",
            code="agent-too-old",
            remedy="Update edgeagent first.",
        )
    if release.boards and machine.board not in release.boards:
        raise UpdateError(
            f"{_called(release)} is for {', '.join(release.boards[:5])}, this is {machine.board!r}",
            code="wrong-board",
            remedy="Choose a release for this board.",
        )
    if release.memory_mb > machine.memory_mb:
        raise UpdateError(
            f"{_called(release)} needs {release.memory_mb} MB, {machine.memory_mb} MB may be used",
            code="too-little-memory",
            remedy="Choose a smaller release of this family.",
        )


def by_version(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: "1.10" is newer than "1.9.2", and "1.0" the same as "1". Never raises."""
    numbers = [int(part) if part.isascii() and part.isdigit() and len(part) <= 9 else 0 for part in version.split(".")]  # noqa: PLR2004
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _called(release: Release) -> str:
    return f"{release.family} {release.version}"


def _check_files(files: tuple[FileEntry, ...]) -> None:
    if sum(one.length for one in files) > LARGEST_RELEASE_BYTES:
        raise _bad(f"files: more than {LARGEST_RELEASE_BYTES} bytes together")
    lengths: dict[str, int] = {}
    names: set[str] = set()
    folders: set[str] = set()
    for one in files:
        parts = one.path.split("/")
        if len(parts) > DEEPEST_PATH or not all(_is_plain(part) for part in parts):
            raise _bad(f"files: {one.path!r:.80} is no plain path inside the bundle")
        if lengths.setdefault(one.sha256, one.length) != one.length:
            raise _bad(f"files: {one.path!r:.80}: the same hash with another length")
        name = one.path.casefold()
        if name in names:
            raise _bad(f"files: {one.path!r:.80} stands twice, or differs from another in case alone")
        names.add(name)
        _note_folders(parts, folders)
    if clash := names & {folder.casefold() for folder in folders}:
        raise _bad(f"files: {min(clash)!r:.80} is a file and a folder")
    if len({folder.casefold() for folder in folders}) != len(folders):
        raise _bad("files: two folders differ in case alone")


def _note_folders(parts: list[str], folders: set[str]) -> None:
    folders.update("/".join(parts[:count]) for count in range(1, len(parts)))


def _is_plain(part: str) -> bool:
    return _NAME.fullmatch(part) is not None and part.split(".", maxsplit=1)[0].casefold() not in _RESERVED


def _bad(why: str) -> UpdateError:
    return UpdateError(f"the manifest cannot be used: {why}", code="bad-manifest", remedy=_REMEDY)
