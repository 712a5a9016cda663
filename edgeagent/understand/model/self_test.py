"""A model's golden sentences: this runtime on this machine must decide as the model's makers saw it decide."""

import json
from typing import Any

from edgeagent.errors import ModelError
from edgeagent.understand.model.bundle import Bundle
from edgeagent.understand.model.gazetteer import Gazetteer
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.model.segments import Segments


def disagreements(bundle: Bundle, segments: Segments, most: int | None = None) -> tuple[int, list[str]]:
    """Return how many golden sentences were judged, and those that any exit decides in another way.

    `most` judges the first ones only. Raise ModelError if the model has none, or they are damaged.
    """
    if bundle.manifest.golden is None:
        raise ModelError(f"{bundle.folder}: the model has no golden sentences")
    try:
        golden: dict[str, Any] = json.loads(bundle.read(bundle.manifest.golden))
        mark = Gazetteer({name: [(one[0], one[1]) for one in entries] for name, entries in golden["lists"].items()})
        sentences = [(str(one["text"]), one["exits"]) for one in golden["sentences"]][:most]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{bundle.folder}: golden sentences of another form: {error!r}") from error
    model = CommandModel(bundle, segments)
    different = []
    for text, expected in sentences:
        words = text.split()
        found = [
            {"label": one.label.name, "spans": [[span.slot, span.start, span.end] for span in one.spans]}
            for one in model.opinions(words, mark(words))
        ]
        if found != expected:
            different.append(text)
    return len(sentences), different
