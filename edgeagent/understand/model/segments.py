"""The seam between the model's arithmetic, which a runtime does, and what is made of it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeagent.understand.model.gazetteer import Marks
from edgeagent.understand.model.wordpieces import Ids

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RawOffer:
    """What an exit computes: logits of labels [labels] and of tags [words, tags], features [width], what goes on."""

    labels: Floats
    tags: Floats
    features: Floats
    hidden: Floats | None


class Segments(Protocol):
    """The model's segments in some runtime."""

    def first(self, ids: Ids, marks: Marks) -> RawOffer:
        """Run the first segment on a sentence of at least one word."""
        ...

    def later(self, number: int, hidden: Floats) -> RawOffer:
        """Run segment `number`, counted from 0, on what the one before left."""
        ...
