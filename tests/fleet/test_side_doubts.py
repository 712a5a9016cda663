"""The device's side where the fleet, its clock, its broker or its jobs are not what they seem."""

import asyncio
import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run
from brokers import settings as broker_settings
from fleet.fleet_device import HERE, Office, office
from fleet.sides import settings_of, side
from update.published import FAMILY

from edgeagent.fleet import settling
from edgeagent.fleet import side as module
from edgeagent.fleet.settings_kept import KeptSettings
from edgeagent.fleet.side import FleetSide
from edgeagent.fleet.wire import Desired, FleetJob, job
from edgeagent.update.course import Job
from edgeagent.update.journal import Journal
from edgeagent.update.places import JOURNAL, UPDATES
from edgeagent.updating import NewStartError

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)

SOON = "[fleet]\nundo_after_s = 1\n"


def wants(state: Path, port: int, **settings: Any) -> None:
    """Have a device with this state folder want settings from its next start on."""
    kept = KeptSettings(settings_of(state, broker_settings(port)))
    kept.desire(
        Desired(version=1, settings={key.replace("__", "."): one for key, one in settings.items()}), is_reached=True
    )
    assert kept.report().standing == "waiting"


async def settled(found: FleetSide) -> None:
    """Do what is done about settings until a new start is due."""
    duties = found.late_duties()
    duties["updates"].close()
    with pytest.raises(NewStartError):
        await duties["settings of the fleet"]


def has_told(fleet: Office, job_id: str, times: int = 1) -> bool:
    return len(fleet.told.get(f"job/{job_id}", ())) == times


def update_job(name: str, family: str = "sounds-de", **more: Any) -> bytes:
    return json.dumps(
        {"id": name, "kind": "update", "family": family, "version": "1.0.0", "created": 1.0} | more
    ).encode()


def test_a35_a_foreign_broker_that_takes_the_device_is_not_its_fleet(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as foreign:
            wants(tmp_path, foreign.port, fleet__broker__port=foreign.port, hearing__vad_mode=3)
            async with office(foreign.port) as fleet:
                await fleet.want(1, hearing__vad_mode=3)  # somebody else's wish for a device of the same name
                async with side(tmp_path, broker_settings(foreign.port), SOON) as (found, bus, _):
                    await eventually(lambda: bus.is_subscribed)
                    await asyncio.wait_for(settled(found), 20)
                    assert bus.counters.connections == 1, "it was connected all the time"
                await eventually(lambda: fleet.last("reported")["standing"] == "undone")
                assert "a broker without its wish" in fleet.last("reported")["problem"]

    run(scene())


@pytest.mark.slow
def test_a35_a_broker_at_which_the_wish_comes_anew_is_the_fleet_even_in_a_session_that_was_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                async with side(tmp_path, broker_settings(broker.port), SOON) as (found, _, _):
                    await fleet.want(1, fleet__broker__keepalive_s=25, hearing__vad_mode=3)
                    await asyncio.wait_for(settled(found), 20)
                async with side(tmp_path, broker_settings(broker.port), "[fleet]\nundo_after_s = 8\n") as (
                    found,
                    bus,
                    _,
                ):
                    assert bus.counters.sessions == 0, "the session was kept"
                    settling = asyncio.create_task(settled(found))
                    await eventually(lambda: fleet.last("reported")["standing"] == "applied", within_s=20)
                    assert not settling.done()
                    settling.cancel()

    run(scene())


def test_settings_that_were_kept_and_are_not_in_this_start_fail_the_job_that_waits_for_them(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            wants(tmp_path, broker.port, hearing__vad_mode=3)
            kept = KeptSettings(settings_of(tmp_path, broker_settings(broker.port)))
            kept.start()
            kept.reach()
            narrow = '[fleet]\nmay_set = ["waking.*"]\n'
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port), narrow):
                await fleet.ask("s1", "settings", version=1)
                await eventually(lambda: fleet.states("s1") == ["accepted", "working", "failed"])
                assert fleet.last("job/s1")["code"] == fleet.last("reported")["standing"] == "undone"
                assert "may_set" in fleet.last("job/s1")["problem"]

    run(scene())


def test_a_run_without_what_was_kept_makes_room_for_one_that_tries_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with side(tmp_path, broker_settings(broker.port)) as (found, _, _):
                kept = found._member.kept  # noqa: SLF001  # what the lifetimes have
                kept.undo("the address is taken")
                assert kept.report().problem.endswith("the address is taken")
                monkeypatch.setattr(settling, "AGAIN_S", 0.0)
                await asyncio.wait_for(settled(found), 10)

    run(scene())


def test_a_job_for_settings_in_whose_place_newer_ones_have_come_is_superseded(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port)):
                await fleet.ask("s1", "settings", version=1)
                await eventually(lambda: fleet.states("s1") == ["accepted", "working"])
                await fleet.want(2, hearing__vad_mode=3)
                await eventually(lambda: fleet.states("s1") == ["accepted", "working", "superseded"])

    run(scene())


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (update_job("u1"), "other-family"),
        (update_job("u1", FAMILY, version="../x"), "bad-job"),
        (update_job("u1", FAMILY, not_before=1e11), "bad-job"),
    ],
)
def test_an_update_that_is_none_for_this_device_is_rejected_with_the_reason_every_time_it_comes(
    tmp_path: Path, payload: bytes, code: str
) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port)):
                for times in (1, 2):
                    await fleet.send("job", payload, retain=True)
                    await eventually(partial(has_told, fleet, "u1", times))
                    told = fleet.last("job/u1")
                    assert (told["id"], told["state"], told["code"]) == ("u1:1", "rejected", code)
                    assert told["problem"]

    run(scene())


def test_more_updates_than_are_waited_for_are_rejected(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            ours = f'[update]\nfamilies = ["{FAMILY}"]\n'
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port), ours):
                for number in range(200):
                    await fleet.send("job", update_job(f"u{number}", FAMILY, created=float(number)))
                    await eventually(partial(has_told, fleet, f"u{number}"))
                    if fleet.last(f"job/u{number}")["state"] == "rejected":
                        break
                assert fleet.last(f"job/u{number}")["code"] == "too-many-jobs"
                assert fleet.last("birth")["job"] == ""

    run(scene())


def test_the_birth_tells_the_last_job_that_was_taken_also_an_update_and_over_a_start(tmp_path: Path) -> None:
    async def scene() -> None:
        ours = f'[update]\nfamilies = ["{FAMILY}"]\n'
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                async with side(tmp_path, broker_settings(broker.port), ours):
                    await fleet.ask("l1", "logs")
                    await fleet.send("job", update_job("u1", FAMILY))
                    await eventually(lambda: "job/u1" in fleet.told)
                    await fleet.send("job", update_job("u2"))  # is none of ours
                    await eventually(lambda: "job/u2" in fleet.told)
                async with side(tmp_path, broker_settings(broker.port), ours):
                    await eventually(lambda: len(fleet.told["birth"]) > 1)
                    assert fleet.last("birth")["job"] == "u1"

    run(scene())


def test_a_clock_that_is_ahead_makes_no_job_too_late_that_comes_when_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job carries the times of a console whose clock is two hours behind this device's."""

    async def ask(fleet: Office, name: str, asked_s_ago: float) -> None:
        asked = time.time() - asked_s_ago
        wanted = FleetJob(id=name, kind="logs", created=asked, not_after=asked + 3_600)
        assert await fleet.bus.deliver(job(HERE, wanted))

    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                with monkeypatch.context() as at_once:
                    at_once.setattr(module, "WAITING_S", 0.0)
                    await ask(fleet, "kept", 7 * 86_400)
                    async with side(tmp_path, broker_settings(broker.port)) as (_, bus, _):
                        await eventually(lambda: fleet.states("kept") == ["timed out"])
                        await eventually(lambda: bus.is_subscribed)
                        await ask(fleet, "new", 7_200)
                        await eventually(lambda: fleet.states("new") == ["accepted", "working", "done"])
                await ask(fleet, "queued", 7 * 86_400)
                async with side(tmp_path, broker_settings(broker.port)) as (_, bus, _):
                    await eventually(lambda: fleet.states("queued") == ["timed out"])

    run(scene())


def test_a51_a_newer_update_is_not_beaten_by_an_older_one_where_the_clock_here_was_put_back(tmp_path: Path) -> None:
    async def scene() -> None:
        asked = time.time() + 3 * 3_600
        (tmp_path / UPDATES).mkdir()
        journal = Journal(tmp_path / UPDATES / JOURNAL)
        journal.accept(Job("old", FAMILY, "1.0.0", asked, 0.0, None), asked)
        with mosquitto() as broker:
            ours = f'[update]\nfamilies = ["{FAMILY}"]\n'
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port), ours):
                await fleet.send("job", update_job("new", FAMILY, version="2.0.0", created=asked + 60))
                await eventually(lambda: fleet.last("job/new").get("state") == "accepted")
        wishes = {name: course.wish for name in ("old", "new") if (course := journal.course(name)) is not None}
        journal.close()
        assert wishes == {"old": "supersede", "new": ""}

    run(scene())


def test_a61_why_a_job_has_failed_is_told_without_passwords(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port)) as (_, _, ears):

                async def say(_text: str) -> None:
                    raise RuntimeError("https://kit:hunter2@updates.example/x is away")

                ears.say = say  # type: ignore[method-assign,assignment]  # whatever may break
                await fleet.ask("i1", "identify", seconds=0.1)
                await eventually(lambda: fleet.states("i1")[-1:] == ["failed"])
                assert "updates.example/x is away" in fleet.last("job/i1")["problem"]
                assert "hunter2" not in fleet.last("job/i1")["problem"]

    run(scene())


def test_a61_why_an_update_has_failed_is_told_without_passwords(tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / UPDATES).mkdir()
        journal = Journal(tmp_path / UPDATES / JOURNAL)
        course = journal.accept(Job("u1", FAMILY, "1.0.0", 1.0, 0.0, None), 2.0)
        journal.move(course, "failed", now=3.0, notes={"problem": "https://kit:hunter2@updates.example/x is away"})
        journal.close()
        with mosquitto() as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port)):
                await eventually(lambda: fleet.last("job/u1").get("state") == "failed")
                assert "updates.example/x is away" in json.dumps(fleet.last("job/u1"))
                assert "hunter2" not in json.dumps(fleet.last("job/u1"))

    run(scene())


def test_samples_of_a_start_that_the_fleet_never_met_are_told_after_the_greeting_as_that_starts(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            broker.stop()
            async with side(tmp_path, broker_settings(broker.port), is_met=False) as (found, _, _):
                for _ in range(3):
                    await found.tell_sample()
            broker.start()
            async with office(broker.port) as fleet:
                await eventually(lambda: fleet.bus.is_subscribed)
                async with side(tmp_path, broker_settings(broker.port)) as (found, _, _):
                    await found.tell_sample()
                    await eventually(lambda: len(fleet.told.get("metrics", ())) == 4)
                boots = [one["boot"] for one in fleet.told["metrics"]]
                now = fleet.told["birth"][0]["boot"]
                assert boots[0] == boots[1] == boots[2] != now == boots[3]
                assert list(fleet.told).index("metrics") > list(fleet.told).index("state"), "the greeting comes first"

    run(scene())
