"""An image from nothing boots on an emulated board, and the daemon in it answers over MQTT."""

import asyncio
import json
import os
import time
import tomllib
from pathlib import Path

from brokers import Mosquitto
from fleet.fleet_device import Office
from qemu.images import CHECKOUT, marks, seeded
from qemu.machine import (
    GENERIC,
    RASPI_3B_PROFILE,
    ZERO_2_W,
    ZERO_2_W_PROFILE,
    Machine,
    facts,
    raspi3b,
    shown,
    told,
    virt,
)
from qemu.neighbours import ACTIVE, answers, broker, journey, online, up

__all__ = ["broker"]
pytestmark = marks
MOST_SYSTEM_MB = 300
PROFILE = tomllib.loads((CHECKOUT / f"hardware/boards/{ZERO_2_W_PROFILE}.toml").read_text())


def test_it_boots_by_u_boot_answers_over_mqtt_and_is_the_same_after_a_pulled_plug(
    image: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    disk = seeded(image, tmp_path, broker.port)

    async def steps(fleet: Office) -> None:
        identities = []
        for turn in ("first", "after a pulled plug"):
            fleet.told.clear()
            with virt(disk, tmp_path) as machine:
                await up(fleet, machine)
                await answers(fleet)
                settings = tomllib.loads(await asyncio.to_thread(machine.tell, "cat /etc/edgeagent/edgeagent.toml"))
                assert settings["device"]["board"] == GENERIC
                identities.append(await asyncio.to_thread(machine.tell, "cat /etc/machine-id"))
                told({"boot": turn, **await asyncio.to_thread(facts, machine)})
                machine.pull_plug()
        assert identities[0] == identities[1], "the machine is another one"

    journey(broker, steps)


async def is_set_up(machine: Machine) -> None:
    """See that the first boot has found the board, and set it up."""
    limits, engines = PROFILE["limits"], PROFILE["engines"]
    board = json.loads(await asyncio.to_thread(machine.tell, "/opt/edgeagent/venv/bin/edgeagent board show --json"))
    assert board["board"]["id"] == PROFILE["id"]
    settings = tomllib.loads(await asyncio.to_thread(machine.tell, "cat /etc/edgeagent/edgeagent.toml"))
    assert settings["device"]["board"] == PROFILE["id"]
    assert settings["hearing"]["effort"] == engines["effort"]
    assert settings.get("understanding", {}).get("threads", 1) == limits["threads"]
    unit = await asyncio.to_thread(shown, machine, "edgeagent.service", "MemoryHigh", "MemoryMax", "DropInPaths")
    assert (int(unit["MemoryHigh"]) >> 20, int(unit["MemoryMax"]) >> 20) == (
        limits["memory_high_mb"],
        limits["memory_max_mb"],
    )
    assert "10-board.conf" in unit["DropInPaths"]
    drop_in = await asyncio.to_thread(machine.tell, "cat /etc/systemd/system/edgeagent.service.d/10-board.conf")
    assert f"WatchdogSec={limits['watchdog_s']}" in drop_in  # a later drop-in gives an emulator more


def test_a_zero_2_w_has_memory_enough_and_a_daemon_that_is_stopped_is_started_anew(
    image: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    disk = seeded(image, tmp_path, broker.port, watchdog_s=60)

    async def steps(fleet: Office) -> None:
        with virt(disk, tmp_path, like=ZERO_2_W) as machine:
            await up(fleet, machine)
            await answers(fleet)
            await is_set_up(machine)
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


def test_the_same_image_is_the_card_of_a_raspberry_pi_3b(image: Path, broker: Mosquitto, tmp_path: Path) -> None:
    card = seeded(image, tmp_path, broker.port)
    os.truncate(card, 1 << (card.stat().st_size - 1).bit_length())

    async def steps(fleet: Office) -> None:
        with raspi3b(card, tmp_path) as machine:
            await online(fleet)
            online_s = time.monotonic() - machine.began
            behind_s = time.time() - fleet.last("state")["at"]  # it has no clock, and nobody here tells it the time
            await answers(fleet, behind_s=behind_s)
            born = fleet.last("birth")
            assert (born["board"], born["hardware"]) == (RASPI_3B_PROFILE, "Raspberry Pi 3 Model B")
            told({"board": born["hardware"], "online_s": round(online_s, 1)})
            machine.pull_plug()

    journey(broker, steps)
