"""The journal: nothing is forgotten, nothing is done twice, nothing grows. A23, A49, A51, A54, A57."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeagent.errors import UpdateError
from edgeagent.update.course import Course, Job
from edgeagent.update.journal import MOST_ENDS_TOLD, MOST_HISTORY, MOST_STEPS_TOLD, MOST_WAITING, Journal

JOB = Job("job-1", "command-en", "1.0.0", created=10.0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(tmp_path / "journal.db")
    yield found
    found.close()


def finish(journal: Journal, job: Job) -> Course:
    return journal.move(journal.accept(job, 1.0), "failed", now=2.0, notes={"code": "no-room"})


def again(journal: Journal) -> Journal:
    journal.close()
    return Journal(journal.path)


def test_what_was_written_is_there_after_a_restart(journal: Journal) -> None:
    course = journal.move(journal.accept(JOB, 1.0), "waiting", now=2.0, notes={"a": [1]})
    found = again(journal).under_way()
    assert found == course
    assert (course.writes, course.notes) == (2, {"a": [1]})


def test_every_commit_is_synced(journal: Journal) -> None:
    database = journal._database  # noqa: SLF001  # there is no other way to see it
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a49_the_same_job_again_is_told_again_and_not_begun_again(journal: Journal) -> None:
    ended = finish(journal, JOB)
    for told in journal.results():
        journal.acknowledge(told.seq)
    assert journal.accept(replace(JOB, version="2.0.0"), 9.0) == ended
    assert journal.under_way() is None
    (told,) = journal.results()
    assert (told.is_end, told.body["state"], told.body["code"]) == (True, "failed", "no-room")


def test_a51_of_two_jobs_for_a_family_the_newer_wins_whichever_comes_first(journal: Journal) -> None:
    journal.accept(JOB, 1.0)
    newer, older = replace(JOB, id="job-2", created=20.0), replace(JOB, id="job-0", created=5.0)
    journal.accept(newer, 2.0)
    journal.accept(older, 3.0)
    wishes = {course.job.id: course.wish for course in journal.history()}
    assert wishes == {"job-1": "supersede", "job-2": "", "job-0": "supersede"}


def test_jobs_for_other_families_wait_in_their_order(journal: Journal) -> None:
    journal.accept(JOB, 1.0)
    journal.accept(replace(JOB, id="job-2", family="wake"), 2.0)
    course = journal.under_way()
    assert course is not None
    assert (course.job.id, course.wish) == ("job-1", "")
    journal.move(course, "failed", now=3.0)
    after = journal.under_way()
    assert after is not None
    assert after.job.id == "job-2"


def test_too_many_jobs_are_refused(journal: Journal) -> None:
    for number in range(MOST_WAITING):
        journal.accept(replace(JOB, id=f"job-{number}", family=f"family-{number}"), 1.0)
    with pytest.raises(UpdateError) as caught:
        journal.accept(replace(JOB, id="more"), 1.0)
    assert caught.value.code == "too-many-jobs"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "a/b"},
        {"id": "x" * 65},
        {"family": "../x"},
        {"version": "1; DROP"},
        {"created": float("nan")},
    ],
)
def test_a60_what_cannot_be_a_job_is_refused(journal: Journal, changes: dict[str, str]) -> None:
    with pytest.raises(UpdateError) as caught:
        journal.accept(replace(JOB, **changes), 1.0)  # type: ignore[arg-type]
    assert caught.value.code == "bad-job"
    assert journal.history() == ()


def test_a57_what_was_not_acknowledged_is_told_again_by_the_same_id(journal: Journal) -> None:
    finish(journal, JOB)
    first = journal.results()
    assert again(journal).results() == first
    assert len({told.body["id"] for told in first}) == len(first) == 2


def test_a54_steps_are_dropped_first_and_ends_are_kept(journal: Journal) -> None:
    ends = MOST_STEPS_TOLD + 10
    for number in range(ends):
        finish(journal, replace(JOB, id=f"job-{number}"))
    told = journal.results(10_000)
    assert sum(one.is_end for one in told) == ends
    assert sum(not one.is_end for one in told) == MOST_STEPS_TOLD
    assert ends < MOST_ENDS_TOLD


def test_of_too_many_ends_the_newest_are_kept_for_the_fleet(journal: Journal) -> None:
    for number in range(MOST_ENDS_TOLD + 3):
        finish(journal, replace(JOB, id=f"job-{number}", created=float(number)))
    kept = [one.body["job"] for one in journal.results(most=10_000) if one.is_end]
    assert (len(kept), kept[-1]) == (MOST_ENDS_TOLD, f"job-{MOST_ENDS_TOLD + 2}")


def test_history_is_bounded(journal: Journal) -> None:
    for number in range(MOST_HISTORY + 5):
        finish(journal, replace(JOB, id=f"job-{number}"))
    found = journal.history(10_000)
    assert len(found) == MOST_HISTORY
    assert found[0].job.id == f"job-{MOST_HISTORY + 4}"


def test_a_wish_of_another_process_is_seen_at_the_next_write_and_not_lost(journal: Journal) -> None:
    course = journal.accept(JOB, 1.0)
    other = Journal(journal.path)
    other.wish(JOB.id, "cancel")
    other.close()
    assert journal.move(course, "waiting", now=2.0).wish == "cancel"


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1_000, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a23_a_damaged_journal_is_set_aside_and_begun_anew(journal: Journal, damage: bytes) -> None:
    finish(journal, JOB)
    journal.close()
    journal.path.write_bytes(damage)
    new = Journal(journal.path)
    assert new.history() == ()
    new.accept(JOB, 1.0)
    assert new.under_way() is not None
    new.close()
    assert journal.path.with_name("journal.db.damaged").exists() == bool(damage)


def test_a23_a_damaged_file_is_mended_by_its_log_where_that_is_whole(journal: Journal) -> None:
    ended = finish(journal, JOB)
    journal.path.write_bytes(b"garbage" * 1_000)
    assert Journal(journal.path).history() == (ended,)


def test_a23_a_row_that_is_no_job_is_damage_too(journal: Journal) -> None:
    finish(journal, JOB)
    journal.close()
    database = sqlite3.connect(journal.path)
    database.execute("UPDATE jobs SET job = '{}'")
    database.commit()
    database.close()
    assert Journal(journal.path).history() == ()


def test_a_copy_is_kept_of_what_stands_elsewhere(journal: Journal) -> None:
    assert journal.copy("floor") is None
    journal.keep_copy("floor", b"one")
    journal.keep_copy("floor", b"two")
    assert again(journal).copy("floor") == b"two"


def test_the_owners_job_stands_before_the_fleets_and_the_fleet_cannot_end_it(journal: Journal) -> None:
    own = journal.accept(replace(JOB, id="own", is_local=True), 1.0)
    journal.accept(replace(JOB, id="fleet", created=99.0), 2.0)
    assert (journal.course("own"), journal.course("fleet").wish) == (own, "supersede")  # type: ignore[union-attr]


def test_the_owner_supersedes_the_fleet_whatever_its_clock_says(journal: Journal) -> None:
    journal.accept(replace(JOB, id="fleet", created=1e9), 1.0)
    assert not journal.accept(replace(JOB, id="own", is_local=True, created=5.0), 2.0).wish
    assert journal.course("fleet").wish == "supersede"  # type: ignore[union-attr]


def test_a_job_for_next_month_keeps_no_other_waiting(journal: Journal) -> None:
    far = journal.accept(replace(JOB, id="far", not_before=9e9), 1.0)
    near = journal.accept(replace(JOB, id="near", family="wake"), 2.0)
    assert journal.under_way(3.0) == near
    own = journal.accept(replace(JOB, id="own", family="said", is_local=True), 3.0)
    assert journal.under_way(3.0) == own
    begun = journal.move(journal.move(near, "waiting", now=4.0), "metadata", now=5.0)
    assert journal.under_way(5.0) == begun
    for job in (begun, own):
        journal.move(job, "failed", now=6.0)
    assert journal.under_way(7.0) == far


def test_a_journal_that_another_process_has_set_aside_is_noticed(journal: Journal) -> None:
    assert journal.is_current()
    journal.path.replace(journal.path.with_suffix(".damaged"))
    assert not journal.is_current()
    Journal(journal.path).close()
    assert not journal.is_current()
