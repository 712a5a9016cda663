"""Logits to a label and slots: calibrated probabilities, and the best tags among those that the label allows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeagent.understand.model.segments import Floats

OUTSIDE = 0
"""The tag O is the first of every model."""


@dataclass(frozen=True, slots=True)
class Span:
    """Words that say a slot: from `start` to before `end`."""

    slot: str
    start: int
    end: int


class Tagging:
    """The tags of a model, and which of them each label allows."""

    def __init__(self, tags: Sequence[str], allowed: Sequence[Sequence[str]]) -> None:
        """Take the names of the tags ("O", "B-area", "I-area"), and for each label those that it allows besides O."""
        self.tags = tuple(tags)
        number = {tag: place for place, tag in enumerate(tags)}
        self._columns = [np.array([OUTSIDE, *sorted(number[tag] for tag in some)], np.intp) for some in allowed]
        self._before = [[self._may_follow(columns, place) for place in columns] for columns in self._columns]
        self._names = [[self.tags[place] for place in columns] for columns in self._columns]

    def __call__(self, logits: Floats, label: int) -> tuple[tuple[Span, ...], float]:
        """Return the spans that go with a label, and how sure the least sure word is, 0..1."""
        scores = logits[:, self._columns[label]]
        best: list[int] = scores.argmax(1).tolist()
        if self._is_valid(best, label):
            top = scores.max(1)
        else:
            best = self._viterbi(_log_softmax(scores), label).tolist()
            top = scores[np.arange(len(best)), best]
        names = self._names[label]
        # A tag has the probability 1 / sum of exp(other - its own): the largest sum is the least sure word.
        least = 1.0 / float(np.exp(scores - top[:, None]).sum(1).max())
        return _spans([names[place] for place in best]), least

    def _may_follow(self, columns: NDArray[np.intp], place: np.intp) -> list[bool]:
        """Tell after which of the columns a tag may come: I-x only after B-x and I-x."""
        tag = self.tags[place]
        if not tag.startswith("I-"):
            return [True] * len(columns)
        return [self.tags[one][1:] == tag[1:] for one in columns]

    def _is_valid(self, best: Sequence[int], label: int) -> bool:
        before = OUTSIDE
        follow = self._before[label]
        for place in best:
            if not follow[place][before]:
                return False
            before = place
        return True

    def _viterbi(self, scores: Floats, label: int) -> NDArray[np.intp]:
        follow = np.array(self._before[label])
        blocked = np.where(follow, 0.0, -1e9)
        total = scores[0] + blocked[:, OUTSIDE]
        back = np.zeros(scores.shape, np.intp)
        for place in range(1, len(scores)):
            ways = total[None, :] + blocked
            back[place] = ways.argmax(1)
            total = scores[place] + ways.max(1)
        path = np.zeros(len(scores), np.intp)
        path[-1] = int(total.argmax())
        for place in range(len(scores) - 1, 0, -1):
            path[place - 1] = back[place, path[place]]
        return path


def probabilities(logits: Floats, temperature: float) -> Floats:
    """Return the calibrated probabilities of the labels."""
    powers = np.exp((logits - logits.max()) / temperature)
    result: Floats = powers / powers.sum()
    return result


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def _spans(tags: Sequence[str]) -> tuple[Span, ...]:
    spans: list[Span] = []
    start = 0
    for place, tag in enumerate((*tags, "O")):
        if place and tags[place - 1] != "O" and not tag.startswith("I-"):
            spans.append(Span(tags[place - 1][2:], start, place))
        if tag.startswith("B-") or (tag.startswith("I-") and (not place or tags[place - 1] == "O")):
            start = place
    return tuple(spans)
