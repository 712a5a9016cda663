"""The daemon on a real microphone (a sound server that plays speech at its own pace) and without one."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, Mosquitto, announced, eventually, mosquitto, run
from brokers import settings as broker_settings
from soundcards import NAME, environment, sound_server

from edgeagent.bell import ask
from edgeagent.bus import Bus, connect
from edgeagent.hear.files import frames_of
from edgeagent.messages import Message
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live

pytestmark = pytest.mark.skipif(
    not HAS_MOSQUITTO and "EDGEAGENT_CI" not in os.environ,
    reason="mosquitto is not installed: apt-get install mosquitto",
)
SOUNDS = Path(__file__).parents[2] / "edgeagent" / "demo" / "sounds"


class Daemon:
    """The running daemon, what it logs, and the house that it obeys in."""

    def __init__(self, process: asyncio.subprocess.Process, house: House) -> None:
        self.process = process
        self.house = house

    async def logged(self, words: str) -> None:
        """Wait for a line of the log."""
        assert self.process.stderr is not None
        while words not in (line := (await self.process.stderr.readline()).decode()):
            assert line, f"it ended before it said {words!r}"

    async def end(self) -> None:
        """Ask it to end, and see that it does, far sooner than systemd would kill it."""
        assert self.process.stderr is not None
        asked = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await self.process.stderr.read()
        assert await self.process.wait() == 0
        assert time.monotonic() - asked < 10, "far beyond the 2 s that `make bench` shows"


@asynccontextmanager
async def daemon(home: Path, broker: Mosquitto) -> AsyncIterator[Daemon]:
    """The daemon in a home with a small house around it, ready."""
    file = home / "edgeagent.toml"
    file.write_text(
        f'[device]\narea = "Kitchen"\nstate_dir = "{home}/state"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f'[microphone]\ndevice = "{NAME}"\nreopen_after_s = 0.2\n[answering]\nspeech = "off"\n'
    )
    house = small_house()
    neighbours = asyncio.create_task(live(house, broker_settings(broker.port)))
    await announced(house, broker.port)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edgeagent", "run", "--settings", str(file),
        env=environment(home), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Daemon(process, house)
    finally:
        neighbours.cancel()
        if process.returncode is None:
            process.kill()
            await process.communicate()


def test_a_sentence_that_the_microphone_hears_switches_a_lamp_and_again_after_it_was_unplugged(tmp_path: Path) -> None:
    async def journey() -> None:
        with mosquitto() as broker, sound_server(tmp_path) as microphone:
            async with daemon(tmp_path, broker) as agent:
                await agent.logged("microphone is open")
                microphone.say(b"".join(frames_of(SOUNDS / "kitchen-light.flac")))
                await eventually(lambda: agent.house.state("kitchen_light")["POWER"] == "ON", within_s=20)
                microphone.unplug()
                await agent.logged("no microphone")
                microphone.plug_in()
                await agent.logged("microphone is back")
                microphone.say(b"".join(frames_of(SOUNDS / "all-off.flac")))
                await eventually(lambda: agent.house.state("kitchen_light")["POWER"] == "OFF", within_s=20)
                await agent.end()

    run(journey(), 90)


def _connections(path: Path) -> int:
    """Return how many programs are connected to a socket."""
    told = Path("/proc/net/unix").read_text("utf-8").splitlines()
    return sum(line.endswith(f" {path}") for line in told) - 1


def test_muted_the_microphone_is_closed_the_fleet_knows_and_the_emergency_stop_works(
    tmp_path: Path,
) -> None:  # A79, A80
    async def journey() -> None:
        with mosquitto() as broker, sound_server(tmp_path) as microphone:
            async with (
                daemon(tmp_path, broker) as agent,
                connect(broker_settings(broker.port), client_id="stranger") as stranger,
            ):
                states: list[bool] = []
                reading = asyncio.create_task(_read_states(stranger, states))
                await agent.logged("microphone is open")
                state = tmp_path / "state"
                await eventually((state / "talk.sock").exists, within_s=20)
                await asyncio.to_thread(ask, state, "mute")
                await eventually(lambda: _connections(tmp_path / "server") == 0, within_s=20)
                await eventually(lambda: states[-1:] == [True], within_s=20)
                microphone.say(b"".join(frames_of(SOUNDS / "kitchen-light.flac")))
                order = {"id": "o1", "text": "emergency stop", "expires": time.time() + 20}
                topic = "ea/1/home/d/edgeagent/dn/do/say"
                await stranger.publish(Message(topic, json.dumps(order).encode(), qos=1))
                await agent.logged("emergency_stop")
                await asyncio.sleep(3)  # time is the point: what was said while it was muted has passed
                assert agent.house.state("kitchen_light")["POWER"] == "OFF"
                await asyncio.to_thread(ask, state, "unmute")
                await eventually(lambda: states[-1:] == [False], within_s=20)
                await agent.logged("microphone is open")
                microphone.say(b"".join(frames_of(SOUNDS / "kitchen-light.flac")))
                await eventually(lambda: agent.house.state("kitchen_light")["POWER"] == "ON", within_s=20)
                reading.cancel()
                await agent.end()

    run(journey(), 90)


async def _read_states(bus: Bus, muted: list[bool]) -> None:
    bus.subscribe("ea/1/home/d/edgeagent/up/state")
    async for received in bus.received():
        muted.append(json.loads(received.payload)["muted"])
        received.acknowledge()


def test_without_a_microphone_it_says_so_obeys_the_bus_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async def journey() -> None:
        (tmp_path / ".asoundrc").write_text("")
        with mosquitto() as broker:
            async with daemon(tmp_path, broker) as agent:
                await agent.logged("ready")
                await agent.logged("no microphone")
                order = {"id": "o1", "text": "turn on the kitchen light", "expires": time.time() + 20}
                async with connect(broker_settings(broker.port), client_id="stranger") as stranger:
                    await stranger.until(connected=True)
                    topic = "ea/1/home/d/edgeagent/dn/do/say"
                    await stranger.publish(Message(topic, json.dumps(order).encode(), qos=1))
                    await eventually(lambda: agent.house.state("kitchen_light")["POWER"] == "ON", within_s=20)
                await agent.end()

    run(journey(), 60)
