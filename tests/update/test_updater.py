"""Whole updates in one process: what ends how, and that any order of events leaves something that can obey."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from update.device import SHARED, Device, files_of
from update.folder_repository import publish_raw, sha256
from update.updating import FAMILY, GOOD

from edgeagent.errors import UpdateError
from edgeagent.update.course import Course
from edgeagent.update.nouns import Target
from edgeagent.update.states import MOST_WRITES
from edgeagent.update.steps import MOST_TRIES
from edgeagent.update.updater import MOST_STARTS, advance, give_up, serves, starting, take_back


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    found = Device(tmp_path)
    found.publish("1.0.0")
    found.publish("2.0.0", security=1)
    yield found
    found.journal.close()


def refuses(code: str, names: str = "files/") -> Callable[[Target], None]:
    def refuse(target: Target) -> None:
        if names in target.name:
            raise UpdateError("the test says so", code=code)

    return refuse


def code_of(course: Course) -> tuple[str, object]:
    return course.state, course.notes.get("code")


def test_an_update_is_confirmed_after_a_start_and_tells_what_it_took(device: Device) -> None:
    course = device.update("1.0.0")
    assert (course.state, device.version) == ("confirmed", "1.0.0")
    assert course.notes["missing_bytes"] == sum(map(len, files_of("1.0.0").values()))
    assert set(course.notes["spent_s"]) >= {"metadata", "downloading", "testing", "probation"}


def test_files_that_are_here_are_not_fetched_again(device: Device) -> None:
    device.update("1.0.0")
    device.fetcher.fetched.clear()
    course = device.update("2.0.0")
    assert course.notes["reused_bytes"] == len(SHARED)
    assert f"{FAMILY}/files/{sha256(SHARED)}" not in device.fetcher.fetched
    assert (device.store.id_in(FAMILY, "previous"), device.version) == (course.notes["was"], "2.0.0")


def test_what_is_current_already_is_confirmed_without_doing_anything(device: Device) -> None:
    device.update("1.0.0")
    device.fetcher.fetched.clear()
    device.ask("1.0.0")
    course = advance(device.site)
    assert course is not None
    assert (course.state, device.fetcher.fetched) == ("confirmed", [])


def test_a22_a_current_release_that_is_damaged_is_installed_again(device: Device) -> None:
    device.update("1.0.0")
    path = device.store.bundle(device.store.id_in(FAMILY, "current") or "") / "inner" / "words.txt"
    path.chmod(0o644)
    path.write_bytes(b"x")
    assert device.version == "ships"
    assert (device.update("1.0.0").state, device.version) == ("confirmed", "1.0.0")


def test_a50_what_nobody_has_signed_is_rejected(device: Device) -> None:
    assert code_of(device.update("9.0.0")) == ("rejected", "not-signed")
    assert device.version == "ships"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"boards": ("pi5",)}, "wrong-board"),
        ({"agent_least": "9.0"}, "agent-too-old"),
        ({"abi": 7}, "unsupported-abi"),
        ({"memory_mb": 4_096}, "too-little-memory"),
    ],
)
def test_a13_what_is_for_others_is_rejected_before_it_is_fetched(
    device: Device, more: dict[str, Any], code: str
) -> None:
    device.publish("3.0.0", **more)
    assert code_of(device.update("3.0.0")) == ("rejected", code)
    assert device.fetcher.fetched == [f"{FAMILY}/3.0.0.json"]


def test_a_signed_manifest_of_another_version_is_rejected(device: Device) -> None:
    raw = (device.folder / "repository" / FAMILY / "1.0.0.json").read_bytes()
    publish_raw(device.folder / "repository", FAMILY, "4.0.0", raw, {})
    assert code_of(device.update("4.0.0")) == ("rejected", "bad-manifest")


def test_a49_the_same_job_again_is_not_done_again(device: Device) -> None:
    device.update("1.0.0", job="one")
    device.fetcher.fetched.clear()
    assert device.ask("2.0.0", job="one").state == "confirmed"
    assert (advance(device.site), device.fetcher.fetched, device.version) == (None, [], "1.0.0")


def test_a51_a_newer_job_supersedes_even_in_probation(device: Device) -> None:
    first = device.ask("1.0.0")
    advance(device.site)
    assert device.store.id_in(FAMILY, "current") is not None
    assert (device.update("2.0.0").state, device.version) == ("confirmed", "2.0.0")
    found = device.journal.course(first.job.id)
    assert found is not None
    assert found.state == "superseded"


def test_a_job_can_be_cancelled_until_it_is_confirmed(device: Device) -> None:
    device.update("1.0.0")
    course = device.ask("2.0.0")
    advance(device.site)
    device.journal.wish(course.job.id, "cancel")
    found = advance(device.site)
    assert found is not None
    assert (found.state, device.version) == ("cancelled", "1.0.0")


@pytest.mark.parametrize("code", ["self-test-crash", "self-test-wrong", "self-test-memory", "self-test-hang"])
def test_a30_what_fails_its_test_is_rolled_back_and_not_tried_again_before_newer_metadata(
    device: Device, code: str
) -> None:
    device.update("1.0.0")
    device.verdict = UpdateError("no", code=code)
    course = device.update("2.0.0")
    assert (code_of(course), course.notes["at"], device.version) == (("failed", code), "testing", "1.0.0")
    device.verdict = None
    assert code_of(device.update("2.0.0")) == ("rejected", "quarantined")
    device.publish("3.0.0")
    assert device.update("2.0.0").state == "confirmed"


def test_a33_what_is_slower_in_probation_is_rolled_back_with_its_figures(device: Device) -> None:
    device.update("1.0.0")
    device.ask("2.0.0")
    advance(device.site)
    device.figures = replace(GOOD, p95_ms=400.0)
    device.restart()
    course = advance(device.site)
    assert course is not None
    assert (code_of(course), device.version) == (("failed", "slower"), "1.0.0")
    assert course.notes["evidence"]["before"]["p95_ms"] == GOOD.p95_ms
    assert course.notes["evidence"]["after"]["p95_ms"] == 400.0
    (told,) = [one for one in device.journal.results() if one.is_end and one.body["job"] == course.job.id]
    assert told.body["evidence"] == course.notes["evidence"]


def test_a34_after_three_starts_without_being_confirmed_the_release_before_is_back_at_the_fourth(
    device: Device,
) -> None:
    device.update("1.0.0")
    device.ask("2.0.0")
    advance(device.site)
    for _ in range(MOST_STARTS):
        device.restart()
        assert device.version == "2.0.0"
    device.restart()
    assert device.version == "1.0.0"
    course = advance(device.site)
    assert course is not None
    assert code_of(course) == ("failed", "reboot-loop")
    assert code_of(device.update("2.0.0")) == ("rejected", "quarantined")


def test_a5_a36_a_first_update_that_fails_goes_back_to_what_ships(device: Device) -> None:
    device.ask("1.0.0")
    advance(device.site)
    device.figures = replace(GOOD, crashes=9)
    device.restart()
    advance(device.site)
    assert device.version == "ships"


def test_a_downgrade_is_for_the_owner_alone_and_never_below_the_floor(device: Device) -> None:
    device.publish("1.5.0", security=1)
    device.update("2.0.0")
    assert code_of(device.update("1.5.0")) == ("rejected", "downgrade")
    assert code_of(device.update("1.5.0", may_go_back=True)) == ("rejected", "downgrade")
    assert code_of(device.update("1.0.0", may_go_back=True, is_local=True)) == ("rejected", "below-floor")
    assert device.update("1.5.0", may_go_back=True, is_local=True).state == "confirmed"
    assert device.version == "1.5.0"


def test_the_floor_holds_when_the_journal_or_its_file_is_lost(device: Device) -> None:
    device.update("2.0.0")
    device.journal.close()
    for lost in ("journal.db", "security.json"):
        (device.folder / "updates" / lost).unlink()
        device.start()
        assert code_of(device.update("1.0.0", may_go_back=True, is_local=True)) == ("rejected", "below-floor")
        device.journal.close()
    device.start()


def test_the_owner_takes_back_a_release_but_not_below_the_floor(device: Device) -> None:
    device.publish("3.0.0", security=1)
    with pytest.raises(UpdateError, match="as it ships"):
        take_back(device.store, device.journal, FAMILY, device.clock)
    device.update("1.0.0")
    assert take_back(device.store, device.journal, FAMILY, device.clock).state == "confirmed"
    assert device.version == "ships"
    device.update("1.0.0")
    device.update("2.0.0")
    with pytest.raises(UpdateError) as caught:
        take_back(device.store, device.journal, FAMILY, device.clock)
    assert caught.value.code == "below-floor"
    device.update("3.0.0")
    assert (take_back(device.store, device.journal, FAMILY, device.clock).state, device.version) == (
        "confirmed",
        "2.0.0",
    )


def test_a_family_that_is_pinned_stays(device: Device) -> None:
    device.update("1.0.0")
    device.store.kept.pin(FAMILY, "1.0.0")
    assert code_of(device.update("2.0.0")) == ("rejected", "pinned")
    device.store.kept.pin(FAMILY, None)
    assert device.update("2.0.0").state == "confirmed"


def test_it_waits_for_its_time_and_for_whatever_goes_first(device: Device) -> None:
    device.reason = "somebody is speaking"
    course = device.ask("1.0.0", not_before=device.clock + 100)
    for reason, clock_s in (("busy", 0.0), ("", 0.0), ("busy", 200.0)):
        device.reason, device.clock = reason, course.job.not_before - 100 + clock_s
        found = advance(device.site)
        assert found is not None
        assert found.state == "waiting"
    device.reason = ""
    found = advance(device.site)
    assert found is not None
    assert found.state == "probation"


def test_a_job_that_comes_too_late_is_timed_out(device: Device) -> None:
    course = device.ask("1.0.0", not_after=device.clock + 10)
    device.clock += 20
    advance(device.site)
    found = device.journal.course(course.job.id)
    assert found is not None
    assert found.state == "timed out"


def test_what_cannot_be_reached_is_tried_again_later_and_not_for_ever(device: Device) -> None:
    device.fetcher.before = refuses("unreachable")
    course = device.ask("1.0.0")
    for _ in range(MOST_TRIES):
        advance(device.site)
        assert device.journal.under_way() is not None or _ == MOST_TRIES - 1
        device.clock += 30
        advance(device.site)  # too early: nothing happens
        device.clock += 90_000
    found = device.journal.course(course.job.id)
    assert found is not None
    assert code_of(found) == ("failed", "unreachable")
    assert found.writes <= MOST_WRITES


def test_a19_a_full_disk_fails_the_update_and_its_room_is_given_back(device: Device) -> None:
    device.update("1.0.0")
    device.fetcher.before = refuses("disk-full")
    (device.store.staging / "other.part").write_bytes(b"x" * 1_000)
    assert code_of(device.update("2.0.0")) == ("failed", "disk-full")
    assert (list(device.store.staging.iterdir()), device.version) == ([], "1.0.0")


def test_a_release_that_does_not_fit_is_not_begun(device: Device) -> None:
    device.ask("1.0.0")
    course = advance(replace(device.site, reserve_bytes=1 << 60))
    assert course is not None
    assert code_of(course) == ("failed", "no-room")
    assert device.fetcher.fetched == [f"{FAMILY}/1.0.0.json"]


def test_what_is_cut_off_again_and_again_ends(device: Device) -> None:
    class Cut(BaseException):
        pass

    def cut(target: Target) -> None:
        if "files/" in target.name:
            raise Cut

    device.fetcher.before = cut
    course = device.ask("1.0.0")
    for _ in range(MOST_WRITES + 5):
        try:
            advance(device.site)
        except Cut:
            device.restart()
    device.fetcher.before = lambda _: None
    advance(device.site)
    found = device.journal.course(course.job.id)
    assert found is not None
    assert found.is_ended or found.state == "probation"
    assert found.writes <= MOST_WRITES


class PulledPlugError(BaseException):
    """The process ends here."""


def test_a_step_that_always_kills_the_updater_ends_the_job_after_a_bounded_number_of_tries(device: Device) -> None:
    device.publish("1.0.0")
    course = device.ask("1.0.0")

    def kill(*_: object) -> dict[str, Any]:
        raise PulledPlugError

    for _ in range(MOST_WRITES):
        with suppress(PulledPlugError):
            advance(replace(device.site, self_test=kill))
        device.start()
    found = device.journal.course(course.job.id)
    assert found is not None
    assert (found.state, found.notes["code"], device.version) == ("failed", "going-in-circles", "ships")


def test_a_step_that_fails_in_a_way_of_its_own_fails_the_job(device: Device) -> None:
    device.publish("1.0.0")
    course = device.ask("1.0.0")

    def fall(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError

    advance(replace(device.site, self_test=fall))
    found = device.journal.course(course.job.id)
    assert found is not None
    assert (found.state, found.notes["code"]) == ("failed", "crash")


def test_starts_that_lasted_are_none_of_a_loop_and_one_that_nobody_counted_counts(device: Device) -> None:
    device.figures = replace(GOOD, observed_s=1.0)
    device.publish("1.0.0")
    device.ask("1.0.0")
    advance(device.site)
    serves(device.journal, FAMILY)
    assert device.journal.under_way().starts == 1  # type: ignore[union-attr]
    for _ in range(2 * MOST_STARTS):
        starting(device.store, device.journal, FAMILY)
        serves(device.journal, FAMILY)
    assert device.version == "1.0.0"


def test_a_release_that_the_agent_cannot_open_is_given_up_and_not_tried_again(device: Device) -> None:
    device.figures = replace(GOOD, observed_s=1.0)
    device.publish("1.0.0")
    course = device.ask("1.0.0")
    advance(device.site)
    give_up(device.store, device.journal, FAMILY, code="does-not-open", detail="a rule is missing")
    assert device.version == "ships"
    advance(device.site)
    assert device.journal.course(course.job.id).state == "failed"  # type: ignore[union-attr]
    assert code_of(device.update("1.0.0")) == ("rejected", "quarantined")
