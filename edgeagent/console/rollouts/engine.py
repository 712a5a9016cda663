"""Rollouts carried on: what the rules decide, done to the database.

Rules:
    - A step is one transaction of the caller's: it happens, or it does not. The next one goes on from what is there.
    - What is done twice is done once: jobs have ids that follow from rollout and device, states change only from what
      they were. So two consoles that step at once do no harm.
    - Rows are changed in sets; a step in which nothing happens counts, and writes nothing.
    - Settings of a rollout that is over, however it ended, stay wanted of those devices alone that have ended well; the
      others get back what was wanted before. When it is stopped or aborted that happens at once.
"""

import logging
from typing import Any, cast

from sqlalchemy import CursorResult, and_, exists, select, update
from sqlalchemy.orm import Session

from edgeagent.console.errors import AwayError, ConsoleError
from edgeagent.console.jobs import call_back, mark_reached, sweep
from edgeagent.console.rollouts.counting import standing_of
from edgeagent.console.rollouts.looks import health_of, next_wave
from edgeagent.console.rollouts.members import let_go, take_in
from edgeagent.console.rollouts.nouns import Decision, Finish, GoOn, Pause, Plan, Stop, Wait, plan_of
from edgeagent.console.rollouts.rules import decide
from edgeagent.console.rollouts.sending import call_back_unbegun, send
from edgeagent.console.rollouts.windows import is_open
from edgeagent.console.tables import Job, Rollout
from edgeagent.console.wishes import take_back

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often it is looked for devices that have joined or left."""
_QUIETLY = {"synchronize_session": False}


def step(session: Session, now: float) -> None:
    """Carry on all rollouts that run, and give up jobs that have had their time; `now` in seconds since 1970."""
    sweep(session, now)
    under_way = select(Rollout).where(Rollout.state.in_(("running", "paused", "stopping"))).order_by(Rollout.created)
    # An operator who changes one meanwhile waits for us, or we for him.
    for rollout in session.scalars(under_way.with_for_update()).all():
        if rollout.state == "stopping":  # whatever its plan says
            _stop(session, rollout, now)
            continue
        try:
            _carry_on(session, rollout, plan_of(rollout.plan), now)
        except AwayError:
            raise
        except ConsoleError as error:  # a plan or filter that this program no longer understands: not the others' fault
            log.warning("rollout paused", extra={"rollout": rollout.id, "problem": str(error)})
            _to(session, rollout, rollout.state, "paused", f"It cannot go on: {error} {error.remedy}")


def _carry_on(session: Session, rollout: Rollout, plan: Plan, now: float) -> None:
    is_new = rollout.wave_began is None
    if is_new:
        rollout.wave_began = rollout.began = now
    if rollout.state == "running" and (is_new or rollout.looked is None or not 0 <= now - rollout.looked < LOOK_S):
        take_in(session, rollout, plan, now)
        let_go(session, rollout, plan, now)
        rollout.looked = now
    session.flush()
    mark_reached(session, Job.rollout == rollout.id, now, plan.timeout_s)
    may_send = rollout.state == "running" and is_open(plan.window, plan.time_zone, now)
    if not may_send:
        call_back_unbegun(session, rollout, plan, now)
    standing = standing_of(session, rollout)
    decision = decide(plan, standing, now, health_of(session, rollout, plan, now))
    if rollout.state == "paused" and not isinstance(decision, Stop):
        return
    _apply(session, rollout, decision, now)
    if may_send and rollout.state == "running" and (standing.opened.pending or isinstance(decision, GoOn)):
        send(session, rollout, plan, now)


def _apply(session: Session, rollout: Rollout, decision: Decision, now: float) -> None:
    match decision:
        case Wait(reason=reason, settled=settled):
            if (rollout.reason, rollout.wave_settled) != (reason, settled):
                rollout.reason, rollout.wave_settled = reason, settled
        case GoOn(reason=reason, forgiven=forgiven):
            values: dict[str, Any] = {"wave": rollout.wave + 1, "wave_began": now, "wave_settled": None}
            values |= {"forgiven": forgiven, "resumed": {}}
            health = next_wave(rollout.health)
            _to(session, rollout, "running", "running", reason, Rollout.wave == rollout.wave, **values, health=health)
        case Pause(reason=reason):
            _to(session, rollout, "running", "paused", reason)
        case Stop(reason=reason):
            if _to(session, rollout, rollout.state, "stopping", reason, ends_as="stopped"):
                take_back(session, Job.rollout == rollout.id, now)
                call_back(session, Job.rollout == rollout.id, "The rollout was stopped: " + reason, now)
        case Finish(reason=reason):
            if _to(session, rollout, "running", "done", reason, ended=now):
                _give_up_unreached(session, rollout, now)
    if not isinstance(decision, Wait):
        log.info("rollout", extra={"rollout": rollout.id, "state": rollout.state, "why": decision.reason})


def _to(session: Session, rollout: Rollout, old: str, new: str, reason: str, *which: Any, **values: Any) -> bool:
    """Change a rollout's state if it is still what it was; return whether it was."""
    session.flush()
    is_it = and_(Rollout.id == rollout.id, Rollout.state == old, *which)
    statement = update(Rollout).where(is_it).values(state=new, reason=reason, **values)
    found = cast("CursorResult[Any]", session.execute(statement, execution_options=_QUIETLY))
    session.refresh(rollout)
    return found.rowcount == 1


def _stop(session: Session, rollout: Rollout, now: float) -> None:
    take_back(session, Job.rollout == rollout.id, now)
    call_back(session, Job.rollout == rollout.id, f"The rollout was stopped: {rollout.reason}", now)
    if not session.scalar(select(exists().where(Job.rollout == rollout.id, Job.ended.is_(None)))):
        _to(session, rollout, "stopping", rollout.ends_as or "stopped", rollout.reason, ended=now)


def _give_up_unreached(session: Session, rollout: Rollout, now: float) -> None:
    mine = and_(Job.rollout == rollout.id, Job.ended.is_(None))
    reason = "It was not reached while the rollout lasted."
    statement = update(Job).where(mine).values(state="skipped", reason=reason, ended=now, due=now, until=None)
    take_back(session, Job.rollout == rollout.id, now)
    session.execute(statement, execution_options=_QUIETLY)
