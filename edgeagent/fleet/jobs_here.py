"""Jobs that the fleet gives to this device, to what is done about them and told. Pure.

Rules:
    - A job that is known is never begun again: how it stands is told again.
    - A newer job takes the place of the one that is open. The later one to come is the newer one, unless the sender
      says otherwise: times that it gives (`created`, `not_after`) are compared with one another, not with this clock.
    - How long a job may wait is counted from when it came, where it came when it was sent: the sender's clock and this
      one may differ. Only a job that may have waited on the broker is too late by this clock.
    - Every step has a number, which only grows; an end is an end.
    - A job that a start finds under way was interrupted, and has failed, but for those that a start belongs to: it is
      what a restart waits for, and settings are tried by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeagent.fleet.wire import ENDS, FleetJob, Progress

State = Literal["accepted", "working", "done", "failed", "rejected", "cancelled", "superseded", "timed out"]
LONGEST_WAIT_S = 90 * 86_400.0
LONGEST_PROBLEM = 500
LIMITS_S: Mapping[str, float] = {
    "settings": 7 * 86_400.0,
    "restart": 86_400.0,
    "logs": 60.0,
    "diagnostics": 300.0,
    "self-test": 600.0,
    "clips": 3_600.0,
    "identify": 90.0,
}
"""Seconds that a job may take, whatever the fleet says."""
FARTHEST_CLOCK_S = 86_400.0
"""A sender that is farther ahead of this clock tells no time by which what comes after it could be older."""
_OVER_STARTS = {"settings"}


@dataclass(frozen=True, slots=True)
class Doing:
    """How far a job has come. `changed`: when, in seconds since 1970; `result`: what came of it, as its kind says."""

    job: FleetJob
    state: State
    step: int = 1
    changed: float = 0.0
    code: str = ""
    problem: str = ""
    result: Mapping[str, Any] | None = None

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing more will be done."""
        return self.state in ENDS

    def progress(self, *, is_short: bool = False) -> Progress:
        """Return what the fleet is told, `is_short` without what came of it."""
        return Progress(
            id=f"{self.job.id}:{self.step}",
            job=self.job.id,
            state=self.state,
            at=self.changed,
            code=self.code,
            problem=self.problem or ("" if self.result is None or not is_short else "what came of it was too large"),
            result={} if is_short else dict(self.result or {}),
        )


def taken(job: FleetJob, is_open: Doing | None, now: float, *, is_live: bool = True) -> tuple[Doing, ...]:
    """Return what changes when a job comes that was not known; its own standing is the last.

    `is_live`: it came when it was sent, and has not waited on the broker.
    """
    here = as_of_here(job, now, is_live=is_live)
    if here.not_after is not None and here.not_after < now:
        return (Doing(here, "timed out", 1, now, "too-late", f"its time was over {now - here.not_after:.0f} s ago"),)
    if is_open is None:
        return (Doing(here, "accepted", 1, now),)
    if is_open.job.created > job.created:
        return (Doing(here, "superseded", 1, now, "superseded", f"{is_open.job.id} is newer"),)
    beaten = stepped(is_open, "superseded", now, code="superseded", problem=f"{job.id} is newer")
    return beaten, Doing(here, "accepted", 1, now)


def as_of_here(job: FleetJob, now: float, *, is_live: bool) -> FleetJob:
    """Return a job whose end is by this clock, and that neither lasts for ever nor keeps later ones away for ever."""
    created = job.created if job.created <= now + FARTHEST_CLOCK_S else 0.0
    if job.not_after is None:
        return job.model_copy(update={"created": created})
    lasts_s = min(job.not_after - job.created, LONGEST_WAIT_S)
    is_ahead = is_live and job.not_after < now and lasts_s > 0  # who sends it now knows that it is not too late
    not_after = now + lasts_s if is_ahead else min(job.not_after, now + max(lasts_s, 0.0))
    return job.model_copy(update={"created": created, "not_after": not_after})


def stepped(
    doing: Doing,
    state: State,
    now: float,
    *,
    code: str = "",
    problem: str = "",
    result: Mapping[str, Any] | None = None,
) -> Doing:
    """Return a job one step on; one that has ended stays as it is."""
    if doing.is_ended:
        return doing
    return Doing(doing.job, state, doing.step + 1, now, code, problem[:LONGEST_PROBLEM], result)


def restarted(doing: Doing, now: float) -> Doing:
    """Return how a job stands that a start of the agent finds open."""
    if doing.state == "accepted" or doing.is_ended or doing.job.kind in _OVER_STARTS:
        return doing
    if doing.job.kind == "restart":
        return stepped(doing, "done", now)
    return stepped(doing, "failed", now, code="interrupted", problem="the agent ended while it was done")


def time_left_s(doing: Doing, now: float) -> float:
    """Return for how many seconds more a job may go on; not more than 0 when its time is over."""
    limit_s = LIMITS_S[doing.job.kind]
    return limit_s if doing.job.not_after is None else min(limit_s, doing.job.not_after - now)
