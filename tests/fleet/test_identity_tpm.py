"""A key that never leaves the board's TPM: swtpm stands for the chip, everything else is real."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, free_port, run
from console.hardened_broker import HardenedBroker, answering_console, database, hardened_broker, token

MODULES = Path("/usr/lib/x86_64-linux-gnu/ossl-modules"), Path("/usr/lib/aarch64-linux-gnu/ossl-modules")
PROGRAMS = ("swtpm", "tpm2-abrmd", "dbus-daemon")
HAS_TPM = all(shutil.which(one) for one in PROGRAMS) and any((folder / "tpm2.so").exists() for folder in MODULES)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (HAS_TPM and HAS_MOSQUITTO) and "EDGEAGENT_CI" not in os.environ,
        reason="a package for TPMs, or mosquitto, is missing",
    ),
]

ENROL = "import sys; from edgeagent.__main__ import main; sys.argv[1:1] = ['enrol']; main()"
RENEW = """
import asyncio, sys, time
from pathlib import Path
from edgeagent.bus import connect
from edgeagent.fleet.identity_store import Identities
from edgeagent.fleet.renewing import Renewing, with_current
from edgeagent.settings import BrokerSettings

async def main():
    identities = Identities(Path(sys.argv[1]))
    old = identities.current()
    assert old.in_tpm
    broker = BrokerSettings(host="127.0.0.1", port=int(sys.argv[2]))
    async with connect(with_current(broker, old), client_id=old.device) as bus:
        bus.subscribe(Renewing.topic(old.address))
        await asyncio.wait_for(bus.until(connected=True), 20)
        renewing = Renewing(bus, identities, broker, clock=lambda: time.time() + 61 * 86_400)
        async def take():
            async for received in bus.received():
                await renewing.take(received)
        taking = asyncio.create_task(take())
        new = await renewing.renew_where_due()
        assert new.in_tpm and new.serial != old.serial
        taking.cancel()
    async with connect(with_current(broker, new), client_id=new.device) as bus:
        await asyncio.wait_for(bus.until(connected=True), 20)
    print(new.serial)

asyncio.run(main())
"""


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A TPM of our own behind a resource manager, as a kernel has one, and the environment in which it is found."""
    port = _two_free_ports()
    folder = tmp_path / "tpm"
    folder.mkdir()
    bus = f"unix:path={tmp_path}/bus"
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus, "TPM2OPENSSL_TCTI": "tabrmd:bus_type=session"}
    with ExitStack() as started:
        for command, is_ready in (
            (
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear",
                 "--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}"],
                partial(_is_open, port + 1),
            ),
            (["dbus-daemon", "--session", "--nofork", "--address", bus], (tmp_path / "bus").exists),
            (
                ["tpm2-abrmd", "--allow-root", "--session", f"--tcti=swtpm:host=127.0.0.1,port={port}"],
                partial(_is_usable, environment),
            ),
        ):  # fmt: skip
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            started.callback(_ended, process)
            deadline = time.monotonic() + 20
            while not is_ready():
                assert process.poll() is None, command
                assert time.monotonic() < deadline, command
                time.sleep(0.05)
        yield environment


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(10)


def _is_usable(environment: dict[str, str]) -> bool:
    asked = ["openssl", "list", "-providers", "-provider", "tpm2"]
    return subprocess.run(asked, env=environment, capture_output=True, check=False, timeout=20).returncode == 0


def _two_free_ports() -> int:
    """Return a free port whose next one is free too, as swtpm's clients expect it."""
    while True:
        port = free_port()
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[HardenedBroker]:
    with hardened_broker(tmp_path / "broker") as running:
        yield running


def ran(environment: dict[str, str], program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)


def test_a_device_enrols_connects_and_renews_with_keys_in_its_tpm(
    chip: dict[str, str], broker: HardenedBroker, tmp_path: Path
) -> None:
    made = database(tmp_path)
    (tmp_path / "token").write_text(token(made))
    (tmp_path / "settings.toml").write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    devices = broker.folder / "devices"
    options = [
        "--broker", f"127.0.0.1:{broker.plan.port}", "--enrolment-port", broker.plan.enrolment_port,
        "--ca", devices / "ca.pem", "--claim", devices / "claim.pem", "--claim-key", devices / "claim.key",
        "--settings", tmp_path / "settings.toml", "--serial", "S-1", "--token-file", tmp_path / "token",
        "--key", "tpm2", "--json",
    ]  # fmt: skip

    async def scene() -> None:
        async with answering_console(broker, made):
            done = await asyncio.to_thread(ran, chip, ENROL, *options)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["key"] == "tpm2"
            key = tmp_path / "state" / "identity" / "current" / "key.pem"
            assert key.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
            renewed = await asyncio.to_thread(ran, chip, RENEW, tmp_path / "state", broker.plan.port)
            assert renewed.returncode == 0, renewed.stderr

    run(scene(), within_s=100)


def test_without_a_chip_the_error_says_what_is_needed(broker: HardenedBroker, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    (tmp_path / "token").write_text("AAAA-BBBB-CCCC-DDDD-EEEE")
    devices = broker.folder / "devices"
    program = (
        "from edgeagent import __main__ as m; from edgeagent.cli.enrol import enrol; m.app.command()(enrol); m.main()"
    )
    done = ran(
        {**os.environ, "TPM2OPENSSL_TCTI": "swtpm:host=127.0.0.1,port=1"},
        program, "enrol", "--broker", "127.0.0.1", "--serial", "S", "--token-file", tmp_path / "token",
        "--ca", devices / "ca.pem", "--claim", devices / "claim.pem", "--claim-key", devices / "claim.key",
        "--settings", tmp_path / "settings.toml", "--key", "tpm2",
    )  # fmt: skip
    assert done.returncode == 1
    assert "the TPM does not do it" in done.stderr
    assert "tpm2-openssl" in done.stderr
