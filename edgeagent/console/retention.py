"""What has been kept for long enough is removed, a portion at a time, so that nobody waits for it.

Rules:
    - Rollouts and their jobs stay: they are the record of what was done. Their results go, which are large.
    - Jobs of operators go with their results; the trail of who did what is kept longest.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Text, cast, delete, func, select, update
from sqlalchemy.orm import Session

from edgeagent.console.settings import KeepSection
from edgeagent.console.tables import Audited, EnrolmentToken, Event, HealthHour, Job, LogInTry
from edgeagent.console.tables import Session as LogIn

PORTION = 2_000
"""Rows that are removed in one transaction."""
DAY_S = 86_400.0
LOG_IN_TRIES_DAYS = 2.0
TOKENS_DAYS = 90.0
"""Of enrolment, after they have run out."""


def prune(session: Session, keep: KeepSection, now: float) -> int:
    """Remove a portion of what is old; return how many rows. Call it again while it returns any."""
    removed = 0
    for table, is_old in _old(keep, now).items():
        keys = list(table.__table__.primary_key.columns)
        some = session.execute(select(*keys).where(is_old).limit(PORTION)).all()
        if not some:
            continue
        if len(keys) == 1:
            session.execute(delete(table).where(keys[0].in_([row[0] for row in some])))
        else:
            session.execute(delete(table).where(is_old, keys[0].in_({row[0] for row in some})))
        removed += len(some)
    return removed + _prune_results(session, now - keep.result_days * DAY_S)


def _old(keep: KeepSection, now: float) -> Mapping[Any, Any]:
    is_done = Job.ended < now - keep.result_days * DAY_S
    return {
        HealthHour: HealthHour.hour < int((now - keep.health_days * DAY_S) // 3_600),
        Event: Event.at < now - keep.event_days * DAY_S,
        Job: is_done & Job.rollout.is_(None) & Job.due.is_(None),
        Audited: Audited.at < now - keep.audit_days * DAY_S,
        LogIn: LogIn.expires < now,
        LogInTry: LogInTry.last < now - LOG_IN_TRIES_DAYS * DAY_S,
        EnrolmentToken: EnrolmentToken.expires < now - TOKENS_DAYS * DAY_S,
    }


def _prune_results(session: Session, before: float) -> int:
    has_result = (Job.ended < before, func.length(cast(Job.result, Text)) > len("{}"))
    some = session.scalars(select(Job.id).where(*has_result).limit(PORTION)).all()
    if some:
        session.execute(update(Job).where(Job.id.in_(some)).values(result={}))
    return len(some)
