"""What was asked of this device, carried out step by step; it may be killed at any point and goes on from there.

Each state names what is done in it (`states.py`), and is in the journal before it is done. So every step may find its
own work done already, in part or whole, and does what is left. The steps stand in `steps.py`.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edgeagent.errors import UpdateError
from edgeagent.update import steps
from edgeagent.update.course import Course, Job
from edgeagent.update.journal import Journal
from edgeagent.update.states import MOST_WRITES, RESTS, Event, Refusal, State, next_state
from edgeagent.update.steps import Found, Site
from edgeagent.update.store import Store
from edgeagent.update.sweeping import empty_staging, sweep

log = logging.getLogger(__name__)

_LAST_WRITE = MOST_WRITES - 2
MOST_STARTS = 3
"""Starts of the agent in probation; at the next one the release before is put back."""

STEPS: Mapping[State, Callable[[Site, Course], Found | None]] = {
    "accepted": steps.admit,
    "waiting": steps.wait,
    "metadata": steps.refresh,
    "planning": steps.plan,
    "downloading": steps.download,
    "verifying": steps.verify,
    "staging": steps.stage,
    "testing": steps.test,
    "switching": steps.switch,
    "probation": steps.watch,
    "rolled back": steps.put_back,
}
"""What is done in each state. None: nothing more can be done now."""


def advance(site: Site) -> Course | None:
    """Carry out what is under way as far as it goes now. Return how far the last job has come; None without any.

    Call it with the store's lock, when a job has come, and every few minutes. Raise UpdateError if the disk does not
    take down what is done, or if the way back is barred: the state stays, and the next call goes on from there.
    """
    settle(site.store, site.journal, site.now())
    last = None
    while (course := site.journal.under_way(site.now())) is not None:
        last = _carry_on(site, course)
        if not last.is_ended:
            return last
        settle(site.store, site.journal, site.now())
    return last


def settle(store: Store, journal: Journal, now: float) -> None:
    """Bring in order what a power cut may have left between two files, and remove what is not needed."""
    store.prepare()
    in_files, in_journal = store.kept.floors(), journal.floors()
    for family in {*in_files, *in_journal}:
        highest = max(in_files.get(family, 0), in_journal.get(family, 0))
        if highest > in_files.get(family, 0):
            store.kept.raise_floor(family, highest)
        if highest > in_journal.get(family, 0):
            journal.raise_floor(family, highest)
    course = journal.under_way(now)
    notes = {} if course is None else course.notes
    needed = [notes[key] for key in ("release", "was", "was_previous") if notes.get(key)]
    sweep(store, releases=needed, files=_files(store, notes.get("release")), now=now)


def _files(store: Store, release_id: str | None) -> list[str]:
    """Return the files of a release that is not put together yet."""
    if release_id is None:
        return []
    try:
        return [release_id, *(file.sha256 for file in store.planned(release_id).files)]
    except UpdateError:
        return [release_id]


def _carry_on(site: Site, course: Course) -> Course:
    if course.state not in {*RESTS, "rolled back"} and course.writes < _LAST_WRITE:
        course = site.journal.note(course, writes=1)  # it was cut off in the middle of this
    while not course.is_ended:
        found = _next(site, course)
        if found is None:
            return course
        event, notes = found
        course = _move(site, course, event, notes)
        if event == "retry":
            return course
    return course


def _next(site: Site, course: Course) -> Found | None:
    """Return what comes of a state: how the job shall end, if that is so, else what the state's step has found."""
    if course.state == "rolled back":
        return steps.put_back(site, course)
    if course.wish:
        return course.wish, {"code": course.wish, "at": course.state}
    if (late := steps.too_late(site, course)) is not None:
        return late
    if course.writes >= _LAST_WRITE and course.state != "probation":  # before the step, which may kill this process
        detail = f"{course.writes} steps, and no end"
        return "fail", {"code": "going-in-circles", "detail": detail, "at": course.state}
    try:
        return STEPS[course.state](site, course)
    except UpdateError as error:
        if error.code == "disk-full":
            empty_staging(site.store)
        asked = site.journal.course(course.job.id)
        if error.code == "cancelled" and asked is not None and asked.wish:
            return asked.wish, {"code": asked.wish, "at": course.state}
        return steps.failed(course, error)
    except Exception as error:  # an update that fails in a way of its own must end all the same
        log.exception("a step has failed")
        return steps.failed(course, UpdateError(f"{type(error).__name__}: {error}", code="crash"))


def _move(site: Site, course: Course, event: Event, notes: Mapping[str, Any]) -> Course:
    state = next_state(course.state, event)
    if isinstance(state, Refusal):
        raise TypeError(str(state))  # the table and a step disagree: ours to mend
    now = site.now()
    spent_s = {**course.notes.get("spent_s", {})}
    spent_s[course.state] = round(spent_s.get(course.state, 0.0) + max(0.0, now - course.changed), 3)
    security = int(course.notes.get("security", 0)) if state == "confirmed" else 0
    ending = {"ending": event} if state == "rolled back" else {}
    log.info("update", extra={"job": course.job.id, "from": course.state, "to": state, "code": notes.get("code", "")})
    return site.journal.move(course, state, now=now, notes={**notes, **ending, "spent_s": spent_s}, security=security)


def starting(store: Store, journal: Journal, family: str) -> None:
    """Count a start of the agent in probation, before it loads the release: the fourth one goes back.

    Call it with the lock, at each start of the agent. Raise UpdateError.
    """
    course = journal.under_way()
    if course is None or course.state != "probation" or course.job.family != family:
        return
    counted = journal.note(course, starts=1)
    if counted.starts > MOST_STARTS:
        detail = f"{MOST_STARTS} starts, and none of them lasted"
        give_up(store, journal, family, code="reboot-loop", detail=detail)


def serves(journal: Journal, family: str) -> None:
    """Count the starts anew, for the agent has been in service for a while with the release that is in probation.

    A start that nobody could count counts too. Raise UpdateError.
    """
    course = journal.under_way()
    if course is not None and course.state == "probation" and course.job.family == family and course.starts != 1:
        journal.note(course, starts=1 - course.starts)


def give_up(store: Store, journal: Journal, family: str, *, code: str, detail: str) -> None:
    """Put back what was before the release that is in probation; nothing where none is. Raise UpdateError."""
    course = journal.under_way()
    if course is None or course.state != "probation" or course.job.family != family:
        return
    notes = {"code": code, "detail": detail, "at": "probation", "ending": "fail"}
    journal.move(course, "rolled back", now=course.changed, notes=notes)
    store.put_back(family, current=course.notes.get("was"), previous=course.notes.get("was_previous"))


def take_back(store: Store, journal: Journal, family: str, now: float) -> Course:
    """Make the previous release current again, or the one that ships, because the owner wants it; the floor holds.

    Raise UpdateError "busy" while a job is under way, "nothing-before" if what ships is current already, "below-floor",
    "damaged".
    """
    settle(store, journal, now)
    if journal.under_way() is not None:
        raise UpdateError("an update is under way", code="busy", remedy="Cancel it, or wait: edgeagent update status.")
    was, before = store.id_in(family, "current"), store.id_in(family, "previous")
    if was is None:
        raise UpdateError(f"{family} is as it ships", code="nothing-before", remedy="Ask for a version.")
    release = None if before is None else store.check(before)
    version, security = ("0", 0) if release is None else (release.version, release.security)
    if security < store.kept.floors().get(family, 0):
        raise UpdateError(
            f"{family} {version} lacks what later releases have mended",
            code="below-floor",
            remedy="Choose a newer release.",
        )
    job = Job(f"owner-{now:.3f}", family, version, created=now, is_local=True, may_go_back=True)
    course = journal.accept(job, now)
    if before is None:
        store.put_back(family, current=None, previous=was)
    else:
        store.switch(family, before)
    notes = {"release": before, "was": was, "by": "owner"}
    return journal.move(course, "confirmed", now=now, notes=notes)
