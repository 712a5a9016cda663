"""Orders to the house and, where there is one, to a plant on a connection of its own."""

from dataclasses import dataclass
from typing import Protocol

from edgeagent.act.dialects.schema import SPARKPLUG_TOPICS
from edgeagent.errors import BusError
from edgeagent.messages import Message


class Orders(Protocol):
    """What takes orders."""

    async def order(self, message: Message) -> None:
        """Publish now or raise BusError: an order is never queued for later."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Orders to the house and, where there is one, to the plant, by their topics."""

    house: Orders
    plant: Orders | None

    async def order(self, message: Message) -> None:
        """Publish now or raise BusError: an order is never queued for later."""
        if not message.topic.startswith(SPARKPLUG_TOPICS):
            await self.house.order(message)
        elif self.plant is not None:
            await self.plant.order(message)
        else:
            raise BusError("the plant cannot be reached: Sparkplug is not spoken", remedy="Set host_id in [sparkplug].")
