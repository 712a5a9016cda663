"""Whom an emulated device has around it: a broker on this machine, and somebody who takes down what it says."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from brokers import Mosquitto, eventually, mosquitto, run
from fleet.fleet_device import Office, office
from qemu.images import JOURNEY_S
from qemu.machine import BOOT_S, Machine

ACTIVE = "systemctl is-active edgeagent.service"
DECIDED_S = 120.0
"""How long an emulated device may take to make something of a sentence."""


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    """Return a broker of the house."""
    with mosquitto() as one:
        yield one


def journey(broker: Mosquitto, steps: Callable[[Office], Coroutine[None, None, None]]) -> None:
    """Take the steps while everything that the device says is taken down."""

    async def taken() -> None:
        async with office(broker.port) as fleet:
            await steps(fleet)

    run(taken(), JOURNEY_S)


async def online(fleet: Office) -> None:
    """Wait until the daemon has said that it is there."""
    await eventually(lambda: fleet.last("state").get("online"), BOOT_S)


async def up(fleet: Office, machine: Machine) -> None:
    """Wait until the daemon is active, and has said so to the broker."""
    await asyncio.to_thread(machine.until, ACTIVE)
    await online(fleet)


async def answers(fleet: Office, sentence: str = "what time is it", *, behind_s: float = 0.0) -> dict[str, Any]:
    """Have it do as if something had been said; return what it makes of it. `behind_s` is how far its clock is."""
    before = len(events(fleet))
    order = {"id": f"asked-{time.time_ns()}", "text": sentence, "expires": time.time() - behind_s + 40}
    await fleet.send("do/say", json.dumps(order).encode())
    await eventually(lambda: len(events(fleet)) > before, DECIDED_S)
    return events(fleet)[before]


def events(fleet: Office, kind: str = "") -> list[dict[str, Any]]:
    """Return what was told of utterances, of one kind or of all, in their order."""
    found = [one for topic, told in fleet.told.items() if topic.startswith(f"event/{kind}") for one in told]
    return sorted(found, key=lambda one: float(one["at"]))
