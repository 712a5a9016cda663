"""A message to the fleet: handed to the link, or said in the log why it can never be sent."""

import logging

from edgeagent.errors import BusError
from edgeagent.link import Bus
from edgeagent.messages import Message

log = logging.getLogger(__name__)


async def tell(bus: Bus, message: Message) -> None:
    """Hand a message to the link; one that the broker can never take is let go, with a line in the log."""
    try:
        await bus.publish(message)
    except BusError as error:
        log.warning("the fleet cannot be told", extra={"topic": message.topic, "problem": str(error)})
