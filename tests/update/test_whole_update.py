"""From a signed repository on a web server to a confirmed release: every part of the product's own, over real HTTP."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from update.folder_repository import manifest_of, sha256
from update.hostile import Repository, Server, serving
from update.updating import FAMILY, GOOD

from edgeagent.errors import UpdateError
from edgeagent.shipped import built_in_model
from edgeagent.update.course import Job
from edgeagent.update.download import Downloads
from edgeagent.update.journal import Journal
from edgeagent.update.manifest import Machine
from edgeagent.update.metadata import TrustedMetadata
from edgeagent.update.self_test import self_test
from edgeagent.update.steps import Site
from edgeagent.update.store import Store
from edgeagent.update.transports import HttpTransport
from edgeagent.update.trusted_time import BoardClock
from edgeagent.update.updater import advance, starting

BUILT = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = {path.name: path.read_bytes() for path in built_in_model().iterdir() if path.is_file()}


def add_release(repository: Repository, version: str, files: dict[str, bytes]) -> None:
    repository.add(f"{FAMILY}/{version}.json", manifest_of(FAMILY, version, files))
    for content in files.values():
        repository.add(f"{FAMILY}/files/{sha256(content)}", content)
    repository.release("targets")


@contextmanager
def site_of(folder: Path, repository: Repository, server: Server) -> Iterator[Site]:
    store = Store(folder / "updates")
    store.prepare()
    with closing(Journal(store.root / "journal.db")) as journal, closing(HttpTransport(server.address)) as transport:
        metadata = TrustedMetadata(
            folder / "tuf",
            [transport],
            bootstrap=repository.first_root,
            clock=BoardClock(lambda: (datetime.now(UTC), True), BUILT),
        )
        yield Site(
            store=store,
            journal=journal,
            repository=metadata,
            fetcher=Downloads(store.staging, [transport], metadata.path_of),
            machine=Machine("generic", "0.1.0", 512),
            self_test=lambda kind, candidate, current: self_test(kind, candidate, current).model_dump(),
            health=lambda _, __: GOOD,
            built_in=lambda _: built_in_model(),
            why_wait=lambda: "",
            now=lambda: datetime.now(UTC).timestamp(),
        )


def update(folder: Path, repository: Repository, server: Server, version: str) -> tuple[str, str]:
    """Update in two processes' worth of objects; return the state, and what is then opened."""
    with site_of(folder, repository, server) as site:
        site.journal.accept(Job(f"job-{version}", FAMILY, version), site.now())
        advance(site)
    with site_of(folder, repository, server) as site:
        starting(site.store, site.journal, FAMILY)
        advance(site)
        course = site.journal.course(f"job-{version}")
        opened = site.store.opening(FAMILY, built_in_model())
        assert course is not None
        assert opened is not None
        return course.state, "ships" if opened.release is None else opened.release.version


def test_the_model_that_ships_travels_signed_and_is_confirmed(tmp_path: Path) -> None:
    repository = Repository()
    add_release(repository, "0.2.0", MODEL)
    with serving(repository.files) as server:
        assert update(tmp_path, repository, server, "0.2.0") == ("confirmed", "0.2.0")


def test_a31_a_signed_model_that_decides_otherwise_does_not_stay(tmp_path: Path) -> None:
    repository = Repository()
    add_release(repository, "0.2.0", {**MODEL, "golden.json": b"{}"})
    with serving(repository.files) as server:
        assert update(tmp_path, repository, server, "0.2.0") == ("failed", "ships")


def test_a1_what_the_server_makes_up_is_not_installed(tmp_path: Path) -> None:
    repository = Repository()
    add_release(repository, "0.2.0", MODEL)
    repository.files["metadata/2.targets.json"] = repository.files["metadata/2.targets.json"].replace(
        b"0.2.0", b"0.3.0"
    )
    with serving(repository.files) as server:
        assert update(tmp_path, repository, server, "0.3.0") == ("failed", "ships")


def test_what_was_cut_off_in_a_download_goes_on_in_another_process(tmp_path: Path) -> None:
    repository = Repository()
    add_release(repository, "0.2.0", MODEL)
    with serving(repository.files) as server:
        with site_of(tmp_path, repository, server) as site:
            course = site.journal.accept(Job("job-0.2.0", FAMILY, "0.2.0"), site.now())
            site.repository.refresh()
            target = site.repository.target(f"{FAMILY}/0.2.0.json")
            assert target is not None
            manifest = site.fetcher.fetch(target, site.store.staging)
            manifest.rename(site.store.root / "files" / target.sha256)
            notes = {"release": target.sha256, "was": None, "was_previous": None, "targets_version": 2}
            site.journal.move(course, "downloading", now=site.now(), notes=notes)
        assert update(tmp_path, repository, server, "0.2.0") == ("confirmed", "0.2.0")


def test_a_device_without_a_root_of_trust_refuses_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(UpdateError) as caught:
        TrustedMetadata(tmp_path, [], bootstrap=None, clock=BoardClock(lambda: (datetime.now(UTC), True), BUILT))
    assert caught.value.code == "no-root"
