"""What the sound is like, counted frame by frame on the listening thread, and read by others whenever they like.

Rules: one thread writes; each number is replaced whole, so who reads takes no lock and stalls nobody.
"""

import numpy as np

from edgeagent.hear.level import NoiseFloor
from edgeagent.messages import Frame

CLIPPED_SAMPLES = 8
"""At full scale within a frame; a shout now and then has fewer."""
FULL_SCALE = 32_767


class SoundQuality:
    """How loud the room is, how often the sound was too loud, and how often some of it was lost."""

    def __init__(self) -> None:
        """Know nothing of the room."""
        self._floor = NoiseFloor()
        self.frames = 0
        self.clipped = 0
        self.overflows = 0
        """Written by the source of the sound, where it knows of any."""

    @property
    def noise_floor_db(self) -> float | None:
        """Return how loud the room is, in dB over one step of a 16-bit sample; None while that is not known."""
        return self._floor.db or None

    def look_at(self, frame: Frame) -> None:
        """Take note of a frame."""
        self._floor(frame)
        samples = np.frombuffer(frame, "<i2")
        self.frames += 1
        loudest = max(int(samples.max(initial=0)), -int(samples.min(initial=0)))
        if loudest >= FULL_SCALE:
            at_full_scale = np.count_nonzero((samples >= FULL_SCALE) | (samples <= -FULL_SCALE))
            self.clipped += int(at_full_scale) >= CLIPPED_SAMPLES
