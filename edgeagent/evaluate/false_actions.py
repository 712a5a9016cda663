"""Sound that is not addressed to the device, through the whole listening path: what it would do, by the hour.

- The files are played in turn; then again and again, in an order and at a loudness that are drawn with a seed.
- An action is a command that is understood without a doubt. Whether a device could carry it out is not looked at, so
  the figure is an upper bound. An answer ("yes") is none: no question is open.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from edgeagent.errors import SoundError
from edgeagent.evaluate.household import Household, household
from edgeagent.evaluate.judging import ANSWERS
from edgeagent.evaluate.scores import poisson_interval
from edgeagent.grammar import commands
from edgeagent.hear.files import check, frames_of
from edgeagent.listening import Listening
from edgeagent.messages import FRAME_S, Command, Frame, Interpretation, Kind, Question, Rejection, Step, Woken
from edgeagent.pipeline import Heard
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understanding import interpreter_of, load_model

MOST_HOURS = 10_000
SOFTEST, LOUDEST = 0.5, 2.0
"""Factors between which the loudness of what is played again is drawn."""
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
_FULL_SCALE = 32_767
_HOUR_S = 3600
_NOT_REFUSED = {"obeyed", "asked"}


@dataclass(frozen=True, slots=True)
class Playing:
    """What is to be played, for how long (None: once through), and the seed of what is drawn."""

    paths: tuple[Path, ...]
    hours: float | None
    seed: int


def false_actions(
    settings: AgentSettings, playing: Playing, devices: Path | None, advance: Callable[[float], None]
) -> dict[str, Any]:
    """Play it and return the figures; `advance` is told the seconds of sound as they are played.

    What is understood is what the settings say; without a list of devices, the sentences about every kind of them.
    Raise SoundError if there is nothing to play, or a file cannot be read.
    """
    files = _sound_files(playing.paths)
    interpreter = _interpreter(settings, devices)
    listening = Listening(settings, lambda: interpreter)
    listening.learn_free_speech(interpreter)
    sound = _Sound(playing.hours, advance)
    tally = _Tally()
    began = time.perf_counter()
    for file, factor in _tracks(files, playing):
        for heard in listening.hear(sound.of(file, factor), tally.step):
            tally.heard(file, heard)
        if sound.is_over:
            break
    work_s = time.perf_counter() - began
    actions, hours = tally.outcomes["obeyed"], sound.played_s / _HOUR_S
    return {
        "hours": round(hours, 4),
        "actions": actions,
        "actions_per_hour": round(actions / hours, 4),
        "ci95": tuple(round(end / hours, 4) for end in poisson_interval(actions)),
        "per_24h": round(24 * actions / hours, 2),
        "asked": tally.outcomes["asked"],
        "refused": {reason: count for reason, count in tally.outcomes.most_common() if reason not in _NOT_REFUSED},
        "woken": tally.woken,
        "recognizer": settings.hearing.recognizer,
        "rtf": round(work_s / sound.played_s, 4),
        "heard": tally.rows,
    }


class _Tally:
    """What became of what was heard, and how often a wake word was."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.rows: list[dict[str, Any]] = []
        self.woken = 0

    def step(self, step: Step) -> None:
        self.woken += isinstance(step, Woken)

    def heard(self, file: Path, heard: Heard) -> None:
        outcome = _outcome(heard.interpretation)
        self.outcomes[outcome] += 1
        if outcome in _NOT_REFUSED:
            self.rows.append(_row(file, heard, outcome))


def _outcome(found: Interpretation) -> str:
    """Return "obeyed", "asked", or why it is refused."""
    match found:
        case Rejection(reason=reason):
            return reason
        case Command() if found.intent in ANSWERS:
            return "nothing-to-confirm"
        case Command(doubt=""):
            return "obeyed"
        case Command() | Question():
            return "asked"


def _row(file: Path, heard: Heard, outcome: str) -> dict[str, Any]:
    transcript, found = heard.transcript, heard.interpretation
    return {
        "file": str(file),
        "at_s": round(transcript.began_s + transcript.words[0].start_s, 2),
        "text": transcript.text,
        "intent": found.intent if isinstance(found, Command) else None,
        "confidence": round(transcript.confidence, 3),
        "outcome": outcome,
    }


def _interpreter(settings: AgentSettings, devices: Path | None) -> Interpreter:
    own = [commands.load(path) for path in settings.acting.command_files]
    understood = commands.merge([commands.built_in(settings.acting.commands), *own])
    home = household(devices) if devices else Household(())
    kinds = {device.kind for device in home.all_devices()} if devices else get_args(Kind)
    model = load_model(settings.understanding)
    return interpreter_of(understood, home.lists, kinds, model, unsure_below=settings.hearing.unsure_below)


def _sound_files(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
        if not found:
            raise SoundError(f"{path}: holds no sound file", remedy=f"Name files that end in {', '.join(SUFFIXES)}.")
        files += found
    for file in files:
        check(file)
    return files


def _tracks(files: Sequence[Path], playing: Playing) -> Iterator[tuple[Path, float]]:
    """Yield files with factors of their loudness: as they are in turn; for hours to be filled, on and on."""
    yield from ((file, 1.0) for file in files)
    draw = random.Random(playing.seed)
    while playing.hours is not None:
        for file in draw.sample(files, len(files)):
            yield file, draw.uniform(SOFTEST, LOUDEST)


class _Sound:
    """The frames of files until the hours are full, counted."""

    def __init__(self, hours: float | None, advance: Callable[[float], None]) -> None:
        self._left = math.inf if hours is None else math.ceil(hours * _HOUR_S / FRAME_S)
        self._advance = advance
        self.played_s = 0.0

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    def of(self, file: Path, factor: float) -> Iterator[Frame]:
        for frame in frames_of(file):
            if self.is_over:
                return
            self._left -= 1
            self.played_s += FRAME_S
            self._advance(FRAME_S)
            yield frame if factor == 1 else _at_loudness(frame, factor)


def _at_loudness(frame: Frame, factor: float) -> Frame:
    samples = np.frombuffer(frame, "<i2") * factor
    return np.clip(samples, -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2").tobytes()
