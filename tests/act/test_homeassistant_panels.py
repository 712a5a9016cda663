"""Home Assistant's selects, texts and alarm panels, as real bridges announce them."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.dialects.channels import MOST_OPTIONS
from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.dialects.texts import LONGEST_TEXT, Texts, compile_pattern
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value

REAL = json.loads(
    (Path(__file__).parent.parent / "data" / "dialects" / "homeassistant_announcements.json").read_text("utf-8")
)


def announced(name: str, **changes: Any) -> Announcement:
    config = {**REAL[name]["config"], **changes}
    found = HomeAssistant().discover(REAL[name]["topic"], json.dumps(config).encode())
    assert isinstance(found, Announcement)
    return found


def entity(name: str, **changes: Any) -> Entity:
    found = announced(name, **changes)
    assert found.left_out == ()
    return found.entities[0]


def text(**fields: Any) -> Entity:
    return entity("volvo", **{"pattern": None, **fields})


def published(thing: Entity, capability: Capability, value: Value) -> tuple[str, str]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    assert order.reaches == value
    (message,) = order.messages
    assert (message.qos, message.retain) == (0, False)
    return message.topic, message.payload.decode()


def seen(thing: Entity, topic: str, payload: str) -> dict[Capability, Value]:
    told = thing.observe(topic, payload.encode())
    assert told.faults == ()
    return dict(told.observation.values)


def test_a_select_is_set_to_one_of_its_options_as_they_are_said() -> None:
    melody = entity("siren melody")
    assert (melody.device.kind, melody.device.name) == ("select", "garden_siren Alarm melody")
    assert melody.device.capabilities == {"option"}
    assert melody.writers[0].words == ("melody 1", "melody 2", "melody 3")
    assert published(melody, "option", "melody 2") == ("zigbee2mqtt/garden_siren/set/alarm_melody", "Melody_2")
    assert seen(melody, "zigbee2mqtt/garden_siren", '{"alarm_melody":"Melody_2","battpercentage":90}') == {
        "option": "melody 2"
    }
    assert isinstance(melody.order("option", "Melody_2"), Refused)
    assert melody.observe("zigbee2mqtt/garden_siren", b'{"alarm_melody":"Melody_9"}').faults


def test_a_select_of_the_configuration_has_no_voice() -> None:
    found = announced("siren power-on")
    assert found.entities == ()
    assert "maintenance" in found.left_out[0]


def test_options_that_sound_alike_are_told_apart_by_their_spelling() -> None:
    power = entity("siren melody", options=["10%", 10, "on"])
    assert power.writers[0].words == ("10%", "10", "on")
    assert published(power, "option", "10")[1] == "10"


@pytest.mark.parametrize(
    "options", [[], ["a", "A"], ["x" * 65], ["a\nb"], [""], [str(n) for n in range(MOST_OPTIONS + 1)], "a", [{}], None]
)
def test_options_that_nobody_could_say_are_refused(options: Any) -> None:
    with pytest.raises(PayloadError, match="options"):
        announced("siren melody", options=options)


def test_a_text_is_told_on_as_it_was_said() -> None:
    sign = text(min=1, max=20)
    assert sign.device.kind == "text"
    assert sign.device.capabilities == {"text"}
    assert published(sign, "text", "back at noon") == ("volvoAAOS2mqtt/otp_code", "back at noon")
    assert seen(sign, "volvoAAOS2mqtt/otp_code/state", "back at noon\n") == {"text": "back at noon"}
    assert seen(sign, "volvoAAOS2mqtt/otp_code/state", "unknown") == {}
    assert sign.observe("volvoAAOS2mqtt/otp_code/state", b"x" * 300).faults
    for wrong in ("x" * 21, "", " padded ", "a\nb", "\u202eback", "unknown", 5.0):
        refused = sign.order("text", wrong)
        assert isinstance(refused, Refused)
        assert refused.detail == "Volvo OTP: text is one of texts of 1 to 20 characters"


def test_a_text_with_a_pattern_takes_what_fits_it() -> None:
    code = entity("volvo")
    assert published(code, "text", "123456")[1] == "123456"
    clock = entity("time of day")
    assert published(clock, "text", "07:30") == ("custom/TestTexte/set/value", "07:30")
    assert seen(clock, "custom/TestTexte", '{"value": "07:30"}') == {"text": "07:30"}
    for wrong in ("1234567", "12345", "abcdef"):
        assert isinstance(code.order("text", wrong), Refused)
    assert isinstance(clock.order("text", "77:30"), Refused)


def test_a_text_cannot_break_out_of_what_a_template_puts_it_into() -> None:
    sign = text(command_template='{"show": "{{ value }}"}')
    assert published(sign, "text", "don't panic")[1] == '{"show": "don\'t panic"}'
    for wrong in ('hi", "unlock": "1', "tail\\"):
        assert isinstance(sign.order("text", wrong), Refused)


def test_a_password_has_no_voice() -> None:
    found = announced("volvo", mode="password")
    assert found.entities == ()
    assert found.left_out == ("password: not for saying aloud",)


@pytest.mark.parametrize("fields", [{"min": 9, "max": 3}, {"max": 256}, {"max": 0}, {"min": -1}, {"mode": "spoken"}])
def test_a_text_of_no_length_is_refused(fields: Mapping[str, Any]) -> None:
    with pytest.raises(PayloadError):
        announced("volvo", **fields)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|aa)*b",
        r"(?=x)y",
        r"a*a*a*a*b",
        r"a?" * 30 + "a" * 30,
        r"\1",
        r"a**",
        r"a*?",
        r"[z-a]",
        r"[a",
        r"x{5,2}",
        r"[a--b]",
        r"[[a]",
        "x" * 129,
        r"a\nb" + "\n",
    ],
)
def test_a_pattern_that_might_never_end_is_refused_with_its_text(pattern: str) -> None:
    with pytest.raises(PayloadError, match="pattern"):
        announced("volvo", pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^[A-Z]{1,3}-[0-9]{1,4}$", "AB-123", "ab-123"),
        (r"\w+", "word", "two words"),
        (r"[^\]]*\.", "a[b.", "a]b."),
        (r"1\.5", "1.5", "1x5"),
    ],
)
def test_a_simple_pattern_is_understood(pattern: str, good: str, bad: str) -> None:
    texts = Texts(pattern=pattern)
    assert good in texts
    assert bad not in texts


@given(st.text(alphabet="ab.*+?{}1,3[]^-\\dw$|()", max_size=24), st.text(alphabet="ab1", max_size=LONGEST_TEXT))
def test_whatever_pattern_is_taken_decides_at_once(pattern: str, value: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PayloadError:
        return
    began = time.monotonic()
    compiled.fullmatch("a" * (LONGEST_TEXT - 1) + "!")
    compiled.fullmatch(value)
    assert time.monotonic() - began < 2


def test_a_panel_without_a_code_is_armed_and_disarmed_by_voice() -> None:
    panel = entity("esphome panel")
    base = "hall-keypad/alarm_control_panel/house_alarm"
    assert (panel.device.kind, panel.device.area) == ("alarm_panel", "Hall")
    assert panel.device.capabilities == {"arming"}
    assert published(panel, "arming", "armed_away") == (f"{base}/command", "ARM_AWAY")
    assert published(panel, "arming", "armed_night") == (f"{base}/command", "ARM_NIGHT")
    assert published(panel, "arming", "disarmed") == (f"{base}/command", "DISARM")
    for state in ("disarmed", "armed_home", "arming", "pending", "triggered", "disarming", "armed_vacation"):
        assert seen(panel, f"{base}/state", state) == {"arming": state}
    assert panel.observe(f"{base}/state", b"ARMED").faults
    assert isinstance(panel.order("arming", "triggered"), Refused)


def test_what_a_panel_wants_a_code_for_is_left_out_with_the_reason() -> None:
    found = announced("ad2mqtt")
    panel = found.entities[0]
    assert found.left_out == ("disarming: needs a code, which is not for saying aloud",)
    topic = "homeassistant/alarm_control_panel/ad2mqtt"
    assert published(panel, "arming", "armed_home") == (f"{topic}/command", '{"action": "ARM_HOME", "code": "None"}')
    assert isinstance(panel.order("arming", "disarmed"), Refused)
    assert seen(panel, f"{topic}/state", "disarmed") == {"arming": "disarmed"}


def test_a_panel_that_wants_a_code_for_everything_can_still_be_asked() -> None:
    found = announced("rsi")
    panel = found.entities[0]
    assert len(found.left_out) == 2
    assert panel.device.capabilities == {"reading"}
    assert panel.writers == ()
    assert seen(panel, "rsi_alarm/state", "armed_away") == {"reading": "armed away"}
    assert "1234" not in repr(panel)


def test_a_panel_does_what_it_says_that_it_supports() -> None:
    panel = entity("esphome panel", sup_feat=["arm_away", "trigger"])
    assert panel.writers[0].words == ("disarmed", "armed_away")
    assert isinstance(panel.order("arming", "armed_home"), Refused)
