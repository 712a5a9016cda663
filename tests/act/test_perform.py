import asyncio
from dataclasses import replace

import pytest
from homes import announce, deliver, known

from edgeagent.act.acknowledgements import Expectations
from edgeagent.act.devices import Devices
from edgeagent.act.perform import perform
from edgeagent.errors import BusError
from edgeagent.messages import Action, Capability, Device, Message, Outcome, Value
from edgeagent.settings import ActingSettings
from edgeagent.simulate.house import House, house, plant

DEADLINE_S = 0.05


class Wire:
    """The link to a virtual house: orders go in, its answers come back after their delay."""

    def __init__(self, place: House, devices: Devices) -> None:
        self.place = place
        self.devices = devices
        self.expectations = Expectations()
        self.sent: list[str] = []
        self.is_down = False

    async def order(self, message: Message) -> None:
        if self.is_down:
            raise BusError("not connected")
        self.sent.append(message.topic)
        for delay_s, answer in self.place.receive(message.topic, message.payload):
            asyncio.get_running_loop().call_later(delay_s, self.hear, answer)

    def hear(self, message: Message) -> None:
        for observation in self.devices.receive(message.topic, message.payload, 1.0):
            self.expectations.observe(observation)


def wired(place: House) -> Wire:
    return Wire(place, known(place))


def the(devices: Devices, name: str) -> Device:
    return devices.named(name)[0]


def quick(deadline_s: float) -> ActingSettings:
    return ActingSettings(deadline_s=deadline_s, hold_s=0.02)


def do(wire: Wire, device: Device, capability: Capability, value: Value, deadline_s: float = DEADLINE_S) -> Outcome:
    action = Action("u1.1", "u1", device, capability, value)
    published: list[Message] = []

    async def run() -> Outcome:
        settings = quick(deadline_s)
        return await perform(
            action, wire.devices, wire.expectations, wire, settings, lambda _, message: published.append(message)
        )

    outcome = asyncio.run(run())
    assert len(wire.expectations) == 0
    assert [message.topic for message in published] == wire.sent
    assert not any(message.retain for message in published)
    return outcome


def test_done_is_what_the_device_itself_says() -> None:
    wire = wired(house(delay_s=0.001))
    outcome = do(wire, the(wire.devices, "kettle"), "power", "on")
    assert (outcome.status, outcome.reason, len(wire.sent)) == ("done", "", 1)
    assert wire.place.state("kettle") == {"state": "ON"}


def test_a_dead_device_has_failed_with_the_reason() -> None:
    wire = wired(house(delay_s=0.001))
    wire.place.break_down("kettle", "dead")
    outcome = do(wire, the(wire.devices, "kettle"), "power", "on")
    assert (outcome.status, outcome.reason) == ("failed", "still says off after 0.05 s")
    assert outcome.took_s >= DEADLINE_S


def test_a_device_that_answers_but_does_not_change_has_failed() -> None:
    wire = wired(house(delay_s=0.001))
    wire.place.break_down("front_door", "lying")
    outcome = do(wire, the(wire.devices, "front door"), "lock", "unlocked")
    assert (outcome.status, outcome.reason) == ("failed", "still says locked after 0.05 s")


def test_a_device_that_never_said_anything_has_failed() -> None:
    wire = wired(house())
    pump = announce(wire.devices, "switch", "pump", "Pump")
    assert do(wire, pump, "power", "on").reason == "did not answer within 0.05 s"


def test_a_silent_device_that_is_in_the_wanted_state_already_is_done() -> None:
    wire = wired(house(delay_s=0.001))
    wire.place.break_down("kettle", "dead")
    assert do(wire, the(wire.devices, "kettle"), "power", "off").status == "done"


def test_a_moving_cover_gets_more_time_than_one_deadline() -> None:
    wire = wired(house(delay_s=0.06))
    deliver(wire.devices, wire.place.change("living_room_blinds", {"position": 60}))
    blinds = the(wire.devices, "living room blinds")
    outcome = do(wire, blinds, "opening", "closed", deadline_s=0.07)
    assert (outcome.status, outcome.took_s > 0.1) == ("done", True)
    deliver(wire.devices, wire.place.change("living_room_blinds", {"position": 30, "state": "open"}))
    wire.sent.clear()
    assert do(wire, blinds, "position", 70.0, deadline_s=0.07).status == "done"


def test_a_cover_that_stays_where_it_is_has_failed_after_one_deadline() -> None:
    wire = wired(house(delay_s=0.001))
    wire.place.break_down("living_room_blinds", "dead")
    outcome = do(wire, the(wire.devices, "living room blinds"), "opening", "closed")
    assert (outcome.status, outcome.took_s < 3 * DEADLINE_S) == ("failed", True)


def test_a_device_that_went_away_is_said_so_and_not_ordered() -> None:
    wire = wired(house())
    kettle = the(wire.devices, "kettle")
    deliver(wire.devices, wire.place.leave("kettle"))
    assert do(wire, kettle, "power", "on").reason == "is offline"
    deliver(wire.devices, wire.place.leave("kettle", removed=True))
    assert do(wire, kettle, "power", "on").reason == "is not there any more"
    assert wire.sent == []


def test_a_device_that_was_announced_anew_as_another_is_not_ordered() -> None:
    wire = wired(house())
    door = the(wire.devices, "front door")
    planned_for = replace(door, name="Shed")
    assert do(wire, planned_for, "lock", "unlocked").reason == "has changed since you asked"
    assert wire.sent == []


@pytest.mark.parametrize(
    ("is_removed", "reason"), [(False, "is offline and did not answer"), (True, "is not there any more")]
)
def test_a_device_that_goes_away_while_it_is_waited_for_is_said_so(is_removed: bool, reason: str) -> None:  # noqa: FBT001
    wire = wired(house())
    kettle = the(wire.devices, "kettle")
    wire.place.break_down("kettle", "dead")

    async def run() -> Outcome:
        for message in wire.place.leave("kettle", removed=is_removed):
            asyncio.get_running_loop().call_later(0.01, wire.hear, message)
        action = Action("u1.1", "u1", kettle, "power", "on")
        return await perform(action, wire.devices, wire.expectations, wire, quick(DEADLINE_S), lambda *_: None)

    assert asyncio.run(run()).reason == reason


def test_a_stop_is_tried_though_the_machine_says_that_it_is_offline_and_its_silence_is_a_failure() -> None:
    wire = wired(plant(delay_s=0.001))
    conveyor = the(wire.devices, "conveyor")
    deliver(wire.devices, wire.place.leave("conveyor"))
    outcome = do(wire, conveyor, "run", "stopped")  # it said "stopped" before it left
    assert (outcome.status, outcome.reason) == ("failed", "is offline and did not answer")
    assert len(wire.sent) == 1
    wire.sent.clear()
    assert do(wire, conveyor, "run", "running").reason == "is offline"
    assert wire.sent == []


def test_a_stop_that_a_machine_obeys_though_it_says_that_it_is_offline_is_done() -> None:
    wire = wired(plant(delay_s=0.001))
    wire.hear(Message("house/conveyor/availability", b"offline"))
    assert do(wire, the(wire.devices, "conveyor"), "run", "stopped").status == "done"


def test_an_order_that_cannot_be_sent_has_failed_at_once() -> None:
    wire = wired(house())
    wire.is_down = True
    outcome = do(wire, the(wire.devices, "kettle"), "power", "on")
    assert (outcome.reason, outcome.took_s < DEADLINE_S) == ("could not be told: not connected", True)


def test_what_a_device_cannot_take_is_not_sent() -> None:
    wire = wired(plant())
    outcome = do(wire, the(wire.devices, "line speed"), "setpoint", 5000.0)
    assert outcome.reason.startswith("refused: setpoint is from 0 to 1500")
    assert wire.sent == []


def test_what_never_tells_its_state_is_done_when_it_is_sent() -> None:
    wire = wired(plant())
    assert do(wire, the(wire.devices, "line alarm"), "acknowledge", "now").status == "done"
