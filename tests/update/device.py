"""A device with a repository beside it, in one process, for tests of whole updates."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from update.folder_repository import FolderFetcher, FolderRepository, publish
from update.updating import FAMILY, GOOD

from edgeagent.errors import UpdateError
from edgeagent.update.course import Course, Job
from edgeagent.update.journal import Journal
from edgeagent.update.manifest import Machine
from edgeagent.update.nouns import Kind
from edgeagent.update.probation import Figures
from edgeagent.update.steps import Site
from edgeagent.update.store import Store
from edgeagent.update.updater import advance, starting

SHARED = b"s" * 2_000


def files_of(version: str) -> dict[str, bytes]:
    return {"manifest.json": version.encode(), "shared.bin": SHARED, "inner/words.txt": version.encode() * 100}


@dataclass
class Device:
    """A device with a repository beside it; what it tells of itself can be set."""

    folder: Path
    clock: float = 1_800_000_000.0
    figures: Figures = GOOD
    verdict: UpdateError | None = None
    reason: str = ""
    store: Store = field(init=False)
    journal: Journal = field(init=False)
    repository: FolderRepository = field(init=False)
    fetcher: FolderFetcher = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "ships").mkdir(exist_ok=True)
        self.repository = FolderRepository(self.folder / "repository")
        self.fetcher = FolderFetcher(self.folder / "repository")
        self.start()

    def start(self) -> None:
        """Begin anew, as after a kill."""
        self.store = Store(self.folder / "updates")
        self.store.prepare()
        self.journal = Journal(self.folder / "updates" / "journal.db")
        self.repository.is_refreshed = False

    def restart(self) -> None:
        self.journal.close()
        self.start()
        starting(self.store, self.journal, FAMILY)

    @property
    def site(self) -> Site:
        def self_test(_: Kind, __: Path, ___: Path | None) -> dict[str, Any]:
            if self.verdict is not None:
                raise self.verdict
            return {"golden": 1}

        return Site(
            self.store, self.journal, self.repository, self.fetcher, Machine("pi4", "0.1.0", 512), self_test,
            health=lambda _, __: self.figures, built_in=lambda _: self.folder / "ships", why_wait=lambda: self.reason,
            now=lambda: self.clock,
        )  # fmt: skip

    def publish(self, version: str, **more: Any) -> str:
        return publish(self.folder / "repository", FAMILY, version, files_of(version), **more)

    def ask(self, version: str, **more: Any) -> Course:
        self.clock += 1
        return self.journal.accept(
            Job(more.pop("job", f"job-{version}-{self.clock:.0f}"), FAMILY, version, created=self.clock, **more),
            self.clock,
        )

    def update(self, version: str, **more: Any) -> Course:
        """Ask for a version and go on until it ends, being started anew in probation."""
        course = self.ask(version, **more)
        advance(self.site)
        self.restart()
        advance(self.site)
        found = self.journal.course(course.job.id)
        assert found is not None
        return found

    @property
    def version(self) -> str:
        """Return the version that would be loaded, whole; "ships" for the one that came with the package."""
        opened = self.store.opening(FAMILY, self.folder / "ships")
        assert opened is not None
        return "ships" if opened.release is None else opened.release.version
