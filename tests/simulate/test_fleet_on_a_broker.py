"""A simulated fleet on a real mosquitto: born, obeying, cut off, back."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, Authority, Mosquitto, eventually, mosquitto, run, settings

from edgeagent.bus import connect
from edgeagent.errors import BusError
from edgeagent.fleet import wire
from edgeagent.link import Bus
from edgeagent.simulate.fleet import FleetWishes, SimulatedFleet
from edgeagent.simulate.fleet_habits import Habits
from edgeagent.simulate.mqtt_packets import Version
from edgeagent.topics import Address

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
DEVICES = 40
QUICK = Habits(update_s=0.3, restart_s=0.0)
TLS = """allow_anonymous false
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/acl
"""
ACL = "pattern write ea/1/+/d/%u/up/#\npattern read ea/1/+/d/%u/dn/#\npattern read ea/1/+/all/dn/#\n"


def wishes(port: int, *, version: Version = 5, certificates: Path | None = None, samples_s: float = 300) -> FleetWishes:
    return FleetWishes(
        settings(port), DEVICES, habits=QUICK, version=version, certificates=certificates, samples_every_s=samples_s
    )


@asynccontextmanager
async def running(wanted: FleetWishes) -> AsyncIterator[SimulatedFleet]:
    fleet = SimulatedFleet(wanted)
    task = asyncio.create_task(fleet.run())
    try:
        yield fleet
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await eventually(lambda: not any(one.is_open for one in fleet.stations))


def is_all_up(fleet: SimulatedFleet) -> bool:
    return all(one.is_up for one in fleet.stations)


def is_all_told(fleet: SimulatedFleet) -> bool:
    return is_all_up(fleet) and not any(one.untold for one in fleet.stations)


async def ask(bus: Bus, device: str, job: str) -> None:
    body = json.dumps({"id": job, "kind": "update", "family": "command-en", "version": "1.1.0", "created": 1.0})
    pointer = wire.job(Address("home", device), wire.FleetJob(id=job, kind="restart", created=1.0))
    assert await bus.deliver(type(pointer)(pointer.topic, body.encode(), qos=1, retain=True))


def is_done(fleet: SimulatedFleet, job: str) -> bool:
    return all(job in one.device.jobs.courses and one.device.jobs.courses[job].is_ended for one in fleet.stations)


@pytest.mark.parametrize("version", [4, 5])
def test_all_are_born_and_each_does_its_job_once_however_often_it_is_told(version: Version) -> None:
    async def go() -> None:
        with mosquitto() as broker:
            async with running(wishes(broker.port, version=version)) as fleet, connect(
                settings(broker.port), client_id="console"
            ) as bus:  # fmt: skip
                await eventually(lambda: is_all_up(fleet))
                for _ in range(3):
                    for name in fleet.wishes.names():
                        await ask(bus, name, "j1")
                await eventually(lambda: is_done(fleet, "j1") and is_all_told(fleet), within_s=15)
                progress = fleet.progress()
                assert (progress["done_twice"], progress["jobs"]) == (0, {"1.1.0 confirmed": DEVICES})
                assert progress["network"]["denied"] == progress["network"]["malformed"] == 0

    run(go())


def test_a52_a_broker_that_is_killed_under_way_loses_no_result_and_repeats_no_job() -> None:
    async def go() -> None:
        with mosquitto("allow_anonymous true\npersistence false\n") as broker:
            ends: dict[str, str] = {}
            async with running(wishes(broker.port)) as fleet, connect(
                settings(broker.port), client_id="console"
            ) as bus:  # fmt: skip
                bus.subscribe("ea/1/home/d/+/up/job/+")
                heard = asyncio.create_task(_hear(bus, ends))
                await eventually(lambda: is_all_up(fleet) and bus.is_subscribed)
                for name in fleet.wishes.names():
                    await ask(bus, name, "j1")
                await eventually(lambda: any(one.device.jobs.courses for one in fleet.stations))
                broker.stop()
                await eventually(lambda: is_done(fleet, "j1"), within_s=15)
                broker.start()
                await eventually(lambda: is_all_told(fleet) and bus.is_subscribed, within_s=15)
                for name in fleet.wishes.names():
                    await ask(bus, name, "j1")  # the broker has forgotten everything, also what it had taken
                await eventually(lambda: set(ends.values()) == {"confirmed"} and len(ends) == DEVICES)
                heard.cancel()
                assert fleet.progress()["done_twice"] == 0

    run(go(), within_s=60)


async def _hear(bus: Bus, ends: dict[str, str]) -> None:
    async for received in bus.received():
        received.acknowledge()
        how = wire.read(wire.Progress, received.payload)
        if how.state in wire.ENDS:
            ends[received.topic] = how.state


def test_who_was_away_comes_back_with_results_and_samples_and_reads_the_pointers_of_today() -> None:
    async def go() -> None:
        with mosquitto() as broker:
            async with running(wishes(broker.port)) as fleet, connect(
                settings(broker.port), client_id="console"
            ) as bus:  # fmt: skip
                await eventually(lambda: is_all_up(fleet))
                assert fleet.go_away(1.0) == DEVICES
                await eventually(lambda: not any(one.is_open for one in fleet.stations))
                for name in fleet.wishes.names():
                    await ask(bus, name, "old")
                    await ask(bus, name, "new")
                bus.subscribe("ea/1/home/d/+/up/metrics")
                await eventually(lambda: bus.is_subscribed)
                assert fleet.come_back(7) == DEVICES
                await eventually(lambda: is_done(fleet, "new") and is_all_told(fleet), within_s=15)
                sample = wire.read(wire.Sample, (await anext(bus.received())).payload)
                assert sample.counters["decisions"] > 0
                assert sample.uptime_s < 7 * 86_400

    run(go(), within_s=60)


def test_a40_devices_with_certificates_may_say_what_is_theirs_and_nothing_else(tmp_path: Path) -> None:
    async def go(broker: Mosquitto, folder: Path) -> None:
        async with running(wishes(broker.port, certificates=folder)) as fleet:
            await eventually(lambda: is_all_told(fleet), within_s=15)
            assert fleet.tally.denied == 0
            fleet.stations[0].device.address = Address("home", "sim-00002")  # says what is another's
            fleet.stations[0].tell([fleet.stations[0].device.state(1.0)])
            await eventually(lambda: fleet.tally.denied == 1)

    authority = Authority(tmp_path)
    for name in ("broker", *wishes(1).names()):
        authority.issue(name)
    files = {name: (tmp_path / name).read_text() for name in ("ca.pem", "broker.pem", "broker.key")}
    with mosquitto(TLS, files=files | {"acl": ACL}) as broker:
        run(go(broker, tmp_path))


def test_a_certificate_that_is_missing_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BusError, match=str(tmp_path)) as told:
        SimulatedFleet(wishes(1, certificates=tmp_path))
    assert "ca.pem" in told.value.remedy


def test_the_command_does_what_it_is_told_and_ends_with_its_input(tmp_path: Path) -> None:
    program = "import typer; from edgeagent.cli.simulate_fleet import fleet; typer.run(fleet)"
    with mosquitto() as broker:
        options = ["--devices", "20", "--broker", f"127.0.0.1:{broker.port}", "--commands", "--json"]
        process = subprocess.Popen(
            [sys.executable, "-c", program, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        next(line for line in lines if line.get("online") == 20)
        for typed, expected in (
            (f"tell {tmp_path}/told.json", {"did": "tell", "devices": 20}),
            ("away 1", {"did": "away", "devices": 20}),
            ("back 7", {"did": "back", "devices": 20}),
            ("dance", {"did": "", "problem": "'dance' is no command"}),
        ):
            process.stdin.write(typed + "\n")
            process.stdin.flush()
            assert next(line for line in lines if "did" in line) == expected
        next(line for line in lines if line.get("online") == 20)
        process.stdin.close()
        assert process.wait() == 0
        process.stdout.close()
    told = json.loads((tmp_path / "told.json").read_text())
    assert [one["name"] for one in told[:2]] == ["sim-00001", "sim-00002"]
