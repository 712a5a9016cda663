"""What a broker has forgotten is told it again: it was started anew without its files, or is another one."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from edgeagent.console.tables import Device, Job

_QUIETLY = {"synchronize_session": False}


def tell_again(session: Session, now: float) -> None:
    """Have all pointers published again that shall be on the broker. A device that has them already loses nothing."""
    jobs = update(Job).where(Job.due.is_not(None), Job.sent.is_not(None), Job.ended.is_(None))
    session.execute(jobs.values(due=now, tries=0), execution_options=_QUIETLY)
    settings = update(Device).where(Device.retired.is_(None), Device.reported_version < Device.desired_version)
    session.execute(settings.values(desired_due=now, desired_tries=0), execution_options=_QUIETLY)
