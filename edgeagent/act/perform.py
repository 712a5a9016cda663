"""One action to its outcome: publish the order, wait until the device's own state bears it out, or say why it does not."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from edgeagent.act.acknowledgements import Expectations, is_reached, is_under_way
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order, Refused
from edgeagent.errors import BusError
from edgeagent.messages import Action, Capability, Message, Outcome, Value

MOST_DEADLINES_WHILE_MOVING = 12
"""A garage door that says that it is moving gets this many deadlines: a minute with the default of 5 s."""


class Link(Protocol):
    """What performing needs of the bus."""

    async def order(self, message: Message) -> None:
        """Publish now or raise BusError: an order is never queued for later."""
        ...


async def perform(
    action: Action,
    devices: Devices,
    expectations: Expectations,
    link: Link,
    deadline_s: float,
    published: Callable[[Action, Message], None],
) -> Outcome:
    """Carry out an action. It is done when the device reports the value, at the latest after `deadline_s`."""
    began = time.monotonic()
    device, capability = action.device, action.capability

    def outcome(reason: str = "") -> Outcome:
        return Outcome(action, "failed" if reason else "done", time.monotonic() - began, reason)

    entity = devices.entity(device.id)
    if entity is None:
        return outcome("is not there any more")
    if not devices.is_available(device.id):
        return outcome("is offline")
    order = entity.order(capability, action.value)
    if isinstance(order, Refused):
        return outcome(order.detail)
    with expectations.expect(device.id, capability, action.value if order.reaches is None else order.reaches) as answer:
        try:
            for message in order.messages:
                await link.order(message)
                published(action, message)
        except BusError as error:
            return outcome(str(error))
        if order.reaches is None:
            return outcome()
        is_done = await _arrives(answer, lambda: devices.values(device.id).get(capability), order, capability, deadline_s)
        return outcome() if is_done else outcome(_excuse(devices.values(device.id).get(capability), deadline_s))


async def _arrives(
    answer: asyncio.Future[Value],
    seen: Callable[[], Value | None],
    order: Order,
    capability: Capability,
    deadline_s: float,
) -> bool:
    """Wait for the answer. A device that was there already need not say so again; one that is moving gets more time."""
    wanted = order.reaches
    for _ in range(MOST_DEADLINES_WHILE_MOVING):
        done, _ = await asyncio.wait([answer], timeout=deadline_s)
        if done or wanted is None:
            return True
        value = seen()
        if value is None:
            return False
        if is_reached(capability, wanted, value):
            return True
        if not is_under_way(capability, wanted, value):
            return False
    return False


def _excuse(seen: Value | None, deadline_s: float) -> str:
    if seen is None:
        return f"did not answer within {deadline_s:g} s"
    value = f"{seen:g}" if isinstance(seen, float) else seen
    return f"still says {value} after {deadline_s:g} s"
