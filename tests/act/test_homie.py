"""Homie 5 descriptions to devices, orders and observations."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused, Removal
from edgeagent.act.dialects.homie import Homie
from edgeagent.act.safety import risk_of
from edgeagent.errors import PayloadError
from edgeagent.messages import Action, Capability, Value
from edgeagent.settings import ActingSettings

BASE = "homie/5/kitchen-controller"


def announce(nodes: Mapping[str, Any], **fields: Any) -> Announcement:
    described = {"homie": "5.0", "version": 7562534, "name": "Kitchen", "nodes": nodes, **fields}
    found = Homie().discover(f"{BASE}/$description", json.dumps(described).encode())
    assert isinstance(found, Announcement)
    return found


def entities(nodes: Mapping[str, Any], **fields: Any) -> dict[str, Entity]:
    found = announce(nodes, **fields)
    assert found.left_out == ()
    return {entity.device.name: entity for entity in found.entities}


def published(thing: Entity, capability: Capability, value: Value) -> tuple[str, str]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    (message,) = order.messages
    assert not message.retain
    return message.topic, message.payload.decode()


def seen(thing: Entity, topic: str, payload: str) -> dict[Capability, Value]:
    told = thing.observe(f"{BASE}/{topic}", payload.encode())
    assert told.faults == ()
    return dict(told.observation.values)


SWITCH = {"properties": {"on": {"datatype": "boolean", "settable": True}}}
LAMP = {
    "name": "Ceiling lamp",
    "type": "dimmable light",
    "properties": {
        "power": {"name": "On", "datatype": "boolean", "format": "off,on", "settable": True},
        "brightness": {"datatype": "integer", "format": "0:255", "settable": True},
        "color": {"datatype": "color", "format": "rgb,hsv", "settable": True},
        "hours": {"name": "Hours", "datatype": "float", "unit": "h"},
    },
}


def test_a_settable_boolean_is_a_switch_by_the_name_of_its_device() -> None:
    found = entities({"relay": SWITCH})
    relay = found["Kitchen"]
    assert relay.device.kind == "switch"
    assert relay.device.id == f"homie:{BASE}/relay"
    assert published(relay, "power", "on") == (f"{BASE}/relay/on/set", "true")
    assert seen(relay, "relay/on", "false") == {"power": "off"}
    assert seen(relay, "relay/on/$target", "true") == {}


def test_several_nodes_are_called_after_themselves() -> None:
    found = entities({"relay-1": {"name": "Pump", **SWITCH}, "relay-2": SWITCH})
    assert set(found) == {"Kitchen Pump", "Kitchen relay-2"}
    assert found["Kitchen Pump"].device.aliases == ("Pump",)


def test_a_lamp_has_brightness_on_its_own_scale_and_colour() -> None:
    found = entities({"lamp": LAMP})
    lamp = found["Kitchen"]
    assert lamp.device.kind == "light"
    assert published(lamp, "brightness", 50) == (f"{BASE}/lamp/brightness/set", "128")
    assert seen(lamp, "lamp/brightness", "128") == {"brightness": 50.0}
    assert published(lamp, "color", "red") == (f"{BASE}/lamp/color/set", "rgb,255,0,0")
    assert seen(lamp, "lamp/color", "hsv,240,100,50") == {"color": "blue"}
    assert seen(lamp, "lamp/color", "rgb,255,0,0") == {"color": "red"}
    hours = found["Kitchen Hours"]
    assert (hours.device.kind, hours.device.units) == ("sensor", {"reading": "h"})
    assert seen(hours, "lamp/hours", "12.5") == {"reading": 12.5}


@pytest.mark.parametrize(
    ("unit", "ends", "payload", "told"), [("MK⁻¹", "153:500", "370", 2703), ("K", "2200:6500", "2700", 2700)]
)
def test_a_lamp_has_a_colour_temperature_in_kelvin_or_mireds(unit: str, ends: str, payload: str, told: float) -> None:
    warmth = {"datatype": "integer", "format": ends, "unit": unit, "settable": True}
    lamp = entities({"lamp": {"type": "light", "properties": {**SWITCH["properties"], "warmth": warmth}}})["Kitchen"]
    assert lamp.device.capabilities == {"power", "color_temperature"}
    assert lamp.device.units["color_temperature"] == "K"
    order = lamp.order("color_temperature", 2700)
    assert isinstance(order, Order)
    assert order.reaches == told
    assert published(lamp, "color_temperature", 2700) == (f"{BASE}/lamp/warmth/set", payload)
    assert seen(lamp, "lamp/warmth", payload) == {"color_temperature": told}


def test_a_kelvin_that_is_no_lamps_is_a_set_point() -> None:
    cold = {"datatype": "float", "format": "4:300", "unit": "K", "settable": True}
    found = entities({"cryostat": {"name": "Cryostat", "properties": {**SWITCH["properties"], "target": cold}}})
    assert {one.device.kind for one in found.values()} == {"switch", "number"}


def test_another_enumeration_is_a_select_and_another_string_a_text() -> None:
    programme = {"name": "Programme", "datatype": "enum", "format": "Cotton_60,Wool,Off", "settable": True}
    note = {"name": "Note", "datatype": "string", "settable": True}
    found = entities({"washer": {"name": "Washer", "properties": {"programme": programme, "note": note}}})
    select, text = found["Kitchen Programme"], found["Kitchen Note"]
    assert (select.device.kind, text.device.kind) == ("select", "text")
    assert published(select, "option", "cotton 60") == (f"{BASE}/washer/programme/set", "Cotton_60")
    assert seen(select, "washer/programme", "Wool") == {"option": "wool"}
    assert published(text, "text", "use the green one") == (f"{BASE}/washer/note/set", "use the green one")
    assert seen(text, "washer/note", "hello") == {"text": "hello"}
    twice = {**programme, "format": "a,A"}
    assert any("stands twice" in reason for reason in announce({"w": {"properties": {"p": twice}}}).left_out)


def test_a_colour_that_is_only_hsv_is_written_so() -> None:
    color = {"datatype": "color", "format": "hsv", "settable": True}
    lamp = entities({"lamp": {"properties": {"on": SWITCH["properties"]["on"], "color": color}}})["Kitchen"]
    assert published(lamp, "color", "red") == (f"{BASE}/lamp/color/set", "hsv,0,100,100")


def test_a_thermostat_takes_degrees_and_tells_them() -> None:
    found = entities(
        {
            "heating": {
                "type": "thermostat",
                "properties": {
                    "target": {"datatype": "float", "format": "5:30:0.5", "unit": "°C", "settable": True},
                    "now": {"datatype": "float", "unit": "°C"},
                },
            }
        }
    )
    heating = found["Kitchen"]
    assert heating.device.kind == "climate"
    assert published(heating, "target_temperature", 21.5) == (f"{BASE}/heating/target/set", "21.5")
    assert isinstance(heating.order("target_temperature", 31), Refused)
    assert seen(heating, "heating/now", "19.8") == {"reading": 19.8}
    assert set(found) == {"Kitchen"}


def test_blinds_move_by_words_and_by_position() -> None:
    moves = {"datatype": "enum", "format": "open,close,stop", "settable": True}
    place = {"datatype": "integer", "unit": "%", "settable": True}
    both = entities({"blinds": {"properties": {"move": moves, "position": place}}})["Kitchen"]
    assert both.device.kind == "cover"
    assert published(both, "opening", "closed") == (f"{BASE}/blinds/move/set", "close")
    assert published(both, "position", 40) == (f"{BASE}/blinds/position/set", "40")
    assert seen(both, "blinds/position", "100") == {"position": 100.0, "opening": "open"}
    only = entities({"b": {"type": "roller shutter", "properties": {"position": place}}})["Kitchen"]
    assert published(only, "opening", "closed") == (f"{BASE}/b/position/set", "0")
    assert isinstance(only.order("opening", "stopped"), Refused)


@pytest.mark.parametrize(
    ("node", "payload"),
    [
        ({"properties": {"lock": {"datatype": "enum", "format": "lock,unlock", "settable": True}}}, "unlock"),
        ({"properties": {"lock": {"datatype": "enum", "format": "locked,unlocked", "settable": True}}}, "unlocked"),
        ({"type": "door lock", "properties": {"lock": {"datatype": "boolean", "settable": True}}}, "false"),
    ],
)
def test_a_lock_is_a_lock_however_it_says_so(node: Mapping[str, Any], payload: str) -> None:
    lock = entities({"door": node})["Kitchen"]
    assert lock.device.kind == "lock"
    assert published(lock, "lock", "unlocked") == (f"{BASE}/door/lock/set", payload)
    assert seen(lock, "door/lock", payload) == {"lock": "unlocked"}


def test_a_garage_stays_one_whatever_its_device_is_called() -> None:
    moves = {"datatype": "enum", "format": "open,close", "settable": True}
    garage = entities({"door": {"type": "garage", "properties": {"move": moves}}})["Kitchen"]
    assert risk_of(Action("a", "u", garage.device, "opening", "open"), ActingSettings()) == "guarded"


def test_what_else_can_be_set_is_a_set_point_and_what_cannot_is_told() -> None:
    found = entities(
        {
            "boiler": {
                "name": "Boiler",
                "properties": {
                    "pressure": {
                        "name": "Pressure",
                        "datatype": "float",
                        "format": "0:6",
                        "unit": "bar",
                        "settable": True,
                    },
                    "alarm": {"name": "Alarm", "datatype": "boolean"},
                    "phase": {"name": "Phase", "datatype": "enum", "format": "idle,heating"},
                    "endless": {"datatype": "float", "format": "0:", "settable": True},
                    "blob": {"datatype": "json"},
                },
            }
        }
    )
    assert {name: one.device.kind for name, one in found.items()} == {
        "Kitchen Pressure": "number",
        "Kitchen Alarm": "binary_sensor",
        "Kitchen Phase": "sensor",
    }
    assert published(found["Kitchen Pressure"], "setpoint", 2.5) == (f"{BASE}/boiler/pressure/set", "2.5")
    assert seen(found["Kitchen Phase"], "boiler/phase", "heating") == {"reading": "heating"}


def test_a_device_is_there_when_it_is_ready_and_a_child_with_its_root() -> None:
    relay = entities({"relay": SWITCH})["Kitchen"]
    for state, there in (
        ("ready", True),
        ("init", None),
        ("sleeping", False),
        ("disconnected", False),
        ("lost", False),
    ):
        assert relay.observe(f"{BASE}/$state", state.encode()).observation.available is there
    child = entities({"relay": SWITCH}, root="bridge", parent="bridge")["Kitchen"]
    own = child.observe(f"{BASE}/$state", b"ready")
    assert own.observation.available is True  # a root that never speaks does no harm
    assert child.observe("homie/5/bridge/$state", b"lost", own.reachable).observation.available is False


def test_an_empty_description_takes_the_device_away() -> None:
    assert Homie().discover(f"{BASE}/$description", b"") == Removal(f"{BASE}/$description")


def test_a_node_that_is_wrong_is_left_out_and_the_others_are_taken() -> None:
    bad = {"properties": {"level": {"datatype": "integer", "format": "9:1", "settable": True, "unit": "%"}}}
    found = announce({"relay": SWITCH, "bad": bad, "No Id": SWITCH})
    assert [entity.device.name for entity in found.entities] == ["Kitchen relay"]
    assert any("expected the least first" in reason for reason in found.left_out)
    assert len(found.left_out) == 2


@pytest.mark.parametrize(
    ("topic", "described", "complaint"),
    [
        (f"{BASE}/$description", {"homie": "4.0"}, "expected version 5"),
        (f"{BASE}/$description", {"homie": "5.0", "nodes": []}, "nodes:"),
        (f"{BASE}/$description", {}, "homie:"),
        ("homie/5/Wrong Id/$description", {"homie": "5.0"}, "topic: expected"),
    ],
)
def test_what_is_no_description_is_refused(topic: str, described: Any, complaint: str) -> None:
    with pytest.raises(PayloadError, match=complaint):
        Homie().discover(topic, json.dumps(described).encode())
