"""An image from nothing boots on an emulated board, and the daemon in it answers over MQTT."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto, eventually, mosquitto, run
from fleet.fleet_device import Office, office
from qemu.images import JOURNEY_S, built, marks, seeded
from qemu.machine import BOOT_S, ZERO_2_W, Machine, facts, shown, told, virt

from edgeagent.provision.build.image import Built

pytestmark = marks
MOST_SYSTEM_MB = 300
ACTIVE = "systemctl is-active edgeagent.service"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(tmp_path_factory.mktemp("image"))


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as one:
        yield one


def journey(broker: Mosquitto, steps: Callable[[Office], Coroutine[None, None, None]]) -> None:
    """Take the steps while everything that the device says is taken down."""

    async def taken() -> None:
        async with office(broker.port) as fleet:
            await steps(fleet)

    run(taken(), JOURNEY_S)


async def up(fleet: Office, machine: Machine) -> None:
    """Wait until the daemon is active, and has said so to the broker."""
    await asyncio.to_thread(machine.until, ACTIVE)
    await eventually(lambda: fleet.last("state").get("online"), BOOT_S)


async def answers(fleet: Office) -> None:
    """Have it do as if something had been said, and wait for what it makes of it."""
    before = len(events(fleet))
    order = {"id": f"asked-{time.time_ns()}", "text": "what time is it", "expires": time.time() + 50}
    await fleet.send("do/say", json.dumps(order).encode())
    await eventually(lambda: len(events(fleet)) > before, 120)


def events(fleet: Office) -> list[object]:
    return [one for topic, found in fleet.told.items() if topic.startswith("event") for one in found]


def test_it_boots_by_u_boot_answers_over_mqtt_and_is_the_same_after_a_pulled_plug(
    image: Built, broker: Mosquitto, tmp_path: Path
) -> None:
    disk = seeded(image.image, tmp_path, broker.port)

    async def steps(fleet: Office) -> None:
        identities = []
        for turn in ("first", "after a pulled plug"):
            fleet.told.clear()
            with virt(disk, tmp_path) as machine:
                await up(fleet, machine)
                await answers(fleet)
                identities.append(await asyncio.to_thread(machine.tell, "cat /etc/machine-id"))
                told({"boot": turn, **await asyncio.to_thread(facts, machine)})
                machine.pull_plug()
        assert identities[0] == identities[1], "the machine is another one"

    journey(broker, steps)


def test_a_zero_2_w_has_memory_enough_and_a_daemon_that_is_stopped_is_started_anew(
    image: Built, broker: Mosquitto, tmp_path: Path
) -> None:
    disk = seeded(image.image, tmp_path, broker.port, watchdog_s=60)

    async def steps(fleet: Office) -> None:
        with virt(disk, tmp_path, like=ZERO_2_W) as machine:
            await up(fleet, machine)
            await answers(fleet)
            model = await asyncio.to_thread(machine.tell, "tr -d '\\0' </sys/firmware/devicetree/base/model")
            assert model == ZERO_2_W["model"]
            found = await asyncio.to_thread(facts, machine)
            told({"board": model, **found})
            assert found["system_used_mb"] <= MOST_SYSTEM_MB
            before = await asyncio.to_thread(shown, machine, "edgeagent.service", "MainPID")
            await asyncio.to_thread(machine.tell, f"kill -STOP {before['MainPID']}")
            again = f"[ $(systemctl show edgeagent.service -p NRestarts --value) -ge 1 ] && {ACTIVE}"
            await asyncio.to_thread(machine.until, again)
            fleet.told.pop("state", None)
            await answers(fleet)
            machine.pull_plug()

    journey(broker, steps)
