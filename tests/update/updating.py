"""A whole update with the product's own parts: signed metadata, downloads, deltas, store; only the trial is a stand-in.

The repository lies in a folder, as on a stick. What a candidate decides is tried elsewhere (`test_self_test.py`): it is
another process, which writes nothing.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.release.shop import Offer, Shop
from edgeagent.settings import AgentSettings, DeviceSettings, UpdateSettings
from edgeagent.update.course import Course, Job
from edgeagent.update.journal import Journal
from edgeagent.update.nouns import Kind
from edgeagent.update.places import JOURNAL, UPDATES
from edgeagent.update.probation import Figures
from edgeagent.update.store import Store
from edgeagent.update.updater import advance, starting
from edgeagent.update.workplace import Around, site_at

FAMILY = "command-en"
GOOD = Figures(observed_s=90_000.0, starts=1, decisions=100, p95_ms=20.0)


class FolderPublisher:
    """A shop with one family, whose key holders all sign at once, and what it has published."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.out = folder, folder / "repository"
        self._shop = Shop(folder / "shop", lambda _: "x")
        self._shop.init([FAMILY], _now())

    @property
    def root(self) -> bytes:
        return (self.out / "metadata" / "1.root.json").read_bytes()

    def publish(self, version: str, files: Mapping[str, bytes], security: int = 0) -> str:
        """Publish a release; return its id."""
        bundle = self._folder / f"bundle-{version}"
        for name, content in files.items():
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (bundle / name).write_bytes(content)
        self._shop.add(Offer(bundle, FAMILY, version, "model", "0.1.0", security=security), _now())
        for holder in self._shop.holders():
            self._shop.sign(holder)
        self._shop.publish(self.out, _now())
        (manifest,) = (self.out / "targets" / FAMILY).glob(f"*.{version}.json")
        return manifest.name.partition(".")[0]


def update(state: Path, repository: Path, job: str, version: str) -> Course | None:
    """Carry out a job as a daemon would: accept, advance, be started anew, advance."""
    store = Store(state / UPDATES)
    store.prepare()
    with store.lock():
        journal = Journal(store.root / JOURNAL)
        try:
            journal.accept(Job(job, FAMILY, version), time.time())
            settings = AgentSettings(device=DeviceSettings(state_dir=state), update=UpdateSettings(folder=repository))
            with site_at(settings, store, journal, Around(now=_now, built_in=lambda _: None)) as whole:
                site = replace(whole, self_test=_opens, health=lambda _, __: GOOD)
                for _ in range(6):
                    starting(store, journal, FAMILY)
                    course = advance(site)
                    if course is None or course.is_ended:
                        break
            return journal.course(job)
        finally:
            journal.close()


def carry_out(state: Path, repository: Path) -> int:
    """Update to the third release, and tell how it ended; return the exit status: 3 for an UpdateError."""
    try:
        course = update(state, repository, "job-3", "3.0.0")
    except UpdateError as error:
        sys.stdout.write(f"error {error.code}: {error}\n")
        return 3
    sys.stdout.write(f"ended {course.state if course else 'nowhere'}\n")
    sys.stdout.flush()
    return 0


def _opens(_: Kind, candidate: Path, __: Path | None) -> dict[str, int]:
    return {"files": sum(1 for _ in candidate.rglob("*"))}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


if __name__ == "__main__":
    sys.exit(carry_out(*map(Path, sys.argv[1:3])))
