"""What was ordered, by which words, how surely, and what came of it: lines that are only appended, chained by hashes.

Rules:
- every line holds the hash of the line before it and its own, so that nothing can be changed or taken out of the middle
  unnoticed; a file begins where the one before it ended;
- bounded: the oldest files go, and the check says from where on it can tell;
- talk that was for nobody leaves no words behind: what was refused as no command is not written down at all;
- a line that a power cut has torn is cut off and said so; nothing that follows depends on it;
- several processes may append: the daemon, and `edgeagent say`.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from edgeagent.errors import SettingsError
from edgeagent.messages import Command, Outcome, Published, Question, Rejection, RejectionReason, Step
from edgeagent.timeline import as_row

AUDIT = "audit"
"""The folder's name in the state folder."""
FILE_BYTES = 1 << 20
MOST_FILES = 8
LONGEST_LINE = 16 << 10
START = "0" * 64
"""What the first line of all holds for the line before it."""
TORN = "torn"
_FOR_NOBODY: frozenset[RejectionReason] = frozenset({"no-words", "not-a-command", "not-speech-we-know", "too-long"})

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """How many entries are sound, whether the trail begins at its beginning, and what is wrong with it."""

    entries: int
    is_from_the_start: bool
    problems: tuple[str, ...]


def entry_of(step: Step, at: str) -> Entry | None:
    """Return what is written down of a step at a time (ISO 8601); None for what is not."""
    match step:
        case Rejection() if step.reason in _FOR_NOBODY:
            return None
        case Command() | Rejection():
            return {"at": at, "text": step.text, **as_row(step)}
        case Question() | Published() | Outcome():
            return {"at": at, **as_row(step)}
    return None


class Trail:
    """The files of a folder."""

    def __init__(self, folder: Path, *, file_bytes: int = FILE_BYTES, most_files: int = MOST_FILES) -> None:
        """Append to the files in the folder; it is made when the first entry comes."""
        self._folder = folder
        self._file_bytes = file_bytes
        self._most_files = most_files

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries down, durably. Raise OSError if the disk refuses: then none of them is there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            files = files_of(self._folder)
            path = files[-1] if files else self._folder / _name(1)
            with _opened(path) as file:
                last, torn = _mend(file)
                last = _last_of(files[:-1]) if last is None else last
                entries = [*([{"step": TORN, "bytes": torn}] if torn else []), *entries]
                if file.seek(0, os.SEEK_END) < self._file_bytes:
                    _write(file, last, entries)
                    return
            path = self._folder / _name(int(path.stem) + 1)
            with _opened(path) as file:
                _write(file, last, entries)
            self._forget([*files, path])

    def _forget(self, files: Sequence[Path]) -> None:
        for path in files[: -self._most_files]:
            path.unlink(missing_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a trail, the oldest first."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdigit()) if folder.is_dir() else []


def entries_of(folder: Path) -> Iterator[Entry]:
    """Yield the entries that can be read, the oldest first. Raise SettingsError if a file cannot be opened."""
    for path in files_of(folder):
        for line in _lines(path):
            entry = _parsed(line)
            if entry is not None:
                yield entry


def check(folder: Path) -> Check:
    """Go through the chain, and tell where it is broken. Raise SettingsError if a file cannot be opened."""
    problems: list[str] = []
    last: str | None = None
    count = 0
    is_from_the_start = True
    for path in files_of(folder):
        for number, line in enumerate(_lines(path), start=1):
            where = f"{path.name}:{number}"
            entry = _parsed(line)
            if entry is None:
                problems.append(f"{where}: is no entry")
                continue
            if last is None:
                is_from_the_start = entry.get("before") == START
            elif entry.get("before") != last:
                problems.append(f"{where}: does not follow the line before it: something was taken out or put in")
            if entry.get("hash") != _hash(entry):
                problems.append(f"{where}: was changed")
            last = str(entry.get("hash"))
            count += 1
    return Check(count, is_from_the_start, tuple(problems))


def _name(number: int) -> str:
    return f"{number:06}.jsonl"


def _opened(path: Path) -> FileIO:
    """Open a file for the owner alone, without a buffer: what the disk has taken can be taken back."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b", buffering=0)


def _write(file: FileIO, last: str, entries: Iterable[Entry]) -> None:
    """Write all entries durably, or none of them."""
    end = file.seek(0, os.SEEK_END)
    lines = []
    for entry in entries:
        line, last = _line(entry, last)
        lines.append(line)
    rest = memoryview(b"".join(lines))
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(end)
        raise


def _line(entry: Entry, last: str) -> tuple[bytes, str]:
    chained = {**entry, "before": last}
    digest = _hash(chained)
    line = json.dumps({**chained, "hash": digest}).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        return _line({"at": entry.get("at"), "step": entry.get("step"), "left_out": len(line)}, last)
    return line, digest


def _hash(entry: Entry) -> str:
    plain = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _mend(file: FileIO) -> tuple[str | None, int]:
    """Cut a torn line off; return the hash of the last whole one (None: there is none), and the bytes cut off."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * LONGEST_LINE))
    tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    torn = len(tail) - len(whole)
    if torn:
        file.truncate(size - torn)
    for line in reversed(whole.splitlines()):
        if (entry := _parsed(line)) is not None:
            return str(entry.get("hash")), torn
    return None, torn


def _last_of(files: Sequence[Path]) -> str:
    for path in reversed(files):
        for line in reversed(list(_lines(path))):
            if (entry := _parsed(line)) is not None:
                return str(entry.get("hash"))
    return START


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield line
    except FileNotFoundError:  # the oldest went while we read
        return
    except OSError as error:
        remedy = "Read it as the user that the daemon runs as."
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}", remedy=remedy) from error


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
