"""A message to the fleet: handed to the link, or said in the log why it can never be sent; and a link that is none."""

import logging
import socket
import time

from edgeagent.connection import Connection, Version
from edgeagent.errors import BusError
from edgeagent.fleet import wire
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.settings import BrokerSettings
from edgeagent.topics import Address

log = logging.getLogger(__name__)

LONGEST = 500


async def tell(bus: Bus, message: Message) -> None:
    """Hand a message to the link; one that the broker can never take is let go, with a line in the log."""
    try:
        await bus.publish(message)
    except BusError as error:
        log.warning("the fleet cannot be told", extra={"topic": message.topic, "problem": str(error)})


async def reject(bus: Bus, address: Address, job_id: str | None, code: str, problem: str) -> None:
    """Tell that a job is none for us, and why, where it at least has a name; a pointer that comes again tells again."""
    if job_id:
        told = wire.Progress(
            id=f"{job_id}:1", job=job_id, state="rejected", at=time.time(), code=code, problem=problem[:LONGEST]
        )
        await tell(bus, wire.progress(address, told))


def down_for_good(settings: BrokerSettings, client_id: str, trouble: str) -> Bus:
    """Return a link that is never up, since its settings can never lead to a connection, and says why."""

    def opened(_bus: Bus, _dialled: socket.socket, _version: Version) -> Connection:
        raise BusError(trouble)

    bus = Bus(settings, client_id, opened, tuple, lambda: 1.0)
    bus.trouble = trouble
    return bus
