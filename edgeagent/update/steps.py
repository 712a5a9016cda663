"""The steps of an update, one for each state: what is done there, and what comes of it.

A step may be done twice. What it returns is an event of `states.py` and what was found, which goes into the journal
with the next state; an UpdateError is taken for the failure of the job, or for "later" where the cause may pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeagent.errors import UpdateError
from edgeagent.update.course import Course
from edgeagent.update.journal import Journal
from edgeagent.update.kept import Quarantined
from edgeagent.update.manifest import LARGEST_BYTES, Machine, by_version, refuse_unfit
from edgeagent.update.nouns import Fetcher, Kind, Release, ReleaseFile, Repository, Target
from edgeagent.update.probation import DEFAULT, Figures, Limits, judge
from edgeagent.update.states import Event, State
from edgeagent.update.store import MANIFEST, Store

RESERVE_BYTES = 16 << 20
"""Room that is left for everything else."""
MOST_TRIES = 6
FIRST_RETRY_S = 60.0
"""Until the second try; each wait after it is four times as long, the last one four hours."""
RETRIED = frozenset({"unreachable", "too-slow", "cut", "changed", "tls", "absent"})
"""What may pass by itself."""
LONGEST_DETAIL = 500
_CAN_BE_LATE: frozenset[State] = frozenset({"accepted", "waiting", "metadata", "planning", "downloading"})
_BLAMED = frozenset({
    *("reboot-loop", "does-not-open", "crash", "crashes"),
    *("slower", "more-rejected", "more-repeated", "more-ended-by-cap"),
})  # fmt: skip
_REFUSALS = frozenset({
    *("bad-manifest", "unsupported-abi", "agent-too-old", "wrong-board", "too-little-memory"),
    *("quarantined", "below-floor", "downgrade", "not-signed"),
})  # fmt: skip

Found = tuple[Event, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Site:
    """Where an update happens: what is kept, where it comes from, and what the rest of the agent tells.

    `self_test` takes the kind, the candidate's folder and the current one's, and raises UpdateError; `health` gives the
    figures of a release of a family, None being the one that ships; `built_in` its folder by family; `why_wait` says
    why nothing may begin now, or nothing; `now` gives seconds since 1970.
    """

    store: Store
    journal: Journal
    repository: Repository
    fetcher: Fetcher
    machine: Machine
    self_test: Callable[[Kind, Path, Path | None], Mapping[str, Any]]
    health: Callable[[str, str | None], Figures]
    built_in: Callable[[str], Path | None]
    why_wait: Callable[[], str]
    now: Callable[[], float]
    limits: Limits = DEFAULT
    reserve_bytes: int = RESERVE_BYTES


def admit(site: Site, course: Course) -> Found | None:
    """Refuse what the owner does not want."""
    pinned = site.store.kept.pins().get(course.job.family)
    if pinned is not None and by_version(pinned) != by_version(course.job.version):
        return "refuse", {"code": "pinned", "detail": f"the owner keeps {course.job.family} at {pinned}"}
    return "done", {}


def wait(site: Site, course: Course) -> Found | None:
    """Begin when it is time: not before the job says, nor soon after a failure, nor while something else goes first."""
    if not course.is_due(site.now()) or (not course.job.is_local and site.why_wait()):
        return None
    return "done", {}


def refresh(site: Site, _: Course) -> Found | None:
    """Bring the trusted metadata up to date."""
    site.repository.refresh()
    return "done", {"targets_version": site.repository.version}


def plan(site: Site, course: Course) -> Found | None:
    """Find what the metadata says the job is, and whether this device may and can have it."""
    job, store = course.job, site.store
    target = _target(site.repository, f"{job.family}/{job.version}.json")
    if target is None:
        return "refuse", {"code": "not-signed", "detail": f"nobody has signed {job.family} {job.version}"}
    release = _manifest(site, target)
    if (release.family, by_version(release.version)) != (job.family, by_version(job.version)):
        detail = f"asked for {job.family} {job.version}, found {release.family} {release.version}"
        return "refuse", {"code": "bad-manifest", "detail": detail}
    refuse_unfit(release, site.machine)
    was = store.id_in(job.family, "current")
    if was == release.id and _is_whole(store, was):
        return "already", {"release": release.id, "security": release.security}
    _refuse_unwanted(site, course, release, was)
    missing = sum(file.length for file in store.missing(release))
    if missing + site.reserve_bytes > store.room():
        detail = f"{missing} bytes are missing here, {store.room()} bytes are free"
        return "fail", {"code": "no-room", "detail": detail, "at": course.state}
    return "done", {
        "release": release.id,
        "security": release.security,
        "was": was,
        "was_previous": store.id_in(job.family, "previous"),
        "missing_bytes": missing,
        "reused_bytes": sum(file.length for file in release.files) - missing,
    }


def _target(repository: Repository, name: str) -> Target | None:
    try:
        return repository.target(name)
    except UpdateError as error:
        if error.code != "not-refreshed":
            raise
    repository.refresh()  # this process was started anew in the middle of the plan
    return repository.target(name)


def _manifest(site: Site, target: Target) -> Release:
    """Return the release of a signed manifest, which from then on is a file of the store."""
    if target.length > LARGEST_BYTES:
        raise UpdateError(
            f"{target.name}: {target.length} bytes are announced", code="bad-manifest", remedy="Ask who publishes it."
        )
    file = ReleaseFile(MANIFEST, target.sha256, target.length)
    if not site.store.has(file):
        site.store.adopt(_fetch(site, target), file)
    return site.store.planned(target.sha256)


def _fetch(site: Site, target: Target) -> Path:
    try:
        return site.fetcher.fetch(target, site.store.staging)
    except UpdateError as error:
        if error.code != "not-refreshed":
            raise
    site.repository.refresh()  # where files lie is told by the metadata
    return site.fetcher.fetch(target, site.store.staging)


def _is_whole(store: Store, release_id: str) -> bool:
    try:
        store.check(release_id)
    except UpdateError:
        return False
    return True


def _refuse_unwanted(site: Site, course: Course, release: Release, was: str | None) -> None:
    """Raise UpdateError "quarantined", "below-floor" or "downgrade"."""
    job = course.job
    kept = site.store.kept
    if (failed := kept.quarantined(release.id, int(course.notes.get("targets_version", 0)))) is not None:
        raise UpdateError(
            f"{job.family} {job.version} has failed here: {failed.code}",
            code="quarantined",
            remedy="It is tried again when its publisher has published anything newer.",
        )
    floor = max(kept.floors().get(job.family, 0), site.journal.floors().get(job.family, 0))
    if release.security < floor:
        raise UpdateError(
            f"{job.family} {job.version} lacks what {floor - release.security} releases have mended",
            code="below-floor",
            remedy="Choose a newer release.",
        )
    try:
        installed = None if was is None else site.store.release(was).version
    except UpdateError:
        installed = None  # damaged: anything above the floor is better
    is_older = installed is not None and by_version(release.version) < by_version(installed)
    if is_older and not (job.is_local and job.may_go_back):
        raise UpdateError(
            f"{job.family} {job.version} is older than {installed}",
            code="downgrade",
            remedy="The owner can ask for it on the device itself.",
        )


def download(site: Site, course: Course) -> Found | None:
    """Fetch what is not here, file by file. The manifest is verified: its word on a file is as good as a signature."""
    release = site.store.planned(course.notes["release"])
    for file in site.store.missing(release):
        current = site.journal.course(course.job.id)
        if current is not None and current.wish:
            return current.wish, {"code": current.wish, "at": course.state}
        target = Target(f"{release.family}/files/{file.sha256}", file.length, file.sha256)
        site.store.adopt(_fetch(site, target), file)
    return "done", {"saved_bytes": site.fetcher.saved_bytes}


def verify(site: Site, course: Course) -> Found | None:
    """Read every file back from the disk."""
    missing = site.store.missing(site.store.planned(course.notes["release"]))
    if missing:
        raise UpdateError(f"{missing[0].path}: gone after it was fetched", code="damaged", remedy="Look at the disk.")
    return "done", {}


def stage(site: Site, course: Course) -> Found | None:
    """Put the release together beside the current one."""
    release = site.store.planned(course.notes["release"])
    site.store.stage(release)
    site.store.nominate(release.family, release.id)
    return "done", {}


def test(site: Site, course: Course) -> Found | None:
    """Try the candidate, and note how the current release does."""
    release = site.store.check(course.notes["release"])
    current = site.store.opening(release.family, site.built_in(release.family))
    folder = None if current is None else current.folder
    report = site.self_test(release.kind, site.store.bundle(release.id), folder)
    return "done", {
        "self_test": dict(report),
        "before": asdict(site.health(course.job.family, course.notes.get("was"))),
    }


def switch(site: Site, course: Course) -> Found | None:
    """Make the candidate current. The agent loads it at its next start."""
    site.store.switch(course.job.family, course.notes["release"])
    return "done", {}


def watch(site: Site, course: Course) -> Found | None:
    """Judge how the release does, once the agent has been started with it."""
    release_id = course.notes["release"]
    if site.store.id_in(course.job.family, "current") != release_id:
        raise UpdateError("another release is current", code="not-current", remedy="Look who else writes there.")
    site.store.check(release_id)
    if not course.starts:
        return None
    verdict = judge(Figures(**course.notes["before"]), site.health(course.job.family, release_id), site.limits)
    evidence = {"evidence": dict(verdict.evidence or {})}
    if verdict.decision == "roll back":
        return "fail", {"code": verdict.code, "detail": "in probation", "at": course.state, **evidence}
    return ("done", evidence) if verdict.decision == "confirm" else None


def put_back(site: Site, course: Course) -> Found | None:
    """Make the links what they were, and remember what is to blame."""
    notes = course.notes
    if "was" in notes:
        site.store.put_back(course.job.family, current=notes["was"], previous=notes["was_previous"])
        code = str(notes.get("code", ""))
        if notes["ending"] == "fail" and (code in _BLAMED or code.startswith("self-test-")):
            failed = Quarantined(release=notes["release"], code=code, targets_version=notes.get("targets_version", 0))
            site.store.kept.quarantine(failed)
    return notes["ending"], {}


def too_late(site: Site, course: Course) -> Found | None:
    """Return that a job has run out of time, if it has, and has not switched yet."""
    last = course.job.not_after
    if last is None or course.state not in _CAN_BE_LATE or site.now() <= last:
        return None
    return "time out", {"code": "timed-out", "detail": f"in {course.state}", "at": course.state}


def failed(course: Course, error: UpdateError) -> Found:
    """Return what an error in a step makes of the job: later, never, or failed with what is known of it."""
    notes = {"code": error.code, "detail": str(error)[:LONGEST_DETAIL], "remedy": error.remedy, "at": course.state}
    tries = int(course.notes.get("tries", 0)) + 1
    if error.code in RETRIED and course.state in {"metadata", "planning", "downloading"} and tries < MOST_TRIES:
        return "retry", {"tries": tries, "retry_s": FIRST_RETRY_S * 4 ** (tries - 1), "detail": notes["detail"]}
    if course.state == "planning" and error.code in _REFUSALS:
        return "refuse", notes
    return "fail", notes
