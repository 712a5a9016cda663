"""What a teacher said of the sentences, kept on the disk: telling takes minutes, and training may be killed."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeagent.files import write_durably

Halves = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Told:
    """What the teacher says of sentences: logits of labels and of each word's tags, and the sentences' features."""

    labels: Halves  # [sentences, labels]
    tags: list[Halves]  # of each sentence [words, tags]
    features: Halves  # [sentences, features]

    def save(self, path: Path, mark: str) -> None:
        """Keep it in a file, under the mark of the recipe it was told for."""
        buffer = BytesIO()
        lengths = np.array([len(one) for one in self.tags])
        np.savez(
            buffer, mark=np.array(mark), labels=self.labels, tags=np.concatenate(self.tags), lengths=lengths,
            features=self.features,
        )  # fmt: skip
        write_durably(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path, mark: str) -> "Told | None":
        """Return what was kept for this recipe, if anything was."""
        if not path.is_file():
            return None
        with np.load(path) as kept:
            if str(kept["mark"]) != mark:
                return None
            return cls(kept["labels"], np.split(kept["tags"], np.cumsum(kept["lengths"])[:-1]), kept["features"])
