"""The competitor of every sentence: the best sequence of any phones at all, over the same sound.

What was said fits its words nearly as well as it fits any phones; what is no sentence of ours fits them much worse.
"""

import math
from typing import Any

import numpy as np

from edgeagent.messages import Frame

_LOG_BASE = math.log(1.0001)
_SPARE_FRAMES = 8
"""Searches may differ in their last frames."""


class PhoneLoop:
    """Scores any phones, frame by frame, beside the search for sentences."""

    def __init__(self, decoder: Any) -> None:
        """Use a decoder whose search is one for phones."""
        self._decoder = decoder
        self._scores = np.zeros(1)

    def begin(self, mean: str) -> None:
        """Begin an utterance, with the channel's mean that the sentences' search uses."""
        self._decoder.set_cmn(mean)
        self._decoder.start_utt()

    def hear(self, frame: Frame) -> None:
        """Take the next frame."""
        self._decoder.process_raw(frame)

    def end(self) -> None:
        """End the utterance: from now on `score` can be asked."""
        self._decoder.end_utt()
        scores = np.zeros(self._decoder.n_frames() + _SPARE_FRAMES)
        for phone in self._decoder.seg() or ():
            length = phone.end_frame + 1 - phone.start_frame
            scores[phone.start_frame : phone.end_frame + 1] = log_score(phone.ascore) / length
        self._scores = scores

    def score(self, start: int, end: int) -> float:
        """Return the phones' score over the frames (10 ms) from `start` up to, not including, `end`."""
        return float(self._scores[start:end].sum())


def log_score(probability: float) -> float:
    """Return a decoder's score in its own small units (natural logarithm to the base 1.0001)."""
    return math.log(max(probability, 1e-300)) / _LOG_BASE
