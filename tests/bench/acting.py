"""Measures acting on a real mosquitto with an agent and a thousand devices of five dialects: make bench.

Each measurement runs in a process of its own, the virtual devices in another: python -m tests.bench.acting flood
"""

import asyncio
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1]))
from brokers import eventually, mosquitto
from brokers import settings as broker_settings

from edgeagent.act.dialects.sparkplug_payload import Datatype
from edgeagent.act.plan import Plan, plan
from edgeagent.agent import Agent, Parts
from edgeagent.bus import connect
from edgeagent.lifetimes import opened
from edgeagent.messages import Command, Message, Outcome, Published, Step
from edgeagent.reports import Reports
from edgeagent.settings import ActingSettings, AgentSettings, DeviceSettings, HomeAssistantSettings, SparkplugSettings
from edgeagent.simulate.appliances import dimmer
from edgeagent.simulate.house import House
from edgeagent.simulate.live import live
from edgeagent.simulate.native_appliances import homie_relay, tasmota_plug, zigbee_lamp
from edgeagent.simulate.sparkplug_plant import EdgeNode, Tag, live_plant
from edgeagent.understand.text import typed

Row = tuple[str, str, str]
OF_EACH = 200
AT_ONCE = 40
FLOOD = 10_000
SUSTAINED_S = 10.0
WORKERS = 32
FRAME_S = 0.032
USABLE_WITHIN_S = 60.0
COLOURS = """
amber birch cedar delta ember fern grove hazel indigo juniper kestrel lilac maple nectar olive pearl quartz raven
sable topaz umber violet willow yarrow zephyr acorn basil clover daisy elder
""".split()  # noqa: SIM905 - a list is read as a line
AREAS = tuple(f"{side} {room}" for side in ("north", "south", "east", "west") for room in ("hall", "office", "store"))
NOUNS = {"Home Assistant": "light", "Zigbee2MQTT": "lamp", "Tasmota": "plug", "Homie": "relay", "Sparkplug": "pump"}


def name_of(number: int, noun: str) -> str:
    return f"{COLOURS[number % 30]} {COLOURS[number // 30]} {noun}"


class CountingHouse(House):
    """Counts the orders that reach it."""

    orders = 0

    def receive(self, topic: str, payload: bytes) -> tuple[tuple[float, Message], ...]:
        self.orders += not topic.endswith(("/get", "/STATE"))
        return super().receive(topic, payload)


def many() -> list[CountingHouse]:
    """Devices of four dialects, in houses that are small enough to be announced at once."""
    numbers = range(OF_EACH)
    lights = [dimmer(f"light_n{n}", name_of(n, "light"), AREAS[n % len(AREAS)]) for n in numbers]
    lamps = [zigbee_lamp("zigbee2mqtt", f"0x{n:016x}", name_of(n, "lamp")) for n in numbers]
    plugs = [tasmota_plug(f"{n:012X}", f"plug_n{n}", name_of(n, "plug")) for n in numbers]
    relays = [homie_relay(f"relay-n{n}", name_of(n, "relay")) for n in numbers]
    parts = [things[at : at + AT_ONCE] for things in (lights, plugs, relays) for at in range(0, OF_EACH, AT_ONCE)]
    return [CountingHouse(part, delay_s=0.0) for part in (lamps, *parts)]  # a bridge's list is one message


def pumps() -> list[EdgeNode]:
    """Devices of a plant."""
    run = (Tag("Run", Datatype.BOOLEAN, value=False),)
    parts = [range(at, at + AT_ONCE) for at in range(0, OF_EACH, AT_ONCE)]
    return [EdgeNode("Plant", f"Hall{part.start}", {name_of(n, "pump"): run for n in part}) for part in parts]


async def be_there(port: int) -> None:
    """Be the houses and the plant until somebody asks for the end; tell how many orders came."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    houses, settings = many(), broker_settings(port)
    there = [
        asyncio.create_task(live(house, settings, client_id=f"house-{number}")) for number, house in enumerate(houses)
    ]
    there += [
        asyncio.create_task(live_plant(settings, node, client_id=f"node-{number}", delay_s=0.0))
        for number, node in enumerate(pumps())
    ]
    await ended.wait()
    for task in there:
        task.cancel()
    await asyncio.wait(there)
    sys.stdout.write(json.dumps({"orders": sum(house.orders for house in houses)}))


@asynccontextmanager
async def agent_in(port: int, folder: Path, report: Callable[[Step], None], **acting: Any) -> AsyncIterator[Agent]:
    """An agent at a broker, without Home Assistant's announcement of itself."""
    settings = AgentSettings(
        device=DeviceSettings(state_dir=folder),
        broker=broker_settings(port),
        acting=ActingSettings(**({"orders_per_minute": 10_000, "hold_s": 0, "risks": {"run": "free"}} | acting)),
        sparkplug=SparkplugSettings(host_id="edgeagent"),
        homeassistant=HomeAssistantSettings(announce=False),
    )
    async with opened(settings, Parts(report), Reports(settings.device)) as agent:
        yield agent


@asynccontextmanager
async def among_many(report: Callable[[Step], None]) -> AsyncIterator[tuple[Agent, "subprocess.Popen[str]"]]:
    """An agent that knows every device and can say its name."""
    with mosquitto() as broker, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.acting", "be-there", str(broker.port)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - it is not waited for
        try:
            async with agent_in(broker.port, Path(folder), report) as agent:
                await eventually(lambda: len(agent.devices.all_devices()) >= len(NOUNS) * OF_EACH, within_s=60)
                wanted = [f"the {name_of(OF_EACH - 1, noun)}".split() for noun in NOUNS.values()]
                await eventually(lambda: all(map(agent.interpreter.automaton.parse, wanted)), within_s=USABLE_WITHIN_S)
                yield agent, child
        finally:
            child.kill()
            child.wait()


async def many_devices() -> dict[str, Any]:
    """Return how long planning takes, how long orders take in every dialect, and how many go in a second."""
    steps: list[Step] = []
    async with among_many(steps.append) as (agent, child):
        told: dict[str, Any] = {"devices": len(agent.devices.all_devices())}
        told["plan_s"] = [
            _planned(agent, f"{'start' if noun == 'pump' else 'turn on'} the {name_of(number, noun)}")
            for number in range(OF_EACH)
            for noun in NOUNS.values()
        ]
        told["acknowledged_s"] = {
            dialect: [await _acknowledged(agent, number, noun) for number in range(100)]
            for dialect, noun in NOUNS.items()
        }
        before = sum(isinstance(step, Published) and "spBv1.0" not in step.message.topic for step in steps)
        steps.clear()
        told["latency_s"], told["ran_s"] = await _sustained(agent)
        told["published"] = sum(isinstance(step, Published) for step in steps)
        told["done"] = sum(isinstance(step, Outcome) and step.status == "done" for step in steps)
        told["failed"] = sum(isinstance(step, Outcome) and step.status == "failed" for step in steps)
        await asyncio.sleep(1)  # what was sent twice would come by now
        child.send_signal(signal.SIGTERM)
        told["arrived"] = json.loads((await asyncio.to_thread(child.communicate))[0])["orders"] - before
    return told


def _planned(agent: Agent, text: str) -> float:
    began = time.perf_counter()
    command = agent.interpreter.interpret(typed("u1", text))
    assert isinstance(command, Command), text
    assert isinstance(plan(command, agent.devices, None, _never), Plan), text
    return time.perf_counter() - began


def _never() -> Any:
    raise AssertionError("nobody asked for the time")


async def _acknowledged(agent: Agent, number: int, noun: str) -> float:
    began = time.perf_counter()
    (outcome,) = await agent.obey_text(f"{'start' if noun == 'pump' else 'turn on'} the {name_of(number, noun)}")
    assert outcome.status == "done", outcome
    return time.perf_counter() - began


async def _sustained(agent: Agent) -> tuple[list[float], float]:
    """Give orders to a device per worker, each when the one before is acknowledged."""
    latencies: list[float] = []
    nouns = [noun for noun in NOUNS.values() if noun != "pump"]

    async def work(worker: int) -> None:
        name = name_of(100 + worker, nouns[worker % len(nouns)])
        state = "off"
        while time.perf_counter() - began < SUSTAINED_S:
            state = "on" if state == "off" else "off"
            asked = time.perf_counter()
            (outcome,) = await agent.obey_text(f"turn {state} the {name}")
            assert outcome.status == "done", outcome
            latencies.append(time.perf_counter() - asked)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for worker in range(WORKERS):
            tasks.create_task(work(worker))
    return latencies, time.perf_counter() - began


async def flood() -> dict[str, Any]:
    """Return how an agent bears ten thousand announcements: until when it is usable, its memory, and its ear."""
    with mosquitto("allow_anonymous true\nmax_queued_messages 0\n") as broker, tempfile.TemporaryDirectory() as folder:
        async with agent_in(broker.port, Path(folder), lambda _: None) as agent:
            await agent.bus.until(connected=True)
            await asyncio.sleep(1)
            before_mb = resident_mb()
            command = [sys.executable, "-m", "tests.bench.acting", "announce", str(broker.port)]
            child = subprocess.Popen(command)  # noqa: ASYNC220 - it is not waited for
            with Ear() as ear:
                began = time.monotonic()
                counts = agent.devices.counts
                await eventually(lambda: counts["announced"] + counts["full"] >= FLOOD, within_s=USABLE_WITHIN_S)
                read_s = time.monotonic() - began
                kept = agent.devices.all_devices()
                words = ["turn", "on", "the", *kept[-1].name.split()]
                with suppress(AssertionError):
                    await eventually(lambda: agent.interpreter.automaton.parse(words), within_s=USABLE_WITHIN_S)
                usable_s = time.monotonic() - began
            child.kill()
            return {
                "read_s": read_s, "usable_s": usable_s if agent.interpreter.automaton.parse(words) else None,
                "kept": len(kept), "refused": counts["full"], "before_mb": before_mb, "after_mb": resident_mb(),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, "late_s": ear.late_s,
            }  # fmt: skip


class Ear:
    """A thread that does something every 32 ms, as listening does, and notes how late it comes to it."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ear")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def late_s(self) -> list[float]:
        return self._late

    def _listen(self) -> None:
        due = time.perf_counter()
        while not self._ended.is_set():
            due += FRAME_S
            time.sleep(max(0.0, due - time.perf_counter()))
            self._late.append(time.perf_counter() - due)
            due = max(due, time.perf_counter() - FRAME_S)


async def announce(port: int) -> None:
    """Announce ten thousand devices as fast as the broker takes them."""
    draw = random.Random(1)  # noqa: S311 - a sample
    settings = broker_settings(port).model_copy(update={"session_expiry_s": 0})
    async with connect(settings, client_id="flood") as bus:
        await bus.until(connected=True)
        for number in range(FLOOD):
            name = f"{draw.choice(COLOURS)} {draw.choice(COLOURS)} {COLOURS[number % 30]} light"
            one = dimmer(f"flood_{number}", name, AREAS[number % len(AREAS)])
            await bus.publish(Message(one.discovery_topic, json.dumps(one.announcement).encode(), qos=1))
            if number % 100 == 0:  # the outbox is bounded
                await eventually(lambda: len(bus.outbox) < 100, within_s=60)
        await eventually(lambda: not len(bus.outbox), within_s=60)


def acting(_: Path) -> Iterator[Row]:
    """Orders to a thousand devices of five dialects, and a flood of ten thousand."""
    told = measured("many-devices")
    how = f"{told['devices']} devices of five dialects, real mosquitto"
    yield "text to plan, many devices", percentiles(told["plan_s"]), how
    for dialect, times in told["acknowledged_s"].items():
        yield f"order to acknowledged, {dialect}", percentiles(times), "the same; 100 orders, one after the other"
    rate = len(told["latency_s"]) / told["ran_s"]
    lost = f"{told['published']} sent, {told['arrived']} at the devices, {told['failed']} failed"
    yield "orders sustained", f"{rate:.0f} a second", f"{WORKERS} at once, {told['ran_s']:.0f} s; {lost}"
    yield "order to acknowledged, sustained", percentiles(told["latency_s"]), "the same"
    told = measured("flood")
    usable = "never" if told["usable_s"] is None else f"{told['usable_s']:.1f} s"
    how = f"{FLOOD} announcements read in {told['read_s']:.1f} s, {told['kept']} kept, {told['refused']} refused"
    yield "flood of announcements until usable", usable, how
    memory = f"{told['before_mb']:.0f} to {told['after_mb']:.0f} MB, peak {told['peak_mb']:.0f} MB"
    yield "flood, memory", memory, "resident, model and all"
    late = f"{percentiles(told['late_s'])}, at most {1e3 * max(told['late_s']):.0f} ms"
    yield "flood, lateness of a thread of 32 ms frames", late, "until usable"


def measured(name: str) -> dict[str, Any]:
    """Run a measurement in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.acting", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def percentiles(times: list[float]) -> str:
    """Return the median and the 99th percentile in words."""
    times = sorted(times)
    p50, p99 = (1e3 * times[int(len(times) * share)] for share in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def resident_mb() -> float:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    """Do one part."""
    match sys.argv[1:]:
        case ["be-there", port]:
            asyncio.run(be_there(int(port)))
        case ["announce", port]:
            asyncio.run(announce(int(port)))
        case ["flood"]:
            sys.stdout.write(json.dumps(asyncio.run(flood())) + "\n")
        case ["many-devices"]:
            sys.stdout.write(json.dumps(asyncio.run(many_devices())) + "\n")
        case _:
            for row in acting(Path()):
                sys.stdout.write("  ".join(row) + "\n")


if __name__ == "__main__":
    main()
