"""How sure a recognized sentence is, against the chance that something else was said, or nothing. Pure.

Three things are weighed:
- how much worse the words fit the sound than the best sequence of any phones at all does (the competitor);
- how much louder the words are than the quiet parts around them;
- how long they are: a short word is found in any noise.

The weights are a logistic regression's on 911 commands that were heard in quiet and in two made noises: real orders,
synthesised home commands, both also forced into the other's grammar, and talk. The area under the ROC curve is 0.962,
and 0.954 by the fit alone; at the threshold of the settings (0.4) 28 of 382 right ones and 74 of 529 others are on
the wrong side. On twice as many (1,762, of which 449 are right) the tool below finds other weights (0.2755, 0.0452,
2.352, -6.746; area 0.967, and 0.965 by the fit alone or with each noise left out). They are no better where it
counts: as many orders are right, and as many commands in free wordings are done (26 of 40, with the thresholds moved
along). So they were left as they are.

    python -m edgeagent.evaluate.learn_sureness ORDERS COMMANDS HOME tests/data/home_devices.yaml TALK
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
