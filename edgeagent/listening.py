"""The listening side, which lives as long as the agent: a recognizer, kept on the grammar that is current."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from edgeagent.hear.pocketsphinx import PocketsphinxRecognizer, speech_detector
from edgeagent.hear.pronounce import Pronunciations
from edgeagent.messages import FRAME_BYTES, Frame, Report
from edgeagent.pipeline import Heard, perceive
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

_SILENCE = bytes(FRAME_BYTES)


class Listening:
    """Hears frames with the interpreter that `current` gives at the start of each utterance.

    While `deaf` is set, sound counts as silence: we do not obey our own voice. `heard_at` is when a frame was last
    asked for, on the monotonic clock.
    """

    def __init__(
        self, settings: HearingSettings, current: Callable[[], Interpreter], deaf: threading.Event | None = None
    ) -> None:
        """Load the recognizer with the current grammar. Raise ModelError if that fails."""
        self.deaf = deaf or threading.Event()
        self.heard_at = time.monotonic()
        self._settings = settings
        self._current = current
        self._interpreter = current()
        self._recognizer = PocketsphinxRecognizer(self._interpreter.automaton.flat(), Pronunciations())

    def hear(self, frames: Iterable[Frame], report: Report) -> Iterator[Heard]:
        """Yield what is said in the frames; `report` gets partial transcripts. For one thread at a time."""
        detector = speech_detector(self._settings.vad_mode)
        return perceive(self._attend(frames), detector, self._recognizer, self._prepared, self._settings, report)

    def _attend(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self.heard_at = time.monotonic()
            yield _SILENCE if self.deaf.is_set() else frame

    def _prepared(self) -> Interpreter:
        latest = self._current()
        if latest is not self._interpreter:
            self._recognizer.use(latest.automaton.flat())
            self._interpreter = latest
        return latest
