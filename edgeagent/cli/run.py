"""`edgeagent run`: the daemon, on the microphone or on sound files."""

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeagent.agent import Parts, Source, run
from edgeagent.answer.voice import voices_for
from edgeagent.errors import SoundError
from edgeagent.hear import files, microphone
from edgeagent.messages import Frame, Report, Step
from edgeagent.settings import AgentSettings, MicrophoneSettings
from edgeagent.timeline import JsonTimeline, PrintedTimeline, as_row

log = logging.getLogger(__name__)

PAUSE_FRAMES = 62
"""Two seconds of silence after each file, so that its last utterance ends as it would in a room."""


async def listen_and_obey(settings: AgentSettings, wav: Sequence[Path], *, is_fast: bool, is_json: bool) -> int:
    """Be the device; return the exit code."""
    for path in wav:
        files.check(path)
    deaf = threading.Event()
    source = _files(wav, is_fast=is_fast) if wav else _microphone(settings.microphone)
    await run(settings, Parts(reporter(is_json=is_json), voices_for(settings.answering, deaf), deaf), source)
    return 0


def reporter(*, is_json: bool) -> Report:
    """Return who is told of the steps: JSON lines, a timeline on a terminal, log lines elsewhere."""
    if is_json:
        return JsonTimeline()
    return PrintedTimeline() if sys.stdout.isatty() else _log


def _log(step: Step) -> None:
    row = as_row(step)
    if row["step"] != "hearing":
        log.info(row.pop("step"), extra=row)


def _files(paths: Sequence[Path], *, is_fast: bool) -> Source:
    def frames(stop: threading.Event) -> Iterator[Frame]:
        for path in paths:
            sound = files.followed_by_silence(files.frames_of(path), PAUSE_FRAMES)
            for frame in sound if is_fast else files.paced(sound):
                if stop.is_set():
                    return
                yield frame

    return frames


def _microphone(settings: MicrophoneSettings) -> Source:
    def trouble(error: SoundError | None) -> None:
        if error is None:
            log.info("microphone is back")
        else:
            log.error("no microphone", extra={"problem": str(error), "remedy": error.remedy})

    return lambda stop: microphone.frames_of(settings, stop, trouble)
