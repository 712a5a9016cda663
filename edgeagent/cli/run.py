"""`edgeagent run`: the daemon, on the microphone or on sound files."""

import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from edgeagent.agent import Parts, Source
from edgeagent.answer.earcons import Tones
from edgeagent.answer.voice import voices_for
from edgeagent.cli.ending import START_ANEW
from edgeagent.cli.sources import source_of
from edgeagent.lifetimes import run
from edgeagent.messages import Report, Step
from edgeagent.settings import AgentSettings
from edgeagent.timeline import JsonTimeline, as_row

log = logging.getLogger(__name__)


async def listen_and_obey(settings: AgentSettings, wav: Sequence[Path], *, is_fast: bool, is_json: bool) -> int:
    """Be the device; return the exit code."""

    def made(in_force: AgentSettings) -> tuple[Parts, Source]:
        deaf = threading.Event()
        voices = voices_for(in_force.answering, deaf)
        tones = tuple(voice for voice in voices if isinstance(voice, Tones))
        parts = Parts(reporter(is_json=is_json), voices, deaf, signs=tones)
        source = source_of(in_force.microphone, wav, is_fast=is_fast, muted=parts.muted, sound=parts.sound)
        return parts, source

    return START_ANEW if await run(settings, made) else 0


def reporter(*, is_json: bool) -> Report:
    """Return who is told of the steps: JSON lines, a timeline on a terminal, log lines elsewhere."""
    if is_json:
        return JsonTimeline()
    if not sys.stdout.isatty():
        return _log
    from edgeagent.timeline_printed import PrintedTimeline  # noqa: PLC0415  # a board's daemon has no terminal

    return PrintedTimeline()


def _log(step: Step) -> None:
    row = as_row(step)
    if row["step"] != "hearing":
        log.info(row.pop("step"), extra=row)
