import json
from collections.abc import Callable, Iterator

import pytest

from edgeagent.act.acknowledgements import is_reached
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.messages import Capability, Device, Message, Value
from edgeagent.simulate.house import House, house, plant


def known(place: House) -> Devices:
    devices = Devices([HomeAssistant()])
    deliver(devices, place.announcements())
    return devices


def deliver(devices: Devices, messages: tuple[Message, ...]) -> None:
    for message in messages:
        devices.receive(message.topic, message.payload, 0.0)


def order(place: House, devices: Devices, device: Device, capability: Capability, value: Value) -> Value | None:
    """Order, carry the answers back, and return the value that says that it is done."""
    entity = devices.entity(device.id)
    assert entity is not None
    made = entity.order(capability, value)
    assert isinstance(made, Order)
    for message in made.messages:
        assert message.topic in place.subscriptions()
        for _, answer in sorted(place.receive(message.topic, message.payload), key=lambda one: one[0]):
            assert answer.topic in devices.topics
            devices.receive(answer.topic, answer.payload, 1.0)
    return made.reaches


WORDS: dict[Capability, tuple[Value, ...]] = {
    "power": ("on", "off"),
    "opening": ("open", "closed"),
    "lock": ("unlocked", "locked"),
    "mode": ("heat", "off"),
    "run": ("running", "stopped"),
    "color": ("red", "green", "blue", "yellow", "orange", "purple", "pink", "white", "turquoise"),
}


def orders(device: Device) -> Iterator[tuple[Capability, Value]]:
    for capability in sorted(device.capabilities - {"reading", "acknowledge", "activate"}):
        if capability in device.ranges:
            least, most = device.ranges[capability]
            yield from ((capability, least + (most - least) * part) for part in (0, 0.2, 0.5, 0.73, 1))
        else:
            yield from ((capability, word) for word in WORDS[capability])


@pytest.mark.parametrize("build", [house, plant])
def test_every_order_that_a_device_can_take_is_seen_to_be_done(build: Callable[[], House]) -> None:
    place = build()
    devices = known(place)
    carried_out = 0
    for device in devices.all_devices():
        for capability, value in orders(device):
            reaches = order(place, devices, device, capability, value)
            assert reaches is not None
            assert is_reached(capability, reaches, devices.values(device.id)[capability]), (
                device.name,
                capability,
                value,
            )
            carried_out += 1
    assert carried_out > 10


@pytest.mark.parametrize("build", [house, plant])
def test_everything_announces_itself_retained_and_is_understood(build: Callable[[], House]) -> None:
    place = build()
    devices = known(place)
    assert all(message.retain for message in place.announcements())
    assert len(devices.all_devices()) == len(place.keys)
    assert not devices.refusals
    assert not devices.left_out
    assert all(devices.is_available(device.id) for device in devices.all_devices())


def test_the_two_heaters_are_told_apart_only_by_area() -> None:
    devices = known(house())
    assert [device.area for device in devices.named("heater")] == ["Bedroom", "Bathroom"]
    assert len(devices.named("bathroom heater")) == 1


def test_a_sensor_tells_and_takes_no_orders() -> None:
    place = house()
    devices = known(place)
    outdoors = devices.named("outdoor temperature")[0]
    assert devices.values(outdoors.id) == {"reading": 11.5}
    deliver(devices, place.change("outdoor_temperature", {"state": "-3.5"}))
    assert devices.values(outdoors.id) == {"reading": -3.5}


def test_blinds_say_that_they_move_before_they_are_there() -> None:
    place = house(delay_s=0.5)
    answers = place.receive("living_room_blinds/cover/living_room_blinds/command", b"CLOSE")
    told = [(delay, message.payload) for delay, message in answers if message.topic.endswith("blinds/state")]
    assert told == [(0.5, b"closing"), (1.0, b"closed")]


def test_a_dead_device_does_not_answer() -> None:
    place = house()
    devices = known(place)
    place.break_down("kettle", "dead")
    kettle = devices.named("kettle")[0]
    order(place, devices, kettle, "power", "on")
    assert devices.values(kettle.id) == {"power": "off"}
    place.break_down("kettle", "none")
    order(place, devices, kettle, "power", "on")
    assert devices.values(kettle.id) == {"power": "on"}


def test_a_lying_device_answers_with_what_it_was_before() -> None:
    place = house()
    devices = known(place)
    place.break_down("front_door", "lying")
    assert [message.payload for _, message in place.receive("house/front_door/set", b"UNLOCK")] == [b"LOCKED"]
    door = devices.named("front door")[0]
    order(place, devices, door, "lock", "unlocked")
    assert devices.values(door.id) == {"lock": "locked"}


def test_a_device_that_is_gone_says_so_and_comes_back() -> None:
    place = house()
    devices = known(place)
    light = devices.named("living room light")[0]
    deliver(devices, place.leave("living_room_light"))
    assert not devices.is_available(light.id)
    assert place.receive("zigbee2mqtt/Living room light/set", b'{"state":"ON"}') == ()
    deliver(devices, place.come_back("living_room_light"))
    assert devices.is_available(light.id)
    deliver(devices, place.leave("living_room_light", removed=True))
    assert devices.entity(light.id) is None
    assert len(place.announcements()) < len(house().announcements())


def test_an_order_that_makes_no_sense_changes_nothing() -> None:
    place = house()
    for topic in place.subscriptions():
        for payload in (b"", b"\xff\xff", b"nonsense", b"[]", b"999999"):
            if topic.endswith("occupied_heating_setpoint") and payload == b"999999":
                continue  # such a thermostat takes any number
            assert place.receive(topic, payload) == ()
    assert place.receive("unknown/topic", b"ON") == ()


def test_an_acknowledged_alarm_has_been_pressed() -> None:
    place = plant()
    devices = known(place)
    alarm = devices.named("line alarm")[0]
    assert alarm.kind == "alarm"
    assert order(place, devices, alarm, "acknowledge", "now") is None
    assert place.state("line_alarm") == {"pressed": 1}


def test_a_fault_of_a_thing_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        house().break_down("sauna", "dead")


def test_the_announcements_are_what_real_devices_send() -> None:
    short = [
        message
        for message in house().announcements()
        if message.topic == "homeassistant/light/kitchen_light_LI_1/config"
    ]
    assert {"~", "cmd_t", "stat_t", "uniq_id", "dev"} <= set(json.loads(short[0].payload))
