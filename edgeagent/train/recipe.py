"""A recipe in YAML: which sentences a model learns from, how it is built, and how long it learns."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from edgeagent.errors import SettingsError
from edgeagent.grammar.commands import read_yaml
from edgeagent.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class Templates(Strict):
    """Sentences made of templates, in made-up homes and plants."""

    files: tuple[str, ...] = Field(description="YAML files of templates, beside the recipe.")
    built_in: tuple[Literal["home", "plant"], ...] = ("home", "plant")
    names: str = Field(description="YAML file of names of devices and areas.")
    asides: str | None = Field(None, description="Text file of reasons and remarks that stand beside sentences.")
    homes: int = Field(40, ge=1, le=500)
    plants: int = Field(20, ge=0, le=500)
    per_intent: int = Field(25, ge=1, le=1000, description="Sentences of each intent in each place.")
    counts: dict[str, int] = Field(default_factory=dict, description="Other numbers, by the beginning of an intent.")
    negatives: tuple[str, ...] = Field((), description="Beginnings of intents that are no commands.")
    held_out_every: int = Field(9, ge=2, description="Every n-th template is kept for validation.")


class Source(Strict):
    """A file of labelled sentences."""

    file: str = Field(description="JSON lines, in the folder of sources.")
    use: Literal["train", "valid", "both"] = Field("both", description="Both: a tenth is kept for validation.")
    is_negative: bool = Field(
        default=False, description="What `labels` does not name is no command, each under its own name."
    )
    labels: dict[str, str | None] = Field(default_factory=dict, description="Intent to label; null leaves it out.")
    slots: dict[str, str | None] | None = Field(
        None, description="Slot to slot; null: nobody knows. Without: as it is."
    )
    words: dict[str, dict[str, str]] = Field(default_factory=dict, description="By label: words that are a slot.")
    called: str | None = Field(None, description="What its negatives are called after, instead of the file's name.")
    collapse: str | None = Field(None, description="One label for the whole file.")
    most: int | None = Field(None, ge=1, description="Take this many, drawn by the seed.")


class Building(Strict):
    """The network."""

    table: int = Field(96, ge=8, le=384)
    width: int = Field(128, ge=16, le=512)
    hidden: int = Field(256, ge=16, le=2048)
    exits: tuple[int, ...] = Field((2, 6), min_length=1)
    dropout: Share = 0.1
    table_dropout: Share = 0.2
    vocabulary: Literal["minilm", "corpus"] = "minilm"


class Learning(Strict):
    """How it learns."""

    epochs: int = Field(16, ge=1, le=1000)
    batch: int = Field(256, ge=2)
    rate: float = Field(2.5e-3, gt=0, le=1)
    decay: float = Field(0.02, ge=0)
    smoothing: Share = 0.05
    distil: float = Field(0.5, ge=0, description="Weight of early exits learning from the last one.")
    noise: Share = Field(0.4, description="Share of sentences that are disturbed like speech.")
    unknown_names: Share = Field(0.1, description="Share of sentences whose names are not marked.")


class Distillation(Strict):
    """A larger network is fine-tuned first, and tells the small one more than the labels do."""

    layers: int = Field(3, ge=1, le=6, description="Of MiniLM's six.")
    epochs: int = Field(4, ge=1, le=100)
    batch: int = Field(32, ge=2)
    rate: float = Field(1e-4, gt=0, le=1, description="Of the encoder; its new heads learn ten times faster.")
    most: int | None = Field(None, ge=1, description="The teacher learns from this many sentences, drawn by the seed.")
    unlabelled: tuple[str, ...] = Field((), description="Text files, a sentence a line, that only the teacher labels.")
    temperature: float = Field(2.0, gt=0, le=20)
    response: float = Field(1.0, ge=0, description="Weight of learning the teacher's answers.")
    feature: float = Field(0.5, ge=0, description="Weight of learning the teacher's view of whole sentences.")


class Recipe(Strict):
    """A recipe."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    language: str = "en"
    seed: int = 1
    templates: Templates | None = None
    sources: tuple[Source, ...] = ()
    building: Building = Building()
    learning: Learning = Learning()
    distillation: Distillation | None = None


def load_recipe(path: Path) -> Recipe:
    """Return the recipe in a file. Raise SettingsError naming the key that is wrong and what was expected."""
    try:
        document: Any = read_yaml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path}: cannot be read: {error}", remedy="Name a recipe, for example models/recipes/command-en.yaml."
        ) from error
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        known = f" Known here: {', '.join(_known(first['loc']))}." if first["type"] == "extra_forbidden" else ""
        raise SettingsError(f"{path}: {where}: {first['msg']}", remedy=f"Correct the recipe.{known}") from error


def fingerprint(recipe: Recipe) -> str:
    """Return what tells one recipe from another: a checkpoint of another recipe is not gone on with."""
    return hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:16]


def _known(place: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "templates": Templates,
        "sources": Source,
        "building": Building,
        "learning": Learning,
        "distillation": Distillation,
    }
    return sorted(models.get(str(place[0]), Recipe).model_fields if len(place) > 1 else Recipe.model_fields)
