"""A virtual house on a real broker: its things announce themselves, take orders and tell their states."""

import asyncio

from edgeagent.bus import connect
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings
from edgeagent.simulate.house import House


async def live(house: House, settings: BrokerSettings, *, client_id: str = "virtual-house") -> None:
    """Keep the house on the bus, for ever; it announces itself on every connection."""
    visitor = settings.model_copy(update={"session_expiry_s": 0})
    async with (
        connect(visitor, client_id=client_id, greetings=lambda: map(_report, house.announcements())) as bus,
        asyncio.TaskGroup() as answers,
    ):
        bus.subscribe(*house.subscriptions())

        async def tell(delay_s: float, message: Message) -> None:
            await asyncio.sleep(delay_s)
            await bus.publish(_report(message))

        async for received in bus.received():
            received.acknowledge()
            for delay_s, message in house.receive(received.topic, received.payload):
                answers.create_task(tell(delay_s, message), name=message.topic)


def _report(message: Message) -> Message:
    return Message(message.topic, message.payload, qos=1, retain=message.retain)
