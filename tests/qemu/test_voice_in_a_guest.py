"""A device with a Raspberry Pi Zero 2 W's names and memory hears sentences, and a lamp of the house obeys.

Sound goes in by snd-aloop: what aplay plays into one end the daemon records at the other, through ALSA and PortAudio,
as from any card. The sentences are those of the demo. Settings are those of a new card, so there is no wake word.
"""

import asyncio
import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import soundfile
from brokers import Mosquitto, announced, eventually
from brokers import settings as broker_settings
from fleet.fleet_device import Office
from qemu.images import CHECKOUT, marks, seeded
from qemu.machine import ZERO_2_W, Machine, facts, put, told, virt
from qemu.neighbours import broker, events, journey, up

from edgeagent.demo.make_sounds import TAIL_S
from edgeagent.simulate.house import House, small_house
from edgeagent.simulate.live import live

__all__ = ["broker"]
pytestmark = marks
SOUNDS = CHECKOUT / "edgeagent/demo/sounds"
NO_COMMAND, COMMAND, LAMP = "radio", "kitchen-light", "kitchen_light"
MOST_TIMES = 4
HEARD_S = 40.0
"""How long an emulated device may take to make something of what it hears."""
OTHER_END = "plughw:CARD=Loopback,DEV=1"
WHOLE_US = 8_000_000
"""Microseconds that the player's buffer has: a whole sentence lies there before it begins, so that none has gaps."""
CARD = """pcm.!default {
  type asym
  playback.pcm "plughw:CARD=Loopback,DEV=0"
  capture.pcm "plughw:CARD=Loopback,DEV=0"
}
"""


def wav(name: str) -> bytes:
    """Return a sound of the demo in the one form that aplay can play."""
    samples, rate_hz = soundfile.read(SOUNDS / f"{name}.flac", dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


async def knows(machine: Machine, house: House) -> None:
    """Wait until the device listens with the names of the house; nothing is asked, since its answer would be aloud."""
    compiled = f"grammar compiled devices={len(house.keys)}"
    for line in (compiled, "microphone is open"):
        looked = f"sleep 4; journalctl -u edgeagent.service -o cat | grep -F '{line}'"
        await asyncio.to_thread(machine.until, looked)


async def says(machine: Machine, name: str, is_so: Callable[[], object]) -> dict[str, object]:
    """Say a sentence at the pace of speech until something is so; return how often, and what the last time took.

    An emulated processor that others keep from its work loses sound, and a person says again what was not heard.
    """
    for times in range(1, MOST_TIMES + 1):
        await asyncio.to_thread(machine.tell, f"aplay -q -B {WHOLE_US} -D {OTHER_END} /opt/{name}.wav")
        ended = time.monotonic() - TAIL_S
        with suppress(AssertionError):
            await eventually(is_so, HEARD_S)
            return {"said": name, "times": times, "after_the_last_word_s": round(time.monotonic() - ended, 2)}
    raise AssertionError(f"{name} was not heard: {machine.ask('journalctl -u edgeagent.service --no-pager').text}")


def test_a_zero_2_w_hears_a_sentence_and_a_lamp_obeys_and_no_other_sentence_does_anything(
    image: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    disk = seeded(image, tmp_path, broker.port)
    for name in (NO_COMMAND, COMMAND):
        put(disk, f"/opt/{name}.wav", wav(name))
    put(disk, "/etc/asound.conf", CARD.encode())
    house = small_house()
    untouched = {key: house.state(key) for key in house.keys}
    others = {key: state for key, state in untouched.items() if key != LAMP}

    async def steps(fleet: Office) -> None:
        neighbours = asyncio.create_task(live(house, broker_settings(broker.port)))
        try:
            await announced(house, broker.port)
            with virt(disk, tmp_path, like=ZERO_2_W) as machine:
                await up(fleet, machine)
                await knows(machine, house)
                await hears(fleet, machine)
                machine.pull_plug()
        finally:
            neighbours.cancel()

    async def hears(fleet: Office, machine: Machine) -> None:
        rejected, done = len(events(fleet, "rejection")), len(events(fleet, "outcome"))
        told(await says(machine, NO_COMMAND, lambda: len(events(fleet, "rejection")) > rejected))
        assert {key: house.state(key) for key in house.keys} == untouched
        told(await says(machine, COMMAND, lambda: house.state(LAMP)["POWER"] == "ON"))
        await eventually(lambda: len(events(fleet, "outcome")) > done, HEARD_S)
        outcomes = {(one["capability"], one["value"], one["status"]) for one in events(fleet, "outcome")[done:]}
        assert outcomes == {("power", "on", "done")}
        assert {key: house.state(key) for key in house.keys if key != LAMP} == others, "something else was done"
        journal = await asyncio.to_thread(machine.tell, "journalctl -u edgeagent.service -o cat --no-pager")
        lost = [line for line in journal.splitlines() if "overflow" in line]
        told({"lost_sound": lost[-1:], **facts(machine)})

    journey(broker, steps)
