"""What the page of a device shows, beside the device itself."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from edgeagent.console.tables import Certificate, Device, Event, HealthHour, Installed, Job, Tag
from edgeagent.console.web.fleet_view import PageOf, page_of
from edgeagent.console.web.health_view import HOUR_S
from edgeagent.console.web.refusals import not_found

JOBS_ON_A_PAGE, EVENTS_ON_A_PAGE = 25, 50


def device_of(session: Session, fleet: str, name: str) -> Device:
    """Return a device. Raise RefusedError 404 if the fleet has none of that name (A84)."""
    device = session.scalar(select(Device).where(Device.fleet == fleet, Device.name == name))
    if device is None:
        raise not_found("this device")
    return device


def tags(session: Session, device: Device) -> dict[str, str]:
    """Return a device's tags."""
    rows = session.execute(select(Tag.key, Tag.value).where(Tag.device == device.id).order_by(Tag.key))
    return {row.key: row.value for row in rows}


def installed(session: Session, device: Device) -> dict[str, str]:
    """Return the versions of the releases that a device has, by family."""
    wanted = select(Installed.family, Installed.version).where(Installed.device == device.id)
    return {row.family: row.version for row in session.execute(wanted.order_by(Installed.family))}


def hours(session: Session, device: Device, count: int, now: float) -> Sequence[HealthHour]:
    """Return what a device counted in the last hours."""
    since = int(now // HOUR_S) - count
    wanted = select(HealthHour).where(HealthHour.device == device.id, HealthHour.hour > since)
    return session.scalars(wanted.order_by(HealthHour.hour)).all()


def jobs(session: Session, device: Device, page: int = 1, size: int = JOBS_ON_A_PAGE) -> PageOf:
    """Return what was asked of a device, the newest first."""
    wanted = select(Job).where(Job.device == device.id).order_by(Job.created.desc(), Job.id.desc())
    return page_of(session, wanted, page, size)


def job_of(session: Session, device: Device, id_: str) -> Job:
    """Return a job of a device. Raise RefusedError 404 if it has none of that id."""
    job = session.get(Job, id_)
    if job is None or job.device != device.id:
        raise not_found("this job")
    return job


def events(session: Session, device: Device, kind: str = "", page: int = 1, size: int = EVENTS_ON_A_PAGE) -> PageOf:
    """Return what a device has told, the newest first; of one kind, or of all."""
    wanted = select(Event).where(Event.device == device.id).order_by(Event.at.desc(), Event.id.desc())
    return page_of(session, wanted.where(Event.kind == kind) if kind else wanted, page, size)


def certificates(session: Session, device: Device) -> Sequence[Certificate]:
    """Return a device's certificates, the newest first."""
    wanted = select(Certificate).where(Certificate.device == device.id).order_by(Certificate.issued.desc())
    return session.scalars(wanted.limit(20)).all()
