"""From a broker that is set up to a device with an identity of its own, by the commands that people type."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, free_port, run
from console.hardened_broker import HardenedBroker, answering_console, database, token
from sqlalchemy import select

from edgeagent.bus import Bus, connect
from edgeagent.console import broker_files, certificates, enrolment
from edgeagent.console.authority import Authority
from edgeagent.console.database import Database
from edgeagent.console.tables import Device
from edgeagent.fleet import identity
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.renewing import Renewing, with_current

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")


def edgeagent(*arguments: object, given: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "edgeagent", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)


def broker_of(folder: Path) -> HardenedBroker:
    """Set a broker up by the command, and return it, not running yet."""
    port, enrolment_port = free_port(), free_port()
    (folder / "state").mkdir(parents=True)
    made = edgeagent(
        "console", "broker", "init", folder, "--name", "127.0.0.1", "--port", port, "--enrolment-port", enrolment_port,
        "--bind", "127.0.0.1", "--state", folder / "state",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert f"edgeagent enrol --broker 127.0.0.1:{port} --enrolment-port {enrolment_port}" in made.stdout
    plan = broker_files.Plan(("127.0.0.1",), port, enrolment_port, bind="127.0.0.1", state=folder / "state")
    assert json.loads((folder / "plan.json").read_text())["port"] == asdict(plan)["port"]
    return HardenedBroker(folder, plan, Authority.open(folder / "authority"))


@dataclass(frozen=True)
class Journey:
    """A device on its way: its broker, its console's database, its own folder."""

    broker: HardenedBroker
    made: Database
    home: Path

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def settings(self) -> Path:
        return self.home / "settings.toml"

    @property
    def options(self) -> list[object]:
        devices, plan = self.broker.folder / "devices", self.broker.plan
        return [
            "--broker", f"127.0.0.1:{plan.port}", "--enrolment-port", plan.enrolment_port,
            "--ca", devices / "ca.pem", "--claim", devices / "claim.pem", "--claim-key", devices / "claim.key",
            "--settings", self.settings, "--serial", "S-1", "--deadline-s", "20",
        ]  # fmt: skip

    def is_refused_with_a_wrong_token(self) -> None:
        wrong = edgeagent("enrol", *self.options, given="AAAA-BBBB-CCCC-DDDD-EEEE\n")
        assert wrong.returncode == 1
        assert "error: the console refuses: refused" in wrong.stderr
        assert "try: Check --token, --serial and --fleet" in wrong.stderr
        assert (self.broker.folder / "devices" / "claim.key").exists()

    def enrols(self) -> None:
        secret = token(self.made)
        (self.home / "token").write_text(secret)
        began = time.monotonic()
        done = edgeagent("enrol", *self.options, "--token-file", self.home / "token", "--json")
        whole_s = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert (facts["device"], facts["fleet"], facts["is_due"]) == ("kitchen", "home", False)
        assert not (self.broker.folder / "devices" / "claim.key").exists()
        assert secret not in done.stdout + done.stderr
        print(f"enrolment {facts['took_s']:.3f} s, the program's start and end included {whole_s:.3f} s")  # noqa: T201
        again = edgeagent("enrol", *self.options, given=secret)
        assert again.returncode == 1
        assert "this device is kitchen of home already" in again.stderr

    def shows_itself(self) -> None:
        shown = edgeagent("identity", "--settings", self.settings)
        assert shown.returncode == 0, shown.stderr
        assert "kitchen of home" in shown.stdout
        assert "0600" in shown.stdout

    async def renews(self, bus: Bus) -> None:
        old = identity.current(self.state)
        assert old is not None
        renewing = Renewing(bus, Identities(self.state), self.broker.console(), clock=lambda: time.time() + 61 * 86_400)
        taking = asyncio.create_task(_take_all(renewing, bus))
        renewed = await renewing.renew_where_due()
        taking.cancel()
        await asyncio.wait([taking])
        assert renewed is not None
        assert renewed.serial != old.serial

    async def is_revoked(self, bus: Bus) -> None:
        revoking = self.broker.revoking()
        with self.made.session() as session:
            device = session.scalars(select(Device)).one()
            assert enrolment.revoke(session, device, "stolen", time.time()) == 2
            revoked = certificates.revoked(session, time.time())
            names = certificates.fresh(session, revoked, revoking.crl)
        assert names == ["kitchen"]
        await asyncio.to_thread(certificates.enforce, revoked, names, self.broker.authority, revoking, time.time())
        await asyncio.wait_for(bus.until(connected=False), 10)
        failures = bus.counters.failures
        await eventually(lambda: bus.counters.failures > failures + 2, within_s=20)
        assert bus.counters.connections == 1
        with self.made.session() as session:
            assert certificates.fresh(session, revoked, revoking.crl) == []


@pytest.mark.slow
def test_a_device_enrols_connects_renews_and_is_revoked(tmp_path: Path) -> None:
    journey = Journey(broker_of(tmp_path / "broker"), database(tmp_path), tmp_path)
    journey.settings.write_text(f'[device]\nstate_dir = "{journey.state}"\n')

    async def scene() -> None:
        async with answering_console(journey.broker, journey.made) as console:
            for step in (journey.is_refused_with_a_wrong_token, journey.enrols, journey.shows_itself):
                await asyncio.to_thread(step)
            found = identity.current(journey.state)
            assert found is not None
            async with connect(with_current(journey.broker.console(), found), client_id="kitchen") as bus:
                bus.subscribe(Renewing.topic(found.address))
                await asyncio.wait_for(bus.until(connected=True), 10)
                await journey.renews(bus)
                await journey.is_revoked(bus)
            assert console.counters.connections == 1

    journey.broker.start()
    try:
        run(scene(), within_s=90)
    finally:
        journey.broker.stop()


async def _take_all(renewing: Renewing, bus: Bus) -> None:
    async for received in bus.received():
        await renewing.take(received)


def test_a_device_that_is_nobody_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    shown = edgeagent("identity", "--settings", tmp_path / "settings.toml")
    assert shown.returncode == 1
    assert "not enrolled; make a token for the serial number" in shown.stdout
    as_json = edgeagent("identity", "--settings", tmp_path / "settings.toml", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["enrolled"]) == (1, False)
    serial = edgeagent("identity", "--serial")
    assert serial.stdout.strip() == json.loads(as_json.stdout)["serial"]


@pytest.mark.slow
def test_the_real_console_enrols_a_device_and_throws_it_out(tmp_path: Path) -> None:
    broker = broker_of(tmp_path / "broker")
    broker.start()
    (tmp_path / "data").mkdir()
    journey = Journey(broker, database(tmp_path / "data"), tmp_path)
    journey.settings.write_text(f'[device]\nstate_dir = "{journey.state}"\n')
    (tmp_path / "console.toml").write_text(console_settings(broker, tmp_path / "data"))
    command = [sys.executable, "-m", "edgeagent", "console", "run", "--settings", str(tmp_path / "console.toml")]

    async def scene(console: "subprocess.Popen[str]") -> None:
        assert console.stdout is not None
        assert "console: " in await asyncio.to_thread(console.stdout.readline)
        await asyncio.to_thread(journey.enrols)
        found = identity.current(journey.state)
        assert found is not None
        async with connect(with_current(broker.console(), found), client_id="kitchen") as bus:
            bus.subscribe(Renewing.topic(found.address))
            await asyncio.wait_for(bus.until(connected=True), 10)
            await journey.renews(bus)
            with journey.made.session() as session:
                enrolment.revoke(session, session.scalars(select(Device)).one(), "stolen", time.time())
            await asyncio.wait_for(bus.until(connected=False), 20)
            failures = bus.counters.failures
            await eventually(lambda: bus.counters.failures > failures + 2, within_s=20)
            assert bus.counters.connections == 1

    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as console,
    ):
        try:
            run(scene(console), within_s=90)
        finally:
            console.terminate()
            console.wait(20)
            broker.stop()


def console_settings(broker: HardenedBroker, data: Path) -> str:
    start = broker.folder / "console"
    reload = json.dumps(list(broker.revoking().reload))
    return f"""
[console]
data_dir = "{data}"
[database]
url = "sqlite:///{data}/console.db"
[web]
port = 0
[broker]
host = "127.0.0.1"
port = {broker.plan.port}
[broker.tls]
ca = "{start}/ca.pem"
certificate = "{start}/console-1.pem"
key = "{start}/console-1.key"
[authority]
folder = "{broker.folder}"
reload = {reload}
"""
