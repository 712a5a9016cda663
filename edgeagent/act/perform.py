"""One action to its outcome: publish the order, wait until the device's own state bears it out, or say why it does not.

The rules:
- a device that is gone, offline, or not what it was when the action was planned, is not ordered; only a stop is tried
  even where the device says that it is offline;
- done is what the device says after the order; one that was in the wanted state already need not say so again, unless
  it was offline: what that one told is old;
- one that is on its way gets more time, one that says nothing does not;
- one that says nothing is told once more after half of its time, where to be told twice is harmless: a value that it
  is to have, and neither a step nor a start, nothing that opens;
- one that has reached the value and leaves it again at once has failed.

A reason reads on after the device's name: "is offline".
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from edgeagent.act.acknowledgements import Expectation, Expectations, is_reached, is_under_way
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order
from edgeagent.act.safety import is_stop
from edgeagent.errors import BusError
from edgeagent.messages import Action, Capability, Message, Outcome, Value
from edgeagent.settings import ActingSettings

log = logging.getLogger(__name__)

_VALUES: frozenset[Capability] = frozenset(
    {
        "power",
        "brightness",
        "color",
        "color_temperature",
        "target_temperature",
        "speed",
        "volume",
        "mode",
        "option",
        "text",
    }
)
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
    settings: ActingSettings,
    published: Callable[[Action, Message], None],
) -> Outcome:
    """Carry out an action. It is done when the device reports the value, within its deadline, and stays so."""
    began = time.monotonic()
    took_s: float | None = None
    order = _order(action, devices)
    if isinstance(order, str):
        reason = order
    else:
        was_offline = not devices.is_available(action.device.id)
        wanted = action.value if order.reaches is None else order.reaches
        with expectations.expect(action.device.id, action.capability, wanted) as expected:

            async def send() -> str:
                return await _send(action, order, link, published)

            reason = await send()
            if not reason and order.reaches is not None:
                deadline_s = settings.deadline_s
                reason = await _result(action, expected, devices, deadline_s, send, was_offline=was_offline)
                took_s = time.monotonic() - began
                reason = reason or await _relapse(expected, settings.hold_s)
            elif not reason and was_offline:
                reason = "is offline, and never says whether it obeyed"
    took_s = time.monotonic() - began if took_s is None else took_s
    return Outcome(action, "failed" if reason else "done", took_s, reason)


async def _relapse(expected: Expectation, hold_s: float) -> str:
    """Return what is wrong where a device leaves at once what it has reached."""
    await asyncio.wait([expected.relapse], timeout=hold_s)
    if not expected.relapse.done():
        return ""
    seen = expected.relapse.result()
    return f"went back to {f'{seen:g}' if isinstance(seen, float) else seen}"


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
    expected: Expectation,
    devices: Devices,
    deadline_s: float,
    send: Callable[[], Awaitable[str]],
    *,
    was_offline: bool,
) -> str:
    """Wait until the device is seen to have done it; return why it has not, or nothing."""
    device, capability, wanted = action.device.id, action.capability, expected.value
    left_s = deadline_s
    if is_harmless_twice(action):
        done, _ = await asyncio.wait([expected.answer], timeout=deadline_s / 2)
        is_silent = not done and not (not was_offline and _is_there(devices, device, capability, wanted))
        if is_silent and devices.is_available(device):
            log.info("asked again", extra={"device": action.device.name, "capability": capability})
            await send()
        left_s = deadline_s / 2
    if await _arrives(expected.answer, lambda: devices.values(device), capability, wanted, left_s):
        return ""
    if not was_offline and _is_there(devices, device, capability, wanted):
        return ""
    return _excuse(devices, action, deadline_s)


def is_harmless_twice(action: Action) -> bool:
    """Tell whether a device may be told the same again: it is to have a value, and nothing is opened or started."""
    if action.device.kind in {"machine", "valve", "lock"} or is_stop(action.capability, action.value):
        return False
    return action.capability in _VALUES


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
    if capability == "tilt":
        return now.get("tilt") != before.get("tilt")
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
