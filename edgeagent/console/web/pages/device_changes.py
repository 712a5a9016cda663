"""What is changed of a device: its settings, its jobs, its tags and name, and its end."""
# ruff: noqa: FAST003  # who may enter a fleet is found out by the visit, from the path

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy import delete
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from edgeagent.console import enrolment, jobs
from edgeagent.console.errors import ConsoleError
from edgeagent.console.rollouts.service import Conflict
from edgeagent.console.tables import Device, Job, Tag
from edgeagent.console.web import registry_view, settings_view
from edgeagent.console.web.pages.device import standing_of
from edgeagent.console.web.refusals import status_of
from edgeagent.console.web.rendering import go
from edgeagent.console.web.visits import Administering, Operating, Viewing, Visit
from edgeagent.errors import EdgeAgentError

router = APIRouter(include_in_schema=False)
MOST_TAGS = 32
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


async def filled_in(request: Request) -> FormData:
    """Return a form as it was filled in, whatever its fields are called."""
    return await request.form()


@router.get("/f/{fleet}/d/{device}/settings")
def settings(visit: Viewing, device: str) -> Response:
    """Show the settings that are wanted of a device, and those that it has."""
    return _settings_page(visit, device)


@router.post("/f/{fleet}/d/{device}/settings")
def want(
    visit: Operating,
    device: str,
    form: Annotated[FormData, Depends(filled_in)],
    version: Annotated[int, Form(ge=0, le=10**9)],
) -> Response:
    """Want other settings of a device."""
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        values = settings_view.typed(texts)
        with visit.changing("device.settings", device, settings=", ".join(values)) as session:
            found = registry_view.device_of(session, visit.fleet, device)
            change_settings(session, visit, found, values, version)
            told = f"Version {found.desired_version} is wanted. The device tries it, and undoes it if it is cut off."
    except EdgeAgentError as error:
        return _settings_page(visit, device, problem=error, typed=texts)
    return go(f"/f/{visit.fleet}/d/{device}/settings", told)


def change_settings(
    session: Session, visit: Visit, device: Device, values: dict[str, object], version: int | None
) -> None:
    """Want exactly these settings. Raise Conflict if somebody else was quicker than who has seen `version` (A85)."""
    if version is not None and version != device.desired_version:
        raise Conflict(
            f"somebody else has wanted version {device.desired_version} meanwhile",
            remedy="Look at what they changed, and change what is still to be changed.",
        )
    changed = {key: value for key, value in values.items() if device.desired.get(key) != value or key == ""}
    device.desired = {key: value for key, value in device.desired.items() if key in values}
    jobs.want_settings(session, device, changed, visit.who.user, visit.now)


def _settings_page(
    visit: Visit, name: str, *, problem: EdgeAgentError | None = None, typed: dict[str, str] | None = None
) -> Response:
    with visit.reading() as session:
        device = registry_view.device_of(session, visit.fleet, name)
    shown = {key: settings_view.shown(value) for key, value in device.desired.items()}
    if typed is not None:
        shown = {key.removeprefix("s."): value for key, value in typed.items() if key.startswith("s.")}
    known = settings_view.sections(device.desired | shown)
    listed = {field.key for fields in known.values() for field in fields}
    return visit.page(
        "device_settings.html",
        status=200 if problem is None else status_of(problem),
        device=device,
        standing=standing_of(device),
        sections=known,
        wanted=shown,
        reported={key: settings_view.shown(value) for key, value in device.reported.items()},
        others=sorted(set(device.desired) - listed),
        problem=problem,
        typed=typed or {},
        # Who was told that somebody else was quicker may insist; any other mistake keeps what was looked at.
        version=device.desired_version if isinstance(problem, Conflict) else (typed or {}).get("version"),
    )


@router.get("/f/{fleet}/d/{device}/jobs")
def list_jobs(visit: Viewing, device: str, page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """Show what was asked of a device."""
    with visit.reading() as session:
        found = registry_view.device_of(session, visit.fleet, device)
        return visit.page("device_jobs.html", device=found, shown=registry_view.jobs(session, found, page))


@router.get("/f/{fleet}/d/{device}/jobs/{job}")
def show_job(visit: Viewing, device: str, job: str) -> Response:
    """Show a job, and what came of it."""
    with visit.reading() as session:
        found = registry_view.device_of(session, visit.fleet, device)
        return visit.page("device_job.html", device=found, job=registry_view.job_of(session, found, job))


@router.post("/f/{fleet}/d/{device}/jobs")
def new_job(
    visit: Operating,
    device: str,
    kind: Annotated[str, Form(max_length=20)],
    family: Annotated[str, Form(max_length=64)] = "",
    version: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Ask a device for something."""
    options = {"family": family.strip(), "version": version.strip()} if kind == "update" else {}
    try:
        with visit.changing("device.job", device, kind=kind, **options) as session:
            found = registry_view.device_of(session, visit.fleet, device)
            job = ask_of(session, visit, found, kind, options)
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # what was typed
            raise
        return go(f"/f/{visit.fleet}/d/{device}/jobs", f"{error}. {error.remedy}", is_problem=True)
    return go(f"/f/{visit.fleet}/d/{device}/jobs/{job.id}", "Asked. What comes of it is told here.")


def ask_of(session: Session, visit: Visit, device: Device, kind: str, options: Mapping[str, object]) -> Job:
    """Ask a device for something, and note which job that is."""
    job = jobs.ask(session, device, kind, options, by=visit.who.user, now=visit.now)
    visit.detail["job"] = job.id
    return job


@router.post("/f/{fleet}/d/{device}/jobs/{job}/cancel")
def cancel_job(visit: Operating, device: str, job: str) -> Response:
    """Call a job back."""
    where = f"/f/{visit.fleet}/d/{device}/jobs/{job}"
    try:
        with visit.changing("device.job.cancel", device, job=job) as session:
            found = registry_view.device_of(session, visit.fleet, device)
            jobs.cancel(session, registry_view.job_of(session, found, job), by=visit.who.user, now=visit.now)
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # it had ended
            raise
        return go(where, f"{error}. {error.remedy}", is_problem=True)
    return go(where, "Called back.")


@router.get("/f/{fleet}/d/{device}/about")
def about(visit: Viewing, device: str) -> Response:
    """Show a device's tags, its certificates, and how it is taken out."""
    return _about_page(visit, device)


@router.post("/f/{fleet}/d/{device}/about")
def describe(
    visit: Operating,
    device: str,
    title: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=5_000)] = "",
    tags: Annotated[str, Form(max_length=5_000)] = "",
) -> Response:
    """Change what people call a device, and its tags."""
    try:
        wanted = tags_typed(tags)
        with visit.changing("device.describe", device, tags=" ".join(tags.split())[:400], title=title) as session:
            found = registry_view.device_of(session, visit.fleet, device)
            found.title, found.note = title.strip(), note.replace("\r\n", "\n").strip()
            set_tags(session, found, wanted)
    except ConsoleError as error:
        if status_of(error) != 422:  # noqa: PLR2004  # what was typed
            raise
        return _about_page(visit, device, problem=error, typed=(title, note, tags))
    return go(f"/f/{visit.fleet}/d/{device}/about", "Kept.")


@router.post("/f/{fleet}/d/{device}/revoke")
def revoke(visit: Administering, device: str) -> Response:
    """Revoke a device's certificates: it is put out, and needs a new token."""
    with visit.changing("device.revoke", device) as session:
        found = registry_view.device_of(session, visit.fleet, device)
        count = enrolment.revoke(session, found, f"by {visit.who.user}", visit.now)
        visit.detail["certificates"] = count
    told = f"{count} certificate{'s' if count != 1 else ''} revoked. A new token gives it a new identity."
    return go(f"/f/{visit.fleet}/d/{device}/about", told)


@router.post("/f/{fleet}/d/{device}/retire")
def retire(visit: Administering, device: str, name: Annotated[str, Form(max_length=64)] = "") -> Response:
    """Take a device out of its fleet."""
    if name.strip() != device:
        where = f"/f/{visit.fleet}/d/{device}/about"
        return go(where, "Nothing was done: type the device's name to take it out.", is_problem=True)
    with visit.changing("device.retire", device) as session:
        enrolment.retire(session, registry_view.device_of(session, visit.fleet, device), visit.now)
    return go(f"/f/{visit.fleet}", f"{device} was taken out of the fleet.")


def tags_typed(text: str) -> dict[str, str]:
    """Return tags that were typed as `key=value`, by spaces or lines. Raise ConsoleError naming what is none."""
    tags = {}
    for word in text.split():
        key, _, value = word.partition("=")
        if not _TAG.fullmatch(key) or len(value) > 200:  # noqa: PLR2004  # the table's
            raise ConsoleError(
                f"{word!r:.80} is no tag", remedy="Write key or key=value; keys of letters, digits, dots, hyphens."
            )
        tags[key] = value
    if len(tags) > MOST_TAGS:
        raise ConsoleError(f"{len(tags)} tags, at most {MOST_TAGS}", remedy="Leave some out.")
    return tags


def set_tags(session: Session, device: Device, tags: dict[str, str]) -> None:
    """Give a device these tags and no others."""
    session.execute(delete(Tag).where(Tag.device == device.id))
    session.add_all(Tag(device=device.id, key=key, value=value) for key, value in tags.items())


def _about_page(
    visit: Visit, name: str, *, problem: EdgeAgentError | None = None, typed: tuple[str, str, str] | None = None
) -> Response:
    with visit.reading() as session:
        device = registry_view.device_of(session, visit.fleet, name)
        tags = registry_view.tags(session, device)
        certificates = registry_view.certificates(session, device)
    words = " ".join(f"{key}={value}" if value else key for key, value in tags.items())
    return visit.page(
        "device_about.html",
        status=200 if problem is None else status_of(problem),
        device=device,
        certificates=certificates,
        problem=problem,
        typed=typed or (device.title, device.note, words),
    )
