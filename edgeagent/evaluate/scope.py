"""Sentences that are no commands: which of them would be obeyed, asked about, refused."""

from pathlib import Path
from typing import Any

from edgeagent.errors import SettingsError
from edgeagent.evaluate.judging import Judge, Kind
from edgeagent.understand.model.model import CommandModel

PLACES = ("home", "plant")
_WORST_FIRST: tuple[Kind, ...] = ("obeyed", "asked", "refused")


def scope(model: CommandModel | None, file: Path) -> dict[str, Any]:
    """Judge each line of a file in a home and in a plant; the worse of the two counts.

    Raise SettingsError if the file cannot be read or holds no sentence.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file}: cannot be read: {error}", remedy="Name a text file, one sentence a line."
        ) from error
    sentences = [line for line in lines if line]
    if not sentences:
        raise SettingsError(f"{file}: holds no sentence", remedy="Write one sentence a line.")
    judges = [Judge("home", model), Judge("plant", model)]
    kinds = []
    for sentence in sentences:
        found = {judge(sentence).kind for judge in judges}
        kinds.append(next(kind for kind in _WORST_FIRST if kind in found))
    count = len(sentences)
    return {
        "n": count,
        **{kind: round(kinds.count(kind) / count, 4) for kind in _WORST_FIRST},
        "obeyed_sentences": [said for said, kind in zip(sentences, kinds, strict=True) if kind == "obeyed"],
        "asked_sentences": [said for said, kind in zip(sentences, kinds, strict=True) if kind == "asked"],
    }
