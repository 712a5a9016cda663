"""The states of an update, as a table: what may follow what, and why.

Rules:
- a state is on the disk before what it names is done; a step may be done twice, for it may have been cut off;
- what is under way either ends in `confirmed`, or goes by `rolled back`, where what was before is put back, to its end;
- before `metadata` nothing has been done, so nothing has to be put back;
- from an end nothing follows: the same job again is told how it ended, and never done again;
- a job has so many writes of its state, no more: whatever goes in circles ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal[
    "accepted",
    "waiting",
    "metadata",
    "planning",
    "downloading",
    "verifying",
    "staging",
    "testing",
    "switching",
    "probation",
    "confirmed",
    "rolled back",
    "failed",
    "rejected",
    "cancelled",
    "superseded",
    "timed out",
]
Event = Literal["done", "already", "retry", "refuse", "fail", "cancel", "supersede", "time out"]
"""What comes of a step. `already`: the release is the current one. `retry`: not now, perhaps later. `refuse`: it must
not be had here. The last four are also why something is put back."""

MOST_WRITES = 28
"""State writes of a job before it is ended; a plain update has 11, and two for the way back are always left."""

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

_BEFORE: Mapping[Event, State] = {
    "refuse": "rejected",
    "fail": "failed",
    "cancel": "cancelled",
    "supersede": "superseded",
    "time out": "timed out",
}
_BACK: Mapping[Event, State] = {
    "fail": "rolled back",
    "cancel": "rolled back",
    "supersede": "rolled back",
    "time out": "rolled back",
}

TABLE: Mapping[State, Mapping[Event, State]] = {
    "accepted": {"done": "waiting", **_BEFORE},
    "waiting": {"done": "metadata", **_BEFORE},
    "metadata": {"done": "planning", "retry": "waiting", **_BACK},
    "planning": {"done": "downloading", "already": "confirmed", "retry": "waiting", "refuse": "rejected", **_BACK},
    "downloading": {"done": "verifying", "retry": "waiting", **_BACK},
    "verifying": {"done": "staging", **_BACK},
    "staging": {"done": "testing", **_BACK},
    "testing": {"done": "switching", **_BACK},
    "switching": {"done": "probation", **_BACK},
    "probation": {"done": "confirmed", **_BACK},
    "rolled back": {"fail": "failed", "cancel": "cancelled", "supersede": "superseded", "time out": "timed out"},
    "confirmed": {},
    "failed": {},
    "rejected": {},
    "cancelled": {},
    "superseded": {},
    "timed out": {},
}
ENDS: frozenset[State] = frozenset(state for state, after in TABLE.items() if not after)
RESTS: frozenset[State] = frozenset({"accepted", "waiting", "probation"})
"""Where a job may stand for days: going on from there is no sign that something was cut off."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """That nothing follows from a state by an event."""

    state: State
    event: Event

    def __str__(self) -> str:
        return f"nothing follows from {self.state!r} by {self.event!r}"


def next_state(state: State, event: Event) -> State | Refusal:
    """Return what follows from a state by an event."""
    return TABLE[state].get(event) or Refusal(state, event)
