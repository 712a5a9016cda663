"""What the owner of one device asks of its updates: whom it trusts, what there is, what was done.

The root of trust is changed by a ceremony: the new one is looked at, shown, agreed to, and then everything that was
trusted under the old one is forgotten, the floor as well.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeagent.errors import UpdateError
from edgeagent.files import write_durably
from edgeagent.settings import AgentSettings
from edgeagent.update.course import Course, Job
from edgeagent.update.journal import Journal
from edgeagent.update.manifest import by_version
from edgeagent.update.nouns import Repository
from edgeagent.update.places import JOURNAL, TRUST, TUF, UPDATES, trusted_root
from edgeagent.update.roots import facts_of
from edgeagent.update.steps import Site
from edgeagent.update.store import SLOTS, Slot, Store
from edgeagent.update.updater import take_back
from edgeagent.update.waiting import power_of, why_wait
from edgeagent.update.workplace import site_at


def trust(state: Path, root: bytes) -> None:
    """Trust this root from now on, and forget what was trusted before. Raise UpdateError."""
    with journal_of(state, is_alone=True) as (_, journal):
        if journal.under_way() is not None:
            raise UpdateError("an update is under way", code="busy", remedy="Wait, or cancel it first.")
        write_durably(state / TRUST, root)  # first: the old one must never be without its floor
        journal.keep_copy("floor", b"")
        shutil.rmtree(state / TUF, ignore_errors=True)


@contextmanager
def journal_of(state: Path, *, is_alone: bool = False) -> Iterator[tuple[Store, Journal]]:
    """Give what is kept of updates; `is_alone`: while no updater is at work.

    Raise UpdateError, "busy" if one is, "wrong-user" for who would leave files that the agent cannot write.
    """
    if state.exists() and state.stat().st_uid != os.geteuid():
        user = state.owner()
        remedy = f"Do it as the user of the agent: sudo -u {user} edgeagent update …"
        raise UpdateError(f"{state} belongs to {user}", code="wrong-user", remedy=remedy)
    store = Store(state / UPDATES)
    store.prepare()
    with store.lock() if is_alone else nullcontext(), closing(Journal(store.root / JOURNAL)) as journal:
        yield store, journal


@contextmanager
def refreshed(settings: AgentSettings) -> Iterator[Site]:
    """Give the site of this device, whose trusted metadata is up to date. Raise UpdateError."""
    with (
        journal_of(settings.device.state_dir, is_alone=True) as (store, journal),
        site_at(settings, store, journal) as site,
    ):
        site.repository.refresh()
        yield site


def versions_of(trusted: Repository, family: str) -> tuple[str, ...]:
    """Return the versions of a family that may be installed, the one that was released last first."""
    names = [name for name in trusted.names(family) if name.count("/") == 1 and name.endswith(".json")]
    found = [(trusted.target(name), name) for name in names]
    known = [(int(target.custom.get("released", 0)), name) for target, name in found if target is not None]
    return tuple(name.partition("/")[2].removesuffix(".json") for _, name in sorted(known, reverse=True))


def ask_for(settings: AgentSettings, family: str, version: str | None, *, may_go_back: bool = False) -> Course:
    """Take the owner's job for a version, None being the newest one. Raise UpdateError "nothing-there"."""
    if version is None:
        with refreshed(settings) as site:
            version = max(versions_of(site.repository, family), key=by_version, default=None)
        if version is None:
            raise UpdateError(f"nobody has released {family}", code="nothing-there", remedy="edgeagent update check")
    now = time.time()
    job = Job(f"owner-{now:.3f}", family, version, created=now, is_local=True, may_go_back=may_go_back)
    with journal_of(settings.device.state_dir) as (_, journal):
        return journal.accept(job, now)


def cancel(state: Path, family: str | None = None) -> Course | None:
    """Ask that what is under way ends, if it is for this family; return it, None if nothing is. Raise UpdateError."""
    with journal_of(state) as (_, journal):
        course = journal.under_way()
        if course is None or family not in {None, course.job.family}:
            return None
        return journal.wish(course.job.id, "cancel")


def roll_back(state: Path, family: str) -> Course:
    """Make the previous release current again. Raise UpdateError."""
    with journal_of(state, is_alone=True) as (store, journal):
        return take_back(store, journal, family, time.time())


def pin(state: Path, family: str, version: str | None) -> None:
    """Keep a family at a version, None: no longer. Raise UpdateError."""
    with journal_of(state) as (store, _):
        store.kept.pin(family, version)


def status_of(settings: AgentSettings) -> dict[str, Any]:
    """Return what is installed, trusted, pinned and under way, ready for JSON. Raise UpdateError."""
    state = settings.device.state_dir
    root = trusted_root(state)
    trusted = None if root is None else facts_of(root, str(state))
    found: dict[str, Any] = {
        "trusts": None
        if trusted is None
        else {
            "version": trusted.version,
            "expires": f"{trusted.expires:%Y-%m-%d}",
            "from": "owner" if (state / TRUST).exists() else "package",
        },
        "from": [str(one) for one in (settings.update.folder, settings.update.url) if one]
        + (["bus"] if settings.update.over_bus else []),
        "families": {family: {"current": "ships"} for family in settings.update.families},
        "under_way": None,
    }
    if not (state / UPDATES / JOURNAL).exists():
        return found
    with journal_of(state) as (store, journal):
        pins, floors = store.kept.pins(), store.kept.floors()
        for family in {*settings.update.families, *store.families()}:
            versions: dict[str, Any] = {slot: _version_in(store, family, slot) for slot in SLOTS}
            kept = {"pinned": pins.get(family), "security": floors.get(family, 0)}
            found["families"][family] = versions | kept
        course = journal.under_way(time.time())
        found["under_way"] = None if course is None else _row(course) | {"waits_for": _waits_for(settings, course)}
    return found


def _waits_for(settings: AgentSettings, course: Course) -> str:
    """Return what a job waits for that is not begun, nothing if for nothing but the agent."""
    if course.is_begun or course.is_ended:
        return ""
    now = time.time()
    if now < course.job.not_before:
        return f"{datetime.fromtimestamp(course.job.not_before, UTC).isoformat(timespec='minutes')}"
    if not course.is_due(now):
        return f"another try: {course.notes.get('detail', '')}"
    clock = datetime.now().astimezone().time()
    return "" if course.job.is_local else why_wait(settings.update, clock, power_of())


def _version_in(store: Store, family: str, slot: Slot) -> str | None:
    release_id = store.id_in(family, slot)
    try:
        return ("ships" if slot == "current" else None) if release_id is None else store.release(release_id).version
    except UpdateError:
        return "damaged"


def history_of(state: Path) -> list[dict[str, Any]]:
    """Return what became of the last jobs, the newest first. Raise UpdateError."""
    if not (state / UPDATES / JOURNAL).exists():
        return []
    with journal_of(state) as (_, journal):
        return [_row(course) for course in journal.history()]


def _row(course: Course) -> dict[str, Any]:
    return {
        "job": course.job.id,
        "family": course.job.family,
        "version": course.job.version,
        "state": course.state,
        "since": datetime.fromtimestamp(course.changed, UTC).isoformat(timespec="seconds"),
        "notes": dict(course.notes),
    }
