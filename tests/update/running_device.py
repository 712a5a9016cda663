"""The running daemon as a device of a fleet, with a repository on a web server, for journeys and measurements."""

import asyncio
import functools
import http.server
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from brokers import announced, eventually
from brokers import settings as broker_settings
from update.published import FAMILY

from edgeagent.bus import Bus, connect
from edgeagent.messages import Message
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live

DEVICE = "ea/1/home/d/edgeagent"
PROGRAM = (sys.executable, "-m", "edgeagent")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Running:
    """The daemon in a small house, and what it has told the fleet."""

    def __init__(self, process: asyncio.subprocess.Process, house: House, fleet: Bus, log: list[str]) -> None:
        self.process, self.house, self.fleet, self.log = process, house, fleet, log
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.births: list[dict[str, Any]] = []
        self.highest_mb = 0
        self.is_muted = False

    async def ask(self, job: str, version: str, **more: Any) -> None:
        """Publish a job, retained."""
        body = {"id": job, "kind": "update", "family": FAMILY, "version": version, "created": time.time(), **more}
        await self.fleet.publish(Message(f"{DEVICE}/dn/job", json.dumps(body).encode(), qos=1, retain=True))

    def states(self, job: str) -> list[str]:
        return [one["state"] for one in self.told.get(job, [])]

    async def order(self, state: str) -> None:
        """Order the kitchen light to be turned on or off."""
        text = f"turn {state.lower()} the kitchen light"
        order = {"id": f"o{time.time_ns()}", "text": text, "expires": time.time() + 20}
        await self.fleet.publish(Message(f"{DEVICE}/dn/do/say", json.dumps(order).encode(), qos=1))

    def memory_mb(self) -> int:
        """Return what the daemon holds in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmRSS:"))

    async def turned(self, state: str) -> None:
        """Have the kitchen light turned by an order from the bus, and see it."""
        await self.order(state)
        await eventually(lambda: self.house.state("kitchen_light")["POWER"] == state, within_s=20)

    async def listen(self) -> None:
        """Take down what is told, for ever."""
        self.fleet.subscribe(f"{DEVICE}/up/job/+", f"{DEVICE}/up/birth", f"{DEVICE}/up/state")
        async for received in self.fleet.received():
            body = json.loads(received.payload)
            if received.topic.endswith("/birth"):
                self.births.append(body)
            elif received.topic.endswith("/state"):
                self.is_muted = body["muted"]
            else:
                self.told.setdefault(body["job"], []).append(body)
            received.acknowledge()

    async def read(self) -> None:
        """Take down its log, for ever."""
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            self.log.append(line)


def settings_in(home: Path, port: int, update: str) -> Path:
    file = home / "edgeagent.toml"
    file.write_text(
        f'[device]\nstate_dir = "{home}/state"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[answering]\nspeech = "off"\n[update]\nconfirm_after_s = 2\nconfirm_quiet_after_s = 2\n{update}\n'
    )
    return file


async def command(*arguments: object) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@asynccontextmanager
async def device(home: Path, update: str, port: int, root: Path) -> AsyncIterator[Running]:
    """Give the running daemon that trusts this root."""
    (home / ".asoundrc").write_text("")
    file = settings_in(home, port, update)
    assert (await command("update", "trust", root, "--yes", "--settings", file))[0] == 0
    house = small_house()
    neighbours = asyncio.create_task(live(house, broker_settings(port)))
    await announced(house, port)
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "run", "--settings", str(file),
        env={**os.environ, "HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    log: list[str] = []
    async with connect(broker_settings(port), client_id="fleet") as fleet:
        running = Running(process, house, fleet, log)
        tasks = [asyncio.create_task(running.listen()), asyncio.create_task(running.read())]
        try:
            await eventually(lambda: any("ready" in line for line in log), within_s=30)
            yield running
        finally:
            for task in (*tasks, neighbours):
                task.cancel()
            sys.stdout.write("".join(log))  # shown where the test fails
            if process.returncode is None:
                process.kill()
                await process.wait()
