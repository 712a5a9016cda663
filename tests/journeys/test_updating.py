"""Updates of the running daemon: by jobs from the bus and by its owner, over the web and over the broker."""

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

import pytest
from brokers import HAS_MOSQUITTO, announced, eventually, mosquitto, run
from brokers import settings as broker_settings
from update.published import FAMILY, Publisher

from edgeagent.bus import Bus, connect
from edgeagent.messages import Message
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
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

    async def ask(self, job: str, version: str, **more: Any) -> None:
        """Publish a job, retained."""
        body = {"id": job, "kind": "update", "family": FAMILY, "version": version, "created": time.time(), **more}
        await self.fleet.publish(Message(f"{DEVICE}/dn/job", json.dumps(body).encode(), qos=1, retain=True))

    def states(self, job: str) -> list[str]:
        return [one["state"] for one in self.told.get(job, [])]

    async def turned(self, state: str) -> None:
        """Have the kitchen light turned by an order from the bus, and see it."""
        order = {
            "id": f"o{time.time_ns()}",
            "text": f"turn {state.lower()} the kitchen light",
            "expires": time.time() + 20,
        }
        await self.fleet.publish(Message(f"{DEVICE}/dn/do/say", json.dumps(order).encode(), qos=1))
        await eventually(lambda: self.house.state("kitchen_light")["POWER"] == state, within_s=20)

    async def listen(self) -> None:
        """Take down what is told, for ever."""
        self.fleet.subscribe(f"{DEVICE}/up/job/+", f"{DEVICE}/up/birth")
        async for received in self.fleet.received():
            body = json.loads(received.payload)
            if received.topic.endswith("/birth"):
                self.births.append(body)
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


def test_a_job_from_the_fleet_is_carried_out_while_orders_are_obeyed_and_told_to_its_end(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        with mosquitto() as broker, served(publisher.out) as url:
            async with device(tmp_path, f'url = "{url}"', broker.port, publisher.root) as agent:
                await agent.ask("j1", "0.2.0")
                await agent.turned("ON")
                await eventually(lambda: "probation" in agent.states("j1"), within_s=60)
                await eventually(lambda: len(agent.births) > 1, within_s=40)
                assert agent.births[-1]["releases"] == {FAMILY: "0.2.0"}
                assert agent.process.returncode is None, "it is the same process for who supervises it"
                await agent.turned("OFF")
                await eventually(lambda: agent.states("j1")[-1:] == ["confirmed"], within_s=60)
                spent = agent.told["j1"][-1]["spent_s"]
                assert set(spent) > {"downloading", "testing", "switching", "probation"}
                await agent.ask("j1", "0.2.0")  # A49
                await eventually(lambda: agent.states("j1").count("confirmed") > 1, within_s=20)
                assert len(agent.births) == 2

    run(journey(), 150)


def test_the_owner_has_the_newest_version_keeps_it_and_goes_back(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        publisher.release("0.10.0")
        with mosquitto() as broker, served(publisher.out) as url:
            async with device(tmp_path, f'url = "{url}"', broker.port, publisher.root) as agent:
                file = tmp_path / "edgeagent.toml"
                code, said = await command("update", "apply", "--wait", "--settings", file)
                assert (code, "0.10.0 is confirmed" in said) == (0, True), said
                assert "downloading:" in said
                code, said = await command("update", "status", "--json", "--settings", file)
                assert json.loads(said)["families"][FAMILY]["current"] == "0.10.0"
                assert (await command("update", "pin", "--as", "0.10.0", "--settings", file))[0] == 0
                await agent.ask("j1", "0.2.0")
                await eventually(lambda: agent.states("j1")[-1:] == ["rejected"], within_s=60)
                assert agent.told["j1"][-1]["code"] == "pinned"
                births = len(agent.births)
                code, said = await command("update", "rollback", "--settings", file)
                assert (code, "as it ships" in said) == (0, True), said
                await eventually(lambda: len(agent.births) > births, within_s=40)
                assert agent.births[-1]["releases"] == {}

    run(journey(), 200)


def test_without_an_agent_the_owner_updates_all_the_same_and_a_fault_is_told(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0")
        publisher.release("0.3.0", {"golden.json": b"{}"})
        file = settings_in(tmp_path, 1, f'folder = "{publisher.out}"')
        code, said = await command("update", "apply", "--settings", file)
        assert (code, "no root of trust" in said) == (1, True), said
        assert (await command("update", "trust", publisher.root, "--yes", "--settings", file))[0] == 0
        code, said = await command("update", "apply", "--as", "0.3.0", "--settings", file)
        assert (code, "failed: self-test-refused" in said) == (1, True), said
        code, said = await command("update", "apply", "--as", "0.2.0", "--settings", file)
        assert (code, "0.2.0 is in place" in said) == (0, True), said
        code, said = await command("update", "history", "--settings", file)
        assert (code, "0.3.0: failed (self-test-refused" in said, "0.2.0: probation" in said) == (0, True, True), said

    run(journey(), 100)


def test_a_device_without_the_web_gets_its_update_over_the_broker(tmp_path: Path) -> None:
    async def journey() -> None:
        publisher = Publisher(tmp_path)
        publisher.release("0.2.0", {"words.txt": b"not looked at" * 100_000})
        with mosquitto() as broker:
            async with device(tmp_path, "over_bus = true", broker.port, publisher.root) as agent:
                serving = await asyncio.create_subprocess_exec(
                    *PROGRAM, "release", "serve", str(publisher.out), "--settings", str(tmp_path / "edgeagent.toml")
                )
                try:
                    await agent.ask("j1", "0.2.0")
                    await eventually(lambda: "probation" in agent.states("j1"), within_s=60)
                    await agent.turned("ON")
                    await eventually(lambda: agent.states("j1")[-1:] == ["confirmed"], within_s=60)
                finally:
                    serving.terminate()
                    assert await serving.wait() == 0

    run(journey(), 150)
