"""A model's folder: a manifest with every file's hash, and how sure an exit must be. Checked before use."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from edgeagent.errors import ModelError
from edgeagent.shipped import MANIFEST
from edgeagent.strict import Strict
from edgeagent.understand.model.gazetteer import FEATURES
from edgeagent.understand.model.labels import Label

VERSION = 1
MOST_BYTES = 64 << 20
_REMEDY = "Install the model again, or name another folder: [understanding] model."
RiskClass = Literal["free", "guarded"]


class FileEntry(Strict):
    """A file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0, le=MOST_BYTES)


class ExitEntry(Strict):
    """One exit: its files, by runtime, how its confidence is calibrated, and how sure it must be to act."""

    onnx: str
    tflite: str | None = None
    temperature: float = Field(gt=0, le=100)
    sure: Mapping[RiskClass, float] = Field(description="Least confidence by risk class.")
    leave: float = Field(1.0, ge=0, le=1, description="From this confidence on, later exits say the same.")
    slot_sure: float = Field(ge=0, le=1, description="Least probability of the least sure slot.")


class LabelEntry(Strict):
    """One label. `words` may stand in a sentence of it without saying more; `needs` are slots it must have."""

    name: str
    intent: str | None = None
    slots: Mapping[str, str | float] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


class Scope(Strict):
    """What tells a command from everything else."""

    prototypes: str | None = Field(None, description="File of prototypes: rows of 8-bit features, [prototypes, width].")
    labels: tuple[int, ...] = Field((), description="The label of each prototype.")
    least: float = Field(-1.0, description="Least likeness to a prototype of the label.")


class Manifest(Strict):
    """All that is known of a model."""

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(max_length=64)
    language: str
    features: tuple[str, ...]
    vocabulary: str
    labels: tuple[LabelEntry, ...] = Field(min_length=2)
    tags: tuple[str, ...] = Field(min_length=1)
    exits: tuple[ExitEntry, ...] = Field(min_length=1, max_length=4)
    ask_from: float = Field(ge=0, le=1, description="Less sure than this is not even asked about.")
    scope: Scope = Scope()
    values: Mapping[str, Mapping[str, str | float]] = Field(description="By slot: what words mean.")
    ranges: Mapping[str, tuple[float, float]] = Field(description="By slot: the numbers that can be said.")
    fillers: frozenset[str] = frozenset()
    golden: str | None = None
    phrases: str | None = Field(None, description="Sentences with places for names, for recognizers; gzip.")
    files: Mapping[str, FileEntry]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder whose files are what its manifest says."""

    folder: Path
    manifest: Manifest

    def read(self, name: str) -> bytes:
        """Return a file of the bundle. Raise ModelError if it is not what the manifest says."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise ModelError(f"{self.folder}: the manifest names no file {name!r:.60}", remedy=_REMEDY)
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise ModelError(f"{self.folder / name}: {error.strerror}", remedy=_REMEDY) from error
        if len(data) != entry.bytes:
            raise ModelError(f"{self.folder / name}: {len(data)} bytes, {entry.bytes} were expected", remedy=_REMEDY)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise ModelError(f"{self.folder / name}: damaged: its hash is another", remedy=_REMEDY)
        return data

    def of_intents(self, known: Collection[str]) -> tuple["Bundle", tuple[str, ...]]:
        """Return this bundle with every intent that is not known taken for no command, and those intents."""
        named = {one.intent for one in self.manifest.labels if one.intent is not None}
        strange = tuple(sorted(named - set(known)))
        labels = tuple(
            one.model_copy(update={"intent": None}) if one.intent in strange else one for one in self.manifest.labels
        )
        return replace(self, manifest=self.manifest.model_copy(update={"labels": labels})), strange

    @property
    def labels(self) -> tuple[Label, ...]:
        """Return what the model can say."""
        return tuple(Label(one.name, one.intent, one.slots) for one in self.manifest.labels)


def open_bundle(folder: Path) -> Bundle:
    """Read the manifest of a folder. Raise ModelError if it is missing, damaged, or of another version than ours."""
    path = folder / MANIFEST
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON: {error}", remedy=_REMEDY) from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != VERSION:
        raise ModelError(
            f"{path}: format {found!r:.20}, this agent reads {VERSION}", remedy="Update the agent or the model."
        )
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{path}: {where}: {first['msg']}", remedy=_REMEDY) from error
    bundle = Bundle(folder, manifest)
    _check(bundle)
    return bundle


def _check(bundle: Bundle) -> None:
    manifest = bundle.manifest
    for name in manifest.files:
        if Path(name).name != name:
            raise ModelError(f"{bundle.folder}: {name!r:.60} is no name of a file", remedy=_REMEDY)
    if manifest.features != FEATURES:
        raise ModelError(f"{bundle.folder}: the model marks words in another way than this agent", remedy=_REMEDY)
    known = set(manifest.tags)
    for label in manifest.labels:
        if strange := next((tag for tag in label.tags if tag not in known), None):
            raise ModelError(
                f"{bundle.folder}: label {label.name!r:.60}: no tag is called {strange!r:.40}", remedy=_REMEDY
            )
