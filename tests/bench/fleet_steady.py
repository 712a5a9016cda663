"""An ordinary minute of a fleet: what it says, what that costs, and how quickly an order is answered."""

import asyncio
import json
import random
import time

from bench.fleet_figures import Figures
from bench.fleet_registry import Registry
from bench.fleet_world import World
from brokers import eventually

from edgeagent.bus import connect
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.topics import Address

STEADY_S = 20.0
ORDERS = 400
ANSWER_S = 10.0


def measure(made: World, registry: Registry, figures: Figures) -> None:
    """Look on for a while, then order."""
    time.sleep(2)  # what came with the start is through
    before, cpu_s, rows = dict(made.fleet.progress["network"]), _cpu(made), _rows(registry)
    began = time.monotonic()
    while time.monotonic() - began < STEADY_S:
        made.look()
        time.sleep(0.5)
    passed_s = time.monotonic() - began
    now, spent = made.fleet.progress["network"], _cpu(made)
    for name, key in (("messages", "sent"), ("bytes_up", "bytes_out"), ("bytes_down", "bytes_in")):
        each = (now[key] - before[key]) / passed_s / made.devices * 3_600
        figures.note(f"steady_{name}_h", each, "an hour and device, all at work as usual")
    figures.note("steady_rows_h", (_rows(registry) - rows) / passed_s / made.devices * 3_600, "new rows, the same")
    figures.note("steady_console_cpu", (spent[0] - cpu_s[0]) / passed_s, "of a core")
    figures.note("steady_broker_cpu", (spent[1] - cpu_s[1]) / passed_s, "of a core")
    times = asyncio.run(_orders(made))
    figures.note_times("order", times, f"an order to a device and its answer, {len(times)} devices (at most 50)")


def _cpu(made: World) -> tuple[float, float]:
    return made.console.cpu(), made.broker.cpu()


def _rows(registry: Registry) -> int:
    return sum(registry.number(f"SELECT count(*) FROM {table}") for table in ("events", "health_hours"))  # noqa: S608


async def _orders(made: World) -> list[float]:
    drawn = random.Random(1)  # noqa: S311  # a sample of devices
    times: list[float] = []
    async with connect(made.as_console("orders"), client_id=made.console_id("orders")) as bus:
        bus.subscribe(f"ea/1/{made.name}/d/+/up/event/outcome")
        await eventually(lambda: bus.is_subscribed)
        for number in range(ORDERS):
            address = Address(made.name, f"sim-{drawn.randrange(made.devices) + 1:05d}")
            began = time.perf_counter()
            await _answered(bus, address, f"o{number}")
            times.append(1_000 * (time.perf_counter() - began))
    return times


async def _answered(bus: Bus, address: Address, order: str) -> None:
    body = json.dumps({"id": order, "text": "turn on the lamp", "expires": time.time() + 30}).encode()
    topic = address.orders.removesuffix("+") + "say"
    await bus.publish(Message(topic, body, qos=1, expiry_s=30))
    async with asyncio.timeout(ANSWER_S):
        async for received in bus.received():
            received.acknowledge()
            if received.topic.startswith(address.up) and json.loads(received.payload)["utterance"] == order:
                return
