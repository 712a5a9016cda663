"""The listening side, which lives as long as the agent: a recognizer, kept on the grammar that is current."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from edgeagent import memory
from edgeagent.errors import EdgeAgentError, ModelError
from edgeagent.hear.own_pronunciations import PRONUNCIATIONS, version_of
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.hear.quality import SoundQuality
from edgeagent.hear.waking import SILENCE, Bell, Gate, WakeDetector
from edgeagent.messages import Command, Frame, Question, Report, Woken
from edgeagent.pipeline import Heard, perceive
from edgeagent.recognizers import (
    learn_free_speech,
    pronounce_anew,
    recognizer_of,
    searched,
    use_free_speech,
    wants_free_speech,
)
from edgeagent.settings import AgentSettings, WakingSettings
from edgeagent.understand.interpret import Interpreter

log = logging.getLogger(__name__)


class Listening:
    """Hears frames with the interpreter that `current` gives at the start of each utterance.

    A new one is made ready for while nobody speaks: on a small board that takes seconds. While `deaf` is set, sound
    counts as silence: we do not obey our own voice. `heard_at` is when a frame was last asked for, on the monotonic
    clock; `pronounced` changes with the owner's pronunciations, between utterances.
    """

    def __init__(
        self,
        settings: AgentSettings,
        current: Callable[[], Interpreter],
        deaf: threading.Event | None = None,
        bell: Bell | None = None,
        sound: SoundQuality | None = None,
    ) -> None:
        """Load the recognizer with the current grammar, and the wake words. Raise ModelError if that fails.

        What comes in is counted in `sound`.
        """
        self._sound = sound or SoundQuality()
        self._waking = settings.waking
        self._bell = bell or Bell()
        self._wake_words = wake_words(settings.waking)
        self.deaf = deaf or threading.Event()
        self.heard_at = time.monotonic()
        self._all_settings = settings
        self._settings = settings.hearing
        self._corrections = settings.device.state_dir / PRONUNCIATIONS
        self.pronounced = version_of(self._corrections)
        self._current = current
        self._interpreter = current()
        self._is_hearing = False
        self._recognizer = recognizer_of(settings, searched(self._interpreter))

    def hear(self, frames: Iterable[Frame], report: Report) -> Iterator[Heard]:
        """Yield what is said in the frames; `report` gets partial transcripts. For one thread at a time."""
        if self._wake_words is None and not self._waking.push_to_talk:
            yield from self._perceived(self._attend(frames), report)
            return
        if self._wake_words is not None:
            self._wake_words.reset()
        detector = speech_detector(self._settings.vad_mode)
        gate = Gate(self._wake_words, detector, self._waking, lambda word: report(Woken(word)), self._bell)
        for heard in self._perceived(gate(self._attend(frames)), report):
            gate.heard(is_for_us=isinstance(heard.interpretation, Command | Question))
            yield heard

    def use_cutoff(self, cutoff: float) -> None:
        """Have wake words count from this probability on. May be called from any thread."""
        if self._wake_words is not None:
            self._wake_words.use_cutoff(cutoff)

    @property
    def wants_free_speech(self) -> bool:
        """Tell whether what is said beyond the grammar is heard only with a model of it."""
        return wants_free_speech(self._recognizer, self._settings.effort)

    def learn_free_speech(self, interpreter: Interpreter) -> None:
        """Have what may be said beyond this interpreter's grammar heard; it takes seconds."""
        learn_free_speech(self._recognizer, self._settings.effort, interpreter)

    def use_free_speech(self, model: str) -> None:
        """Have what may be said beyond the grammar heard by this model, where one is wanted.

        May be called from another thread than the one that listens. Raise ModelError if it is no model.
        """
        if wants_free_speech(self._recognizer, self._settings.effort):
            use_free_speech(self._recognizer, model)

    def _perceived(self, frames: Iterator[Frame], report: Report) -> Iterator[Heard]:
        detector = speech_detector(self._settings.vad_mode)
        self._is_hearing = False
        for heard in perceive(frames, detector, self._recognizer, self._prepared, self._settings, report):
            self._is_hearing = False
            yield heard

    def _attend(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self.heard_at = time.monotonic()
            self._sound.look_at(frame)
            if not self._is_hearing:
                self._keep_up()
            yield SILENCE if self.deaf.is_set() else frame

    def _prepared(self) -> Interpreter:
        self._is_hearing = True
        self._correct_pronunciations()
        self._keep_up()
        return self._interpreter

    def _keep_up(self) -> None:
        latest = self._current()
        if latest is not self._interpreter:
            self._recognizer.use(searched(latest))
            self._interpreter = latest
            memory.give_back()

    def _correct_pronunciations(self) -> None:
        version = version_of(self._corrections)
        if version == self.pronounced:
            return
        self.pronounced = version
        try:
            pronounce_anew(self._recognizer, self._all_settings)
        except EdgeAgentError as error:  # words go on being expected as before
            log.error("pronunciations are not used", extra={"problem": str(error), "remedy": error.remedy})  # noqa: TRY400


def wake_words(settings: WakingSettings) -> WakeDetector | None:
    """Return the detector of the wake words that the settings name; None if they name none.

    Raise ModelError if one is missing or damaged, or if the library is not installed.
    """
    if not settings.words:
        return None
    try:
        from edgeagent.hear.microwakeword import MicroWakeWords
    except ImportError as error:
        remedy = 'pip install "edgeagent[wake]", or leave [waking] words empty.'
        raise ModelError("wake words need pymicro-wakeword, which is not installed", remedy=remedy) from error
    return MicroWakeWords(settings.words, settings.cutoff)
