"""Whether somebody is being listened to: when called, and for some seconds after an order. Pure.

A call is a wake word, or a ring: a button, an order from the bus, `edgeagent talk` (push to talk).

Asleep, sound counts as silence for everything behind the gate, and only the wake words' detector hears it. Time is
counted in frames, so sound from a file is treated as sound from a microphone.
"""

from collections import deque
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

    def use_cutoff(self, cutoff: float) -> None:
        """Have words count from this probability on. May be called from any thread."""
        ...


HUSH = ""
"""What stands for a ring that ends the listening."""


class Bell:
    """Rung by whoever wants to be listened to, from any thread; heard once."""

    def __init__(self) -> None:
        """Begin silent."""
        self._rung: deque[str] = deque(maxlen=1)

    def ring(self, by: str) -> None:
        """Ask for an ear; `by` says who does."""
        self._rung.append(by)

    def hush(self) -> None:
        """Ask that nobody be listened to before the next call."""
        self._rung.append(HUSH)

    def heard(self) -> str | None:
        """Return by whom it was rung since this was last asked, HUSH for nobody; None if it was not."""
        try:
            return self._rung.pop()
        except IndexError:
            return None


class Gate:
    """Lets sound through while somebody is being listened to."""

    def __init__(
        self,
        detector: WakeDetector | None,
        is_speech: IsSpeech,
        settings: WakingSettings,
        woken: Callable[[str], None],
        bell: Bell | None = None,
    ) -> None:
        """Begin asleep. `woken` is told of each wake word, and of each ring of the bell."""
        self._detector = detector
        self._bell = bell or Bell()
        self._is_speech = is_speech
        self._settings = settings
        self._woken = woken
        self._awake_s = 0.0

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield each frame, or silence while asleep."""
        for frame in frames:
            name = self._bell.heard()
            if name == HUSH:
                self._awake_s = 0.0
            elif name is not None:
                self._wake(name)
            if self._awake_s > 0:
                self._awake_s -= FRAME_S
                if self._is_speech(frame):
                    self._awake_s = max(self._awake_s, SPEAKING_S)
                yield frame
                continue
            yield SILENCE
            if self._detector is not None and (name := self._detector(frame)) is not None:
                self._wake(name)

    def _wake(self, name: str) -> None:
        self._awake_s = self._settings.wait_s
        if self._detector is not None:
            self._detector.reset()
        self._woken(name)

    def heard(self, *, is_for_us: bool) -> None:
        """Take note that an utterance has ended: after an order one more may follow, after anything else sleep."""
        self._awake_s = self._settings.follow_up_s if is_for_us else 0.0
