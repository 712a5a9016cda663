"""A job, and how far it has come: the nouns of the journal, and their form in it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeagent.errors import UpdateError
from edgeagent.update.manifest import FAMILY, VERSION
from edgeagent.update.states import ENDS, STATES, State

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
Wish = Literal["", "cancel", "supersede"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked of this device: a version of a family. `created`, `not_before`, `not_after`: seconds since 1970.

    `may_go_back` is for an owner who wants an older version; a job from the fleet has `is_local` False and cannot.
    """

    id: str
    family: str
    version: str
    created: float = 0.0
    not_before: float = 0.0
    not_after: float | None = None
    is_local: bool = False
    may_go_back: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """How far a job has come. `changed`: since when it stands there, in seconds since 1970; `notes`: what was found.

    `writes` counts writes of the state, `starts` those of the agent in probation, `wish` how it shall end.
    """

    job: Job
    state: State
    writes: int = 0
    starts: int = 0
    wish: Wish = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    changed: float = 0.0

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing more will be done."""
        return self.state in ENDS

    @property
    def is_begun(self) -> bool:
        """Tell whether something was done that may have to be put back."""
        return not self.is_ended and self.state not in {"accepted", "waiting"}

    def is_due(self, now: float) -> bool:
        """Tell whether a job that waits may go on, as far as the clock is concerned: also not soon after a failure."""
        retry_s = float(self.notes.get("retry_s", 0.0))
        return now >= self.job.not_before and not 0 <= now - self.changed < retry_s


@dataclass(frozen=True, slots=True)
class Told:
    """Something for the fleet. `seq` is what is acknowledged; the body has an `id` by which a repetition is known."""

    seq: int
    is_end: bool
    body: Mapping[str, Any]


def refuse_bad(job: Job) -> None:
    """Raise UpdateError "bad-job" for what cannot be a job; it may come from a broker that somebody has taken over."""
    times = (job.created, job.not_before, *(() if job.not_after is None else (job.not_after,)))
    if not (
        _ID.fullmatch(job.id)
        and re.fullmatch(FAMILY, job.family)
        and re.fullmatch(VERSION, job.version)
        and all(math.isfinite(one) for one in times)
    ):
        raise UpdateError(f"no job: {job.id!r:.80} {job.family!r:.80} {job.version!r:.80}", code="bad-job")


def course_of(row: tuple[Any, ...]) -> Course:
    """Return the course that a row of the journal holds. Raise ValueError or TypeError if it holds none."""
    _, _, job, state, writes, starts, wish, notes, changed = row
    if state not in STATES:
        raise ValueError(f"no state is called {state!r:.40}")
    return Course(Job(**json.loads(job)), state, writes, starts, wish, json.loads(notes), changed)


def columns_of(course: Course) -> tuple[State, int, int, str, str, float]:
    """Return what changes in a row of the journal."""
    return course.state, course.writes, course.starts, course.wish, json.dumps(dict(course.notes)), course.changed
