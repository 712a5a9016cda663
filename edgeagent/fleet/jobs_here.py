"""Jobs that the fleet gives to this device, to what is done about them and told. Pure.

Rules:
    - A job that is known is never begun again: how it stands is told again.
    - A newer job takes the place of the one that is open, by the time at which it was made.
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


def taken(job: FleetJob, is_open: Doing | None, now: float) -> tuple[Doing, ...]:
    """Return what changes when a job comes that was not known; its own standing is the last."""
    job = bounded(job, now)
    if job.not_after is not None and job.not_after < now:
        return (Doing(job, "timed out", 1, now, "too-late", f"its time was over {now - job.not_after:.0f} s ago"),)
    if is_open is None:
        return (Doing(job, "accepted", 1, now),)
    if is_open.job.created > job.created:
        return (Doing(job, "superseded", 1, now, "superseded", f"{is_open.job.id} is newer"),)
    beaten = stepped(is_open, "superseded", now, code="superseded", problem=f"{job.id} is newer")
    return beaten, Doing(job, "accepted", 1, now)


def bounded(job: FleetJob, now: float) -> FleetJob:
    """Return a job that is not newer than now and does not last for ever: no clock that is wrong keeps others away."""
    latest = now + LONGEST_WAIT_S
    not_after = None if job.not_after is None else min(job.not_after, latest)
    return job.model_copy(update={"created": min(job.created, now), "not_after": not_after})


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
