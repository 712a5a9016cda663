"""A small head on the frozen features of the model's first exit: it knows the lessons, and everything else as a whole.

Closed form (ridge regression, one lesson against the rest), so it takes milliseconds and forgets nothing: the model
itself is not touched, and what it understands by itself is never asked of the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeagent.grammar.spoken import Phrase
from edgeagent.understand.model.gazetteer import Gazetteer
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.model.segments import Floats

RIDGE = 0.05
ABOVE_STRANGERS = 0.12
"""So much more than any sentence of something else must a sentence score to be obeyed."""
_FRONT: tuple[Phrase, ...] = ((), ("please",), ("um",), ("hey",), ("can", "you"), ("okay",), ("let's",))
_END: tuple[Phrase, ...] = ((), ("please",), ("now",), ("thanks",), ("for", "me"))


@dataclass(frozen=True, slots=True)
class Guess:
    """Which lesson a sentence is likest to, its score, and the score from which it is obeyed."""

    lesson: int
    score: float
    needed: float

    @property
    def is_sure(self) -> bool:
        """Tell whether it can be obeyed without asking."""
        return self.score >= self.needed


class Head:
    """What was learned from lessons."""

    def __init__(self, weights: Floats, strangers: Floats) -> None:
        """Take a column for each lesson, and the highest score that something else has in it."""
        self._weights = weights
        self._strangers = strangers

    def guess(self, features: Floats) -> Guess | None:
        """Return the lesson that a sentence is likest to; None where it is no likelier than anything else."""
        scores = _with_one(_unit(features[None]))[0] @ self._weights
        best = int(scores.argmax())
        limit = float(self._strangers[best])
        if scores[best] <= max(limit, 0.5):
            return None
        return Guess(best, float(scores[best]), min(limit + ABOVE_STRANGERS, 0.9))


def learn_head(lessons: Sequence[Sequence[Phrase]], model: CommandModel, gazetteer: Gazetteer) -> Head:
    """Return a head that knows these sentences of each lesson, against all that the model was taught."""
    features: list[Floats] = []
    owners: list[int] = []
    for number, sentences in enumerate(lessons):
        for words in _varied(sentences):
            features.append(next(model.opinions(words, gazetteer(words))).features)
            owners.append(number)
    known = _unit(np.array(features, np.float32))
    others = model.background
    rows = _with_one(np.concatenate([known, others]))
    count = len(lessons)
    targets = np.zeros((len(rows), count), np.float32)
    targets[np.arange(len(owners)), owners] = 1
    weight = np.concatenate(
        [np.array([1 / owners.count(one) for one in owners]), np.full(len(others), 4 / max(1, len(others)))]
    ).astype(np.float32)[:, None]
    left = rows.T @ (rows * weight) + RIDGE / 10 * np.eye(rows.shape[1], dtype=np.float32)
    solved: Floats = np.linalg.solve(left, rows.T @ (targets * weight)).astype(np.float32)
    scores = rows @ solved
    strangers = np.array([np.where(targets[:, one] > 0, -1, scores[:, one]).max() for one in range(count)], np.float32)
    return Head(solved, strangers)


def _varied(sentences: Sequence[Phrase]) -> list[Phrase]:
    return list(dict.fromkeys((*front, *words, *end) for words in sentences for front in _FRONT for end in _END))


def _unit(features: Floats) -> Floats:
    lengths = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
    result: Floats = features / lengths
    return result


def _with_one(rows: Floats) -> Floats:
    result: Floats = np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1)
    return result
