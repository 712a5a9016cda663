"""The owner's clips: short sounds, each kept with what it meant, so that one can tell what a change would make of it.

- A clip is `<id>.flac` and `<id>.json` in one folder; the .json is written last and removed first, and a sound without
  it is no clip and is removed at the next change.
- One process at a time changes the clips (`.lock`); another is refused.
- Sound is kept here by `edgeagent record` alone, for nobody but the owner to read.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from edgeagent.errors import SettingsError
from edgeagent.files import write_durably
from edgeagent.messages import Kind, Value
from edgeagent.strict import Strict

CLIPS = "clips"
"""The clips' folder in the state folder."""
MOST_CLIPS = 200
LONGEST_S = 12.0
"""As long as an utterance can be by default."""
LONGEST_NAME = 100
LARGEST_RECORD_BYTES = 4 << 20
"""A record holds the names of the whole house: of 2,000 devices, about a megabyte."""
_LOCK = ".lock"
_VERSION: Literal[1] = 1
_DELETE = "edgeagent record --list shows the clips, and edgeagent record --delete NAME removes one."

Word = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Text = Annotated[str, Field(max_length=2_000)]


class Meaning(Strict):
    """An intent, with the slots that were said."""

    intent: Word
    slots: dict[Word, Value] = Field(default={}, max_length=50)

    def in_words(self) -> str:
        """Return it as a person reads it: "turn on: name kitchen light"."""
        return in_words(self.intent, self.slots)


class Understood(Strict):
    """What a clip was taken for: nothing, one command, or several. `is_asked` if nothing is done before a "yes"."""

    meanings: tuple[Meaning, ...] = Field(default=(), max_length=100)
    is_asked: bool = False

    def in_words(self) -> str:
        """Return it as a person reads it."""
        said = "; then ".join(meaning.in_words() for meaning in self.meanings) or "nothing"
        return f"asks first: {said}" if self.is_asked else said


class Clip(Strict):
    """One clip. Meaning None: nothing must be done. `names` and `kinds` are those of the house when it was kept."""

    version: Literal[1] = _VERSION
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Word
    said: Text | None = None
    when: AwareDatetime
    meaning: Meaning | None
    heard: Text
    understood: Understood
    recognizer: Word
    names: Mapping[str, tuple[tuple[str, Value], ...]]
    kinds: frozenset[Kind]

    @property
    def meant(self) -> str:
        """Return the meaning as a person reads it."""
        return "nothing" if self.meaning is None else self.meaning.in_words()


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that cannot be used, by the name of its file without ".json", and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Clips:
    """All that is kept, in the order of the names."""

    whole: tuple[Clip, ...] = ()
    damaged: tuple[Damaged, ...] = ()

    def named(self, name: str) -> Clip | None:
        """Return the clip of that name; None if there is none."""
        return next((clip for clip in self.whole if clip.name == name), None)


def in_words(intent: str, slots: Mapping[str, Value]) -> str:
    """Return an intent and its slots as a person reads them."""
    shown = ", ".join(
        f"{name.replace('_', ' ')} {f'{value:g}' if isinstance(value, float) else value}"
        for name, value in slots.items()
    )
    return f"{intent.replace('_', ' ')}: {shown}" if shown else intent.replace("_", " ")


def sound_file(folder: Path, clip: Clip) -> Path:
    """Return where a clip's sound is."""
    return folder / f"{clip.id}.flac"


def load_clips(folder: Path) -> Clips:
    """Return the clips in a folder; none where there is no folder. Raise SettingsError if it cannot be read."""
    try:
        found = [_read(path) for path in _records(folder)]
    except OSError as error:
        raise _unusable(folder, error) from error
    whole = sorted((one for one in found if isinstance(one, Clip)), key=lambda clip: clip.name)
    return Clips(tuple(whole), tuple(one for one in found if isinstance(one, Damaged)))


def check_name(folder: Path, name: str, *, replaces: bool = False) -> None:
    """Raise SettingsError if no clip can be kept under this name: it is none, it is taken, or there is no room."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(
            f"{name!r:.120} is no name for a clip", remedy=f"Use 1 to {LONGEST_NAME} letters, digits, signs or spaces."
        )
    kept = load_clips(folder)
    if kept.named(name) is not None:
        if replaces:
            return
        raise SettingsError(f"there is a clip {name!r} already", remedy="Take another name, or --replace it.")
    if len(kept.whole) + len(kept.damaged) >= MOST_CLIPS:
        raise SettingsError(f"{folder}: holds {MOST_CLIPS} clips, and more are not kept", remedy=_DELETE)


def add_clip(folder: Path, clip: Clip, sound: bytes, *, replaces: bool = False) -> None:
    """Keep a clip and its sound. Raise SettingsError if its name is taken, there is no room, or the disk refuses."""
    record = clip.model_dump_json().encode()
    if len(record) > LARGEST_RECORD_BYTES:
        raise SettingsError(
            f"the names of this house take {len(record) >> 20} MiB, and a clip keeps at most "
            f"{LARGEST_RECORD_BYTES >> 20}",
            remedy="Let fewer devices announce themselves: [acting] max_devices.",
        )
    with _changing(folder):
        check_name(folder, clip.name, replaces=replaces)
        before = load_clips(folder).named(clip.name)
        write_durably(sound_file(folder, clip), sound)
        write_durably(folder / f"{clip.id}.json", record)
        if before is not None and before.id != clip.id:
            _remove(folder, before.id)


def delete_clip(folder: Path, name: str) -> None:
    """Remove a clip by its name, a damaged one by its file's. Raise SettingsError if there is none."""
    kept = load_clips(folder)
    clip = kept.named(name)
    found = clip.id if clip is not None else next((one.id for one in kept.damaged if one.id == name), None)
    if found is None:
        raise SettingsError(f"there is no clip {name!r:.120}", remedy="edgeagent record --list shows the clips.")
    with _changing(folder):
        _remove(folder, found)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Hold the clips for a change, and remove what a process that was killed has left."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in _left_over(folder):
                path.unlink(missing_ok=True)
            yield
    except BlockingIOError as error:
        raise SettingsError(
            f"{folder}: another edgeagent record is at work", remedy="Wait until it is done, then try again."
        ) from error
    except OSError as error:
        raise _unusable(folder, error) from error


def _remove(folder: Path, name: str) -> None:
    (folder / f"{name}.json").unlink(missing_ok=True)
    (folder / f"{name}.flac").unlink(missing_ok=True)


def _left_over(folder: Path) -> list[Path]:
    """Return sound without a record, and temporary files of `write_durably`: nobody else changes the clips now."""
    kept = {path.stem for path in _records(folder)}
    sounds = [path for path in folder.glob("*.flac") if path.stem not in kept]
    return [*sounds, *folder.glob(".*.flac.*"), *folder.glob(".*.json.*")]


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _read(path: Path) -> Clip | Damaged:
    with path.open("rb") as file:
        content = file.read(LARGEST_RECORD_BYTES + 1)
    if len(content) > LARGEST_RECORD_BYTES:
        return Damaged(path.stem, "it is larger than any record")
    try:
        clip = Clip.model_validate_json(content)
    except ValidationError as error:
        return Damaged(path.stem, _reason(content, error))
    return clip if clip.id == path.stem else Damaged(path.stem, f"it is the record of {clip.id}")


def _reason(content: bytes, error: ValidationError) -> str:
    try:
        version = json.loads(content)["version"]
    except (ValueError, RecursionError, TypeError, KeyError):
        version = _VERSION
    if version != _VERSION:
        return f"it is of version {version!r:.20}, and this edgeagent reads {_VERSION}: update edgeagent"
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"{folder}: clips cannot be kept or read here: {error.strerror or error}",
        remedy="Make room, or name a folder that can be written to: [device] state_dir.",
    )
