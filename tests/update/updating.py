"""A whole update in a process of its own, to be killed and made to fail: `python -m update.updating ROOT REPOSITORY`.

It imports the update package and no more, so that it starts fast. Exit status 0: ended; 3: an UpdateError, told.
"""

import sys
import time
from pathlib import Path

from update.folder_repository import FolderFetcher, FolderRepository

from edgeagent.errors import UpdateError
from edgeagent.update.course import Course, Job
from edgeagent.update.journal import Journal
from edgeagent.update.manifest import Machine
from edgeagent.update.nouns import Kind
from edgeagent.update.probation import Figures
from edgeagent.update.steps import Site
from edgeagent.update.store import Store
from edgeagent.update.updater import advance, starting

FAMILY = "command-en"
JOURNAL = "journal.db"
GOOD = Figures(observed_s=90_000.0, starts=1, decisions=100, p95_ms=20.0)


def site_at(store: Store, journal: Journal, repository: Path) -> Site:
    def opens(_: Kind, candidate: Path, __: Path | None) -> dict[str, int]:
        return {"files": sum(1 for _ in candidate.rglob("*"))}

    return Site(
        store=store,
        journal=journal,
        repository=FolderRepository(repository),
        fetcher=FolderFetcher(repository),
        machine=Machine("generic", "0.1.0", 512),
        self_test=opens,
        health=lambda _, __: GOOD,
        built_in=lambda _: None,
        why_wait=lambda: "",
        now=lambda: float(int(time.time())),
    )


def update(root: Path, repository: Path, job: str, version: str) -> Course | None:
    """Carry out a job as a daemon would: accept, advance, be started anew, advance."""
    store = Store(root)
    store.prepare()
    with store.lock():
        journal = Journal(root / JOURNAL)
        try:
            journal.accept(Job(job, FAMILY, version), time.time())
            site = site_at(store, journal, repository)
            course = None
            for _ in range(6):
                starting(store, journal, FAMILY)
                course = advance(site)
                if course is None or course.is_ended:
                    break
            return journal.course(job)
        finally:
            journal.close()


def main() -> int:
    root, repository = map(Path, sys.argv[1:3])
    try:
        course = update(root, repository, "job-3", "3.0.0")
    except UpdateError as error:
        sys.stdout.write(f"error {error.code}: {error}\n")
        return 3
    sys.stdout.write(f"ended {course.state if course else 'nowhere'}\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
