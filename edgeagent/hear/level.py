"""How loud the sound is, and how loud the room is without anybody speaking. Pure."""

from collections import deque

import numpy as np

from edgeagent.messages import FRAME_S, Frame

FLOOR_OVER_S = 4.0
"""The room is as loud as the quietest tenth of so much sound: who speaks pauses between words."""
FLOOR_SHARE = 0.1
FLOOR_AFTER_S = 0.3
"""Before so much sound nothing is known of the room."""
_EVERY_FRAMES = 4


def level_db(frame: Frame) -> float:
    """Return the frame's mean power in dB over one step of a 16-bit sample: 0 for silence, 90 for full scale."""
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    return float(10 * np.log10(np.mean(samples * samples) + 1))


class NoiseFloor:
    """Follows the level of the room, frame by frame."""

    def __init__(self) -> None:
        """Know nothing of the room."""
        self._levels: deque[float] = deque(maxlen=round(FLOOR_OVER_S / FRAME_S))
        self._count = 0
        self.db = 0.0
        self.level_db = 0.0

    def __call__(self, frame: Frame) -> float:
        """Take note of a frame; return by how many dB it is louder than the room."""
        self.level_db = level_db(frame)
        if self.level_db > 0:  # digital silence is no room: a microphone that is off, a file that begins
            self._levels.append(self.level_db)
            if self._count % _EVERY_FRAMES == 0 and len(self._levels) * FRAME_S >= FLOOR_AFTER_S:
                self.db = float(np.quantile(self._levels, FLOOR_SHARE))
            self._count += 1
        return self.level_db - self.db
