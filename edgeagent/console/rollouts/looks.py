"""Looks at voice health in a running rollout: what the devices counted since the wave began, compared and kept.

Rules:
    - With it: who has succeeded, in the hours after that. Without: who is still to be asked. Both only since the
      running wave began, and hour by hour, so that the same hours are compared.
    - A look is taken every LOOK_S at most, and when `statistics.is_time_to_look` says so; its number is kept, for each
      look costs a part of alpha.
"""

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from edgeagent.console.rollouts.nouns import Health, Plan
from edgeagent.console.rollouts.statistics import Comparison, Hours, Tally, compare, is_time_to_look
from edgeagent.console.tables import HealthHour, Job, Rollout
from edgeagent.fleet.wire import SUCCEEDED

LOOK_S = 600.0
MOST_DEVICES = 2_000
"""Of each group: more would make the console slow, and the comparison hardly surer."""
MOST_HOURS = 96


def health_of(session: Session, rollout: Rollout, plan: Plan, now: float) -> Health | None:
    """Return the last comparison, after a look if it is time for one."""
    if not plan.health.on:
        return None
    kept = dict(rollout.health)
    if now - float(kept.get("looked", 0.0)) >= LOOK_S and rollout.wave_began is not None:
        kept |= _look(session, rollout, plan, kept, now)
        rollout.health = kept
    compared = tuple(Comparison(**one) for one in kept.get("compared", ()))
    return Health(compared, is_accepted=kept.get("accepted") == rollout.wave)


def next_wave(health: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept when a wave begins: how often it was looked."""
    return {"looks": health.get("looks", 0), "looked": health.get("looked", 0.0)}


def _look(session: Session, rollout: Rollout, plan: Plan, kept: dict[str, Any], now: float) -> dict[str, Any]:
    began_hour = (rollout.wave_began or 0.0) / 3_600
    since = and_(HealthHour.hour >= max(began_hour, now / 3_600 - MOST_HOURS), Job.rollout == rollout.id)
    has_it = and_(since, Job.state.in_(SUCCEEDED), Job.told.is_not(None), HealthHour.hour >= Job.ended / 3_600)
    joined = select(func.sum(HealthHour.decisions)).join(Job, Job.device == HealthHour.device)
    cases = int(session.scalar(joined.where(has_it)) or 0)
    if not is_time_to_look(cases, int(kept.get("cases", 0))):
        return {"looked": now}
    look = int(kept.get("looks", 0)) + 1
    without = and_(since, Job.state == "pending")
    found = compare(_hours(session, has_it), _hours(session, without), alpha=plan.health.alpha, look=look)
    if all(one.verdict == "too little" for one in found):
        return {"looked": now, "compared": [asdict(one) for one in found]}  # nothing was tested, nothing is spent
    return {"looked": now, "looks": look, "cases": cases, "compared": [asdict(one) for one in found]}


def _hours(session: Session, which: ColumnElement[bool]) -> list[Hours]:
    devices = select(Job.device).join(HealthHour, HealthHour.device == Job.device).where(which)
    some = devices.group_by(Job.device).order_by(func.min(Job.wave), Job.device).limit(MOST_DEVICES).subquery()
    rows = session.execute(
        select(
            HealthHour.device,
            HealthHour.hour,
            HealthHour.decisions,
            HealthHour.rejected,
            HealthHour.repeated,
            HealthHour.ended_by_cap,
            HealthHour.decision_ms,
        )
        .join(Job, Job.device == HealthHour.device)
        .where(which, HealthHour.device.in_(select(some.c.device)))
    )
    found: dict[int, dict[int, Tally]] = {}
    for device, hour, decisions, rejected, repeated, ended_by_cap, decision_ms in rows:
        tally = Tally(decisions, rejected, repeated, ended_by_cap, tuple(decision_ms or ()))
        found.setdefault(device, {})[hour] = tally
    return list(found.values())
