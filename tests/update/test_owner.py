"""What the owner of one device asks of its updates, with a repository of our own publisher over real HTTP."""

import functools
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner
from update.updating import GOOD

from edgeagent import BUILT
from edgeagent.__main__ import app
from edgeagent.errors import EdgeAgentError, UpdateError
from edgeagent.release.shop import Offer, Shop
from edgeagent.settings import load
from edgeagent.update.course import Course, Job
from edgeagent.update.owner import ask_for, journal_of, refreshed
from edgeagent.update.places import EMBEDDED, trusted_root
from edgeagent.update.roots import facts_of
from edgeagent.update.updater import advance, starting
from edgeagent.update.workplace import site_at

NOW = datetime.now(UTC).replace(microsecond=0)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def publisher(folder: Path, name: str, *versions: str) -> Path:
    """Publish these versions; return the folder that is served."""
    shop = Shop(folder / name, lambda _: "x")
    shop.init(["command-en"], NOW)
    for version in versions:
        bundle = folder / f"{name}-{version}"
        bundle.mkdir()
        (bundle / "model").write_text(version)
        shop.add(Offer(bundle, "command-en", version, "model", "0.1.0"), NOW)
    for holder in shop.holders():
        shop.sign(holder)
    shop.publish(folder / f"{name}-out", NOW)
    return folder / f"{name}-out"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Give a served repository, and the settings of a device that reads it."""
    out = publisher(tmp_path, "mine", "1.0.0", "1.1.0")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(out))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        settings = tmp_path / "s.toml"
        url = f"http://127.0.0.1:{httpd.server_port}/"
        settings.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n[update]\nurl = "{url}"\n')
        yield out, settings
        httpd.shutdown()
        thread.join()


def ran(settings: Path, *arguments: str) -> str:
    found = CliRunner().invoke(app, ["update", *arguments, "--settings", str(settings)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def code_of(settings: Path, *arguments: str) -> str:
    with pytest.raises(EdgeAgentError) as caught:
        ran(settings, *arguments)
    assert isinstance(caught.value, UpdateError)
    return caught.value.code


def test_a_device_trusts_the_package_alone_until_its_owner_trusts_somebody_else(served: tuple[Path, Path]) -> None:
    out, settings = served
    assert code_of(settings, "check") == "unsigned"
    assert json.loads(ran(settings, "status", "--json"))["trusts"]["from"] == "package"
    told = ran(settings, "trust", str(out / "metadata" / "1.root.json"), "--yes")
    assert "2 of these keys must sign" in told
    assert json.loads(ran(settings, "check", "--json")) == {"command-en": ["1.1.0", "1.0.0"]}
    assert json.loads(ran(settings, "history", "--json")) == []


def test_trusting_somebody_else_forgets_what_was_trusted_before(served: tuple[Path, Path], tmp_path: Path) -> None:
    out, settings = served
    ran(settings, "trust", str(out / "metadata" / "1.root.json"), "--yes")
    ran(settings, "check")
    other = publisher(tmp_path, "other", "2.0.0")
    ran(settings, "trust", str(other / "metadata" / "1.root.json"), "--yes")
    assert code_of(settings, "check") in {"unsigned", "bad-metadata"}  # the server is still the first publisher's
    ran(settings, "trust", str(out / "metadata" / "1.root.json"), "--yes")
    assert json.loads(ran(settings, "check", "--json")) == {"command-en": ["1.1.0", "1.0.0"]}


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"signatures": [], "signed": {"_type": "targets"}}'])
def test_what_is_no_root_of_trust_is_refused_and_changes_nothing(
    served: tuple[Path, Path], tmp_path: Path, content: bytes
) -> None:
    out, settings = served
    ran(settings, "trust", str(out / "metadata" / "1.root.json"), "--yes")
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    assert code_of(settings, "trust", str(bad), "--yes") == "bad-root"
    assert code_of(settings, "trust", str(tmp_path / "nowhere.json"), "--yes") == "bad-root"
    assert "1.1.0" in ran(settings, "check")


def test_a_root_whose_signatures_are_of_others_is_refused(served: tuple[Path, Path], tmp_path: Path) -> None:
    out, settings = served
    root = json.loads((out / "metadata" / "1.root.json").read_bytes())
    root["signed"]["version"] = 7
    forged = tmp_path / "7.root.json"
    forged.write_text(json.dumps(root))
    assert code_of(settings, "trust", str(forged), "--yes") == "bad-root"


def test_who_is_asked_and_says_no_trusts_nobody(served: tuple[Path, Path]) -> None:
    out, settings = served
    arguments = ["update", "trust", str(out / "metadata" / "1.root.json"), "--settings", str(settings)]
    assert CliRunner().invoke(app, arguments, input="n\n").exit_code == 1
    assert code_of(settings, "check") == "unsigned"


def test_without_any_root_of_trust_there_is_none(tmp_path: Path) -> None:
    assert trusted_root(tmp_path, tmp_path / "none.json") is None


def test_a_root_of_the_owners_that_cannot_be_read_is_not_replaced_by_the_packages(tmp_path: Path) -> None:
    (tmp_path / "root.json").mkdir()
    with pytest.raises(UpdateError):
        trusted_root(tmp_path)


def test_the_packages_root_is_whole_and_lasts() -> None:
    facts = facts_of(EMBEDDED.read_bytes(), "package")
    assert (facts.threshold, len(facts.keys)) == (2, 3)
    assert facts.expires - BUILT > timedelta(days=300)


def test_without_a_repository_it_is_said_what_to_set(tmp_path: Path) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    assert code_of(settings, "check") == "no-repository"


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (Job("j1", "command-en", "1.0.0"), "it is not"),
        (Job("j1", "command-en", "1.0.0", not_before=4e9), "2096-"),
        (Job("j1", "command-en", "1.0.0", is_local=True), ""),
    ],
)
def test_the_status_tells_what_a_job_waits_for(tmp_path: Path, job: Job, reason: str) -> None:
    minute = datetime.now().astimezone() + timedelta(hours=2)
    settings = tmp_path / "s.toml"
    window = f"{minute:%H:%M}-{minute + timedelta(minutes=1):%H:%M}"
    settings.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n[update]\nwindow = "{window}"\n')
    with journal_of(tmp_path / "state") as (_, journal):
        journal.accept(job, 1.0)
    told = json.loads(ran(settings, "status", "--json"))["under_way"]["waits_for"]
    assert told.startswith(reason)
    assert bool(told) is bool(reason)
    assert (f"waits for: {reason}" in ran(settings, "status")) is bool(reason)


def test_who_would_leave_files_that_the_agent_cannot_write_is_sent_to_its_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    settings = tmp_path / "s.toml"
    settings.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, 65534)
    assert code_of(settings, "pin", "--as", "1.0.0") == "wrong-user"


def waiting(settings: Path, version: str, *, may_go_back: bool = False) -> Course:
    """Ask for a version as `edgeagent update apply` does, and carry it out as far as it goes."""
    wanted = load(settings)
    course = ask_for(wanted, "command-en", version, may_go_back=may_go_back)
    with (
        journal_of(wanted.device.state_dir, is_alone=True) as (store, journal),
        site_at(wanted, store, journal) as site,
    ):
        advance(replace(site, self_test=lambda *_: {}, health=lambda *_: GOOD))
        starting(store, journal, "command-en")
        advance(replace(site, self_test=lambda *_: {}, health=lambda *_: GOOD))
        found = journal.course(course.job.id)
    assert found is not None
    return found


def test_a_repository_that_is_empty_or_has_moved_is_waited_for_and_one_of_another_fleet_refused(
    served: tuple[Path, Path], tmp_path: Path
) -> None:
    out, settings = served
    ran(settings, "trust", str(out / "metadata" / "1.root.json"), "--yes")
    out.rename(tmp_path / "moved")
    found = waiting(settings, "1.1.0")
    assert (found.state, found.notes["tries"], found.notes["retry_s"]) == ("waiting", 1, 60.0)
    out.mkdir()
    with pytest.raises(UpdateError) as caught, refreshed(load(settings)):
        pass
    assert caught.value.code == "absent"
    out.rmdir()
    publisher(tmp_path, "other", "1.1.0").rename(out)
    assert code_of(settings, "check") == "unsigned"


def test_the_owner_goes_back_to_an_older_version_only_by_asking_for_it_and_it_is_logged(
    served: tuple[Path, Path],
) -> None:
    out, settings = served
    ran(settings, "trust", str(out / "metadata" / "1.root.json"), "--yes")
    assert waiting(settings, "1.1.0").state == "confirmed"
    found = waiting(settings, "1.0.0")
    assert (found.state, found.notes["code"]) == ("rejected", "downgrade")
    assert waiting(settings, "1.0.0", may_go_back=True).state == "confirmed"
    told = json.loads(ran(settings, "history", "--json"))
    assert [(one["version"], one["state"]) for one in told] == [
        ("1.0.0", "confirmed"),
        ("1.0.0", "rejected"),
        ("1.1.0", "confirmed"),
    ]
