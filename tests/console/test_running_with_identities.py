"""The console as a program on the hardened broker: it enrols a device, hears it, and shuts it out once revoked."""

import asyncio
import time
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, run
from console.hardened_broker import HardenedBroker, hardened_broker, token
from console.running_console import RunningConsole
from console.telling import birth, state
from sqlalchemy import select

from edgeagent.bus import connect
from edgeagent.console.database import Database
from edgeagent.console.enrolment import retire
from edgeagent.console.tables import Device
from edgeagent.fleet.enrolling import enrol
from edgeagent.fleet.identity_probe import ask
from edgeagent.fleet.identity_store import Identities

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed"),
]


def console_on(broker: HardenedBroker, folder: Path) -> RunningConsole:
    """A console that is set up as `edgeagent console broker init` says, with its own certificate."""
    console = RunningConsole(folder, broker.plan.port)
    pair = broker.folder / "console" / "console-1"
    reload = f'["/bin/sh", "-c", "kill -HUP $(cat {broker.pid_file})"]'
    text = console.file.read_text().replace("adopt = true", "adopt = false")
    text += f'[broker.tls]\nca = "{broker.folder}/console/ca.pem"\ncertificate = "{pair}.pem"\nkey = "{pair}.key"\n'
    text += f'[authority]\nfolder = "{broker.folder}"\nreload = {reload}\n'
    console.file.write_text(text)
    return console


def kitchen(database: Database) -> Device | None:
    with database.reading() as session:
        return session.scalar(select(Device).where(Device.name == "kitchen"))


def test_a_device_is_enrolled_heard_retired_and_stays_out_a42(tmp_path: Path) -> None:
    async def scene(broker: HardenedBroker, console: RunningConsole) -> None:
        database = Database(console.settings.database_url)
        began = time.monotonic()
        identity = await enrol(broker.wish(token(database)), Identities(tmp_path / "device"))
        print(f"enrolled in {time.monotonic() - began:.2f} s")  # noqa: T201  # a figure for who looks at it
        link = broker.console().model_copy(update={"tls": identity.tls})
        async with connect(link, client_id="kitchen") as bus:
            for message in (birth("kitchen"), state("kitchen")):
                assert await bus.deliver(message)
            await eventually(lambda: (row := kitchen(database)) is not None and row.online)
            with database.session() as session:
                retire(session, session.scalars(select(Device)).one(), time.time())
            # The console makes the broker know, and lets go of who is in.
            await asyncio.wait_for(bus.until(connected=False), 30)
            assert await asyncio.to_thread(ask, link) == "refused"
        database.close()

    with hardened_broker(tmp_path / "broker") as broker:
        console = console_on(broker, tmp_path / "data")
        console.start()
        try:
            run(scene(broker, console), within_s=80)
            assert console.end() == 0
        finally:
            console.close()
        assert "Traceback" not in console.log.read_text()
