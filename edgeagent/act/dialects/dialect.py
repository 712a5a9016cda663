"""What every dialect offers: announcements to entities, orders to messages, payloads to observations.

A new dialect is one file with one class that fits `Dialect`; it describes each device by readers and writers, and
`Entity` does the rest. Rules that hold for all dialects:
- an order is checked against the device's range or words before anything is published; a refusal is a value;
- orders are never retained and are QoS 0: an order that does not arrive now must not arrive later;
- what cannot be read is a fault that is told beside the observation, never an exception.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Device, Message, Observation, Value

LARGEST_PAYLOAD_BYTES = 64 << 10
"""Announcements of real devices are below 20 KiB and states below 2 KiB; more is not read."""

Values = Mapping[Capability, Value]
NOTHING: Values = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reader:
    """How the payloads of a topic become values. `read` raises PayloadError where a payload makes no sense."""

    topic: str
    capabilities: tuple[Capability, ...]
    read: Callable[[bytes], Values]


@dataclass(frozen=True, slots=True)
class Writer:
    """How a value becomes messages.

    `words` are the values that may be ordered, or `Texts`, which holds every text that is right; empty for a number,
    whose range the device holds. `settle` gives what the device will report for a value that it has to round, such as a
    speed of a fan with three steps.
    """

    capability: Capability
    write: Callable[[Value], tuple[Message, ...]]
    words: tuple[str, ...] = ()
    settle: Callable[[float], float] = lambda value: value


@dataclass(frozen=True, slots=True)
class Presence:
    """A topic that says whether the device is there; `read` gives None for a payload that says neither."""

    topic: str
    read: Callable[[bytes], bool | None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to publish, and the value that the device will report when it is done; None: it will report nothing."""

    messages: tuple[Message, ...]
    reaches: Value | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no such order."""

    reason: Literal["not-able", "out-of-range"]
    detail: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a payload told. `reachable` goes into the next `observe`; `faults` are what could not be read."""

    observation: Observation
    reachable: Mapping[str, bool]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """A device and how to speak to it.

    `source` is the topic that announced it; `asks` are what makes it tell its state, where that is not retained.
    """

    device: Device
    source: str
    readers: tuple[Reader, ...] = ()
    writers: tuple[Writer, ...] = ()
    presences: tuple[Presence, ...] = ()
    presence_mode: Literal["all", "any", "latest", "none-away"] = "latest"
    optimistic: bool = False
    asks: tuple[Message, ...] = ()

    @property
    def topics(self) -> frozenset[str]:
        """Return the topics to subscribe to."""
        return frozenset({*(reader.topic for reader in self.readers), *(there.topic for there in self.presences)})

    def order(self, capability: Capability, value: Value) -> Order | Refused:
        """Return what to publish so that the capability gets the value."""
        writer = next((writer for writer in self.writers if writer.capability == capability), None)
        if writer is None:
            return Refused("not-able", f"{self.device.name} has no {capability} that can be ordered")
        if writer.words and value not in writer.words:
            return Refused("out-of-range", f"{self.device.name}: {capability} is one of {', '.join(writer.words)}")
        if not writer.words and (refusal := self._outside(capability, value)) is not None:
            return refusal
        try:
            messages = writer.write(value)
            reaches = value if writer.words else writer.settle(float(value))
        except (PayloadError, ArithmeticError, LookupError, ValueError) as error:
            return Refused("not-able", f"{self.device.name}: {error}")
        return Order(messages, reaches if self._tells(capability) else None)

    def observe(self, topic: str, payload: bytes, reachable: Mapping[str, bool] = MappingProxyType({})) -> Seen:
        """Return what a payload tells; `reachable` is what each presence topic said before (see `Seen`)."""
        values: dict[Capability, Value] = {}
        faults: list[str] = []
        now = dict(reachable)
        available: bool | None = None
        for reader in self.readers:
            if reader.topic == topic:
                try:
                    values.update(reader.read(payload))
                except PayloadError as error:
                    faults.append(f"{'/'.join(reader.capabilities)}: {error}")
        for presence in self.presences:
            if presence.topic == topic:
                try:
                    is_there = presence.read(payload)
                except PayloadError as error:
                    faults.append(f"availability: {error}")
                    continue
                if is_there is not None:
                    now[topic] = is_there
                    available = self._is_available(is_there, now)
        return Seen(Observation(self.device.id, values, available), now, tuple(faults))

    def _tells(self, capability: Capability) -> bool:
        return not self.optimistic and any(capability in reader.capabilities for reader in self.readers)

    def _outside(self, capability: Capability, value: Value) -> Refused | None:
        least, most = self.device.ranges.get(capability, (0.0, -1.0))
        if isinstance(value, int | float) and least <= value <= most:  # false for NaN
            return None
        return Refused("out-of-range", f"{self.device.name}: {capability} is from {least:g} to {most:g}")

    def _is_available(self, latest: bool, reachable: Mapping[str, bool]) -> bool | None:  # noqa: FBT001 - the newest of the mapping, not a switch
        """Combine the presence topics as Home Assistant's `availability_mode` says; None while too few have spoken."""
        said = [reachable.get(presence.topic) for presence in self.presences]
        match self.presence_mode:
            case "latest":
                return latest
            case "all":
                return False if False in said else None if None in said else True
            case "none-away":  # some of the topics may never speak
                return False not in said
            case "any":
                return True if True in said else None if None in said else False


@dataclass(frozen=True, slots=True)
class Announcement:
    """The entities that a topic announces; what it announced before is replaced. `left_out` says what was not taken."""

    topic: str
    entities: tuple[Entity, ...]
    left_out: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Removal:
    """What this topic announced is gone."""

    topic: str


class Dialect(Protocol):
    """One family of devices on the bus."""

    @property
    def name(self) -> str:
        """Return the name that stands in `Device.dialect`."""

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the topic filters on which devices announce themselves."""

    def source(self, topic: str) -> str:
        """Return the topic under which what this topic announces is kept: several may announce together."""

    def discover(self, topic: str, payload: bytes) -> Announcement | Removal:
        """Read an announcement. Raise PayloadError, saying what is wrong and where."""
