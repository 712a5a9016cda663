"""What is heard, as it is measured, and what is made of it, to a panel on the terminal."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import assert_never

import numpy as np
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgeagent.hear.clips import in_words
from edgeagent.hear.endpointing import IsSpeech
from edgeagent.hear.level import NoiseFloor
from edgeagent.hear.quality import CLIPPED_SAMPLES
from edgeagent.logs import printable
from edgeagent.messages import FRAME_S, Command, Frame, Interpretation, Question, Rejection, Step, Transcript, Woken
from edgeagent.pipeline import Heard

FULL_SCALE = 32_767
FULL_SCALE_DB = 20 * math.log10(FULL_SCALE)
"""What `level_db` gives for the loudest sound that there is: 0 dBFS."""
QUIETEST_DBFS = -80.0
"""The left end of the bar: with 16 bits, quieter is hardly told from silence."""
LOUD_DBFS = -10.0
BAR_CELLS = 40
FALL_DB = 1.5
"""By so much per frame the bar falls back at most: a person cannot read a bar that jumps."""
SPEECH_SHOWN_S = 0.3
MUTE_AFTER_S = 3.0
"""So much nothing but zeros comes from no microphone that is on: said sooner here than in the log."""
MOST_DECISIONS = 6
WIDTH = 100
"""Columns; a terminal that has fewer gets a narrower panel."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a frame was like, at which second of the sound. `floor_dbfs` is None while nothing is known of the room.

    `clipped` counts the frames at full scale so far; `mute_s` is for how long there have been nothing but zeros.
    """

    at_s: float = 0.0
    level_dbfs: float = -FULL_SCALE_DB
    floor_dbfs: float | None = None
    is_speech: bool = False
    clipped: int = 0
    mute_s: float = 0.0


class Meter:
    """Lets frames through and tells what each is like. `last_at` is when the last was handed out (`perf_counter`)."""

    def __init__(self, is_speech: IsSpeech, told: Callable[[Reading], None]) -> None:
        """Begin with a room of which nothing is known."""
        self._is_speech = is_speech
        self._told = told
        self._floor = NoiseFloor()
        self._count = self._clipped = self._mute = 0
        self.last_at = perf_counter()

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames."""
        for frame in frames:
            self._look_at(frame)
            self.last_at = perf_counter()
            yield frame

    def _look_at(self, frame: Frame) -> None:
        samples = np.frombuffer(frame, "<i2").astype(np.int32)
        self._floor(frame)
        self._count += 1
        self._mute = 0 if samples.any() else self._mute + 1
        self._clipped += int(np.count_nonzero(np.abs(samples) >= FULL_SCALE)) >= CLIPPED_SAMPLES
        self._told(
            Reading(
                self._count * FRAME_S,
                self._floor.level_db - FULL_SCALE_DB,
                self._floor.db - FULL_SCALE_DB if self._floor.db else None,
                self._is_speech(frame),
                self._clipped,
                self._mute * FRAME_S,
            )
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What was heard and understood, when, and after how long: from the end of the last word, computing included."""

    heard: Heard
    at: datetime
    decided_s: float | None

    @property
    def in_words(self) -> str:
        """Return what it was taken for as a person reads it."""
        return told(self.heard.interpretation)

    @property
    def why(self) -> tuple[str, ...]:
        """Return the reasons, the last of which decided."""
        match self.heard.interpretation:
            case Command(why=why) | Rejection(why=why):
                return why
            case _:
                return ()

    @property
    def note(self) -> str:
        """Return how sure the sound was, what ended it, and how long it took."""
        transcript = self.heard.transcript
        took = "" if self.decided_s is None else f", decided {1000 * self.decided_s:.0f} ms after the last word"
        return f"{transcript.confidence:.0%} sure of the sound, ended by {transcript.ended_by}{took}"


def told(interpretation: Interpretation) -> str:
    """Return an interpretation as a person reads it."""
    match interpretation:
        case Command():
            words = in_words(interpretation.intent, {slot.name: slot.value for slot in interpretation.slots})
            return f"asks first: {words}: {interpretation.doubt}" if interpretation.doubt else words
        case Question():
            return f"asks: {interpretation.prompt}"
        case Rejection():
            detail = f": {interpretation.detail}" if interpretation.detail else ""
            return f"nothing: {interpretation.reason.replace('-', ' ')}{detail}"
    assert_never(interpretation)


class Monitor:
    """What the panel shows. It is told from the listening thread and drawn from another: each value is set at once."""

    def __init__(self, names: str) -> None:
        """Begin in silence. `names` tells whose names are understood."""
        self._names = names
        self._reading = Reading()
        self._shown_dbfs = -FULL_SCALE_DB
        self._spoke_at_s = -math.inf
        self._partial = ""
        self._decisions: tuple[Decision, ...] = ()
        self._overflows = 0
        self._trouble = ""

    def level(self, reading: Reading) -> None:
        """Take note of a frame."""
        self._reading = reading
        self._shown_dbfs = max(reading.level_dbfs, self._shown_dbfs - FALL_DB)
        if reading.is_speech:
            self._spoke_at_s = reading.at_s

    def step(self, step: Step) -> None:
        """Take note of what was heard so far, or of a wake word."""
        if isinstance(step, Transcript):
            self._partial = step.text
        elif isinstance(step, Woken):
            self._partial = f"({step.word.replace('_', ' ')})"

    def decided(self, decision: Decision) -> None:
        """Take note of a decision."""
        self._partial = ""
        self._decisions = (*self._decisions, decision)[-MOST_DECISIONS:]

    def notice(self, record: logging.LogRecord) -> None:
        """Take note of what is said in the log."""
        self._overflows = overflows(record, self._overflows)
        event = record.getMessage()
        if event == "microphone is back":
            self._trouble = ""
        elif record.levelno >= logging.ERROR:
            self._trouble = f"{event}: {getattr(record, 'problem', '')}".rstrip(": ")

    def panel(self) -> Panel:
        """Return what is to be seen now."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        reading = self._reading
        floor = "not known yet" if reading.floor_dbfs is None else f"{reading.floor_dbfs:.0f} dBFS"
        grid.add_row("level", level_bar(self._shown_dbfs, reading.floor_dbfs))
        grid.add_row("", f"{reading.level_dbfs:.0f} dBFS, the room (│) {floor}")
        is_speech = reading.at_s - self._spoke_at_s <= SPEECH_SHOWN_S
        grid.add_row("speech", Text("yes", "bold green") if is_speech else Text("no", "dim"))
        grid.add_row("hears", Text(printable(self._partial), "bold"))
        for notice in self._notices():
            grid.add_row("trouble", Text(printable(notice), "red"))
        for decision in self._decisions:
            grid.add_row(f"{decision.at:%H:%M:%S}", _decision(decision))
        grid.add_row("names", Text(printable(self._names), "dim"))
        return Panel(grid, title="edgeagent listens, and does nothing", title_align="left", width=WIDTH)

    def _notices(self) -> Iterator[str]:
        if self._trouble:
            yield self._trouble
        if self._reading.mute_s >= MUTE_AFTER_S:
            yield f"nothing but zeros for {self._reading.mute_s:.0f} s: is the microphone switched off?"
        if self._reading.clipped:
            yield f"{self._reading.clipped} frames at full scale: lower the gain, or go farther from the microphone"
        if self._overflows:
            yield f"sound was lost {self._overflows} times at least: the computer was too busy to listen"


def overflows(record: logging.LogRecord, before: int) -> int:
    """Return how often sound has been lost by now: the microphone says so in the log at every doubling."""
    return int(getattr(record, "count", 0)) if record.getMessage() == "microphone overflow" else before


def level_bar(level_dbfs: float, floor_dbfs: float | None) -> Text:
    """Return how loud it is as a bar, with a mark where the room is."""
    filled = _cells(level_dbfs)
    mark = None if floor_dbfs is None else min(_cells(floor_dbfs), BAR_CELLS - 1)
    style = "red" if level_dbfs > LOUD_DBFS else "green"
    bar = Text()
    for cell in range(BAR_CELLS):
        if cell == mark:
            bar.append("│", "bold yellow")
        else:
            bar.append("█" if cell < filled else "·", style if cell < filled else "dim")
    return bar


def _cells(dbfs: float) -> int:
    return round(BAR_CELLS * min(max((dbfs - QUIETEST_DBFS) / -QUIETEST_DBFS, 0.0), 1.0))


def _decision(decision: Decision) -> Text:
    is_done = isinstance(decision.heard.interpretation, Command)
    text = Text.assemble(
        (f'"{printable(decision.heard.transcript.text)}"', "bold"),
        ("  →  ", "dim"),
        (printable(decision.in_words), "green" if is_done else "yellow"),
        (f"\n{decision.note}", "dim"),
    )
    if decision.why:
        text.append(f"\n{printable(decision.why[-1])}", "dim")
    return text
