"""One thing that several dialects announce is one device."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.dialects.schema import thing_of
from edgeagent.act.dialects.zigbee2mqtt import Zigbee2MQTT
from edgeagent.act.things import chosen
from edgeagent.messages import Device

LISTED = json.loads((Path(__file__).parent.parent / "data" / "dialects" / "zigbee2mqtt_devices.json").read_text())
KETTLE: dict[str, Any] = LISTED[2]
AREA = {"identifiers": ["zigbee2mqtt_0x680ae2fffe8d1234"], "name": "Kettle", "suggested_area": "Kitchen"}
DISCOVERED = {
    "name": None,
    "command_topic": "zigbee2mqtt/Kettle/set",
    "state_topic": "zigbee2mqtt/Kettle",
    "value_template": "{{ value_json.state }}",
    "unique_id": "0x680ae2fffe8d1234_switch_zigbee2mqtt",
    "device": AREA,
}


def told(devices: Devices) -> list[tuple[str, str, str | None]]:
    return [(device.name, device.dialect, device.area) for device in devices.all_devices()]


def discover(devices: Devices, *, empty: bool = False) -> None:
    payload = b"" if empty else json.dumps(DISCOVERED).encode()
    devices.receive("homeassistant/switch/0x680ae2fffe8d1234/switch/config", payload, 0.0)


def listed(devices: Devices, *entries: Any) -> None:
    devices.receive("zigbee2mqtt/bridge/devices", json.dumps(entries).encode(), 0.0)


@pytest.fixture
def devices() -> Devices:
    return Devices([Zigbee2MQTT(), HomeAssistant()])


@pytest.mark.parametrize("is_discovered_first", [True, False])
def test_the_first_dialect_speaks_and_takes_the_area_that_only_the_other_knows(
    devices: Devices,
    is_discovered_first: bool,  # noqa: FBT001 - the parameter is the case
) -> None:
    if is_discovered_first:
        discover(devices)
        assert told(devices) == [("Kettle", "homeassistant", "Kitchen")]
    listed(devices, KETTLE)
    if not is_discovered_first:
        discover(devices)
    assert told(devices) == [("Kettle", "zigbee2mqtt", "Kitchen")]
    assert set(devices.put_by().values()) == {"zigbee2mqtt"}
    assert [device.dialect for device in devices.named("kettle")] == ["zigbee2mqtt"]
    assert devices.names().devices["kettle"] == ("zigbee2mqtt:0x680ae2fffe8d1234:switch:",)


def test_what_was_put_by_comes_back_when_the_other_goes(devices: Devices) -> None:
    discover(devices)
    listed(devices, KETTLE)
    listed(devices)
    assert told(devices) == [("Kettle", "homeassistant", "Kitchen")]
    listed(devices, KETTLE)
    discover(devices, empty=True)
    assert told(devices) == [("Kettle", "zigbee2mqtt", None)]


def test_a_device_with_a_lent_area_is_spoken_to_as_it_is_shown(devices: Devices) -> None:
    discover(devices)
    listed(devices, KETTLE)
    (kettle,) = devices.all_devices()
    entity = devices.entity(kettle.id)
    assert entity is not None
    assert entity.device == kettle


def test_what_an_owner_ruled_by_the_other_name_and_what_keeps_people_out_is_kept() -> None:
    twins = [
        Device("a", "Driveway", "cover", frozenset({"opening"}), dialect="two", device_class="garage", thing="mac:1"),
        Device("b", "roller 5", "cover", frozenset({"opening"}), dialect="one", thing="mac:1"),
    ]
    ((device,), put_by) = chosen(twins, ["one", "two"])
    assert (device.id, device.device_class, device.aliases) == ("b", "garage", ("Driveway",))
    assert put_by == {"a": "one"}


def test_a_kind_that_the_preferred_dialect_lacks_stays_with_the_other() -> None:
    parts = [
        Device("lock", "Door", "lock", frozenset({"lock"}), dialect="two", thing="mac:1"),
        Device("heat", "Door temperature", "sensor", frozenset({"reading"}), dialect="one", thing="mac:1"),
    ]
    spoken, put_by = chosen(parts, ["one", "two"])
    assert [device.id for device in spoken] == ["lock", "heat"]
    assert put_by == {}


def test_states_are_asked_for_once_when_a_device_comes_or_moves(devices: Devices) -> None:
    listed(devices, KETTLE)
    listed(devices, KETTLE)
    assert [(one.topic, one.payload) for one in devices.asks()] == [("zigbee2mqtt/Kettle/get", b'{"state": ""}')]
    assert devices.asks() == ()
    listed(devices, {**KETTLE, "friendly_name": "Coffee"})
    assert [one.topic for one in devices.asks()] == ["zigbee2mqtt/Coffee/get"]


def test_a_device_that_comes_back_is_asked_what_it_is_now(devices: Devices) -> None:
    listed(devices, KETTLE)
    devices.asks()
    for state, asked in (("online", 0), ("offline", 0), ("online", 1), ("online", 0)):
        devices.receive("zigbee2mqtt/bridge/state", state.encode(), 1.0)
        assert len(devices.asks()) == asked


def test_a_full_registry_still_takes_what_belongs_to_a_list_that_it_has() -> None:
    full = Devices([Zigbee2MQTT()], most=1)
    listed(full, KETTLE)
    full.receive("zigbee2mqtt/bridge/groups", b"[]", 0.0)
    full.receive("other/bridge/groups", b"[]", 0.0)
    assert full.counts["full"] == 1
    assert [device.name for device in full.all_devices()] == ["Kettle"]


def test_all_parts_of_a_thing_are_kept_and_things_without_an_address_are_nobodys_twin() -> None:
    parts = [
        Device("a", "left", "switch", frozenset(), dialect="one", thing="mac:1"),
        Device("b", "right", "switch", frozenset(), dialect="one", thing="mac:1"),
        Device("c", "both", "switch", frozenset(), dialect="two", thing="mac:1"),
        Device("d", "left", "switch", frozenset(), dialect="two"),
        Device("e", "own", "switch", frozenset(), dialect="unheard of", thing="mac:2"),
    ]
    spoken, put_by = chosen(parts, ["one", "two"])
    assert [device.id for device in spoken] == ["a", "b", "d", "e"]
    assert put_by == {"c": "one"}


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("zigbee2mqtt_0x00158D0001A2B3C4", "zigbee:0x00158d0001a2b3c4"),
        ("0x00158d0001a2b3c4", "zigbee:0x00158d0001a2b3c4"),
        ("A4:CF:12:34:56:78", "mac:a4cf12345678"),
        ("a4cf12345678", "mac:a4cf12345678"),
        ("0x00158d0001a2b3c4d", None),
        ("4A1B2C", None),
        ("kettle", None),
        ("", None),
    ],
)
def test_a_hardware_address_is_found_in_what_identifies(text: str, thing: str | None) -> None:
    assert thing_of(text) == thing


@pytest.mark.parametrize(
    "device",
    [
        {"identifiers": "a4cf12345678"},
        {"ids": ["esp-kitchen", "A4-CF-12-34-56-78"]},
        {"cns": [["mac", "a4:cf:12:34:56:78"]]},
        {"connections": [["bluetooth", "x"], ["mac", "a4:cf:12:34:56:78"]], "identifiers": [["a", "b"]]},
    ],
)
def test_home_assistants_devices_tell_it_in_several_ways(devices: Devices, device: Any) -> None:
    config = {"name": "Fan", "cmd_t": "f/set", "device": device}
    devices.receive("homeassistant/switch/fan/config", json.dumps(config).encode(), 0.0)
    assert [one.thing for one in devices.all_devices()] == ["mac:a4cf12345678"]


@pytest.mark.parametrize(
    "device", [{"identifiers": 5}, {"connections": "mac"}, {"connections": [["mac"], 7, ["mac", 5]]}]
)
def test_what_identifies_nothing_does_no_harm(devices: Devices, device: Any) -> None:
    config = {"name": "Fan", "cmd_t": "f/set", "device": device}
    devices.receive("homeassistant/switch/fan/config", json.dumps(config).encode(), 0.0)
    assert [one.thing for one in devices.all_devices()] == [None]
