"""Where frames come from, as the command line says it: sound files one after the other, or the microphone."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeagent.agent import Source
from edgeagent.errors import SoundError
from edgeagent.hear import microphone
from edgeagent.hear.quality import SoundQuality
from edgeagent.messages import Frame
from edgeagent.settings import MicrophoneSettings

log = logging.getLogger(__name__)

PAUSE_FRAMES = 62
"""Two seconds of silence after each file, so that its last utterance ends as it would in a room."""


def source_of(
    settings: MicrophoneSettings,
    wav: Sequence[Path],
    *,
    is_fast: bool,
    muted: threading.Event | None = None,
    sound: SoundQuality | None = None,
) -> Source:
    """Return the files' sound, at its own pace unless `is_fast`; without files that of the microphone, unless `muted`.

    What a microphone loses is counted in `sound`.
    Raise SoundError if a file cannot be read.
    """
    return _files(wav, is_fast=is_fast) if wav else _microphone(settings, muted, sound)


def _files(paths: Sequence[Path], *, is_fast: bool) -> Source:
    from edgeagent.hear import files  # noqa: PLC0415  # libraries that a microphone does not need

    for path in paths:
        files.check(path)

    def frames(stop: threading.Event) -> Iterator[Frame]:
        for path in paths:
            sound = files.followed_by_silence(files.frames_of(path), PAUSE_FRAMES)
            for frame in sound if is_fast else files.paced(sound):
                if stop.is_set():
                    return
                yield frame

    return frames


def _microphone(settings: MicrophoneSettings, muted: threading.Event | None, sound: SoundQuality | None) -> Source:
    def trouble(error: SoundError | None) -> None:
        if error is None:
            log.info("microphone is back")
        else:
            log.error("no microphone", extra={"problem": str(error), "remedy": error.remedy})

    return lambda stop: microphone.frames_of(settings, stop, trouble, muted, sound)
