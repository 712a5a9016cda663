"""The store: what is opened, what is refused, what falls back to what. A20-A22, A25, A26, A36."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from update.cutting import FILES, TESTS, Bench, bench_in
from update.folder_repository import sha256
from update.updating import FAMILY, update

from edgeagent.errors import UpdateError
from edgeagent.shipped import built_in_model
from edgeagent.update.journal import Journal
from edgeagent.update.kept import Quarantined
from edgeagent.update.nouns import ReleaseFile
from edgeagent.update.places import JOURNAL, UPDATES
from edgeagent.update.store import Store
from edgeagent.update.sweeping import PARTIALS_KEPT_S, sweep


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Release 2 is current, release 1 the previous one."""
    return bench_in(tmp_path)


def store_of(bench: Bench) -> Store:
    return Store(bench.prepared / UPDATES)


def flip_a_bit(bench: Bench, version: str, name: str) -> None:
    path = store_of(bench).bundle(bench.ids[version]) / name
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def source_of(bench: Bench) -> str:
    opened = store_of(bench).opening(FAMILY, built_in_model())
    assert opened is not None
    assert (opened.folder / "manifest.json").is_file()
    return opened.source


def code_of(store: Store, release: str) -> str:
    with pytest.raises(UpdateError) as caught:
        store.check(release)
    return caught.value.code


def test_the_current_release_is_opened_as_its_maker_laid_it_out(bench: Bench) -> None:
    opened = store_of(bench).opening(FAMILY, None)
    assert opened is not None
    assert (opened.source, opened.problems) == ("current", ())
    assert {str(path.relative_to(opened.folder)) for path in opened.folder.rglob("*") if path.is_file()} == set(
        FILES["2.0.0"]
    )
    assert (opened.folder / "shared.bin").stat().st_mode & 0o777 == 0o444


def test_releases_share_the_files_that_they_have_in_common(bench: Bench) -> None:
    store = store_of(bench)
    one, two = (store.bundle(bench.ids[version]) / "shared.bin" for version in ("1.0.0", "2.0.0"))
    assert one.samefile(two)


def test_a22_a_flipped_bit_is_seen_when_it_is_opened_and_the_previous_release_serves(bench: Bench) -> None:
    flip_a_bit(bench, "2.0.0", "inner/words.txt")
    assert source_of(bench) == "previous"


def test_a36_with_both_damaged_the_release_that_ships_serves(bench: Bench) -> None:
    flip_a_bit(bench, "2.0.0", "shared.bin")  # release 1 has the same file
    opened = store_of(bench).opening(FAMILY, built_in_model())
    assert opened is not None
    assert (opened.source, opened.release, len(opened.problems)) == ("built-in", None, 2)
    assert "damaged" in opened.problems[0]


def test_a36_with_everything_gone_the_release_that_ships_serves(bench: Bench) -> None:
    shutil.rmtree(bench.prepared / UPDATES)
    assert source_of(bench) == "built-in"
    assert store_of(bench).opening(FAMILY, None) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 100])
def test_a_manifest_that_was_changed_is_damage(bench: Bench, content: bytes) -> None:
    path = bench.prepared / UPDATES / "releases" / bench.ids["2.0.0"] / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(content)
    assert source_of(bench) == "previous"


@pytest.mark.parametrize(
    "target", ["/etc", "../../releases/../../etc", "../../releases/" + "0" * 64, "nowhere", "../.."]
)
def test_a26_a_link_that_leads_elsewhere_is_not_followed(bench: Bench, target: str) -> None:
    link = bench.prepared / UPDATES / "slots" / FAMILY / "current"
    link.unlink()
    link.symlink_to(target)
    assert source_of(bench) == "previous"


def test_a26_a_link_planted_in_a_release_is_refused(bench: Bench) -> None:
    store, release = store_of(bench), bench.ids["2.0.0"]
    path = store.bundle(release) / "inner" / "words.txt"
    path.rename(bench.work / "words.txt")
    path.symlink_to(bench.work / "words.txt")
    assert code_of(store, release) == "planted"


def test_a26_a_folder_that_was_made_a_link_is_refused(bench: Bench) -> None:
    store, release = store_of(bench), bench.ids["2.0.0"]
    inner = store.bundle(release) / "inner"
    inner.rename(bench.work / "inner")
    inner.symlink_to(bench.work / "inner")
    assert code_of(store, release) == "planted"


def test_a26_a_file_too_many_is_refused(bench: Bench) -> None:
    store, release = store_of(bench), bench.ids["2.0.0"]
    (store.bundle(release) / "more.yaml").write_text("intents: {}")
    assert code_of(store, release) == "planted"


def test_a26_a_link_planted_in_staging_is_not_taken_and_what_it_names_is_left_alone(bench: Bench) -> None:
    store, secret = store_of(bench), bench.work / "secret"
    secret.write_bytes(b"secret")
    fetched = store.staging / sha256(b"secret")
    fetched.symlink_to(secret)
    with pytest.raises(UpdateError) as caught:
        store.adopt(fetched, ReleaseFile("a", sha256(b"secret"), 6))
    assert caught.value.code == "planted"
    assert not os.path.lexists(fetched)
    assert secret.read_bytes() == b"secret"


def test_a26_a_link_planted_among_the_files_is_removed_and_the_file_fetched_anew(bench: Bench) -> None:
    store, name = store_of(bench), sha256(FILES["3.0.0"]["new.bin"])
    (bench.work / "planted").write_bytes(FILES["3.0.0"]["new.bin"])
    (bench.prepared / UPDATES / "files" / name).symlink_to(bench.work / "planted")
    course = update(bench.prepared, bench.repository, "job-3", "3.0.0")
    assert course is not None
    assert course.state == "confirmed"
    assert not (bench.prepared / UPDATES / "files" / name).is_symlink()
    store.check(bench.ids["3.0.0"])


@pytest.mark.parametrize("name", ["files", "releases", "staging", "slots"])
def test_a26_a_folder_of_the_store_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UpdateError) as caught:
        Store(tmp_path / "root").prepare()
    assert caught.value.code == "planted"


def test_a16_another_file_of_the_same_length_is_removed(bench: Bench) -> None:
    store = store_of(bench)
    fetched = store.staging / "x"
    fetched.write_bytes(b"abd")
    with pytest.raises(UpdateError) as caught:
        store.adopt(fetched, ReleaseFile("a", sha256(b"abc"), 3))
    assert caught.value.code == "damaged"
    assert not fetched.exists()


def test_a25_a_second_updater_ends_with_a_clear_error(bench: Bench) -> None:
    with store_of(bench).lock():
        program = [sys.executable, "-m", "update.updating", str(bench.prepared), str(bench.repository)]
        paths = f"{TESTS.parent}{os.pathsep}{TESTS}"
        found = subprocess.run(
            program, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths}
        )
    assert (found.returncode, found.stdout.split(":")[0]) == (3, "error busy")
    with store_of(bench).lock():
        pass


SERVING = """
import sys
from pathlib import Path
from edgeagent.errors import UpdateError
from edgeagent.update.store import Store
from update.updating import FAMILY, update
root, repository = map(Path, sys.argv[1:])
store = Store(root / "updates")
opened = store.opening(FAMILY, None)
print(opened.source, opened.problems)
try:
    update(root, repository, "job-3", "3.0.0")
except UpdateError as error:
    print(error.code)
print(store.opening(FAMILY, None).source)
"""


def test_a21_on_a_read_only_file_system_the_release_serves_and_the_update_says_why_not(bench: Bench) -> None:
    changing = "mkdir,rename,symlink,unlink,linkat,pwrite64,ftruncate,fchmod"
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={changing}",
        "-e",
        f"inject={changing}:error=EROFS",
    ]
    found = subprocess.run(
        [*command, sys.executable, "-B", "-c", SERVING, str(bench.prepared), str(bench.repository)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    )
    assert found.stdout.splitlines() == ["current ()", "read-only", "current"], found.stderr


def test_what_nobody_needs_is_swept_and_what_is_needed_stays(bench: Bench) -> None:
    store = store_of(bench)
    update(bench.prepared, bench.repository, "job-3", "3.0.0")
    sweep(store, releases=(), files=(), now=time.time())
    assert {path.name for path in (bench.prepared / UPDATES / "releases").iterdir()} == {
        bench.ids["2.0.0"],
        bench.ids["3.0.0"],
    }
    wanted = {sha256(raw) for version in ("2.0.0", "3.0.0") for raw in FILES[version].values()}
    files = {path.name for path in (bench.prepared / UPDATES / "files").iterdir()}
    assert files == {*wanted, bench.ids["2.0.0"], bench.ids["3.0.0"]}


def test_a_partial_is_kept_for_a_week_and_links_are_not(bench: Bench) -> None:
    store = store_of(bench)
    young, old, link = (store.staging / name for name in ("young.part", "old.part", "link"))
    for path in (young, old):
        path.write_bytes(b"x")
    link.symlink_to("/etc/passwd")
    now = time.time()
    os.utime(old, (now, now - PARTIALS_KEPT_S - 1))
    sweep(store, releases=(), files=(), now=now + 1)
    assert [path.name for path in store.staging.iterdir()] == ["young.part"]
    assert Path("/etc/passwd").is_file()


def test_a_floor_is_never_lowered_and_a_damaged_file_counts_as_none(bench: Bench) -> None:
    kept = store_of(bench).kept
    kept.raise_floor(FAMILY, 5)
    kept.raise_floor(FAMILY, 2)
    assert kept.floors() == {FAMILY: 5}
    (bench.prepared / UPDATES / "security.json").write_bytes(b"\xff")
    assert kept.floors() == {}


def test_the_journal_and_the_file_heal_one_another(bench: Bench) -> None:
    (bench.prepared / UPDATES / "security.json").unlink()
    update(bench.prepared, bench.repository, "job-2", "2.0.0")
    assert store_of(bench).kept.floors() == {FAMILY: 1}
    (bench.prepared / UPDATES / JOURNAL).unlink()
    update(bench.prepared, bench.repository, "job-4", "2.0.0")
    journal = Journal(bench.prepared / UPDATES / JOURNAL)
    assert journal.floors() == {FAMILY: 1}
    journal.close()


def test_a_quarantine_lasts_until_newer_metadata(bench: Bench) -> None:
    kept = store_of(bench).kept
    kept.quarantine(Quarantined(release="a" * 64, code="self-test-wrong", targets_version=7))
    assert kept.quarantined("a" * 64, 7) is not None
    assert kept.quarantined("a" * 64, 8) is None
    assert kept.quarantined("b" * 64, 7) is None


def test_a_pin_is_a_version_or_nothing(bench: Bench) -> None:
    kept = store_of(bench).kept
    kept.pin(FAMILY, "1.0.0")
    assert kept.pins() == {FAMILY: "1.0.0"}
    kept.pin(FAMILY, None)
    assert kept.pins() == {}
    with pytest.raises(UpdateError):
        kept.pin("../x", "1.0.0")
