"""Tasmota's announcements, as its firmware 9 to 14 sends them, to devices, orders and observations."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Removal
from edgeagent.act.dialects.tasmota import Tasmota
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value

NONE8: list[None] = [None] * 8
PLUG: Mapping[str, Any] = {
    "ip": "192.168.1.40",
    "dn": "Coffee corner",
    "fn": ["Kettle", *NONE8[1:]],
    "hn": "tasmota-4A1B2C-6956",
    "mac": "DC4F224A1B2C",
    "md": "NOUS A1T",
    "ty": 0,
    "if": 0,
    "cam": 0,
    "ofln": "Offline",
    "onln": "Online",
    "state": ["OFF", "ON", "TOGGLE", "HOLD"],
    "sw": "14.1.0",
    "t": "kettle",
    "ft": "%prefix%/%topic%/",
    "tp": ["cmnd", "stat", "tele"],
    "rl": [1, 0, 0, 0, 0, 0, 0, 0],
    "swc": [-1] * 8,
    "swn": NONE8,
    "btn": [0] * 8,
    "so": {"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0},
    "lk": 0,
    "lt_st": 0,
    "bat": 0,
    "dslp": 0,
    "sho": [0, 0, 0, 0],
    "sht": [[0, 0, 0]] * 4,
    "ver": 1,
}
ENERGY: Mapping[str, Any] = {
    "sn": {
        "Time": "2026-11-21T10:00:00",
        "ENERGY": {
            "TotalStartTime": "2026-01-01T00:00:00",
            "Total": 12.3,
            "Yesterday": 0.1,
            "Today": 0.05,
            "Power": 3,
            "ApparentPower": 5,
            "Factor": 0.6,
            "Voltage": 231,
            "Current": 0.02,
        },
    },
    "ver": 1,
}
BASE = "tasmota/discovery/DC4F224A1B2C"


def announce(changes: Mapping[str, Any] | None = None, sensors: Mapping[str, Any] | None = None) -> dict[str, Entity]:
    dialect = Tasmota()
    if sensors is not None:
        assert isinstance(dialect.discover(f"{BASE}/sensors", json.dumps(sensors).encode()), Announcement)
    found = dialect.discover(f"{BASE}/config", json.dumps({**PLUG, **(changes or {})}).encode())
    assert isinstance(found, Announcement)
    assert found.topic == f"{BASE}/config"
    return {entity.device.name: entity for entity in found.entities}


def published(thing: Entity, capability: Capability, value: Value) -> tuple[str, str]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    (message,) = order.messages
    return message.topic, message.payload.decode()


def seen(thing: Entity, topic: str, state: Any) -> dict[Capability, Value]:
    told = thing.observe(topic, json.dumps(state).encode())
    assert told.faults == ()
    return dict(told.observation.values)


def test_a_plug_is_a_switch_by_its_friendly_name() -> None:
    kettle = announce()["Kettle"]
    assert kettle.device.kind == "switch"
    assert kettle.device.id == "tasmota:DC4F224A1B2C:relay:1"
    assert kettle.device.thing == "mac:dc4f224a1b2c"
    assert kettle.device.aliases == ("Coffee corner Kettle",)
    assert published(kettle, "power", "on") == ("cmnd/kettle/POWER1", "ON")
    assert seen(kettle, "stat/kettle/RESULT", {"POWER": "OFF"}) == {"power": "off"}
    assert seen(kettle, "tele/kettle/STATE", {"Time": "x", "POWER": "ON", "Wifi": {"RSSI": 80}}) == {"power": "on"}
    assert seen(kettle, "stat/kettle/RESULT", {"Command": "Unknown"}) == {}


def test_it_is_there_until_its_last_will_says_otherwise() -> None:
    kettle = announce()["Kettle"]
    assert kettle.observe("tele/kettle/LWT", b"Online").observation.available is True
    assert kettle.observe("tele/kettle/LWT", b"Offline").observation.available is False
    assert kettle.observe("tele/kettle/LWT", b"what").observation.available is None


def test_what_it_is_is_asked_for_when_it_comes() -> None:
    (asks,) = announce()["Kettle"].asks
    assert (asks.topic, asks.payload, asks.retain) == ("cmnd/kettle/STATE", b"", False)


def test_several_relays_are_told_apart_by_name_or_number() -> None:
    found = announce({"rl": [1, 1, 0], "fn": ["Pump", None, None], "state": ["0", "1", "2", "3"]})
    assert set(found) == {"Pump", "Coffee corner 2"}
    second = found["Coffee corner 2"]
    assert published(second, "power", "off") == ("cmnd/kettle/POWER2", "0")
    assert seen(second, "stat/kettle/RESULT", {"POWER1": "1", "POWER2": "0"}) == {"power": "off"}
    assert seen(second, "stat/kettle/RESULT", {"POWER": "1"}) == {}


def test_a_full_topic_of_its_own_is_followed() -> None:
    kettle = announce({"ft": "house/%topic%/%prefix%/"})["Kettle"]
    assert published(kettle, "power", "on") == ("house/kettle/cmnd/POWER1", "ON")
    assert kettle.topics == {"house/kettle/stat/RESULT", "house/kettle/tele/STATE", "house/kettle/tele/LWT"}


def test_a_bulb_is_dimmed_and_coloured() -> None:
    bulb = announce({"rl": [2], "lt_st": 5, "fn": ["Reading lamp"]})["Reading lamp"]
    assert bulb.device.capabilities == {"power", "brightness", "color", "color_temperature"}
    assert published(bulb, "brightness", 40) == ("cmnd/kettle/Dimmer", "40")
    assert published(bulb, "color", "red") == ("cmnd/kettle/Color2", "255,0,0")
    state = {"POWER": "ON", "Dimmer": 40, "HSBColor": "240,100,40", "White": 0}
    assert seen(bulb, "tele/kettle/STATE", state) == {"power": "on", "brightness": 40.0, "color": "blue"}
    white = {"POWER": "ON", "Dimmer": 33, "Color": "0000005400", "HSBColor": "231,64,0", "White": 33, "CT": 153}
    told = {"power": "on", "brightness": 33.0, "color_temperature": 6536.0, "color": "white"}
    assert seen(bulb, "stat/kettle/RESULT", white) == told
    assert announce({"rl": [2], "lt_st": 1})["Kettle"].device.capabilities == {"power", "brightness"}
    assert announce({"rl": [2], "lt_st": 0})["Kettle"].device.capabilities == {"power"}


def test_a_white_bulb_takes_mireds_in_the_range_that_its_options_say() -> None:
    bulb = announce({"rl": [2], "lt_st": 2})["Kettle"]
    assert bulb.device.capabilities == {"power", "brightness", "color_temperature"}
    assert bulb.device.ranges["color_temperature"] == (2000, 6540)
    assert published(bulb, "color_temperature", 2700) == ("cmnd/kettle/CT", "370")
    order = bulb.order("color_temperature", 2700)
    assert isinstance(order, Order)
    state = {"POWER": "ON", "Dimmer": 100, "Color": "255,0", "White": 100, "CT": 370, "Channel": [100, 0]}
    assert seen(bulb, "tele/kettle/STATE", state)["color_temperature"] == order.reaches
    narrow = announce({"rl": [2], "lt_st": 2, "so": {**PLUG["so"], "82": 1}})["Kettle"]
    assert narrow.device.ranges["color_temperature"] == (2630, 5000)
    red = {"POWER": "ON", "Dimmer": 83, "HSBColor": "0,100,83", "White": 0, "CT": 153}
    rgb = announce({"rl": [2], "lt_st": 5})["Kettle"]
    assert seen(rgb, "tele/kettle/STATE", red) == {"power": "on", "brightness": 83, "color": "red"}


def test_a_shutter_with_slats_tilts_them_by_percent() -> None:
    blinds = announce({"rl": [3, 3], "fn": ["Blinds", None], "sht": [[-90, 90, 24], [0, 0, 0]]})["Blinds"]
    assert blinds.device.capabilities == {"opening", "position", "tilt"}
    assert published(blinds, "tilt", 0) == ("cmnd/kettle/ShutterTilt1", "-90")
    assert published(blinds, "tilt", 75) == ("cmnd/kettle/ShutterTilt1", "45")
    told = {"Shutter1": {"Position": 54, "Direction": 0, "Target": 54, "Tilt": 45}}
    assert seen(blinds, "tele/kettle/SENSOR", told) == {"position": 54, "opening": "open", "tilt": 75}
    for none in ([[-90, 90, 0]], [[-90, -90, 24]], [[1]], []):
        plain = announce({"rl": [3, 3], "fn": ["Blinds", None], "sht": none})["Blinds"]
        assert plain.device.capabilities == {"opening", "position"}


def test_two_relays_are_a_shutter_that_goes_to_a_position() -> None:
    shutter = announce({"rl": [3, 3], "fn": ["Blinds", None]})["Blinds"]
    assert shutter.device.kind == "cover"
    assert published(shutter, "opening", "closed") == ("cmnd/kettle/ShutterClose1", "")
    assert published(shutter, "opening", "stopped") == ("cmnd/kettle/ShutterStop1", "")
    assert published(shutter, "position", 30) == ("cmnd/kettle/ShutterPosition1", "30")
    told = {"Shutter1": {"Position": 100, "Direction": 0, "Target": 100}}
    assert seen(shutter, "stat/kettle/RESULT", told) == {"position": 100.0, "opening": "open"}
    assert [(one.topic, one.payload) for one in shutter.asks] == [("cmnd/kettle/ShutterPosition1", b"")]
    inverted = announce({"rl": [3, 3], "fn": ["Blinds", None], "sho": [1, 0, 0, 0]})["Blinds"]
    assert published(inverted, "opening", "closed") == ("cmnd/kettle/ShutterClose1", "")
    assert published(inverted, "position", 30) == ("cmnd/kettle/ShutterPosition1", "70")
    assert seen(inverted, "stat/kettle/RESULT", told) == {"position": 0.0, "opening": "closed"}


def test_an_ifan_is_a_fan_with_three_steps_and_a_light() -> None:
    found = announce({"if": 1, "rl": [2, 0], "fn": ["Bedroom light"], "dn": "Bedroom"})
    assert set(found) == {"Bedroom light", "Bedroom fan"}
    fan = found["Bedroom fan"]
    assert published(fan, "speed", 50) == ("cmnd/kettle/FanSpeed", "2")
    assert published(fan, "speed", 100) == ("cmnd/kettle/FanSpeed", "3")
    assert published(fan, "power", "off") == ("cmnd/kettle/FanSpeed", "0")
    order = fan.order("speed", 50)
    assert isinstance(order, Order)
    assert seen(fan, "stat/kettle/RESULT", {"FanSpeed": 2}) == {"power": "on", "speed": order.reaches}
    assert seen(fan, "stat/kettle/RESULT", {"FanSpeed": 0}) == {"power": "off"}


def test_what_is_measured_can_be_asked_for() -> None:
    found = announce(sensors=ENERGY)
    power = found["Coffee corner power"]
    assert (power.device.kind, power.device.units) == ("sensor", {"reading": "W"})
    assert seen(power, "tele/kettle/SENSOR", {"Time": "x", "ENERGY": {"Power": 1800}}) == {"reading": 1800.0}
    assert {name for name, one in found.items() if one.device.kind == "sensor"} == {
        f"Coffee corner {what}" for what in ("power", "voltage", "current", "energy")
    }
    two = announce(
        sensors={"sn": {"DS18B20-1": {"Temperature": 20}, "DS18B20-2": {"Temperature": 30}, "TempUnit": "F"}}
    )
    assert {"Coffee corner DS18B20-1 temperature", "Coffee corner DS18B20-2 temperature"} <= set(two)
    assert two["Coffee corner DS18B20-1 temperature"].device.units == {"reading": "°F"}


def test_sensors_alone_wait_for_the_apparatus() -> None:
    found = Tasmota().discover(f"{BASE}/sensors", json.dumps(ENERGY).encode())
    assert found == Announcement(f"{BASE}/config", ())


def test_an_empty_announcement_takes_it_away() -> None:
    assert Tasmota().discover(f"{BASE}/config", b"") == Removal(f"{BASE}/config")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"t": "a/+/b"}, "is no topic"),
        ({"ft": "ea/1/%prefix%/%topic%/"}, "is below ea/"),
        ({"ft": "/ea/1/%prefix%/%topic%/"}, "is below ea/"),
        ({"ft": "homeassistant/lock/x/config"}, "ft: expected %prefix% and %topic%"),
        ({"mac": "nonsense"}, "mac:"),
        ({"mac": "AABBCCDDEEFF"}, "mac: expected that of the topic"),
        ({"state": ["OFF"]}, "state:"),
        ({"rl": "many"}, "rl:"),
        ({"fn": ["x" * 65]}, "fn.0:"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(changes: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(PayloadError, match=complaint):
        announce(changes)


@pytest.mark.parametrize("topic", ["tasmota/discovery/short/config", "tasmota/discovery/dc4f224a1b2c/config"])
def test_a_topic_that_is_none_of_tasmotas_is_refused(topic: str) -> None:
    with pytest.raises(PayloadError, match="topic: expected"):
        Tasmota().discover(topic, b"{}")
