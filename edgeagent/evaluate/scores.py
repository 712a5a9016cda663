"""Scores of predictions: slots, calibration, how well a score tells two sets apart; and how sure a count is."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeagent.understand.model.decode import Span

BINS = 15


def slot_scores(pairs: Sequence[tuple[Sequence[Span], Sequence[Span]]]) -> float:
    """Return F1 over whole slots of (right, found): name, beginning and end must agree."""
    both = sum(len(set(right) & set(found)) for right, found in pairs)
    total = sum(len(set(right)) + len(set(found)) for right, found in pairs)
    return 2 * both / total if total else 1.0


def calibration_error(chances: NDArray[np.float64], is_right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over BINS equally wide bins (Guo et al., 2017)."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    total = 0.0
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            total += float(inside.mean()) * abs(float(chances[inside].mean()) - float(is_right[inside].mean()))
    return total


def auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Return the area under the curve of a score that is higher for what is inside; 0.5 is a guess."""
    scores = np.concatenate([inside, outside])
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    count = len(inside)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(outside)))


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the mean of which `count` events are one draw (Garwood, 1936)."""
    tail = 0.025
    most = count + 10 * math.sqrt(count + 1) + 10  # far above the upper end
    lower = _crossing(lambda mean: _at_most(count - 1, mean) < 1 - tail, most) if count else 0.0
    return lower, _crossing(lambda mean: _at_most(count, mean) < tail, most)


def _at_most(count: int, mean: float) -> float:
    """Return the probability of at most `count` events where `mean` are expected."""
    return math.fsum(math.exp(number * math.log(mean) - mean - math.lgamma(number + 1)) for number in range(count + 1))


def _crossing(is_beyond: Callable[[float], bool], most: float) -> float:
    """Return from where on, between 0 and `most`, something holds."""
    least = 0.0
    while most - least > most * 1e-9:
        middle = (least + most) / 2
        least, most = (least, middle) if is_beyond(middle) else (middle, most)
    return most
