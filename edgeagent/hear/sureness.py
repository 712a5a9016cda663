"""How sure a recognized sentence is, against the chance that something else was said, or nothing. Pure.

Three things are weighed, by a logistic regression on real orders (clean, and in two noises that were made for it), on
sentences of another domain forced into the same grammar, and on noise alone:

- how much worse the words fit the sound than the best sequence of any phones at all does (the competitor);
- how much louder the words are than the quiet parts around them;
- how long they are: a short word is found in any noise.

Leaving one noise out at a time, the area under the ROC curve is 0.976; it is 0.957 by the fit of the words alone, which
noise worsens as much as a wrong sentence does.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

Sure = Callable[[float, float, int], float]
"""The signature of `sureness`."""

FIT_WEIGHT = 0.268
LEVEL_WEIGHT = 0.0434
LENGTH_WEIGHT = 3.12
OFFSET = -9.78
LONG_ENOUGH_FRAMES = 100
"""Beyond a second it does not matter how long the words last."""
LOUD_ENOUGH_DB = 25.0
"""Beyond this it does not matter how loud the words are."""
QUIET_SHARE, LOUD_SHARE = 0.1, 0.75
"""The quantile of all frames that stands for the room, and that of the words' frames that stands for the voice."""


def sureness(fit: float, above_db: float, frames: int) -> float:
    """Return 0..1.

    `fit` is the words' mean score of a frame less the phones' (0 or below), `above_db` how much louder the words are
    than the room, `frames` how many hundredths of a second they last.
    """
    if frames <= 0:
        return 0.0
    length = math.log(min(frames, LONG_ENOUGH_FRAMES))
    weighed = FIT_WEIGHT * fit + LEVEL_WEIGHT * min(above_db, LOUD_ENOUGH_DB) + LENGTH_WEIGHT * length
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, weighed + OFFSET))))


def room_and_voice_db(levels_db: Sequence[float], spoken: Sequence[int]) -> tuple[float, float]:
    """Return how loud the quietest of the frames are, and those with these numbers, which are of words."""
    if not levels_db or not spoken:
        return 0.0, 0.0
    levels = np.asarray(levels_db)
    within = levels[[min(number, len(levels) - 1) for number in spoken]]
    return float(np.quantile(levels, QUIET_SHARE)), float(np.quantile(within, LOUD_SHARE))
