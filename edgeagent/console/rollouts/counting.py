"""How the devices of a rollout stand: jobs, counted by the database."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edgeagent.console.rollouts.nouns import Counts, Standing
from edgeagent.console.tables import Job, Rollout
from edgeagent.fleet.wire import FAILED, SUCCEEDED, UNDONE


def counts_of(session: Session, rollout: str) -> tuple[Counts, ...]:
    """Return the counts of each wave."""
    is_unreached, is_untold = Job.reached.is_(None).label("unreached"), Job.told.is_(None).label("untold")
    rows = session.execute(
        select(Job.wave, Job.state, is_unreached, is_untold, func.count())
        .where(Job.rollout == rollout)
        .group_by(Job.wave, Job.state, is_unreached, is_untold)
    ).all()
    waves: list[dict[str, int]] = [{} for _ in range(max((row[0] for row in rows), default=-1) + 1)]
    for wave, state, unreached, untold, count in rows:
        name = class_of(state, is_unreached=bool(unreached), is_untold=bool(untold))
        waves[wave][name] = waves[wave].get(name, 0) + count
    return tuple(Counts(**one) for one in waves)


def class_of(state: str, *, is_unreached: bool, is_untold: bool) -> str:
    """Return which of the counts a job belongs to."""
    if state == "pending":
        return "pending"
    if state in {"skipped", "lost"}:
        return "skipped"
    if state in SUCCEEDED:
        return "already" if is_untold else "succeeded"
    if state in FAILED:
        return "failed"
    if state in UNDONE:
        return "undone"
    return "waiting" if is_unreached and is_untold else "under_way"


def standing_of(session: Session, rollout: Rollout) -> Standing:
    """Return how a rollout stands."""
    return Standing(
        waves=counts_of(session, rollout.id),
        wave=rollout.wave,
        began=rollout.wave_began or 0.0,
        settled=rollout.wave_settled,
        forgiven=rollout.forgiven,
        undone_seen=int(rollout.resumed.get("undone", 0)),
        resumed=rollout.resumed.get("at"),
    )
