"""Jobs on a simulated device, as on a real one: remembered by their id, done once, told step by step. Pure.

Rules:
    - A job that is known is told again, and never begun again; `executions` counts what the tests want to see at 1.
    - An update goes through the states of `edgeagent.update.states`, by that table; others are accepted, working, done.
    - Updates go beside everything else. Of each, the newest job wins: an older one that is under way is ended as
      superseded, one that comes late is not begun.
"""

from dataclasses import dataclass
from typing import cast

from edgeagent.fleet.wire import ENDS
from edgeagent.update.states import Event, Refusal, State, next_state

MOST_JOBS = 100
"""Ended jobs that a device remembers; the oldest is forgotten."""


@dataclass(slots=True)
class Course:
    """One job. `due`: when its next step is done; `fails_at`: the state in which it fails; `wish`: how it shall end."""

    id: str
    kind: str
    created: float
    family: str = ""
    version: str = ""
    wanted: int = 0
    """The version of the settings that a job of this kind waits for."""
    not_after: float | None = None
    state: str = "accepted"
    step: int = 0
    executions: int = 0
    due: float = 0.0
    fails_at: str = ""
    wish: str = ""
    is_current: bool = False
    """Whether the release is installed already."""

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing follows."""
        return self.state in ENDS

    def advance(self, now: float) -> None:
        """Go to the next state."""
        if self.is_ended:
            return
        if self.not_after is not None and now > self.not_after and self.state in {"accepted", "waiting"}:
            self.wish = "time out"
        self._to(self._next_of_update() if self.kind == "update" else self._next_of_other())

    def end(self, how: str) -> None:
        """End it as `cancel` or `supersede` says, by the way back where something was begun."""
        if not self.is_ended and not self.wish:
            self.wish, self.due = how, 0.0

    def _to(self, state: str) -> None:
        if state in {"metadata", "working"}:
            self.executions += 1
        self.state = state
        self.step += 1

    def _next_of_update(self) -> str:
        event: Event = "done"
        if self.wish:
            event = cast("Event", self.wish)
        elif self.state in {self.fails_at, "rolled back"}:
            event = "fail"
        elif self.is_current and self.state == "planning":
            event = "already"
        found = next_state(cast("State", self.state), event)
        if isinstance(found, Refusal):
            raise AssertionError(str(found))  # noqa: TRY004  # the table has what we ask of it
        return found

    def _next_of_other(self) -> str:
        if self.wish:
            return {"cancel": "cancelled", "supersede": "superseded", "time out": "timed out"}[self.wish]
        if self.state == self.fails_at:
            return "failed"
        return "working" if self.state == "accepted" else "done"


class Jobs:
    """All jobs of a device, by their id, in the order in which they came."""

    __slots__ = ("courses",)

    def __init__(self) -> None:
        """Begin with none."""
        self.courses: dict[str, Course] = {}

    @property
    def under_way(self) -> list[Course]:
        """Return what is to be carried on: the oldest that have not ended, for a newer one waits for their end."""
        first: dict[bool, Course] = {}
        for one in self.courses.values():
            if not one.is_ended:
                first.setdefault(one.kind == "update", one)
        return list(first.values())

    def accept(self, asked: Course) -> Course:
        """Return the job as it stands: a known one as it is, a new one as accepted, an older one as superseded."""
        if known := self.courses.get(asked.id):
            return known
        alike = (one for one in self.courses.values() if (one.kind == "update") == (asked.kind == "update"))
        newest = max(alike, key=lambda one: one.created, default=None)
        if newest is not None and newest.created > asked.created:
            asked.state = "superseded"
        elif newest is not None:
            newest.end("supersede")
        while len(self.courses) >= MOST_JOBS and (old := next((j for j, c in self.courses.items() if c.is_ended), "")):
            del self.courses[old]
        self.courses[asked.id] = asked
        return asked
