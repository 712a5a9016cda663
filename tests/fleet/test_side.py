"""The device's side of its fleet against a real broker: what comes in, what goes out, and what nobody may break."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, proxy, run
from brokers import settings as broker_settings
from fleet.fleet_device import HERE, Office, office
from fleet.sides import side

from edgeagent.fleet.wire import FleetJob, job, no_job
from edgeagent.jobs import LARGEST_JOB_BYTES
from edgeagent.messages import Message
from edgeagent.updating import NewStartError

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)

SOON = "[fleet]\nsample_every_s = 1\n"


def order(name: str, *, on: bool = True, in_s: float = 30.0) -> bytes:
    return json.dumps({"id": name, "on": on, "expires": time.time() + in_s}).encode()


def refused(fleet: Office) -> int:
    count: int = fleet.last("metrics").get("counters", {}).get("fleet_refused", 0)
    return count


def test_orders_over_the_fleets_link_are_carried_out_once_while_they_are_fresh(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                await fleet.send("do/mute", order("planted"), retain=True)  # A48: planted, before the device is there
                async with side(tmp_path, broker_settings(broker.port)) as (_, bus, ears):
                    await eventually(lambda: bus.is_subscribed)
                    await fleet.send("do/mute", order("m1"))
                    await eventually(lambda: ears.muted == [True])
                    await fleet.send("do/mute", order("m1"))  # A46
                    await fleet.send("do/mute", order("m2", in_s=-1))  # A47
                    await fleet.send("do/mute", order("m3", on=False))
                    await eventually(lambda: ears.muted == [True, False])
                async with side(tmp_path, broker_settings(broker.port)) as (_, _, ears):
                    await fleet.send("do/mute", order("m3", on=False))  # A46: remembered over a start
                    await fleet.send("do/mute", order("m4"))
                    await eventually(lambda: ears.muted == [True])

    run(scene())


GARBAGE: tuple[bytes, ...] = (
    b"\xff\xfe", b"{", b"[]", b"null", b"1", b'"x"', b"[" * 3_000, b'{"a":' * 500, b'{"id": "a", "id": "b"}',
    b'{"id": NaN}', b'{"id": 1e999}', b'{"version": -1}', b'{"version": 1, "settings": {"x": {"y": 1}}}',
    b'{"version": 1, "settings": {"hearing.vad_mode": NaN}}', b'{"id": "../x", "kind": "logs", "created": 1.0}',
    b'{"id": "x", "kind": "logs", "created": "now"}', b'{"id": "x", "kind": "logs", "created": 1e300}',
    b'{"kind": "cancel"}', b'{"id": "x", "kind": {"update": 1}}', b"x" * (LARGEST_JOB_BYTES + 1), b"{}" * 200_000,
)  # fmt: skip


def test_a44_garbage_on_every_topic_is_dropped_counted_and_breaks_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with (
                office(broker.port) as fleet,
                side(tmp_path, broker_settings(broker.port), SOON) as (_, bus, ears),
            ):
                for payload in GARBAGE:
                    for topic in ("desired", "job", "do/mute", "do/nothing"):
                        await fleet.send(topic, payload)
                await fleet.send("do/mute", order("m1"))
                await eventually(lambda: ears.muted == [True], within_s=10)
                await fleet.ask("j1", "logs")
                await eventually(lambda: fleet.states("j1")[-1:] == ["done"])
                await eventually(lambda: refused(fleet) >= 2 * len(GARBAGE))
                assert bus.counters.connections == 1
                assert fleet.last("job/x")["state"] == "rejected", "what at least has a name is told"

    run(scene())


def test_a45_whatever_a_job_does_wrong_ends_the_job_and_nothing_else(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port)) as (_, _, ears):
                await fleet.ask("s1", "settings", version="three")
                await eventually(lambda: fleet.states("s1") == ["accepted", "working", "failed"])
                assert fleet.last("job/s1")["code"] == "bad-job"
                ears.say = None  # type: ignore[method-assign,assignment]  # whatever may break
                await fleet.ask("i1", "identify", seconds=1)
                await eventually(lambda: fleet.states("i1") == ["accepted", "working", "failed"])
                assert fleet.last("job/i1")["code"] == "fault"
                ears.orders = None  # type: ignore[assignment]
                await fleet.send("do/mute", order("m1"))
                await fleet.ask("j1", "logs", lines=10)
                await eventually(lambda: fleet.states("j1")[-1:] == ["done"])

    run(scene())


def test_a51_a_newer_job_takes_the_place_of_one_that_is_under_way_and_a_job_can_be_cancelled(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port)) as (_, _, ears):
                await fleet.ask("i1", "identify", seconds=60)
                await eventually(lambda: "question" in ears.signs)
                await fleet.ask("s1", "settings", version=9)
                await eventually(lambda: fleet.states("i1") == ["accepted", "working", "superseded"])
                assert ears.signs[-1] == "idle"
                assert ears.said == ["I am edgeagent."]
                old = FleetJob(id="old", kind="logs", created=5.0)
                await fleet.bus.publish(job(HERE, old))
                await eventually(lambda: fleet.states("old") == ["superseded"])
                await fleet.send("job", b'{"id": "s1", "kind": "cancel"}')
                await eventually(lambda: fleet.states("s1") == ["accepted", "working", "cancelled"])
                late = FleetJob(id="late", kind="settings", created=time.time(), not_after=time.time() + 0.3)
                await fleet.bus.publish(job(HERE, late.model_copy(update={"options": {"version": 3}})))
                await eventually(lambda: fleet.states("late") == ["accepted", "working", "timed out"])
                await fleet.bus.publish(job(HERE, late.model_copy(update={"id": "later", "not_after": 5.0})))
                await eventually(lambda: fleet.states("later") == ["timed out"])
                await fleet.bus.publish(no_job(HERE))
                await fleet.ask("j1", "logs")
                await eventually(lambda: fleet.states("j1") == ["accepted", "working", "done"])

    run(scene())


def test_a49_a_job_that_comes_again_is_told_again_and_not_done_again(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                async with side(tmp_path, broker_settings(broker.port)) as (_, _, ears):
                    await fleet.ask("i1", "identify", seconds=0.1)
                    await eventually(lambda: fleet.states("i1")[-1:] == ["done"])
                    told = len(fleet.told["job/i1"])
                    await fleet.ask("i1", "identify", seconds=0.1)
                    await eventually(lambda: len(fleet.told["job/i1"]) > told)
                    assert len(ears.said) == 1
                told = len(fleet.told["job/i1"])
                async with side(tmp_path, broker_settings(broker.port, session_expiry_s=0)) as (_, _, ears):
                    await eventually(lambda: fleet.last("birth")["job"] == "i1")
                    await eventually(lambda: len(fleet.told["job/i1"]) > told)  # it is retained, so it comes again
                    assert {one["id"] for one in fleet.told["job/i1"]} == {"i1:1", "i1:2", "i1:3"}
                    assert ears.said == []

    run(scene())


def test_a57_a_result_that_was_not_acknowledged_is_told_again_after_a_start(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with proxy(broker.port) as (way, port), office(broker.port) as fleet:
                async with side(tmp_path, broker_settings(port)) as (_, bus, ears):
                    await fleet.ask("i1", "identify", seconds=1)
                    await eventually(lambda: "question" in ears.signs)
                    await eventually(lambda: fleet.states("i1") == ["accepted", "working"])
                    way.freeze()  # from here on nothing arrives, and no acknowledgement comes
                    await eventually(lambda: ears.signs[-1:] == ["idle"] and bool(len(bus.outbox)))
                way.thaw()
                assert fleet.states("i1")[-1:] == ["working"] or fleet.states("i1")[-1:] == ["done"]
                async with side(tmp_path, broker_settings(broker.port)) as (_, _, ears):
                    await eventually(lambda: fleet.states("i1")[-1:] in (["done"], ["failed"]))
                    assert {one["id"] for one in fleet.told["job/i1"]} == {"i1:1", "i1:2", "i1:3"}, "each number once"

    run(scene())


@pytest.mark.parametrize("limits", ["max_inflight_messages 1\n", "max_packet_size 2500\n"])
def test_a43_a58_a_broker_that_takes_little_gets_what_it_takes(tmp_path: Path, limits: str) -> None:
    async def scene() -> None:
        with mosquitto(f"allow_anonymous true\n{limits}") as broker:
            async with office(broker.port) as fleet, side(tmp_path, broker_settings(broker.port), SOON) as (_, bus, _):
                for number in range(60):
                    await fleet.send("do/nothing", b"{}" + b" " * number)
                await fleet.ask("j1", "logs")
                await eventually(lambda: fleet.states("j1")[-1:] == ["done"])
                told: dict[str, Any] = fleet.last("job/j1")
                is_whole = bool(told["result"])
                assert is_whole != ("too large" in told["problem"])
                assert is_whole or "packet" in limits
                await eventually(lambda: fleet.last("metrics"))
                assert bus.counters.connections == 1, "no loop"

    run(scene())


def test_a55_where_the_broker_has_lost_the_session_it_is_begun_anew_and_what_is_kept_is_read_again(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with side(tmp_path, broker_settings(broker.port)) as (_, bus, ears):
                async with office(broker.port) as fleet:
                    await fleet.want(1, acting__audit=False)
                    await eventually(lambda: fleet.last("reported").get("version") == 1)
                broker.stop()
                await bus.until(connected=False)
                broker.start()  # it has forgotten everything
                async with office(broker.port) as fleet:
                    await eventually(lambda: fleet.last("reported").get("standing") == "refused", within_s=10)
                    assert fleet.last("birth")["desired"] == 1
                    await eventually(lambda: bus.is_subscribed)
                    await fleet.want(2, acting__audit=False)
                    await eventually(lambda: fleet.last("reported").get("version") == 2)
                    await fleet.send("do/mute", order("m1"))
                    await eventually(lambda: ears.muted == [True])

    run(scene())


def test_settings_wait_for_a_new_start_until_nobody_is_served_and_the_latest_counts(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                async with side(tmp_path, broker_settings(broker.port)) as (found, _, ears):
                    ears.is_served = True
                    duties = found.late_duties()
                    duties["updates"].close()
                    keeping = asyncio.create_task(duties["settings of the fleet"])
                    await fleet.want(1, hearing__vad_mode=3)
                    await fleet.want(2, hearing__vad_mode=1)
                    await eventually(lambda: fleet.last("reported").get("version") == 2)
                    asked = ears.asked
                    await eventually(lambda: ears.asked > asked + 1)
                    assert not keeping.done()
                    assert fleet.last("reported")["settings"]["hearing.vad_mode"] == 2
                    ears.is_served = False
                    with pytest.raises(NewStartError):
                        await keeping
                async with side(tmp_path, broker_settings(broker.port)):
                    await eventually(lambda: fleet.last("reported")["standing"] == "trial")
                    assert fleet.last("reported")["settings"]["hearing.vad_mode"] == 1
                    assert fleet.last("birth")["desired"] == 2

    run(scene())


@pytest.mark.slow
def test_a54_after_a_week_the_fleet_gets_the_results_and_the_samples_of_it_in_their_order_once(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with side(tmp_path, broker_settings(broker.port)) as (found, bus, _):
                async with office(broker.port) as fleet:
                    await fleet.ask("s1", "settings", version=7)
                    await eventually(lambda: fleet.states("s1") == ["accepted", "working"])
                broker.stop()
                await bus.until(connected=False)
                for _ in range(2_016):  # one in five minutes
                    await found.tell_sample()
                assert len(bus.outbox) <= bus.settings.outbox
                broker.start()
                async with office(broker.port) as fleet:
                    await eventually(lambda: len(fleet.told.get("metrics", ())) == 2_016, within_s=60)
                    times = [one["at"] for one in fleet.told["metrics"]]
                    assert times == sorted(times)
                    await fleet.bus.publish(Message(f"{HERE.job}", b'{"id": "s1", "kind": "cancel"}', qos=1))
                    await eventually(lambda: fleet.states("s1")[-1:] == ["cancelled"])

    run(scene(), 110)


def test_the_last_of_a_run_is_told_and_a_will_is_not_needed(tmp_path: Path) -> None:
    async def scene() -> None:
        with mosquitto() as broker:
            async with office(broker.port) as fleet:
                async with side(tmp_path, broker_settings(broker.port)) as (found, _, _):
                    await eventually(lambda: fleet.last("state").get("online"))
                    found.mute(on=True)
                    await eventually(lambda: fleet.last("state")["muted"])
                    await asyncio.wait_for(found.farewell(), 5)
                await eventually(lambda: fleet.last("state")["reason"] == "stopped")
                assert fleet.last("metrics")["boot"] == fleet.last("birth")["boot"]

    run(scene())
