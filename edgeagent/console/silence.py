"""Devices of which nothing is heard although they should be there: a broker that is killed tells no last wills.

Rules:
    - A device sends samples; who has sent nothing for three of them, and for 20 minutes at least, is given up.
    - Silence counts only while this console listened: what it did not hear then says nothing.
    - Whatever is heard of it brings it back (`edgeagent.console.changes`).
"""

from sqlalchemy import and_, case, select
from sqlalchemy.orm import Session

from edgeagent.console.changes import SILENT, Known, judge
from edgeagent.console.ingest import Effects, write
from edgeagent.console.tables import Device

LEAST_S = 20 * 60.0
SAMPLES = 3
MOST_AT_ONCE = 500


def give_up_silent(session: Session, now: float, listened_s: float) -> Effects:
    """Note that devices are gone of which nothing was heard, some at a time; return whose rows have changed."""
    effects = Effects()
    if listened_s < LEAST_S:
        return effects
    every_s = Device.reported["fleet.sample_every_s"].as_float()
    span_s = case((SAMPLES * every_s > LEAST_S, SAMPLES * every_s), else_=LEAST_S)
    is_silent = and_(Device.seen < now - LEAST_S, Device.seen < now - span_s, span_s <= listened_s)
    columns = [column for column in Device.__table__.columns if column.name != "desired"]
    wanted = select(*columns).where(Device.online, Device.retired.is_(None), is_silent)
    rows = session.execute(wanted.order_by(Device.id).limit(MOST_AT_ONCE).with_for_update()).mappings()
    gone = [Known(dict(row)) for row in rows]
    for known in gone:
        reason = f"{SILENT} for {(now - (known['seen'] or now - LEAST_S)) / 60:.0f} minutes"
        known.set(online=False, online_since=None, reason=reason)
        known.events.append(("offline", {"reason": reason}))
        judge(known, now)
    write(session, gone, now, effects)
    return effects
