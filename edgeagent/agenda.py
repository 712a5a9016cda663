"""Timers and orders for later, kept over a restart: on disk before the person is told.

Rules:
- what is planned is written down with the name, kind and area that each device had; at its time it is done only to a
  device that is still so;
- timers run by a clock that only goes forward; over a restart they are due by the calendar's;
- a file that is damaged is set aside and begun anew, and that is said.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from edgeagent.act.later import LONGEST_S, MOST_ACTIONS, MOST_PLANNED, Planned, Schedule
from edgeagent.act.timers import MOST_TIMERS, Timer, Timers
from edgeagent.errors import SettingsError
from edgeagent.files import write_durably
from edgeagent.messages import Action, Capability, Device, Kind
from edgeagent.strict import Strict

log = logging.getLogger(__name__)

AGENDA = "agenda.json"
LARGEST_FILE_BYTES = 4 << 20
Number = Annotated[float, Field(allow_inf_nan=False)]
Time = Annotated[float, Field(allow_inf_nan=False, ge=0, lt=250_000_000_000)]
"""Seconds since 1970, before the year 9892: calendars end soon after."""


class _Action(Strict):
    id: str
    utterance: str
    device: str
    name: str
    kind: Kind
    area: str | None
    capability: Capability
    value: str | Number
    allowed_by: str = ""


class _Planned(Strict):
    due: Time
    actions: Annotated[tuple[_Action, ...], Field(min_length=1, max_length=MOST_ACTIONS)]
    text: str
    is_end: bool


class _Timer(Strict):
    length_s: Annotated[Number, Field(gt=0, le=LONGEST_S)]
    due: Number
    left_s: Number | None
    label: str


class _File(Strict):
    planned: Annotated[tuple[_Planned, ...], Field(max_length=MOST_PLANNED)] = ()
    timers: Annotated[tuple[_Timer, ...], Field(max_length=MOST_TIMERS)] = ()


class Agenda:
    """What is due later. `path` None: nothing outlives the process."""

    def __init__(
        self, path: Path | None, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file if there is one. `now` gives seconds since 1970, `clock` seconds that only go forward."""
        self._path = path
        self._writing = asyncio.Lock()
        self._now = now
        self._clock = clock
        file = _File() if path is None else _read(path)
        self.schedule = Schedule(tuple(_planned(one, number) for number, one in enumerate(file.planned, start=1)))
        to_clock = clock() - now()
        self.timers = Timers(
            Timer(number, one.length_s, one.due + to_clock, one.left_s, one.label)
            for number, one in enumerate(file.timers, start=1)
        )

    def is_due_within(self, seconds: float) -> bool:
        """Tell whether anything is to be done so soon; what is overdue waits for something else."""
        orders = (one.due_s - self._now() for one in self.schedule.planned)
        timers = (one.due_s - self._clock() for one in self.timers.running if one.left_s is None)
        return any(0 <= left_s < seconds for left_s in (*orders, *timers))

    async def keep(self) -> None:
        """Write everything down, durably. Raise SettingsError if the disk refuses."""
        if self._path is None:
            return
        path = self._path
        try:
            async with self._writing:  # one after the other: the last to write must be the one that knows most
                content = json.dumps(self._file().model_dump()).encode()
                await asyncio.to_thread(write_durably, path, content)
        except OSError as error:
            remedy = "Name a folder that can be written to: [device] state_dir."
            raise SettingsError(f"{path}: cannot be kept: {error.strerror or error}", remedy=remedy) from error

    def _file(self) -> _File:
        to_calendar = self._now() - self._clock()
        return _File(
            planned=tuple(
                _Planned(
                    due=one.due_s,
                    actions=tuple(_kept(action) for action in one.actions),
                    text=one.text,
                    is_end=one.is_end,
                )
                for one in self.schedule.planned
            ),
            timers=tuple(
                _Timer(length_s=one.length_s, due=one.due_s + to_calendar, left_s=one.left_s, label=one.label)
                for one in self.timers.running
            ),
        )


def is_same(planned: Device, now: Device) -> bool:
    """Tell whether a device is still what it was when something was planned for it."""
    return (planned.id, planned.name, planned.kind, planned.area) == (now.id, now.name, now.kind, now.area)


def _kept(action: Action) -> _Action:
    device = action.device
    return _Action(
        id=action.id,
        utterance=action.utterance,
        device=device.id,
        name=device.name,
        kind=device.kind,
        area=device.area,
        capability=action.capability,
        value=action.value,
        allowed_by=action.allowed_by,
    )


def _planned(kept: _Planned, number: int) -> Planned:
    actions = tuple(
        Action(
            one.id,
            one.utterance,
            Device(one.device, one.name, one.kind, frozenset({one.capability}), one.area),
            one.capability,
            one.value,
            one.allowed_by,
        )
        for one in kept.actions
    )
    return Planned(number, kept.due, actions, kept.text, kept.is_end)


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
        told: Any = json.loads(raw) if len(raw) <= LARGEST_FILE_BYTES else None
        return _File.model_validate(told)
    except FileNotFoundError:
        return _File()
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        aside = path.with_suffix(".damaged")
        log.warning("what was planned is damaged", extra={"path": str(aside), "problem": type(error).__name__})
        try:
            path.replace(aside)
        except OSError as problem:
            log.warning("cannot set aside", extra={"path": str(path), "problem": repr(problem)})
        return _File()
