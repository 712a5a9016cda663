"""A simulated device remembers what a real one remembers, and does nothing twice."""

import json
from collections.abc import Iterable

import pytest

from edgeagent.fleet import wire
from edgeagent.messages import Message
from edgeagent.simulate.fleet_device import NEVER, Device
from edgeagent.simulate.fleet_habits import Habits
from edgeagent.simulate.fleet_jobs import MOST_JOBS
from edgeagent.topics import Address

NOW = 1_800_000_000.0
ADDRESS = Address("home", "sim-00001")


def device(habits: Habits | None = None, index: int = 0) -> Device:
    return Device(ADDRESS, index, habits or Habits(), NOW)


def update(job: str, version: str, created: float = NOW) -> bytes:
    asked = {"id": job, "kind": "update", "family": "command-en", "version": version, "created": created}
    return json.dumps(asked).encode()


def give(one: Device, payload: bytes, now: float = NOW) -> list[wire.Progress]:
    return told(one.take(ADDRESS.job, payload, now, retained=True))


def told(messages: Iterable[Message]) -> list[wire.Progress]:
    return [wire.read(wire.Progress, one.payload) for one in messages if "/up/job/" in one.topic]


def finish(one: Device, now: float = NOW) -> list[wire.Progress]:
    """Let time pass until there is nothing left to do; a new start is made where one is due."""
    heard: list[wire.Progress] = []
    while one.due < NEVER:
        now = max(now, one.due)
        heard += told(one.work(now))
        if one.wants_restart:
            one.start(now)
    return heard


def test_an_update_goes_through_the_states_of_a_real_one_and_is_installed() -> None:
    one = device()
    states = [how.state for how in (*give(one, update("j1", "1.1.0")), *finish(one))]
    assert states == [
        "accepted", "waiting", "metadata", "planning", "downloading", "verifying", "staging", "testing", "switching",
        "probation", "confirmed",
    ]  # fmt: skip
    assert one.releases == {"command-en": "1.1.0"}
    assert one.starts == 2


def test_a_pointer_that_comes_again_is_told_again_and_nothing_is_done() -> None:
    one = device()
    give(one, update("j1", "1.1.0"))
    last = finish(one)[-1]
    boot = one.boot
    assert give(one, update("j1", "1.1.0")) == [last.model_copy(update={"at": NOW})]
    assert finish(one) == []
    assert (one.jobs.courses["j1"].executions, one.boot) == (1, boot)


def test_a_release_that_is_installed_is_confirmed_without_being_fetched() -> None:
    one = device()
    give(one, update("j1", "1.0.0"))
    assert [how.state for how in finish(one)] == ["waiting", "metadata", "planning", "confirmed"]


def test_an_update_drawn_to_fail_goes_back_and_says_why() -> None:
    one = device(Habits(fail_share=1.0, bad_version="1.1.0"))
    give(one, update("j1", "1.1.0"))
    heard = finish(one)
    assert [how.state for how in heard[-2:]] == ["rolled back", "failed"]
    assert heard[-1].problem
    assert one.releases == {"command-en": "1.0.0"}
    give(one, update("j2", "1.2.0", NOW + 1))
    assert finish(one)[-1].state == "confirmed"


def test_the_newer_job_wins_and_an_older_one_that_comes_late_is_not_begun() -> None:
    one = device()
    give(one, update("j1", "1.1.0"))
    one.work(one.due)
    give(one, update("j3", "1.3.0", NOW + 3))
    assert {how.job: how.state for how in finish(one)} == {"j1": "superseded", "j3": "confirmed"}
    assert [how.state for how in give(one, update("j2", "1.2.0", NOW - 2))] == ["superseded"]
    assert one.jobs.courses["j2"].executions == 0


def test_an_update_goes_on_beside_another_job() -> None:
    one = device()
    give(one, update("j1", "1.1.0"))
    give(one, wire.written(wire.FleetJob(id="j2", kind="identify", created=NOW + 1)))
    assert {how.job: how.state for how in finish(one)} == {"j1": "confirmed", "j2": "done"}


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_a_job_that_is_called_back_ends_and_nothing_is_installed(steps: int) -> None:
    one = device()
    give(one, update("j1", "1.1.0"))
    for _ in range(steps):
        one.work(one.due)
    one.take(ADDRESS.job, b'{"id":"j1","kind":"cancel"}', NOW, retained=True)
    assert finish(one)[-1].state == "cancelled"
    assert one.releases == {"command-en": "1.0.0"}


def test_a_job_out_of_date_is_not_begun() -> None:
    one = device()
    asked = wire.FleetJob(id="j1", kind="self-test", created=NOW, not_after=NOW + 0.001)
    give(one, wire.written(asked))
    assert [how.state for how in finish(one, NOW + 1)] == ["timed out"]


def test_settings_a62_a_lower_version_is_ignored_and_told_where_it_stands() -> None:
    one = device()
    newer = wire.Desired(version=7, settings={"hearing.unsure_below": 0.4})
    for wanted in (newer, wire.Desired(version=5)):
        (how,) = one.take(wire.desired(ADDRESS, wanted).topic, wire.written(wanted), NOW, retained=True)
        assert wire.read(wire.Reported, how.payload) == wire.Reported(
            version=7, standing="applied", settings={"hearing.unsure_below": 0.4}
        )


def test_a_settings_job_waits_for_its_settings() -> None:
    one = device()
    give(one, wire.written(wire.FleetJob(id="j1", kind="settings", created=NOW, options={"version": 3})))
    one.work(one.due)
    assert one.work(one.due) == []
    wanted = wire.Desired(version=3)
    one.take(wire.desired(ADDRESS, wanted).topic, wire.written(wanted), NOW, retained=True)
    assert [how.state for how in finish(one)] == ["done"]


def test_jobs_outlive_a_new_start_and_counters_do_not() -> None:
    one = device()
    give(one, update("j1", "1.1.0"))
    one.speak(NOW)
    boot = one.boot
    one.start(NOW + 1)
    assert one.boot != boot
    assert one.use.decisions == 0
    assert finish(one)[-1].state == "confirmed"
    assert one.jobs.courses["j1"].executions == 1


def test_samples_of_a_week_are_cumulative_and_of_the_past() -> None:
    one = device(Habits(utterances_per_hour=10))
    kept = [wire.read(wire.Sample, message.payload) for message in one.live_through(7 * 86_400, NOW, 24)]
    decisions = [sample.counters["decisions"] for sample in kept]
    assert decisions == sorted(decisions)
    assert decisions[-1] == 24 * 70
    assert sum(kept[-1].decision_ms) == decisions[-1]
    assert (kept[-1].at, kept[-1].uptime_s) == (NOW, 7 * 86_400)


def test_who_hears_worse_with_a_release_rejects_more() -> None:
    shares = []
    for habits in (Habits(), Habits(worse_share=1.0)):
        one = device(habits)
        for _ in range(2_000):
            one.speak(NOW)
        shares.append(one.use.rejected / one.use.decisions)
    assert shares[1] > 2 * shares[0] > 0


def test_the_same_seed_fails_the_same_devices_and_about_as_many_as_asked() -> None:
    habits = Habits(seed=5, fail_share=0.03)
    failing = [index for index in range(10_000) if habits.fails_at(index, "1.1.0")]
    assert failing == [index for index in range(10_000) if Habits(seed=5, fail_share=0.03).fails_at(index, "1.1.0")]
    assert 250 < len(failing) < 350


def test_jobs_that_are_remembered_are_bounded() -> None:
    one = device()
    for number in range(MOST_JOBS + 20):
        give(one, wire.written(wire.FleetJob(id=f"j{number}", kind="identify", created=NOW + number)), NOW + number)
        finish(one, NOW + number)
    assert len(one.jobs.courses) == MOST_JOBS


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"kind":"update"}', b'{"kind":"nonsense","id":"j1"}', b"\xff"])
def test_pointers_that_are_none_are_left_alone(payload: bytes) -> None:
    one = device()
    assert give(one, payload) == []
    assert one.jobs.courses == {}


def test_what_is_for_another_device_is_left_alone() -> None:
    one = device()
    assert one.take(Address("home", "sim-00002").job, update("j1", "1.1.0"), NOW, retained=True) == []
