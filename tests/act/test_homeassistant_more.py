"""Home Assistant's rarer components, as their documentation announces them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.safety import risk_of
from edgeagent.errors import PayloadError
from edgeagent.messages import Action, Capability, Value
from edgeagent.settings import ActingSettings


def entity(component: str, config: Mapping[str, Any]) -> Entity:
    topic = f"homeassistant/{component}/thing/config"
    found = HomeAssistant().discover(topic, json.dumps({"name": "Thing", **config}).encode())
    assert isinstance(found, Announcement)
    assert found.left_out == ()
    return found.entities[0]


def published(thing: Entity, capability: Capability, value: Value) -> tuple[str, str]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    (message,) = order.messages
    return message.topic, message.payload.decode()


def seen(thing: Entity, topic: str, payload: str) -> dict[Capability, Value]:
    told = thing.observe(topic, payload.encode())
    assert told.faults == ()
    return dict(told.observation.values)


def test_a_siren_is_ordered_in_json_and_told_in_json_or_words() -> None:
    siren = entity("siren", {"cmd_t": "s/set", "stat_t": "s"})
    assert siren.device.kind == "switch"
    assert published(siren, "power", "on") == ("s/set", '{"state": "ON"}')
    assert seen(siren, "s", '{"state":"OFF","tone":"bell"}') == {"power": "off"}
    assert seen(siren, "s", "ON") == {"power": "on"}
    assert siren.observe("s", b"LOUD").faults
    plain = entity("siren", {"cmd_t": "s/set", "cmd_tpl": "{{ value }}", "pl_on": "1"})
    assert published(plain, "power", "on") == ("s/set", "1")


def test_a_humidifier_has_a_target_within_its_range() -> None:
    config = {
        "cmd_t": "h/set",
        "stat_t": "h",
        "hum_cmd_t": "h/t/set",
        "hum_stat_t": "h/t",
        "min_hum": 35,
        "max_hum": 80,
    }
    humidifier = entity("humidifier", {**config, "curr_hum_t": "h/now"})
    assert published(humidifier, "power", "off") == ("h/set", "OFF")
    assert published(humidifier, "setpoint", 45) == ("h/t/set", "45")
    assert isinstance(humidifier.order("setpoint", 90), Refused)
    assert seen(humidifier, "h/t", "45") == {"setpoint": 45.0}
    assert seen(humidifier, "h/now", "41.5") == {"reading": 41.5}
    with pytest.raises(PayloadError, match="max_humidity"):
        entity("humidifier", {**config, "min_hum": 90})


def test_a_water_heater_is_a_heater_with_hot_water() -> None:
    heater = entity(
        "water_heater",
        {"mode_cmd_t": "w/mode/set", "mode_stat_t": "w/mode", "temp_cmd_t": "w/t/set", "temp_stat_t": "w/t"},
    )
    assert heater.device.kind == "climate"
    assert heater.device.ranges == {"target_temperature": (43.3, 60.0)}
    assert published(heater, "target_temperature", 55) == ("w/t/set", "55")
    assert published(heater, "mode", "eco") == ("w/mode/set", "eco")
    assert published(heater, "power", "off") == ("w/mode/set", "off")
    assert seen(heater, "w/mode", "performance") == {"mode": "performance", "power": "on"}


def test_a_lawn_mower_is_asked_about_before_it_starts_and_never_before_it_stops() -> None:
    config = {"act_stat_t": "m", "strt_mw_cmd_t": "m/start", "pause_cmd_t": "m/pause", "dock_cmd_t": "m/dock"}
    mower = entity("lawn_mower", config)
    assert published(mower, "run", "running") == ("m/start", "start_mowing")
    assert published(mower, "run", "stopped") == ("m/dock", "dock")
    assert seen(mower, "m", "returning") == {"run": "stopped"}
    assert seen(mower, "m", "mowing") == {"run": "running"}
    risks = [risk_of(Action("a", "u", mower.device, "run", word), ActingSettings()) for word in ("running", "stopped")]
    assert risks == ["guarded", "free"]
    assert published(entity("lawn_mower", {"pause_cmd_t": "m/pause"}), "run", "stopped") == ("m/pause", "pause")


def test_an_event_is_told_as_its_type() -> None:
    bell = entity("event", {"stat_t": "e", "evt_typ": ["single_press", "double_press"]})
    assert bell.device.kind == "sensor"
    assert seen(bell, "e", '{"event_type": "double_press", "button": 2}') == {"reading": "double press"}
    assert bell.observe("e", b'{"event_type": "long"}').faults
    assert bell.observe("e", b"pressed").faults


TEMPLATED = {
    "schema": "template",
    "cmd_t": "l/set",
    "stat_t": "l",
    "cmd_on_tpl": "on,{{ brightness|d }},{{ red|d }}-{{ green|d }}-{{ blue|d }}",
    "cmd_off_tpl": "off",
    "stat_tpl": "{{ value.split(',')[0] }}",
    "bri_tpl": "{{ value.split(',')[1] }}",
    "r_tpl": "{{ value.split(',')[2].split('-')[0] }}",
    "g_tpl": "{{ value.split(',')[2].split('-')[1] }}",
    "b_tpl": "{{ value.split(',')[2].split('-')[2] }}",
}


def test_a_light_by_templates_is_ordered_and_told_by_them() -> None:
    lamp = entity("light", TEMPLATED)
    assert lamp.device.capabilities == {"power", "brightness", "color"}
    assert published(lamp, "power", "on") == ("l/set", "on,,--")
    assert published(lamp, "power", "off") == ("l/set", "off")
    assert published(lamp, "brightness", 50) == ("l/set", "on,128,--")
    assert published(lamp, "color", "red") == ("l/set", "on,,255-0-0")
    assert seen(lamp, "l", "on,128,0-0-255") == {"power": "on", "brightness": 50.0, "color": "blue"}


def test_a_light_by_templates_can_do_what_there_are_templates_for() -> None:
    plain = {key: value for key, value in TEMPLATED.items() if key not in {"bri_tpl", "r_tpl"}}
    assert entity("light", plain).device.capabilities == {"power"}


@pytest.mark.parametrize(
    ("component", "config"),
    [
        ("light", {"schema": "template", "cmd_t": "l/set"}),
        ("light", {**TEMPLATED, "cmd_on_tpl": "{{ x.__class__ }}"}),
        ("water_heater", {"temp_cmd_t": "w", "min_temp": 70}),
        ("siren", {}),
    ],
)
def test_what_does_not_fit_together_is_refused(component: str, config: Mapping[str, Any]) -> None:
    with pytest.raises(PayloadError):
        entity(component, config)
