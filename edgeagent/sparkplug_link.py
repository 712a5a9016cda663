"""A plant that speaks Sparkplug B, on a connection of its own: what it says goes to the registry, orders go to it.

Rules:
- the session is new with each connection, and its last will says that this host is offline (specification 3.0, 5.4);
- while there is no connection, everything in the plant is away, and what waits from before is dropped: it may be
  followed by a death that nobody hears;
- what one message does wrong is contained, reported, and does not end the rest.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Announcement
from edgeagent.act.dialects.sparkplug import Following, Host, Told
from edgeagent.bus import connect
from edgeagent.duties import doing
from edgeagent.errors import BusError
from edgeagent.link import Bus
from edgeagent.messages import Message, Observation
from edgeagent.settings import BrokerSettings, SparkplugSettings

log = logging.getLogger(__name__)

TICK_S = 1.0


class SparkplugLink:
    """The link to the plant."""

    def __init__(self, bus: Bus, host: Host) -> None:
        """Take a link of its own, and the host whose birth and will that link bears."""
        self.bus = bus
        self.host = host
        self.contained = 0

    async def order(self, message: Message) -> None:
        """Send an order: now, once, not retained. Raise BusError if that cannot be."""
        await self.bus.order(message)

    async def observe(
        self, devices: Devices, observed: Callable[[Observation], None], changed: Callable[[], None]
    ) -> None:
        """Keep the registry on what the plant says, for ever.

        `observed` is told of every observation; `changed` is called when devices, names or areas have changed.
        """
        registry = _Registry(devices, observed, changed)
        duties = {"sparkplug connection": self._watch(registry), "sparkplug births": self._tick()}
        async with doing(duties):
            async for received in self.bus.received():
                received.acknowledge()
                if not self.bus.is_connected:
                    continue
                retained, now_s = received.retained, time.monotonic()
                try:
                    following = self.host.receive(received.topic, received.payload, retained=retained, now_s=now_s)
                    await self._publish(registry.apply(following))
                except Exception:
                    # Anybody on the plant's broker can write anything: one mistake must not end the rest.
                    self.contained += 1
                    log.exception("message not digested", extra={"topic": repr(received.topic)[:200]})

    async def _watch(self, registry: "_Registry") -> None:
        while True:
            await self.bus.until(connected=True)
            self.host.connected(time.monotonic())
            await self.bus.until(connected=False)
            registry.apply(self.host.lost(time.monotonic()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self.bus.is_connected:
                await self._publish(self.host.tick(time.monotonic()))

    async def _publish(self, messages: Iterable[Message]) -> None:
        for message in messages:
            try:
                await (self.bus.publish if message.retain else self.bus.order)(message)
            except BusError as error:  # it is asked again, if it still matters
                log.warning("plant cannot be told", extra={"topic": message.topic, "problem": str(error)})


@dataclass(frozen=True, slots=True)
class _Registry:
    """Where what the plant says goes to."""

    devices: Devices
    observed: Callable[[Observation], None]
    changed: Callable[[], None]

    def apply(self, following: Iterable[Following]) -> list[Message]:
        """Tell the registry what is for it; return what is for the plant."""
        version = self.devices.version
        messages: list[Message] = []
        for one in following:
            match one:
                case Announcement():
                    self.devices.announce(one)
                case Told():
                    for observation in self.devices.told(one.name, one.payload, time.monotonic()):
                        self.observed(observation)
                case Message():
                    messages.append(one)
        if self.devices.version != version:
            self.changed()
        return messages


@asynccontextmanager
async def sparkplug(
    settings: SparkplugSettings, house: BrokerSettings, *, client_id: str, is_onlooker: bool = False
) -> AsyncIterator[SparkplugLink | None]:
    """Keep the link to the plant up while the block runs; None where the settings name no host.

    The plant is on the broker of the `house` unless it has one of its own. `client_id` must be no other client's. An
    onlooker says nothing of itself: the host that bears the name is another. Raise BusError if the settings can never
    lead to a connection.
    """
    if settings.host_id is None:
        yield None
        return
    name = client_id if is_onlooker else settings.host_id
    host = Host(name, settings.groups, lambda: time.time_ns() // 1_000_000)
    broker = (settings.broker or house).model_copy(update={"session_expiry_s": 0})
    if is_onlooker:
        async with connect(broker, client_id=client_id) as bus:
            bus.subscribe(*host.filters[:-1])
            yield SparkplugLink(bus, host)
        return
    state = host.state
    async with connect(broker, client_id=client_id, will=state.will, greetings=lambda: (state.birth(),)) as bus:
        bus.subscribe(*host.filters)  # before anything is published: nobody may answer the birth unheard
        try:
            yield SparkplugLink(bus, host)
        finally:
            await bus.publish(state.farewell())
