"""Home Assistant's lights by colour temperature and its covers with slats, as real bridges announce them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeagent.act.acknowledgements import is_reached
from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.dialects.white import MIREDS, WhiteScale
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value

REAL = json.loads(
    (Path(__file__).parent.parent / "data" / "dialects" / "homeassistant_announcements.json").read_text("utf-8")
)


def entity(name: str, **changes: Any) -> Entity:
    config = {**REAL[name]["config"], **changes}
    found = HomeAssistant().discover(REAL[name]["topic"], json.dumps(config).encode())
    assert isinstance(found, Announcement)
    assert found.left_out == ()
    return found.entities[0]


def published(thing: Entity, capability: Capability, value: Value) -> list[tuple[str, str]]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    return [(message.topic, message.payload.decode()) for message in order.messages]


def seen(thing: Entity, topic: str, payload: str) -> dict[Capability, Value]:
    told = thing.observe(topic, payload.encode())
    assert told.faults == ()
    return dict(told.observation.values)


def test_a_white_spectrum_lamp_takes_mireds_and_is_asked_for_kelvin() -> None:
    lamp = entity("zigbee2mqtt white spectrum")
    assert lamp.device.capabilities == {"power", "brightness", "color_temperature"}
    assert lamp.device.ranges["color_temperature"] == (2200, 4000)
    assert lamp.device.units["color_temperature"] == "K"
    order = lamp.order("color_temperature", 2700)
    assert isinstance(order, Order)
    assert order.messages[0].payload == b'{"state": "ON", "color_temp": 370}'
    assert order.reaches == 2703
    state = '{"state":"ON","brightness":254,"color_mode":"color_temp","color_temp":370}'
    told = seen(lamp, "zigbee2mqtt/reading_lamp", state)
    assert told == {"power": "on", "brightness": 100, "color_temperature": 2703, "color": "white"}
    assert published(lamp, "color_temperature", 2200)[0][1] == '{"state": "ON", "color_temp": 454}'
    for wrong in (2000, 6500, float("nan"), "warm"):
        assert isinstance(lamp.order("color_temperature", wrong), Refused)


def test_a_lamp_that_says_kelvin_is_told_kelvin() -> None:
    lamp = entity("litra")
    assert lamp.device.ranges["color_temperature"] == (2700, 6500)
    assert published(lamp, "color_temperature", 3200) == [
        ("litra/2240FE9001/set", '{"state": "ON", "color_temp": 3200}')
    ]
    assert seen(lamp, "litra/2240FE9001/state", '{"state":"ON","color_temp":3200}') == {
        "power": "on",
        "color_temperature": 3200,
    }


def test_in_a_colour_mode_the_temperature_is_no_news() -> None:
    lamp = entity("zigbee2mqtt white spectrum", supported_color_modes=["color_temp", "xy"])
    state = '{"color_mode":"xy","color":{"x":0.64,"y":0.33},"color_temp":500}'
    assert seen(lamp, "zigbee2mqtt/reading_lamp", state) == {"color": "red"}
    assert seen(lamp, "zigbee2mqtt/reading_lamp", '{"color_mode":"white","brightness":254}') == {
        "brightness": 100,
        "color": "white",
    }


def test_a_default_light_has_a_topic_for_its_temperature() -> None:
    lamp = entity("openbeken")
    assert lamp.device.capabilities == {"power", "brightness", "color", "color_temperature"}
    set_to = "cmnd/obk8D38570E/"
    assert published(lamp, "color_temperature", 2700) == [
        (f"{set_to}led_temperature", "370"),
        (f"{set_to}led_enableAll", "1"),
    ]
    assert seen(lamp, "obk8D38570E/led_temperature/get", "370") == {"color_temperature": 2703}
    assert published(lamp, "color", "warm white")[0][0] == f"{set_to}led_basecolor_rgb"
    assert lamp.observe("obk8D38570E/led_temperature/get", b"0").faults
    kelvin = entity("openbeken", clr_temp_k=True, min_mirs=None, max_mirs=None, min_k=2000, max_k=9000)
    assert kelvin.device.ranges["color_temperature"] == (2000, 9000)
    assert published(kelvin, "color_temperature", 9000)[0] == (f"{set_to}led_temperature", "9000")


def test_a_default_light_says_by_its_mode_that_it_is_white() -> None:
    lamp = entity("openbeken", clrm_stat_t="obk/mode", clrm_val_tpl="{{ value_json.m }}")
    assert seen(lamp, "obk/mode", '{"m": "color_temp"}') == {"color": "white"}
    assert seen(lamp, "obk/mode", '{"m": "rgb"}') == {}


@pytest.mark.parametrize(("way", "payload"), [("rgbw", "0,0,255,0"), ("rgbww", "0,0,255,0,0")])
def test_white_channels_are_put_out_for_a_colour(way: str, payload: str) -> None:
    own = {f"{way}_cmd_t": "l/c", f"{way}_stat_t": "l/c/is", "rgb_cmd_t": None, "rgb_stat_t": None}
    lamp = entity("openbeken", **own)
    assert published(lamp, "color", "blue")[0] == ("l/c", payload)
    assert seen(lamp, "l/c/is", payload) == {"color": "blue"}


def test_a_light_by_templates_gets_its_temperature_too() -> None:
    lamp = entity(
        "litra",
        schema="template",
        command_on_template='{"on":1{% if color_temp is defined %},"cct":{{ color_temp }}{% endif %}}',
        command_off_template='{"on":0}',
        color_temp_template="{{ value_json.cct }}",
    )
    assert published(lamp, "power", "on") == [("litra/2240FE9001/set", '{"on":1}')]
    assert published(lamp, "color_temperature", 4000) == [("litra/2240FE9001/set", '{"on":1,"cct":4000}')]
    assert seen(lamp, "litra/2240FE9001/state", '{"cct":4000}') == {"color_temperature": 4000}


def test_a_lamp_that_gets_there_in_steps_is_there_at_the_end() -> None:
    lamp = entity("zigbee2mqtt white spectrum", brightness_scale=100)
    order = lamp.order("brightness", 50)
    assert isinstance(order, Order)
    assert order.reaches is not None
    assert b"transition" not in order.messages[0].payload  # nobody asked for one
    told = [
        seen(lamp, "zigbee2mqtt/reading_lamp", f'{{"brightness":{step}}}')["brightness"] for step in (10, 25, 40, 50)
    ]
    assert [is_reached("brightness", order.reaches, value) for value in told] == [False, False, False, True]


@pytest.mark.parametrize("ends", [{"min_mireds": 500, "max_mireds": 153}, {"min_mireds": 0}, {"max_mireds": "warm"}])
def test_a_range_that_is_none_is_refused(ends: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        entity("zigbee2mqtt white spectrum", **ends)


@settings(deadline=None)
@given(st.booleans(), st.integers(100, 300), st.integers(301, 700), st.floats(0, 1))
def test_a_temperature_comes_back_as_what_settles(is_kelvin: bool, least: int, most: int, part: float) -> None:  # noqa: FBT001 - drawn
    white = WhiteScale(least * 10, most * 10, is_kelvin=True) if is_kelvin else WhiteScale(least, most)
    coldest, warmest = white.ends
    raw = white.raw(coldest + part * (warmest - coldest))
    assert white.least <= raw <= white.most
    assert white.kelvin(raw) == white.settled(coldest + part * (warmest - coldest))


def test_the_usual_range_is_said_in_round_numbers() -> None:
    assert MIREDS.ends == (2000, 6540)


def test_slats_turn_by_percent() -> None:
    blinds = entity("ewand")
    base = "zigbee2mqtt/Living Room Side Window Blinds"
    assert blinds.device.capabilities == {"opening", "tilt"}
    assert blinds.device.ranges == {"tilt": (0, 100)}
    assert published(blinds, "tilt", 40) == [(f"{base}/set/tilt", "40")]
    assert seen(blinds, base, '{"battery":81,"linkquality":48,"tilt":40}') == {"tilt": 40}
    assert isinstance(blinds.order("tilt", 101), Refused)
    silent = entity("ewand", tilt_optimistic=True).order("tilt", 40)
    assert isinstance(silent, Order)
    assert silent.reaches is None


def test_slats_have_a_scale_and_a_direction_of_their_own() -> None:
    servo = entity("tasmota servo")
    assert published(servo, "tilt", 0) == [("cmnd/blinds01/PWM1", "57")]
    assert published(servo, "tilt", 100) == [("cmnd/blinds01/PWM1", "155")]
    assert seen(servo, "stat/blinds01/RESULT", '{"PWM":{"PWM1":106}}') == {"opening": "open", "tilt": 50}
    turned = {"tilt_min": 0, "tilt_max": 180, "tilt_closed_value": 70, "tilt_opened_value": 180}
    half = entity("ewand", **turned).order("tilt", 50)
    assert isinstance(half, Order)
    assert (half.messages[0].payload, half.reaches) == (b"125", 50)
    ends = entity("ewand", tilt_min=-90, tilt_max=90)
    assert published(ends, "tilt", 0)[0][1] == "-90"


def test_a_tilt_template_gets_percent_and_the_devices_value() -> None:
    blinds = entity("ewand", tilt_max=255, tilt_command_template='{"lamella": {{ value }}, "of": {{ tilt_position }}}')
    assert published(blinds, "tilt", 50)[0][1] == '{"lamella": 128, "of": 50}'


def test_slats_that_cannot_turn_are_refused() -> None:
    with pytest.raises(PayloadError, match="tilt_opened_value"):
        entity("ewand", tilt_opened_value=0)
