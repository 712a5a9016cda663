"""Fleets and devices: seen, described, set, asked, taken out."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from edgeagent.console import enrolment, jobs
from edgeagent.console.tables import Device, Fleet
from edgeagent.console.web import events_view, fleet_view, registry_view
from edgeagent.console.web.api.described import described
from edgeagent.console.web.api.models import (
    CertificateOut,
    DescribeIn,
    DeviceOut,
    DeviceShort,
    EventOut,
    FleetIn,
    FleetOut,
    HourOut,
    JobIn,
    JobOut,
    Page,
    SayIn,
    SayOut,
    SettingsIn,
    SettingsOut,
)
from edgeagent.console.web.fleet_view import LONGEST_FILTER, LONGEST_SEARCH, MOST_ON_A_PAGE, PageOf, Show, Wanted
from edgeagent.console.web.pages.device import to_be_told
from edgeagent.console.web.pages.device_changes import ask_of, change_settings, set_tags
from edgeagent.console.web.pages.fleets import make_fleet
from edgeagent.console.web.refusals import not_found
from edgeagent.console.web.say import say
from edgeagent.console.web.visits import ApiAdmin, ApiKnown, ApiOperator, ApiViewer

router: APIRouter = described("devices")
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
Size = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)]
DEVICE = "/fleets/{fleet}/devices/{device}"


@router.get("/fleets")
def list_fleets(visit: ApiKnown) -> list[FleetOut]:
    """Return the fleets that one may see."""
    with visit.reading() as session:
        return [_fleet(session, one) for one in fleet_view.fleets(session) if visit.who.may("viewer", one.name)]


@router.post("/fleets", status_code=201)
def new_fleet(visit: ApiKnown, wanted: FleetIn) -> FleetOut:
    """Make a fleet."""
    with visit.changing("fleet.new", wanted.name) as session:
        make_fleet(session, visit, wanted.name, wanted.title)
        session.flush()
        return _fleet(session, session.get_one(Fleet, wanted.name))


@router.get("/fleets/{fleet}")
def show_fleet(visit: ApiViewer, fleet: str) -> FleetOut:
    """Return a fleet, and how its devices are."""
    with visit.reading() as session:
        found = session.get(Fleet, fleet)
        if found is None:
            raise not_found("this fleet")
        return _fleet(session, found)


@router.get("/fleets/{fleet}/devices")
def list_devices(  # noqa: PLR0913, PLR0917  # what can be asked for
    visit: ApiViewer,
    fleet: str,
    search: Annotated[str, Query(max_length=LONGEST_SEARCH)] = "",
    filter: Annotated[str, Query(max_length=LONGEST_FILTER)] = "",  # noqa: A002  # as it is called everywhere
    show: Show = "all",
    sort: Annotated[str, Query(pattern="^(name|condition|seen|version|area)$")] = "name",
    page: PageNumber = 1,
    size: Size = 100,
) -> Page[DeviceShort]:
    """Return devices that fit a search and a filter."""
    with visit.reading() as session:
        found = fleet_view.devices(session, fleet, Wanted(search, filter, show, sort, "condition", page, size))
        tags = fleet_view.tags_of(session, [device.id for device in found.items])
    items = [_short(device).model_copy(update={"tags": tags[device.id]}) for device in found.items]
    return Page(items=items, total=found.total, page=found.page, pages=found.pages)


@router.get(DEVICE)
def show_device(visit: ApiViewer, fleet: str, device: str) -> DeviceOut:
    """Return a device."""
    with visit.reading() as session:
        return _device(session, registry_view.device_of(session, fleet, device))


@router.patch(DEVICE)
def describe(visit: ApiOperator, fleet: str, device: str, wanted: DescribeIn) -> DeviceOut:
    """Change what people call a device, and its tags."""
    changed = sorted(wanted.model_fields_set)
    with visit.changing("device.describe", device, changed=" ".join(changed)) as session:
        found = registry_view.device_of(session, fleet, device)
        if wanted.title is not None:
            found.title = wanted.title.strip()
        if wanted.note is not None:
            found.note = wanted.note.strip()
        if wanted.tags is not None:
            set_tags(session, found, wanted.tags)
        session.flush()
        return _device(session, found)


@router.get(f"{DEVICE}/settings")
def show_settings(visit: ApiViewer, fleet: str, device: str) -> SettingsOut:
    """Return the settings that are wanted of a device, and those that it has."""
    with visit.reading() as session:
        return SettingsOut.model_validate(registry_view.device_of(session, fleet, device))


@router.put(f"{DEVICE}/settings")
def want_settings(visit: ApiOperator, fleet: str, device: str, wanted: SettingsIn) -> SettingsOut:
    """Want other settings of a device."""
    with visit.changing("device.settings", device, settings=", ".join(wanted.settings)) as session:
        found = registry_view.device_of(session, fleet, device)
        kept = {} if wanted.replace else dict(found.desired)
        change_settings(session, visit, found, kept | dict(wanted.settings), wanted.version)
        return SettingsOut.model_validate(found)


@router.get(f"{DEVICE}/events")
def list_events(
    visit: ApiViewer,
    fleet: str,
    device: str,
    kind: Annotated[str, Query(max_length=32)] = "",
    page: PageNumber = 1,
    size: Size = 100,
) -> Page[EventOut]:
    """Return what a device has told, the newest first."""
    with visit.reading() as session:
        found = registry_view.device_of(session, fleet, device)
        kind = kind if kind in events_view.KINDS else ""
        shown = registry_view.events(session, found, kind, page, size)
        items = [EventOut.model_validate(one) for one in shown.items]
    return Page(items=items, total=shown.total, page=shown.page, pages=shown.pages)


@router.get(f"{DEVICE}/health")
def list_hours(
    visit: ApiViewer, fleet: str, device: str, hours: Annotated[int, Query(ge=1, le=2_000)] = 168
) -> list[HourOut]:
    """Return what a device counted in the last hours."""
    with visit.reading() as session:
        found = registry_view.device_of(session, fleet, device)
        return [HourOut.model_validate(one) for one in registry_view.hours(session, found, hours, visit.now)]


@router.get(f"{DEVICE}/certificates")
def list_certificates(visit: ApiViewer, fleet: str, device: str) -> list[CertificateOut]:
    """Return a device's certificates, the newest first."""
    with visit.reading() as session:
        found = registry_view.device_of(session, fleet, device)
        return [CertificateOut.model_validate(one) for one in registry_view.certificates(session, found)]


@router.get(f"{DEVICE}/jobs")
def list_jobs(visit: ApiViewer, fleet: str, device: str, page: PageNumber = 1, size: Size = 100) -> Page[JobOut]:
    """Return what was asked of a device, the newest first."""
    with visit.reading() as session:
        found = registry_view.device_of(session, fleet, device)
        return _jobs(registry_view.jobs(session, found, page, size))


@router.post(f"{DEVICE}/jobs", status_code=201)
def new_job(visit: ApiOperator, fleet: str, device: str, wanted: JobIn) -> JobOut:
    """Ask a device for something."""
    with visit.changing("device.job", device, kind=wanted.kind) as session:
        found = registry_view.device_of(session, fleet, device)
        return JobOut.model_validate(ask_of(session, visit, found, wanted.kind, dict(wanted.options)))


@router.get(f"{DEVICE}/jobs/{{job}}")
def show_job(visit: ApiViewer, fleet: str, device: str, job: str) -> JobOut:
    """Return a job, and what came of it."""
    with visit.reading() as session:
        found = registry_view.device_of(session, fleet, device)
        return JobOut.model_validate(registry_view.job_of(session, found, job))


@router.post(f"{DEVICE}/jobs/{{job}}/cancel")
def cancel_job(visit: ApiOperator, fleet: str, device: str, job: str) -> JobOut:
    """Call a job back."""
    with visit.changing("device.job.cancel", device, job=job) as session:
        found = registry_view.job_of(session, registry_view.device_of(session, fleet, device), job)
        jobs.cancel(session, found, by=visit.who.user, now=visit.now)
        return JobOut.model_validate(found)


@router.post(f"{DEVICE}/say")
async def say_to(visit: ApiOperator, fleet: str, device: str, wanted: SayIn) -> SayOut:  # noqa: ARG001  # in the path
    """Have a device do as if something had been said, and return what it told of it."""
    found = await run_in_threadpool(to_be_told, visit, device)
    answered = await say(visit.site, found, wanted.text)
    events = [EventOut.model_validate(one) for one in answered.events]
    return SayOut(answered=bool(events), took_ms=round(answered.took_ms, 1), events=events)


@router.post(f"{DEVICE}/revoke")
def revoke(visit: ApiAdmin, fleet: str, device: str) -> list[CertificateOut]:
    """Revoke a device's certificates: it is put out, and needs a new token."""
    with visit.changing("device.revoke", device) as session:
        found = registry_view.device_of(session, fleet, device)
        enrolment.revoke(session, found, f"by {visit.who.user}", visit.now)
        return [CertificateOut.model_validate(one) for one in registry_view.certificates(session, found)]


@router.post(f"{DEVICE}/retire")
def retire(visit: ApiAdmin, fleet: str, device: str) -> DeviceOut:
    """Take a device out of its fleet."""
    with visit.changing("device.retire", device) as session:
        found = registry_view.device_of(session, fleet, device)
        enrolment.retire(session, found, visit.now)
        return _device(session, found)


def _fleet(session: Session, fleet: Fleet) -> FleetOut:
    counts = fleet_view.counts(session, fleet.name)
    return FleetOut(
        name=fleet.name,
        title=fleet.title,
        devices=counts.all,
        well=counts.well,
        warn=counts.warn,
        bad=counts.bad,
        offline=counts.offline,
    )


def _short(device: Device) -> DeviceShort:
    return DeviceShort.model_validate({name: getattr(device, name, {}) for name in DeviceShort.model_fields})


def _device(session: Session, device: Device) -> DeviceOut:
    own = {name: getattr(device, name, {}) for name in DeviceOut.model_fields if name not in {"tags", "releases"}}
    more = {"tags": registry_view.tags(session, device), "releases": registry_view.installed(session, device)}
    return DeviceOut.model_validate(own | more)


def _jobs(found: PageOf) -> Page[JobOut]:
    items = [JobOut.model_validate(one) for one in found.items]
    return Page(items=items, total=found.total, page=found.page, pages=found.pages)
