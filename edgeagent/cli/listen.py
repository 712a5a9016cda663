"""`edgeagent listen`: what is heard and how it would be understood, live; nothing is done about it."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live

from edgeagent.cli.monitor import Decision, Meter, Monitor, Reading, overflows
from edgeagent.cli.sources import source_of
from edgeagent.errors import ModelError
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.listening import Listening
from edgeagent.messages import Step
from edgeagent.onlooking import House, house_on_bus, interpreter_in
from edgeagent.pipeline import Heard
from edgeagent.settings import AgentSettings
from edgeagent.threads import running
from edgeagent.timeline import JsonTimeline, as_row
from edgeagent.timeline_printed import PrintedTimeline
from edgeagent.understand.interpret import Interpreter
from edgeagent.understanding import load_model

log = logging.getLogger(__name__)

DRAWN_EVERY_S = 0.1
TOLD_EVERY_S = 1.0


class View(Protocol):
    """Who is shown what happens; told from the listening thread."""

    def level(self, reading: Reading) -> None:
        """Show what a frame was like."""
        ...

    def step(self, step: Step) -> None:
        """Show what was heard so far, or a wake word."""
        ...

    def decided(self, decision: Decision) -> None:
        """Show what was understood."""
        ...

    def notice(self, record: logging.LogRecord) -> None:
        """Show what is said in the log."""
        ...


async def listen(
    settings: AgentSettings, wav: Sequence[Path], *, is_fast: bool, is_monitored: bool, is_json: bool
) -> int:
    """Show what is heard in the files, or by the microphone until it is interrupted; return the exit code."""
    source = source_of(settings.microphone, wav, is_fast=is_fast)
    house = await house_on_bus(settings)
    model = load_model(settings.understanding)
    interpreter = await asyncio.to_thread(interpreter_in, house, settings, model)
    listening = await asyncio.to_thread(Listening, _unasked(settings), lambda: interpreter)
    learning = asyncio.create_task(_learn_free_speech(listening, interpreter), name="free speech")
    if wav:
        await learning  # so that a file is heard in the same way every time
    async with _shown(house, is_monitored=is_monitored, is_json=is_json) as view:
        meter = Meter(speech_detector(settings.hearing.vad_mode), view.level)

        def produce(stop: threading.Event) -> Iterator[Heard]:
            for heard in listening.hear(meter(source(stop)), view.step):
                view.decided(_decision(heard, meter))
                yield heard

        with _noticed(view, is_quiet=isinstance(view, Monitor)):
            async with running(produce, name="listen", overflow=lambda _: None) as all_heard:
                async for _ in all_heard:  # each has been shown already
                    pass
    return 0


def _unasked(settings: AgentSettings) -> AgentSettings:
    """Return settings that listen without being asked to: here, nobody can be."""
    waking = settings.waking.model_copy(update={"push_to_talk": False})
    return settings.model_copy(update={"waking": waking})


async def _learn_free_speech(listening: Listening, interpreter: Interpreter) -> None:
    """Have what may be said beyond the grammar recognized a few seconds from now."""
    try:
        await asyncio.to_thread(listening.learn_free_speech, interpreter)
    except (ModelError, OSError) as error:  # the grammar goes on alone
        log.error("free speech is not recognized", extra={"problem": str(error)})  # noqa: TRY400


def _decision(heard: Heard, meter: Meter) -> Decision:
    words = heard.transcript.words
    waited_s = heard.transcript.heard_s - words[-1].end_s if words else None
    computed_s = time.perf_counter() - meter.last_at
    return Decision(heard, datetime.now().astimezone(), None if waited_s is None else waited_s + computed_s)


@asynccontextmanager
async def _shown(house: House, *, is_monitored: bool, is_json: bool) -> AsyncIterator[View]:
    """Give who shows it: a panel that is drawn while the block runs, JSON lines, or printed lines."""
    names = _names(house)
    console = Console(highlight=False)
    if is_monitored and not is_json and console.is_terminal:
        monitor = Monitor(names)
        with Live(monitor.panel(), console=console, auto_refresh=False) as live:
            drawing = asyncio.create_task(_draw(monitor, live), name="draw")
            try:
                yield monitor
            finally:
                drawing.cancel()
                live.update(monitor.panel())  # which is left on the screen
    elif is_monitored or is_json:
        lines = _JsonLines(with_levels=is_monitored)
        lines.note({"step": "names", "from": "bus" if house.is_known else "nowhere", "note": names})
        yield lines
    else:
        console.print(f"Listening, and doing nothing. {names}", style="dim", markup=False, soft_wrap=True)
        yield _Printed(console)


async def _draw(monitor: Monitor, live: Live) -> None:
    while True:
        live.update(monitor.panel(), refresh=True)
        await asyncio.sleep(DRAWN_EVERY_S)


def _names(house: House) -> str:
    if house.is_known:
        return f"{len(house.lists['device'])} names of devices are known from the bus."
    return f"No names of devices are known, only the built-in sentences: no broker: {house.trouble}"


@contextmanager
def _noticed(view: View, *, is_quiet: bool) -> Iterator[None]:
    """Show the view what is said in the log while the block runs; if `is_quiet`, nothing else shows it."""
    logger = logging.getLogger("edgeagent")
    before = logger.level, logger.propagate
    handler = _Handler(view.notice)
    logger.addHandler(handler)
    logger.propagate = not is_quiet
    # That the microphone is back is no more than an information; what was lost is a warning.
    logger.setLevel(logging.INFO if is_quiet else min(logger.getEffectiveLevel(), logging.WARNING))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


class _Handler(logging.Handler):
    """Hands log records on."""

    def __init__(self, told: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told(record)


class _JsonLines:
    """Writes a JSON line for everything that was heard so far and decided; if `with_levels` also one a second."""

    def __init__(self, *, with_levels: bool) -> None:
        self._lines = JsonTimeline()
        self._with_levels = with_levels
        self._loudest_dbfs = -math.inf
        self._is_speech = False
        self._overflows = 0
        self._next_s = TOLD_EVERY_S

    def note(self, row: Mapping[str, Any]) -> None:
        self._lines.note(row)

    def level(self, reading: Reading) -> None:
        self._loudest_dbfs = max(self._loudest_dbfs, reading.level_dbfs)
        self._is_speech = self._is_speech or reading.is_speech
        if reading.at_s < self._next_s or not self._with_levels:
            return
        floor = reading.floor_dbfs
        self.note(
            {
                "step": "level",
                "at_s": round(reading.at_s, 2),
                "loudest_dbfs": round(self._loudest_dbfs, 1),
                "floor_dbfs": None if floor is None else round(floor, 1),
                "is_speech": self._is_speech,
                "clipped": reading.clipped,
                "mute_s": round(reading.mute_s, 2),
                "overflows": self._overflows,
            }
        )
        self._next_s += TOLD_EVERY_S
        self._loudest_dbfs, self._is_speech = -math.inf, False

    def step(self, step: Step) -> None:
        self._lines(step)

    def decided(self, decision: Decision) -> None:
        transcript, decided_s = decision.heard.transcript, decision.decided_s
        row = as_row(decision.heard.interpretation)
        row |= {
            "text": transcript.text,
            "in_words": decision.in_words,
            "ended_by": transcript.ended_by,
            "heard_confidence": round(transcript.confidence, 4),
            "decided_ms": None if decided_s is None else round(1000 * decided_s),
        }
        self.note(row)

    def notice(self, record: logging.LogRecord) -> None:
        self._overflows = overflows(record, self._overflows)


class _Printed:
    """Prints lines as `edgeagent run` does, with the reasons."""

    def __init__(self, console: Console) -> None:
        self._timeline = PrintedTimeline(console, explains=True)

    def level(self, reading: Reading) -> None:
        pass

    def step(self, step: Step) -> None:
        self._timeline(step)

    def decided(self, decision: Decision) -> None:
        self._timeline(decision.heard.transcript)
        self._timeline(decision.heard.interpretation)

    def notice(self, record: logging.LogRecord) -> None:
        pass
