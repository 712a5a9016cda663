"""Whether somebody is being listened to: after a wake word, and for some seconds after an order. Pure.

Asleep, sound counts as silence for everything behind the gate, and only the wake words' detector hears it. Time is
counted in frames, so sound from a file is treated as sound from a microphone.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from edgeagent.hear.endpointing import IsSpeech
from edgeagent.messages import FRAME_BYTES, FRAME_S, Frame
from edgeagent.settings import WakingSettings

SILENCE = bytes(FRAME_BYTES)
SPEAKING_S = 1.5
"""Who is still speaking is listened to so much longer: a sentence is not cut in its pauses."""


class WakeDetector(Protocol):
    """Looks for wake words in frames that follow one another."""

    def __call__(self, frame: Frame) -> str | None:
        """Return the name of the wake word that ends in this frame; None if none does."""
        ...

    def reset(self) -> None:
        """Forget the sound so far: what follows does not follow on it."""
        ...


class Gate:
    """Lets sound through while somebody is being listened to."""

    def __init__(
        self, detector: WakeDetector, is_speech: IsSpeech, settings: WakingSettings, woken: Callable[[str], None]
    ) -> None:
        """Begin asleep. `woken` is told each wake word that was heard."""
        self._detector = detector
        self._is_speech = is_speech
        self._settings = settings
        self._woken = woken
        self._awake_s = 0.0

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield each frame, or silence while asleep."""
        for frame in frames:
            if self._awake_s > 0:
                self._awake_s -= FRAME_S
                if self._is_speech(frame):
                    self._awake_s = max(self._awake_s, SPEAKING_S)
                yield frame
                continue
            yield SILENCE
            name = self._detector(frame)
            if name is not None:
                self._awake_s = self._settings.wait_s
                self._detector.reset()
                self._woken(name)

    def heard(self, *, is_for_us: bool) -> None:
        """Take note that an utterance has ended: after an order one more may follow, after anything else sleep."""
        self._awake_s = self._settings.follow_up_s if is_for_us else 0.0
