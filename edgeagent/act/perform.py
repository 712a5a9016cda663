"""One action to its outcome: publish the order, wait until the device's own state bears it out, or say why it does not.

The rules:
- a device that is gone, offline, or not what it was when the action was planned, is not ordered; only a stop is tried
  even where the device says that it is offline;
- done is what the device says after the order; one that was in the wanted state already need not say so again, unless
  it was offline: what that one told is old;
- one that is on its way gets more time, one that says nothing does not.

A reason reads on after the device's name: "is offline".
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from edgeagent.act.acknowledgements import Expectations, is_reached, is_under_way
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order
from edgeagent.act.safety import is_stop
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
    order = _order(action, devices)
    if isinstance(order, str):
        reason = order
    else:
        was_offline = not devices.is_available(action.device.id)
        wanted = action.value if order.reaches is None else order.reaches
        with expectations.expect(action.device.id, action.capability, wanted) as answer:
            reason = await _send(action, order, link, published)
            if not reason and order.reaches is not None:
                reason = await _result(action, order.reaches, answer, devices, deadline_s, was_offline=was_offline)
            elif not reason and was_offline:
                reason = "is offline, and never says whether it obeyed"
    return Outcome(action, "failed" if reason else "done", time.monotonic() - began, reason)


def _order(action: Action, devices: Devices) -> Order | str:
    """Return what to publish, or why nothing is."""
    device = action.device
    entity = devices.entity(device.id)
    if entity is None:
        return "is not there any more"
    if entity.device != device:  # announced anew since: perhaps another thing under the id that was confirmed
        return "has changed since you asked"
    if not devices.is_available(device.id) and not is_stop(action.capability, action.value):
        return "is offline"
    order = entity.order(action.capability, action.value)
    return order if isinstance(order, Order) else f"refused: {order.detail.removeprefix(device.name).lstrip(': ')}"


async def _send(action: Action, order: Order, link: Link, published: Callable[[Action, Message], None]) -> str:
    """Publish; return why it could not be done, or nothing."""
    try:
        for message in order.messages:
            await link.order(message)
            published(action, message)
    except BusError as error:
        return f"could not be told: {error}"
    return ""


async def _result(
    action: Action,
    wanted: Value,
    answer: asyncio.Future[Value],
    devices: Devices,
    deadline_s: float,
    *,
    was_offline: bool,
) -> str:
    """Wait until the device is seen to have done it; return why it has not, or nothing."""
    device, capability = action.device.id, action.capability
    if await _arrives(answer, lambda: devices.values(device), capability, wanted, deadline_s):
        return ""
    if not was_offline and _is_there(devices, device, capability, wanted):
        return ""
    return _excuse(devices, action, deadline_s)


async def _arrives(
    answer: asyncio.Future[Value],
    told: Callable[[], Mapping[Capability, Value]],
    capability: Capability,
    wanted: Value,
    deadline_s: float,
) -> bool:
    """Wait for the answer; one deadline more whenever the device is still moving at the end of one."""
    before = dict(told())
    for _ in range(MOST_DEADLINES_WHILE_MOVING):
        done, _ = await asyncio.wait([answer], timeout=deadline_s)
        if done:
            return True
        now = dict(told())
        if not _is_moving(capability, wanted, now, before):
            return False
        before = now
    return False


def _is_moving(
    capability: Capability, wanted: Value, now: Mapping[Capability, Value], before: Mapping[Capability, Value]
) -> bool:
    """Tell whether it says that it is on its way; a cover also where its position changes."""
    if capability not in {"opening", "position"}:
        return is_under_way(capability, wanted, now.get(capability, ""))
    if wanted == "stopped":
        return False
    says_so = is_under_way("opening", wanted, now.get("opening", ""))
    is_between = capability == "position" and now.get("opening") in {"opening", "closing"}
    return says_so or is_between or now.get("position") != before.get("position")


def _is_there(devices: Devices, device: str, capability: Capability, wanted: Value) -> bool:
    value = devices.values(device).get(capability)
    return devices.is_available(device) and value is not None and is_reached(capability, wanted, value)


def _excuse(devices: Devices, action: Action, deadline_s: float) -> str:
    device = action.device.id
    if devices.entity(device) is None:
        return "is not there any more"
    if not devices.is_available(device):
        return "is offline and did not answer"
    seen = devices.values(device).get(action.capability)
    if seen is None or is_reached(action.capability, action.value, seen):
        return f"did not answer within {deadline_s:g} s"
    value = f"{seen:g}" if isinstance(seen, float) else seen
    return f"still says {value} after {deadline_s:g} s"
