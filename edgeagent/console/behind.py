"""Settings that are wanted under a version that a device has left behind: wanted anew under one that it takes.

Rules:
    - A device takes settings of a higher version than it has, and no other. A console whose database was put back, or
      made anew, counts from where that was: it goes on above what the device tells.
    - Where nothing is wanted, only the count goes on.
"""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Table as SqlTable
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from edgeagent.console.changes import Known
from edgeagent.console.tables import Device

HIGHEST = (1 << 53) - 1_000_000
"""Whoever tells of more than that cannot be wanted anything of any more."""
_DEVICES = cast("SqlTable", Device.__table__)


def want_anew(session: Session, told: Sequence[Known], now: float) -> None:
    """Bring the versions of what is wanted above what these devices have told."""
    highest = {known.id: known.desired_at_least for known in told if known.desired_at_least <= HIGHEST}
    if not highest:
        return
    columns = (_DEVICES.c.id, _DEVICES.c.desired_version, _DEVICES.c.desired)
    for row in session.execute(select(*columns).where(_DEVICES.c.id.in_(highest))).all():
        if row.desired_version >= highest[row.id]:
            continue
        values = {"desired_version": highest[row.id]}
        again = {"desired_version": highest[row.id] + 1, "desired_due": now, "desired_tries": 0}
        session.execute(update(_DEVICES).where(_DEVICES.c.id == row.id).values(again if row.desired else values))
