"""The owner's own devices, from a YAML file."""

from pathlib import Path

import pytest

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Entity, Order, Refused
from edgeagent.act.dialects.own_devices import own_devices
from edgeagent.errors import SettingsError
from edgeagent.messages import Capability, Value

PLANT = """
- name: Pool pump
  kind: machine
  area: Garden
  aliases: [filter pump]
  available: {topic: pool/lwt, online: "1", offline: "0"}
  run:
    order: {topic: pool/pump/set, words: {running: "1", stopped: "0"}}
    state: {topic: pool/pump, template: "{{ value_json.on }}"}
- name: Boiler pressure
  kind: number
  setpoint:
    order: {topic: boiler/set, template: '{"bar": {{ value }}}'}
    state: {topic: boiler/is}
    least: 0
    most: 6
    unit: bar
- name: Shop lights
  kind: light
  power:
    order: {topic: shop/set, words: {"on": "ON", "off": "OFF"}}
    state: {topic: shop, words: {"A": "on", "B": "off"}}
  brightness: {order: {topic: shop/dim}, state: {topic: shop/dim/is}}
- name: Tank level
  kind: sensor
  reading: {state: {topic: tank/level}, unit: "%"}
"""


def devices(folder: Path, text: str = PLANT) -> dict[str, Entity]:
    file = folder / "devices.yaml"
    file.write_text(text, "utf-8")
    return {entity.device.name: entity for entity in own_devices(file).entities}


def published(thing: Entity, capability: Capability, value: Value) -> tuple[str, str]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    (message,) = order.messages
    return message.topic, message.payload.decode()


def seen(thing: Entity, topic: str, payload: str) -> dict[Capability, Value]:
    told = thing.observe(topic, payload.encode())
    assert told.faults == ()
    return dict(told.observation.values)


def test_words_go_to_payloads_and_back(tmp_path: Path) -> None:
    pump = devices(tmp_path)["Pool pump"]
    assert (pump.device.kind, pump.device.area, pump.device.aliases) == ("machine", "Garden", ("filter pump",))
    assert published(pump, "run", "running") == ("pool/pump/set", "1")
    assert seen(pump, "pool/pump", '{"on": 0}') == {"run": "stopped"}
    assert pump.observe("pool/lwt", b"0").observation.available is False


def test_numbers_have_a_range_and_a_template(tmp_path: Path) -> None:
    boiler = devices(tmp_path)["Boiler pressure"]
    assert published(boiler, "setpoint", 2.5) == ("boiler/set", '{"bar": 2.5}')
    assert isinstance(boiler.order("setpoint", 7), Refused)
    assert seen(boiler, "boiler/is", "2.4") == {"setpoint": 2.4}
    lights = devices(tmp_path)["Shop lights"]
    assert published(lights, "brightness", 40) == ("shop/dim", "40")
    assert seen(lights, "shop", "B") == {"power": "off"}


def test_what_is_read_is_a_number_or_a_word(tmp_path: Path) -> None:
    tank = devices(tmp_path)["Tank level"]
    assert seen(tank, "tank/level", "82.5") == {"reading": 82.5}
    assert seen(tank, "tank/level", "empty") == {"reading": "empty"}


MORE = """
- name: Desk lamp
  kind: light
  color_temperature: {order: {topic: lamp/set}, state: {topic: lamp}, least: 2200, most: 6500}
- name: Slats
  kind: cover
  tilt: {order: {topic: slats/set}, state: {topic: slats}}
- name: Washer
  kind: select
  option: {order: {topic: washer/set, words: {cotton: "3", wool: "7"}}, state: {topic: washer}}
- name: Sign
  kind: text
  text: {order: {topic: sign/set, template: '{"show": "{{ value }}"}'}, state: {topic: sign}, most: 20}
- name: House alarm
  kind: alarm_panel
  arming:
    order: {topic: alarm/set, words: {armed_away: AWAY, disarmed: "OFF"}}
    state: {topic: alarm, words: {AWAY: armed_away, "OFF": disarmed, EXIT: arming}}
"""


def test_everything_that_a_device_can_do_can_be_written_down(tmp_path: Path) -> None:
    found = devices(tmp_path, MORE)
    lamp, slats, washer, sign, alarm = found.values()
    assert published(lamp, "color_temperature", 2700) == ("lamp/set", "2700")
    assert lamp.device.units == {"color_temperature": "K"}
    assert isinstance(lamp.order("color_temperature", 1000), Refused)
    assert (slats.device.ranges, slats.device.units) == ({"tilt": (0, 100)}, {"tilt": "%"})
    assert published(slats, "tilt", 40) == ("slats/set", "40")
    assert published(washer, "option", "wool") == ("washer/set", "7")
    assert seen(washer, "washer", "3") == {"option": "cotton"}
    assert published(sign, "text", "closed today") == ("sign/set", '{"show": "closed today"}')
    assert seen(sign, "sign", "closed today") == {"text": "closed today"}
    for wrong in ("x" * 21, 'say "hi"', ""):
        assert isinstance(sign.order("text", wrong), Refused)
    assert published(alarm, "arming", "armed_away") == ("alarm/set", "AWAY")
    assert seen(alarm, "alarm", "EXIT") == {"arming": "arming"}


def test_the_registry_takes_them_like_all_others(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text(PLANT, "utf-8")
    registry = Devices([])
    registry.announce(own_devices(tmp_path / "devices.yaml"))
    assert [device.name for device in registry.named("filter pump")] == ["Pool pump"]
    registry.receive("pool/pump", b'{"on": 1}', 1.0)
    assert registry.values("own:Garden:Pool pump") == {"run": "running"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: x", "expected a list of devices"),
        ("- 5", "entry 1: expected a table of fields"),
        ("- {name: x, kind: light}", "entry 1: it can nothing"),
        ("- {name: x, kind: lamp, power: {state: {topic: t, words: {a: 'on'}}}}", "entry 1: kind: Input should be"),
        ("- {name: x, kind: light, power: {}}", "power: expected `order`, `state` or both"),
        ("- {name: x, kind: light, power: {order: {topic: t}}}", "power.order.words: expected off, on, found none"),
        ("- {name: x, kind: light, power: {order: {topic: t, words: {hot: x}}}}", "expected off, on, found hot"),
        ("- {name: x, kind: light, power: {state: {topic: t}}}", "power.state.words: expected what"),
        ("- {name: x, kind: light, power: {ordre: {topic: t}}}", "entry 1: power.ordre: Extra inputs"),
        (
            "- {name: x, kind: light, power: {order: {topic: 'a/#', words: {'on': x}}}}",
            "power.order.topic: is no topic",
        ),
        ("- {name: x, kind: light, power: {order: {topic: 'ea/1/x', words: {'on': x}}}}", "is below ea/"),
        ("- {name: x, kind: number, setpoint: {order: {topic: t}}}", "setpoint: expected `least` and `most`"),
        ("- {name: x, kind: sensor, reading: {order: {topic: t}}}", "reading: is told and never ordered"),
        ("- {name: x, kind: sensor, reading: {state: {topic: t, template: '{{ x'}}}", "reading.state.template"),
        (
            "- &a {name: x, kind: sensor, reading: {state: {topic: t}}}\n- *a",
            "entry 2: 'x' stands there twice",
        ),
        ("- {name: x, kind: text, text: {order: {topic: t, words: {a: b}}}}", "text: takes any text"),
        ("- {name: x, kind: text, text: {order: {topic: t}, most: 300}}", "length: expected the least first"),
        ("- {name: x, kind: text, text: {order: {topic: spBv1.0/x}}}", "is below spBv1.0/"),
        ("- {name: x, kind: light, color_temperature: {order: {topic: t}}}", "expected `least` and `most`"),
        (
            "- {name: x, kind: alarm_panel, arming: {order: {topic: t, words: {armed: x}}}}",
            "arming.order.words: expected",
        ),
        ("- [", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=r"devices\.yaml") as caught:
        devices(tmp_path, text)
    assert complaint in str(caught.value)
    assert caught.value.remedy


def test_a_file_that_is_missing_or_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        own_devices(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        devices(tmp_path, "# " + "x" * (1 << 20))
