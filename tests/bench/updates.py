"""Measures updates of the running daemon on a real mosquitto: python -m tests.bench.updates."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from brokers import Mosquitto, eventually, mosquitto
from brokers import settings as broker_settings
from update.published import Publisher
from update.running_device import PROGRAM, Running, device, served

from edgeagent.bus import connect
from edgeagent.update.deltas import make

Row = tuple[str, str, str]
QUICK = "allow_anonymous true\nset_tcp_nodelay true\n"
MODEL_BYTES = 7_300_000
SETTLED_S = 8.0
LARGE_BYTES = 320 << 20
ORDERS_EVERY_S = 0.3
"""An order is under way until its device has held its state for 0.2 s; the next one would wait for it."""
UNLIMITED = "[acting]\norders_per_minute = 10000"


def updates(folder: Path) -> Iterator[Row]:
    """Yield rows: seconds per state, memory, the speed of blocks over the broker with orders beside."""
    yield _successive()
    yield from asyncio.run(_over_the_web(folder / "web"))
    yield from asyncio.run(_over_the_broker(folder / "broker"))


async def _over_the_web(folder: Path) -> list[Row]:
    publisher = _publisher(folder)
    publisher.release("0.2.0", {"as-large-as-the-model.bin": np.random.default_rng(3).bytes(MODEL_BYTES)})
    with mosquitto(QUICK) as broker, served(publisher.out) as url:
        async with device(folder, f'url = "{url}"', broker.port, publisher.root) as agent:
            before_mb = await _settled_mb(agent)
            sampled = asyncio.create_task(_highest(agent))
            await agent.ask("j1", "0.2.0")
            await eventually(lambda: "probation" in agent.states("j1"), within_s=120)
            sampled.cancel()
            spent = agent.told["j1"][-1]["spent_s"]
            peak = next(line for line in agent.log if "peak_mb" in line).split("peak_mb=")[1].split()[0]
            await eventually(lambda: agent.states("j1")[-1:] == ["confirmed"], within_s=120)
            states = "  ".join(f"{state} {seconds:.2f}" for state, seconds in spent.items())
            return [
                ("update over loopback, s per state", states, "command model, real daemon"),
                ("daemon's memory during an update", f"{before_mb} -> {agent.highest_mb} MB", "resident, highest"),
                ("the updater's memory", f"{peak} MB", "VmHWM, in its own process"),
            ]


async def _over_the_broker(folder: Path) -> list[Row]:
    publisher = _publisher(folder)
    large = np.random.default_rng(3).bytes(LARGE_BYTES)
    publisher.release("0.2.0", {"more.bin": large})
    with mosquitto(QUICK) as broker:
        async with device(folder, f"over_bus = true\n{UNLIMITED}", broker.port, publisher.root) as agent:
            before_mb = await _settled_mb(agent)
            alone = await _answers(agent, broker, lambda: False, most=60)
            serving = await asyncio.create_subprocess_exec(
                *PROGRAM, "release", "serve", str(publisher.out), "--settings", str(folder / "edgeagent.toml")
            )
            sampled = asyncio.create_task(_highest(agent))
            await agent.ask("j1", "0.2.0")
            await eventually(lambda: "downloading" in "".join(agent.log), within_s=60)
            beside = await _answers(agent, broker, lambda: 'to="verifying"' in "".join(agent.log), most=10_000)
            await eventually(lambda: "probation" in agent.states("j1"), within_s=200)
            sampled.cancel()
            serving.terminate()
            await serving.wait()
            spent_s = agent.told["j1"][-1]["spent_s"]["downloading"]
            return [
                ("blocks over the broker", f"{LARGE_BYTES / 1e6 / spent_s:.0f} MB/s", "with orders beside"),
                ("order to the device, nothing else", _percentiles(alone), f"{len(alone)} orders"),
                ("order to the device, during the transfer", _percentiles(beside), f"{len(beside)} orders"),
                ("daemon's memory during the transfer", f"{before_mb} -> {agent.highest_mb} MB", "resident, highest"),
            ]


async def _answers(agent: Running, broker: Mosquitto, is_over: Callable[[], bool], most: int) -> list[float]:
    """Return how long each order took until its device was told, in ms."""
    times: list[float] = []
    async with connect(broker_settings(broker.port), client_id="stopwatch") as watch:
        watch.subscribe("tasmota/kitchen_light/cmnd/#")
        came = watch.received()
        is_on = False
        while not is_over() and len(times) < most:
            is_on = not is_on
            began = time.perf_counter()
            await agent.order("on" if is_on else "off")
            async with asyncio.timeout(20):
                received = await anext(came)
            received.acknowledge()
            times.append((time.perf_counter() - began) * 1_000)
            await asyncio.sleep(ORDERS_EVERY_S)
    return times


async def _highest(agent: Running) -> None:
    while True:
        agent.highest_mb = max(agent.highest_mb, agent.memory_mb())
        await asyncio.sleep(0.1)


async def _settled_mb(agent: Running) -> int:
    """Return what the daemon holds once it has loaded everything: for some seconds no more than before."""
    highest, since = agent.memory_mb(), time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        await asyncio.sleep(0.2)
        if (now := agent.memory_mb()) > highest:
            highest, since = now, time.monotonic()
    return highest


def _percentiles(times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, most {max(times):.0f} ms"


def _publisher(folder: Path) -> Publisher:
    folder.mkdir()
    return Publisher(folder)


def _successive() -> Row:
    """Return what the two last models that were trained cost one after the other; it needs the project's history."""
    model = "models/command-en"
    new, old = _git("log", "-2", "--format=%H", "--", f"{model}/segment1.onnx").decode().split()
    whole = fetched = 0
    for name in _git("ls-tree", "--name-only", new, f"{model}/").decode().split():
        if name.endswith(("README.md", "report")):
            continue
        content = _git("show", f"{new}:{name}")
        before = _git("show", f"{old}:{name}") if _git("ls-tree", old, name) else b""
        delta = b"" if content == before else make(before, content)
        whole += len(content)
        fetched += len(content if delta is None else delta)
    saved = f"{whole / 1e6:.2f} MB -> {fetched / 1e6:.2f} MB, {100 * (1 - fetched / whole):.0f} % saved"
    return ("bytes of an update, by reuse and delta", saved, f"command model {old[:7]} to {new[:7]}")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for row in updates(Path(name)):
            sys.stdout.write("\t".join(row) + "\n")
            sys.stdout.flush()
