"""Frames of sound to utterances: where one starts, and when it has ended. The only owner of that question.

An utterance starts when enough of the last frames are speech; sound from before the start (pre-roll) belongs to it.
It ends when the pause has become as long as `patience_s`, which whoever reads the transcripts sets by what the words
so far are worth; or when it is told to end; or at the cap; or with the sound.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from edgeagent.messages import FRAME_S, EndedBy, Frame
from edgeagent.settings import HearingSettings

IsSpeech = Callable[[Frame], bool]


class Utterance:
    """One stretch of speech, to be read while it is still spoken.

    `frames` yields it once, from the pre-roll on. `silence_s` is how long the detector has heard no speech;
    `patience_s` is the pause that ends it, and `pause_means` what it is then ended by. `ended_by` is None until it has
    ended.
    """

    def __init__(self, name: str, began_s: float, frames: Iterator[Frame], settings: HearingSettings) -> None:
        """Wrap the frames, which end by themselves when `ended_by` has been set."""
        self.id = name
        self.began_s = began_s
        self.frames = frames
        self.silence_s = 0.0
        self.patience_s = settings.unfinished_s
        self.pause_means: EndedBy = "silence"
        self.ended_by: EndedBy | None = None

    def end(self, by: EndedBy) -> None:
        """End it now: no further frame is read."""
        if self.ended_by is None:
            self.ended_by = by


def utterances(frames: Iterable[Frame], is_speech: IsSpeech, settings: HearingSettings) -> Iterator[Utterance]:
    """Yield the utterances in the frames. Each must be read to its end (or ended) before the next is asked for."""
    sound = iter(frames)
    counter = itertools.count(1)
    window: deque[bool] = deque(maxlen=2 * settings.speech_frames)
    before: deque[Frame] = deque(maxlen=max(round(settings.pre_roll_s / FRAME_S), settings.speech_frames))
    position = 0
    for frame in sound:
        position += 1
        before.append(frame)
        window.append(is_speech(frame))
        if sum(window) < settings.speech_frames:
            continue
        began_s = (position - len(before)) * FRAME_S
        reader = _Reader(list(before), sound, is_speech)
        utterance = Utterance(f"u{next(counter)}", began_s, iter(()), settings)
        utterance.frames = reader.read(utterance, settings)
        yield utterance
        utterance.end("silence")
        position += reader.taken
        before.clear()
        window.clear()


class _Reader:
    """Reads the rest of an utterance from the sound, and counts what it took."""

    def __init__(self, before: list[Frame], sound: Iterator[Frame], is_speech: IsSpeech) -> None:
        self.taken = 0
        self._before = before
        self._sound = sound
        self._is_speech = is_speech

    def read(self, utterance: Utterance, settings: HearingSettings) -> Iterator[Frame]:
        yield from self._before
        length_s = len(self._before) * FRAME_S
        previous = True
        while utterance.ended_by is None:
            frame = next(self._sound, None)
            if frame is None:
                utterance.end("silence")
                return
            self.taken += 1
            length_s += FRAME_S
            speaking = self._is_speech(frame)
            if speaking and previous:  # a single frame is a click
                utterance.silence_s = 0.0
            else:
                utterance.silence_s += FRAME_S
            previous = speaking
            yield frame
            if length_s >= settings.cap_s:
                utterance.end("cap")
            elif utterance.silence_s >= utterance.patience_s:
                utterance.end(utterance.pause_means)
