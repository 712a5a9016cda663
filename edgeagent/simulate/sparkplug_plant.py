"""A virtual plant that speaks Sparkplug B: an edge node with its devices, pure, and what puts it on a real broker.

It has what a plant has: a press with a set point and an alarm, a pump that tells by another metric that it runs, a
valve, a boiler; and what goes wrong in one: devices that are dead or lie, messages that get lost, a node that starts
anew before its death is told.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from edgeagent.act.dialects.sparkplug_payload import (
    Datatype,
    Metric,
    Payload,
    Scalar,
    decode,
    encode,
    metric_of,
    value_of,
)
from edgeagent.bus import connect
from edgeagent.duties import doing
from edgeagent.errors import PayloadError
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings
from edgeagent.simulate.house import Fault

REBIRTH = "Node Control/Rebirth"
SEQUENCE = 256
ALIASES_MOVE_BY = 100
"""With every start the aliases are others: whoever uses those of before hits another metric, or none."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A metric of a device. What is ordered of it is passed on to the metric `feeds`, too, as a motor's contact is."""

    name: str
    datatype: Datatype
    value: Scalar
    properties: Mapping[str, Scalar] = field(default_factory=dict)
    feeds: str | None = None


class EdgeNode:
    """An edge node. Whoever holds it publishes what comes out, in its order, and hands in what was published."""

    def __init__(
        self,
        group: str,
        node: str,
        devices: Mapping[str, tuple[Tag, ...]],
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Take the devices by their ids, each with its metrics; the node is not connected yet."""
        self.group, self.node = group, node
        self._tags = {device: {tag.name: tag for tag in tags} for device, tags in devices.items()}
        self._values = {device: {tag.name: tag.value for tag in tags} for device, tags in devices.items()}
        self._faults: dict[str, Fault] = {}
        self._gone: set[str] = set()
        self._clock_ms = clock_ms
        self._session = -1
        self._starts = 0
        self._seq = 0

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Return the topics on which orders come in."""
        return self._topic("NCMD"), self._topic("DCMD", "+")

    def death(self) -> Message:
        """Begin a connection: return its last will, which says whose death it is."""
        self._session = (self._session + 1) % SEQUENCE
        self._starts += 1
        return self.last_will()

    def last_will(self) -> Message:
        """Return the death of the present session."""
        payload = encode(Payload((metric_of(Datatype.INT64, self._session, name="bdSeq"),), self._clock_ms()))
        return Message(self._topic("NDEATH"), payload, qos=1)

    def births(self) -> tuple[Message, ...]:
        """Return what the node publishes first: its own birth, and that of every device that is there."""
        self._seq = -1
        metrics = (
            metric_of(Datatype.INT64, self._session, name="bdSeq"),
            metric_of(Datatype.BOOLEAN, False, name=REBIRTH),  # noqa: FBT003 - the metric's value
        )
        there = [device for device in self._tags if device not in self._gone]
        return (self._message("NBIRTH", "", metrics), *(self._birth(device) for device in there))

    def restart(self) -> tuple[Message, ...]:
        """Start anew without a word: another session, other aliases; the death of the last one may still come."""
        self.death()
        return self.births()

    def skip(self) -> None:
        """Lose a message."""
        self._seq += 1

    def receive(self, topic: str, payload: bytes) -> tuple[Message, ...]:
        """Carry out an order; return what is published in answer. What makes no sense is ignored."""
        device = topic.rpartition("/")[2]
        try:
            metrics = decode(payload).metrics
        except PayloadError:
            return ()
        if topic == self._topic("NCMD"):
            return self.births() if any(one.name == REBIRTH and one.raw is True for one in metrics) else ()
        if device not in self._tags or device in self._gone or self._faults.get(device, "none") == "dead":
            return ()
        before = dict(self._values[device])
        ordered = {name: value for metric in metrics for name, value in self._ordered(device, metric).items()}
        if not ordered:
            return ()
        if self._faults.get(device) == "lying":
            return (self._data(device, {name: before[name] for name in ordered}),)
        return (self.change(device, ordered),)

    def state(self, device: str) -> Mapping[str, Scalar]:
        """Return what a device really is."""
        return dict(self._values[device])

    def change(self, device: str, values: Mapping[str, Scalar]) -> Message:
        """Change a device by hand; return what the node then publishes."""
        self._values[device].update(values)
        return self._data(device, values)

    def repeat(self) -> Message:
        """Return what the node publishes when nothing has changed for a while: one value again, if there is one."""
        there = [device for device in self._tags if device not in self._gone]
        if not there:
            return self._message("NDATA", "", ())
        name = next(iter(self._tags[there[-1]]))
        return self._data(there[-1], {name: self._values[there[-1]][name]})

    def break_down(self, device: str, fault: Fault) -> None:
        """Give a device a fault; `none` mends it."""
        self._faults[device] = fault

    def leave(self, device: str) -> Message:
        """Take a device away; return its death."""
        self._gone.add(device)
        return self._message("DDEATH", device, ())

    def come_back(self, device: str) -> Message:
        """Bring a device back; return its birth."""
        self._gone.discard(device)
        return self._birth(device)

    def alias(self, device: str, name: str) -> int:
        """Return the alias of a metric in the present session."""
        everything = [(one, tag) for one, tags in self._tags.items() for tag in tags]
        return self._starts * ALIASES_MOVE_BY + everything.index((device, name))

    def _ordered(self, device: str, metric: Metric) -> Mapping[str, Scalar]:
        tags = self._tags[device]
        called = [name for name in tags if metric.name == name or metric.alias == self.alias(device, name)]
        tag = tags[called[0]] if called else None
        try:
            value = None if tag is None else value_of(metric, tag.datatype)
        except PayloadError:
            return {}
        if tag is None or value is None or not _is_within(tag, value):
            return {}
        return {tag.name: value} if tag.feeds is None else {tag.name: value, tag.feeds: value}

    def _birth(self, device: str) -> Message:
        metrics = [
            _with(metric_of(tag.datatype, self._values[device][name], name=name, alias=self.alias(device, name)), tag)
            for name, tag in self._tags[device].items()
        ]
        return self._message("DBIRTH", device, metrics)

    def _data(self, device: str, values: Mapping[str, Scalar]) -> Message:
        tags = self._tags[device]
        metrics = (
            metric_of(tags[name].datatype, value, alias=self.alias(device, name)) for name, value in values.items()
        )
        return self._message("DDATA", device, metrics)

    def _message(self, verb: str, device: str, metrics: Iterable[Metric]) -> Message:
        self._seq = (self._seq + 1) % SEQUENCE
        return Message(self._topic(verb, device), encode(Payload(tuple(metrics), self._clock_ms(), self._seq)))

    def _topic(self, verb: str, device: str = "") -> str:
        return "/".join(("spBv1.0", self.group, verb, self.node, *([device] if device else [])))


def plant() -> EdgeNode:
    """Return a hall with a press, a pump, a valve and a boiler."""
    return EdgeNode(
        "Plant",
        "Hall-one",
        {
            "Press": (
                Tag("Run", Datatype.BOOLEAN, value=False),
                Tag("Pressure", Datatype.FLOAT, 182.5, {"engUnit": "bar"}),
                Tag("Speed Setpoint", Datatype.INT32, 600, {"engUnit": "rpm", "engLow": 0, "engHigh": 1500}),
                Tag("Alarm/Active", Datatype.BOOLEAN, value=True),
                Tag("Alarm/Acknowledge", Datatype.BOOLEAN, value=False),
            ),
            "Coolant pump": (
                Tag("Run", Datatype.BOOLEAN, value=False, feeds="Running"),
                Tag("Running", Datatype.BOOLEAN, value=False),
            ),
            "Inlet valve": (Tag("Open", Datatype.BOOLEAN, value=False),),
            "Boiler": (Tag("Temperature", Datatype.DOUBLE, 78.5, {"engUnit": "°C"}),),
        },
    )


async def live_plant(
    settings: BrokerSettings,
    node: EdgeNode,
    *,
    client_id: str = "virtual-plant",
    delay_s: float = 0.05,
    by_hand: "asyncio.Queue[Message] | None" = None,
    heartbeat_s: float | None = None,
) -> None:
    """Keep the node on a broker, for ever; it is born on every connection, and dies when this is cancelled.

    It takes `delay_s` to carry out an order. What is put into the queue is published as it comes. Every `heartbeat_s` a
    value is told again, so that a host that came later hears that there is something.
    """
    visitor = settings.model_copy(update={"session_expiry_s": 0})
    async with connect(visitor, client_id=client_id, will=node.death) as bus:
        bus.subscribe(*node.subscriptions)
        duties = {"births": _be_born(bus, node), "by hand": _publish_all(bus, by_hand or asyncio.Queue())}
        if heartbeat_s is not None:
            duties["heartbeat"] = _beat(bus, node, heartbeat_s)
        try:
            async with doing(duties):
                async for received in bus.received():
                    received.acknowledge()
                    await asyncio.sleep(delay_s)
                    for message in node.receive(received.topic, received.payload):
                        await bus.publish(message)
        finally:
            await bus.publish(node.last_will())


async def _be_born(bus: Bus, node: EdgeNode) -> None:
    while True:
        await bus.until(connected=True)
        for message in node.births():
            await bus.publish(message)
        await bus.until(connected=False)


async def _publish_all(bus: Bus, waiting: "asyncio.Queue[Message]") -> None:
    while True:
        await bus.publish(await waiting.get())


async def _beat(bus: Bus, node: EdgeNode, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        if bus.is_connected:
            await bus.publish(node.repeat())


def _with(metric: Metric, tag: Tag) -> Metric:
    return Metric(metric.name, metric.alias, metric.datatype, metric.held, metric.raw, properties=tag.properties)


def _is_within(tag: Tag, value: Scalar) -> bool:
    least, most = tag.properties.get("engLow"), tag.properties.get("engHigh")
    if not isinstance(value, int | float) or not isinstance(least, int | float) or not isinstance(most, int | float):
        return True
    return least <= value <= most
