"""The running daemon as a device of a fleet, and who gives it jobs and settings, for journeys."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from brokers import eventually
from brokers import settings as broker_settings

from edgeagent.bus import Bus, connect
from edgeagent.fleet.wire import Desired, FleetJob, desired, job
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings
from edgeagent.topics import Address

HERE = Address("home", "edgeagent")
PROGRAM = (sys.executable, "-m", "edgeagent")


class Office:
    """Whoever looks after the fleet, on its broker: what was told, by topic below `up/`, in the order it came."""

    def __init__(self, bus: Bus, address: Address = HERE) -> None:
        self.bus, self.address = bus, address
        self.told: dict[str, list[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Take down what is told, for ever."""
        self.bus.subscribe(f"{self.address.up}/#")
        async for received in self.bus.received():
            topic = received.topic.removeprefix(f"{self.address.up}/")
            if not topic.startswith("ha/"):  # Home Assistant's, in its own words
                self.told.setdefault(topic, []).append(json.loads(received.payload))
            received.acknowledge()

    def last(self, topic: str) -> dict[str, Any]:
        """Return what was told last on a topic; nothing where nothing was."""
        return self.told.get(topic, [{}])[-1]

    def states(self, job_id: str) -> list[str]:
        """Return the states of a job, each once for each number of its step, in their order."""
        told = {one["id"]: one["state"] for one in self.told.get(f"job/{job_id}", [])}
        return [told[key] for key in sorted(told, key=lambda key: int(key.rpartition(":")[2]))]

    async def want(self, version: int, **settings: Any) -> None:
        """Want settings; a dot in a key is written as two underscores."""
        wanted = Desired(version=version, settings={key.replace("__", "."): value for key, value in settings.items()})
        await self.bus.publish(desired(self.address, wanted))

    async def ask(self, job_id: str, kind: Any, **options: Any) -> None:
        """Give a job."""
        await self.bus.publish(job(self.address, FleetJob(id=job_id, kind=kind, created=time.time(), options=options)))

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish below `dn/` whatever it is."""
        await self.bus.publish(Message(f"{self.address.job.removesuffix('job')}{topic}", payload, qos=1, retain=retain))


class Device:
    """The daemon's process."""

    def __init__(self, home: Path, settings: str) -> None:
        """Write its settings; it is not started yet."""
        self.home, self.log = home, []  # type: ignore[var-annotated]  # list[str]
        self.file = home / "edgeagent.toml"
        (home / ".asoundrc").write_text("")
        self.file.write_text(
            f'[device]\nstate_dir = "{home}/state"\n[answering]\nspeech = "off"\n{settings}\n', encoding="utf-8"
        )

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.process = await asyncio.create_subprocess_exec(
            *PROGRAM, "run", "--settings", str(self.file),
            env={**os.environ, "HOME": str(self.home)},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        starts = self.starts
        await eventually(lambda: self.starts > starts, within_s=60)

    @property
    def starts(self) -> int:
        """How often it was ready, a new start in the same process counted."""
        return sum(" ready" in line for line in self.log)

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading

    async def stop(self) -> None:
        """End it in order."""
        self.process.send_signal(signal.SIGTERM)
        await self.process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            self.log.append(line)


def broker_table(name: str, port: int) -> str:
    """Return the section of a broker on this machine that is tried again at once."""
    return f'[{name}]\nhost = "127.0.0.1"\nport = {port}\nreconnect_least_s = 0.05\nreconnect_most_s = 0.3\n'


@asynccontextmanager
async def office(
    broker: int | BrokerSettings, address: Address = HERE, client_id: str = "office"
) -> AsyncIterator[Office]:
    """Give somebody who looks after a device on a broker, by settings or by its port on this machine."""
    settings = broker_settings(broker) if isinstance(broker, int) else broker
    async with connect(settings, client_id=client_id) as bus:
        found = Office(bus, address)
        listening = asyncio.create_task(found.listen())
        try:
            yield found
        finally:
            sys.stdout.write("".join(f"{topic}: {told}\n" for topic, told in found.told.items()))
            listening.cancel()
            await asyncio.wait([listening])


@asynccontextmanager
async def device(home: Path, settings: str) -> AsyncIterator[Device]:
    """Give the running daemon."""
    found = Device(home, settings)
    try:
        await found.start()
        yield found
    finally:
        sys.stdout.write("".join(found.log))  # shown where the test fails
        await found.kill()
