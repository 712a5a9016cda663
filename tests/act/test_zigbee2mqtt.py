"""Zigbee2MQTT's lists, as its versions 1.40 and 2 publish them, to devices, orders and observations."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused, Removal
from edgeagent.act.dialects.zigbee2mqtt import MOST_BRIDGES, Zigbee2MQTT
from edgeagent.act.safety import risk_of
from edgeagent.errors import PayloadError
from edgeagent.messages import Action, Capability, Value
from edgeagent.settings import ActingSettings

DATA = Path(__file__).parent.parent / "data" / "dialects"
DEVICES = json.loads((DATA / "zigbee2mqtt_devices.json").read_text())
GROUPS = json.loads((DATA / "zigbee2mqtt_groups.json").read_text())


def announce(devices: Any, groups: Any = None, base: str = "zigbee2mqtt") -> Announcement:
    dialect = Zigbee2MQTT()
    if groups is not None:
        dialect.discover(f"{base}/bridge/groups", json.dumps(groups).encode())
    found = dialect.discover(f"{base}/bridge/devices", json.dumps(devices).encode())
    assert isinstance(found, Announcement)
    return found


@pytest.fixture(scope="module")
def house() -> dict[str, Entity]:
    found = announce(DEVICES, GROUPS)
    assert found.left_out == ()
    assert found.topic == "zigbee2mqtt/bridge/devices"
    return {entity.device.name: entity for entity in found.entities}


def published(thing: Entity, capability: Capability, value: Value) -> tuple[str, dict[str, Any]]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    (message,) = order.messages
    assert message.qos == 0
    assert not message.retain
    return message.topic, json.loads(message.payload)


def seen(thing: Entity, topic: str, state: Any) -> dict[Capability, Value]:
    told = thing.observe(topic, json.dumps(state).encode())
    assert told.faults == ()
    return dict(told.observation.values)


def test_everything_that_can_be_spoken_to_or_asked_is_there(house: dict[str, Entity]) -> None:
    assert {name: entity.device.kind for name, entity in house.items()} == {
        "desk lamp": "light",
        "floor lamp": "light",
        "Kettle": "switch",
        "hall switch left": "switch",
        "hall switch right": "switch",
        "hall switch power": "sensor",
        "bedroom blinds": "cover",
        "bedroom blinds battery": "sensor",
        "Front door lock": "lock",
        "Front door lock battery": "sensor",
        "bathroom radiator": "climate",
        "bedroom radiator": "climate",
        "back door battery": "sensor",
        "back door contact": "binary_sensor",
        "back door voltage": "sensor",
        "living room climate battery": "sensor",
        "living room climate temperature": "sensor",
        "living room climate humidity": "sensor",
        "living room climate pressure": "sensor",
        "0x00158d00056f7f03 occupancy": "binary_sensor",
        "0x00158d00056f7f03 illuminance": "sensor",
        "ceiling fan": "fan",
        "reading lamp": "light",
        "venetian blinds": "cover",
        "garden siren alarm melody": "select",
        "study lamps": "light",
        "Reading": "scene",
    }


def test_a_slash_in_the_name_says_the_area(house: dict[str, Entity]) -> None:
    assert house["desk lamp"].device.area == "study"
    assert house["Kettle"].device.area is None


def test_the_address_is_the_identity_of_the_thing(house: dict[str, Entity]) -> None:
    lamp = house["desk lamp"].device
    assert lamp.id == "zigbee2mqtt:0x001788010bcf9a41:light:"
    assert lamp.thing == "zigbee:0x001788010bcf9a41"
    renamed = announce([{**DEVICES[1], "friendly_name": "Reading lamp"}]).entities[0].device
    assert (renamed.id, renamed.name) == (lamp.id, "Reading lamp")


def test_a_lamp_is_ordered_and_observed(house: dict[str, Entity]) -> None:
    lamp = house["desk lamp"]
    to = "zigbee2mqtt/study/desk_lamp/set"
    assert published(lamp, "power", "on") == (to, {"state": "ON"})
    assert published(lamp, "brightness", 50) == (to, {"brightness": 127})
    assert published(lamp, "color", "red") == (to, {"color": {"x": 0.6401, "y": 0.33}})
    state = {"brightness": 127, "color": {"x": 0.64, "y": 0.33}, "color_mode": "xy", "linkquality": 87, "state": "ON"}
    assert seen(lamp, "zigbee2mqtt/study/desk_lamp", state) == {"power": "on", "brightness": 50.0, "color": "red"}
    white = {"color_mode": "color_temp", "color": {"x": 0.46, "y": 0.41}, "state": "OFF", "brightness": None}
    assert seen(lamp, "zigbee2mqtt/study/desk_lamp", white) == {"power": "off", "color": "white"}


def test_a_lamp_is_warm_or_cold_in_mireds(house: dict[str, Entity]) -> None:
    lamp = house["reading lamp"]
    to = "zigbee2mqtt/reading lamp"
    assert lamp.device.capabilities == {"power", "brightness", "color_temperature"}
    assert lamp.device.ranges["color_temperature"] == (2200, 4000)
    assert lamp.device.units["color_temperature"] == "K"
    order = lamp.order("color_temperature", 2700)
    assert isinstance(order, Order)
    assert published(lamp, "color_temperature", 2700) == (f"{to}/set", {"color_temp": 370})
    state = {"state": "ON", "brightness": 254, "color_mode": "color_temp", "color_temp": 370, "color_temp_startup": 250}
    told = seen(lamp, to, state)
    assert told == {"power": "on", "brightness": 100, "color_temperature": order.reaches}
    assert isinstance(lamp.order("color_temperature", 6500), Refused)
    colored = {"color_mode": "xy", "color": {"x": 0.64, "y": 0.33}, "color_temp": 500}
    assert seen(house["desk lamp"], "zigbee2mqtt/study/desk_lamp", colored) == {"color": "red"}
    assert lamp.observe(to, b'{"color_temp": 0}').faults
    assert lamp.observe(to, b'{"color_temp": true}').faults


def test_slats_turn_beside_the_position(house: dict[str, Entity]) -> None:
    blinds = house["venetian blinds"]
    assert blinds.device.ranges == {"position": (0, 100), "tilt": (0, 100)}
    assert published(blinds, "tilt", 30) == ("zigbee2mqtt/venetian blinds/set", {"tilt": 30})
    told = seen(blinds, "zigbee2mqtt/venetian blinds", {"position": 0, "state": "CLOSE", "tilt": 30})
    assert told == {"opening": "closed", "position": 0, "tilt": 30}


def test_what_is_set_to_a_word_and_tells_it_is_a_select(house: dict[str, Entity]) -> None:
    melody = house["garden siren alarm melody"]
    assert melody.writers[0].words == ("melody 1", "melody 2", "melody 3")
    assert published(melody, "option", "melody 2") == ("zigbee2mqtt/garden siren/set", {"alarm_melody": "melody_2"})
    assert seen(melody, "zigbee2mqtt/garden siren", {"alarm_melody": "melody_2"}) == {"option": "melody 2"}
    assert melody.observe("zigbee2mqtt/garden siren", b'{"alarm_melody": ["melody_2"]}').faults


@pytest.mark.parametrize("values", [["a", "A"], [1, 2], [], [str(number) for number in range(65)]])
def test_options_that_nobody_could_say_make_no_select_and_take_nothing_with_them(values: list[Any]) -> None:
    mode = {"type": "enum", "name": "programme", "property": "programme", "access": 7, "values": values}
    switch = DEVICES[2]["definition"]["exposes"][0]
    found = announce([{**DEVICES[2], "definition": {"exposes": [switch, mode]}}])
    assert [entity.device.kind for entity in found.entities] == ["switch"]


def test_the_gangs_of_a_switch_are_told_apart(house: dict[str, Entity]) -> None:
    left, right = house["hall switch left"], house["hall switch right"]
    assert published(left, "power", "off") == ("zigbee2mqtt/hall_switch/set", {"state_left": "OFF"})
    state = {"state_left": "ON", "state_right": "OFF", "power": 3.2}
    assert seen(left, "zigbee2mqtt/hall_switch", state) == {"power": "on"}
    assert seen(right, "zigbee2mqtt/hall_switch", state) == {"power": "off"}


def test_blinds_open_close_stop_and_go_half_way(house: dict[str, Entity]) -> None:
    blinds = house["bedroom blinds"]
    to = "zigbee2mqtt/bedroom blinds/set"
    assert published(blinds, "opening", "closed") == (to, {"state": "CLOSE"})
    assert published(blinds, "opening", "stopped") == (to, {"state": "STOP"})
    assert published(blinds, "position", 50) == (to, {"position": 50})
    told = seen(blinds, "zigbee2mqtt/bedroom blinds", {"position": 0, "state": "CLOSE"})
    assert told == {"opening": "closed", "position": 0.0}


def test_a_lock_is_locked_by_the_words_of_its_own(house: dict[str, Entity]) -> None:
    lock = house["Front door lock"]
    assert published(lock, "lock", "unlocked") == ("zigbee2mqtt/Front door lock/set", {"state": "UNLOCK"})
    assert seen(lock, "zigbee2mqtt/Front door lock", {"state": "LOCK", "lock_state": "locked"}) == {"lock": "locked"}


def test_a_radiator_takes_degrees_within_its_range(house: dict[str, Entity]) -> None:
    radiator = house["bedroom radiator"]
    to = "zigbee2mqtt/bedroom_radiator/set"
    assert published(radiator, "target_temperature", 21.5) == (to, {"current_heating_setpoint": 21.5})
    assert isinstance(radiator.order("target_temperature", 50), Refused)
    assert published(radiator, "power", "off") == (to, {"system_mode": "off"})
    assert published(radiator, "power", "on") == (to, {"system_mode": "heat"})
    state = {"current_heating_setpoint": 20, "local_temperature": 19.3, "system_mode": "heat"}
    told = {"target_temperature": 20.0, "reading": 19.3, "mode": "heat", "power": "on"}
    assert seen(radiator, "zigbee2mqtt/bedroom_radiator", state) == told
    assert isinstance(house["bathroom radiator"].order("power", "off"), Refused)  # it can only heat


def test_a_contact_is_open_when_there_is_none(house: dict[str, Entity]) -> None:
    door = house["back door contact"]
    assert door.device.device_class == "opening"
    assert seen(door, "zigbee2mqtt/back_door", {"contact": False, "battery": 97}) == {"reading": "on"}
    assert seen(door, "zigbee2mqtt/back_door", {"contact": True}) == {"reading": "off"}
    assert door.observe("zigbee2mqtt/back_door", b'{"contact": 1}').faults  # one is not true


def test_a_group_can_what_all_its_members_can_and_recalls_scenes(house: dict[str, Entity]) -> None:
    lamps = house["study lamps"]
    assert lamps.device.capabilities == {"power", "brightness"}
    assert published(lamps, "power", "off") == ("zigbee2mqtt/study lamps/set", {"state": "OFF"})
    assert published(house["Reading"], "activate", "now") == ("zigbee2mqtt/study lamps/set", {"scene_recall": 1})


def test_groups_follow_when_their_members_come_later() -> None:
    dialect = Zigbee2MQTT()
    early = dialect.discover("z/bridge/groups", json.dumps(GROUPS).encode())
    assert isinstance(early, Announcement)
    assert [entity.device.name for entity in early.entities] == ["Reading"]
    late = dialect.discover("z/bridge/devices", json.dumps(DEVICES).encode())
    assert isinstance(late, Announcement)
    assert "study lamps" in {entity.device.name for entity in late.entities}


def test_what_mains_devices_are_is_asked_for_when_they_come(house: dict[str, Entity]) -> None:
    (asks,) = house["desk lamp"].asks
    assert (asks.topic, asks.payload) == ("zigbee2mqtt/study/desk_lamp/get", b'{"state": ""}')
    assert house["hall switch right"].asks[0].payload == b'{"state_right": ""}'
    assert house["bedroom blinds"].asks == ()  # it cannot be asked


def test_availability_is_read_in_both_of_its_forms(house: dict[str, Entity]) -> None:
    kettle = house["Kettle"]
    for online, offline in ((b"online", b"offline"), (b'{"state":"online"}', b'{"state":"offline"}')):
        bridge = kettle.observe("zigbee2mqtt/bridge/state", online)
        assert bridge.observation.available is True  # its own availability is switched off by default
        there = kettle.observe("zigbee2mqtt/Kettle/availability", online, bridge.reachable)
        assert there.observation.available is True
        assert kettle.observe("zigbee2mqtt/bridge/state", offline, there.reachable).observation.available is False


def test_an_empty_list_and_an_empty_payload_take_everything_away() -> None:
    assert announce([]).entities == ()
    assert Zigbee2MQTT().discover("z/bridge/devices", b"") == Removal("z/bridge/devices")


def test_what_is_wrong_is_left_out_and_the_rest_is_taken() -> None:
    found = announce(
        [
            {**DEVICES[2], "friendly_name": "bad/+/topic"},
            {**DEVICES[2], "ieee_address": "nonsense"},
            "nothing",
            {**DEVICES[2], "definition": {"exposes": [{"type": "light", "features": "all"}]}},
            DEVICES[13],
        ],
        [{"id": "x"}],
    )
    assert [entity.device.name for entity in found.entities] == ["floor lamp"]
    assert len(found.left_out) == 5
    assert any("is no topic to speak on" in reason for reason in found.left_out)
    assert any(reason.startswith("entry 1: ieee_address:") for reason in found.left_out)


def test_a_device_is_back_with_its_bridge_where_it_tells_nothing_of_itself() -> None:
    devices = Devices([Zigbee2MQTT()])
    devices.receive("zigbee2mqtt/bridge/devices", json.dumps([DEVICES[2]]).encode(), 0.0)
    (kettle,) = devices.all_devices()
    for state in ("offline", "online"):
        devices.receive("zigbee2mqtt/bridge/state", state.encode(), 1.0)
        assert devices.is_available(kettle.id) is (state == "online")


def test_a_cover_in_the_garage_is_guarded() -> None:
    garage = announce([{**DEVICES[4], "friendly_name": "garage/main"}]).entities[0].device
    assert risk_of(Action("a", "u", garage, "opening", "open"), ActingSettings()) == "guarded"


@pytest.mark.parametrize(
    "feature",
    [
        {"name": "state", "type": "enum", "values": ["UP", "DOWN"]},
        {"name": "position", "type": "numeric", "value_max": 1.7e308},
        {"name": "position", "type": "numeric", "value_max": "x"},
    ],
)
def test_an_odd_cover_takes_nothing_else_with_it(feature: Mapping[str, Any]) -> None:
    odd = {"type": "cover", "features": [{**feature, "property": feature["name"], "access": 7}]}
    found = announce([{**DEVICES[4], "definition": {"exposes": [odd]}}, DEVICES[2]])
    assert "Kettle" in {entity.device.name for entity in found.entities}
    for entity in found.entities:
        for capability in ("opening", "position"):
            assert isinstance(entity.order(capability, "open" if capability == "opening" else 50), Order | Refused)


@pytest.mark.parametrize("value", [["off"], {"a": 1}, None])
def test_a_mode_that_is_no_word_leaves_out_its_thermostat_alone(value: Any) -> None:
    mode = {"name": "system_mode", "property": "m", "type": "enum", "access": 7, "values": [value]}
    odd = {"type": "climate", "features": [mode]}
    found = announce([{**DEVICES[7], "definition": {"exposes": [odd]}}, DEVICES[2]])
    assert [entity.device.name for entity in found.entities] == ["Kettle"]
    assert found.left_out


@pytest.mark.parametrize("payload", [b"{}", b"5", b"[", b"null", b"[" * 5000])
def test_what_is_no_list_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        Zigbee2MQTT().discover("zigbee2mqtt/bridge/devices", payload)


def test_there_are_not_more_bridges_than_a_house_can_have() -> None:
    dialect = Zigbee2MQTT()
    for number in range(MOST_BRIDGES):
        dialect.discover(f"z{number}/bridge/devices", b"[]")
    with pytest.raises(PayloadError, match="bridges already"):
        dialect.discover("one too many/bridge/devices", b"[]")


_KEYS = ["type", "features", "property", "name", "access", "values", "value_on", "value_max"]
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["light", "climate", "numeric", "state", "OFF"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_KEYS), inner),
)


@given(_ANYTHING)
def test_no_exposes_make_it_fail(exposes: Any) -> None:
    assert isinstance(announce([{**DEVICES[2], "definition": {"exposes": [exposes]}}]), Announcement)
