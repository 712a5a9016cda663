import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from growth import assert_linear
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeagent.act.acknowledgements import is_reached
from edgeagent.act.devices import Devices
from edgeagent.act.dialects import colors
from edgeagent.act.dialects.dialect import Announcement, Entity, Order, Refused, Removal
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value

DIALECT = HomeAssistant()
PLAIN_SWITCH: Mapping[str, Any] = {"name": "Kettle", "command_topic": "k/set", "state_topic": "k", "unique_id": "k1"}


def announce(topic: str, config: Mapping[str, Any]) -> Announcement:
    found = DIALECT.discover(f"homeassistant/{topic}/config", json.dumps(config).encode())
    assert isinstance(found, Announcement)
    return found


def entity(component: str, config: Mapping[str, Any]) -> Entity:
    found = announce(f"{component}/thing", config)
    assert found.left_out == ()
    return found.entities[0]


def published(thing: Entity, capability: Capability, value: Value) -> list[tuple[str, str]]:
    order = thing.order(capability, value)
    assert isinstance(order, Order)
    assert all(message.qos == 0 and not message.retain for message in order.messages)
    return [(message.topic, message.payload.decode()) for message in order.messages]


def seen(thing: Entity, topic: str, payload: str) -> dict[Capability, Value]:
    told = thing.observe(topic, payload.encode())
    assert told.faults == ()
    return dict(told.observation.values)


ZIGBEE_LAMP: Mapping[str, Any] = {
    "availability": [
        {"topic": "zigbee2mqtt/bridge/state", "value_template": "{{ value_json.state }}"},
        {"topic": "zigbee2mqtt/desk_lamp/availability", "value_template": "{{ value_json.state }}"},
    ],
    "availability_mode": "all",
    "brightness": True,
    "brightness_scale": 254,
    "command_topic": "zigbee2mqtt/desk_lamp/set",
    "device": {
        "identifiers": ["zigbee2mqtt_0x001788010bcf9a41"],
        "manufacturer": "Philips",
        "model": "Hue white and color ambiance E26/E27",
        "name": "desk_lamp",
        "suggested_area": "Study",
        "sw_version": "1.104.2",
        "via_device": "zigbee2mqtt_bridge_0x00124b002a2e1f3c",
    },
    "effect": True,
    "effect_list": ["blink", "breathe"],
    "json_attributes_topic": "zigbee2mqtt/desk_lamp",
    "max_mireds": 500,
    "name": None,
    "object_id": "desk_lamp",
    "origin": {"name": "Zigbee2MQTT", "sw": "2.6.1", "url": "https://www.zigbee2mqtt.io"},
    "schema": "json",
    "state_topic": "zigbee2mqtt/desk_lamp",
    "supported_color_modes": ["xy", "color_temp"],
    "unique_id": "0x001788010bcf9a41_light_zigbee2mqtt",
}


def test_a_zigbee2mqtt_lamp_is_a_light_with_brightness_and_colour() -> None:
    lamp = announce("light/0x001788010bcf9a41/light", ZIGBEE_LAMP).entities[0]
    assert lamp.device.name == "desk_lamp"
    assert lamp.device.area == "Study"
    assert lamp.device.kind == "light"
    assert lamp.device.dialect == "homeassistant"
    assert lamp.device.capabilities == {"power", "brightness", "color", "color_temperature"}
    assert lamp.device.id == "homeassistant:light:0x001788010bcf9a41_light_zigbee2mqtt"
    assert published(lamp, "power", "on") == [("zigbee2mqtt/desk_lamp/set", '{"state": "ON"}')]
    assert published(lamp, "brightness", 50) == [("zigbee2mqtt/desk_lamp/set", '{"state": "ON", "brightness": 127}')]
    state = '{"brightness":127,"color":{"x":0.64,"y":0.33},"color_mode":"xy","linkquality":87,"state":"ON"}'
    assert seen(lamp, "zigbee2mqtt/desk_lamp", state) == {"power": "on", "brightness": 50.0, "color": "red"}
    assert seen(lamp, "zigbee2mqtt/desk_lamp", '{"state":"OFF"}') == {"power": "off"}
    white = '{"color_mode":"color_temp","color_temp":300,"color":{"x":0.44,"y":0.4}}'
    assert seen(lamp, "zigbee2mqtt/desk_lamp", white) == {"color": "white", "color_temperature": 3333.0}


def test_a_lamp_on_two_availability_topics_is_there_when_both_say_so() -> None:
    lamp = announce("light/x/light", ZIGBEE_LAMP).entities[0]
    bridge = lamp.observe("zigbee2mqtt/bridge/state", b'{"state":"online"}')
    assert bridge.observation.available is None
    both = lamp.observe("zigbee2mqtt/desk_lamp/availability", b'{"state":"online"}', bridge.reachable)
    assert both.observation.available is True
    gone = lamp.observe("zigbee2mqtt/bridge/state", b'{"state":"offline"}', both.reachable)
    assert gone.observation.available is False


@pytest.mark.parametrize(("mode", "after"), [("any", True), ("all", False), ("latest", False)])
def test_availability_modes_combine_topics_as_home_assistant_does(mode: str, after: bool) -> None:  # noqa: FBT001 - the parameter is the expectation
    thing = entity(
        "switch",
        {**PLAIN_SWITCH, "avty_mode": mode, "avty": [{"t": "a"}, {"t": "b", "pl_avail": "1", "pl_not_avail": "0"}]},
    )
    first = thing.observe("a", b"online")
    second = thing.observe("b", b"0", first.reachable)
    assert second.observation.available is after
    assert thing.observe("b", b"what", first.reachable).observation.available is None


def test_a_tasmota_announcement_with_short_keys_and_a_base_topic_is_understood() -> None:
    relay = announce(
        "switch/4A1B2C_RL_1",
        {
            "name": "Washer",
            "stat_t": "~tele/STATE",
            "avty_t": "~tele/LWT",
            "pl_avail": "Online",
            "pl_not_avail": "Offline",
            "cmd_t": "~cmnd/POWER",
            "val_tpl": "{{value_json.POWER}}",
            "pl_off": "OFF",
            "pl_on": "ON",
            "uniq_id": "4A1B2C_RL_1",
            "dev": {"ids": ["4A1B2C"]},
            "~": "washer/",
        },
    ).entities[0]
    assert relay.topics == {"washer/tele/STATE", "washer/tele/LWT"}
    assert published(relay, "power", "on") == [("washer/cmnd/POWER", "ON")]
    assert seen(relay, "washer/tele/STATE", '{"Time":"2026-01-01T00:00:00","POWER":"OFF"}') == {"power": "off"}
    assert relay.observe("washer/tele/LWT", b"Offline").observation.available is False


def test_the_base_topic_may_stand_at_the_end() -> None:
    assert published(entity("switch", {"~": "base", "cmd_t": "cmnd/~", "name": "A"}), "power", "off") == [
        ("cmnd/base", "OFF")
    ]


def test_an_esphome_cover_moves_stops_and_takes_a_position() -> None:
    blinds = announce(
        "cover/bedroom-node/blinds",
        {
            "dev_cla": "blind",
            "name": "Blinds",
            "pos_t": "bedroom-node/cover/blinds/position/state",
            "set_pos_t": "bedroom-node/cover/blinds/position/command",
            "stat_t": "bedroom-node/cover/blinds/state",
            "cmd_t": "bedroom-node/cover/blinds/command",
            "avty_t": "bedroom-node/status",
            "uniq_id": "ESPcoverblinds",
            "dev": {"ids": "a0b1c2d3e4f5", "name": "bedroom-node", "sw": "esphome v2025.10.2", "sa": "Bedroom"},
        },
    ).entities[0]
    base = "bedroom-node/cover/blinds"
    assert blinds.device.name == "bedroom-node Blinds"
    assert blinds.device.aliases == ("Blinds",)
    assert blinds.device.device_class == "blind"
    assert published(blinds, "opening", "closed") == [(f"{base}/command", "CLOSE")]
    assert published(blinds, "opening", "stopped") == [(f"{base}/command", "STOP")]
    assert published(blinds, "position", 40) == [(f"{base}/position/command", "40")]
    assert seen(blinds, f"{base}/state", "closing") == {"opening": "closing"}
    assert seen(blinds, f"{base}/position/state", "40") == {"position": 40.0}
    assert seen(blinds, f"{base}/position/state", "0") == {"position": 0.0, "opening": "closed"}
    assert isinstance(blinds.order("position", 101), Refused)


def test_a_cover_with_a_scale_of_its_own_is_turned_into_percent() -> None:
    cover = entity(
        "cover",
        {"name": "A", "pos_t": "p", "set_pos_t": "s", "pos_open": 0, "pos_clsd": 255, "cmd_t": "c", "pl_stop": None},
    )
    assert published(cover, "position", 25) == [("s", "191")]
    assert seen(cover, "p", "191") == {"position": 25.0, "opening": "open"}
    assert isinstance(cover.order("opening", "stopped"), Refused)


def test_a_lock_tells_movement_and_jamming_as_they_are() -> None:
    lock = entity("lock", {"name": "Door", "cmd_t": "d/set", "stat_t": "d", "stat_jam": "MOTOR_JAMMED"})
    assert published(lock, "lock", "unlocked") == [("d/set", "UNLOCK")]
    assert seen(lock, "d", "LOCKED") == {"lock": "locked"}
    assert seen(lock, "d", "UNLOCKING") == {"lock": "unlocking"}
    assert seen(lock, "d", "MOTOR_JAMMED") == {"lock": "jammed"}


def test_a_thermostat_has_mode_power_target_and_reading() -> None:
    heater = entity(
        "climate",
        {
            "name": "Heater",
            "modes": ["off", "heat", "auto"],
            "mode_cmd_t": "h/mode/set",
            "mode_stat_t": "h",
            "mode_stat_tpl": "{{ value_json.system_mode }}",
            "temp_cmd_t": "h/temp/set",
            "temp_cmd_tpl": '{"occupied_heating_setpoint": {{ value }}}',
            "temp_stat_t": "h",
            "temp_stat_tpl": "{{ value_json.occupied_heating_setpoint }}",
            "curr_temp_t": "h",
            "curr_temp_tpl": "{{ value_json.local_temperature }}",
            "min_temp": 5,
            "max_temp": 30,
        },
    )
    assert heater.device.capabilities == {"power", "mode", "target_temperature", "reading"}
    assert heater.device.ranges == {"target_temperature": (5.0, 30.0)}
    assert heater.device.units["reading"] == "°C"
    assert published(heater, "target_temperature", 21.5) == [("h/temp/set", '{"occupied_heating_setpoint": 21.5}')]
    assert published(heater, "power", "on") == [("h/mode/set", "heat")]
    assert published(heater, "mode", "auto") == [("h/mode/set", "auto")]
    state = '{"system_mode":"heat","occupied_heating_setpoint":21.5,"local_temperature":19.06}'
    told: dict[Capability, Value] = {"mode": "heat", "power": "on", "target_temperature": 21.5, "reading": 19.06}
    assert seen(heater, "h", state) == told
    for wrong in (4.9, 30.1, float("nan"), "warm"):
        assert isinstance(heater.order("target_temperature", wrong), Refused)
    assert isinstance(heater.order("mode", "dry"), Refused)
    assert isinstance(heater.order("reading", 3.0), Refused)


def test_a_fan_with_three_speeds_settles_on_one_of_them() -> None:
    fan = entity("fan", {"name": "Fan", "cmd_t": "f/p", "pct_cmd_t": "f/s", "pct_stat_t": "f", "spd_rng_max": 3})
    order = fan.order("speed", 50)
    assert isinstance(order, Order)
    assert order.messages[0].payload == b"2"
    assert order.reaches == 66.0
    assert seen(fan, "f", "2") == {"speed": 66.0}


def test_a_default_light_orders_power_in_the_order_that_it_asks_for() -> None:
    fields = {"name": "L", "cmd_t": "l/set", "bri_cmd_t": "l/bri", "rgb_cmd_t": "l/rgb", "rgb_stat_t": "l/rgb/state"}
    last = entity("light", fields)
    first = entity("light", {**fields, "on_cmd_type": "first"})
    only = entity("light", {**fields, "on_cmd_type": "brightness"})
    assert published(last, "brightness", 100) == [("l/bri", "255"), ("l/set", "ON")]
    assert published(first, "color", "blue") == [("l/set", "ON"), ("l/rgb", "0,0,255")]
    assert published(only, "power", "on") == [("l/bri", "255")]
    assert published(only, "power", "off") == [("l/set", "OFF")]
    assert seen(last, "l/rgb/state", "250,10,0") == {"color": "red"}


def test_a_colour_template_gets_the_parts_of_the_colour() -> None:
    fields = {
        "name": "L",
        "cmd_t": "l",
        "rgb_cmd_t": "l/c",
        "rgb_cmd_tpl": "{{ '%02x' }}{{ red }}/{{ green }}/{{ blue }}",
    }
    assert published(entity("light", fields), "color", "green")[0] == ("l/c", "%02x0/255/0")


def test_a_sensor_reads_numbers_and_words_and_keeps_quiet_when_it_does_not_know() -> None:
    warm = entity(
        "sensor",
        {
            "device": {"identifiers": ["x"], "name": "Outdoor sensor"},
            "device_class": "temperature",
            "state_class": "measurement",
            "unit_of_measurement": "°C",
            "state_topic": "z/outdoor",
            "value_template": "{{ value_json.temperature }}",
        },
    )
    assert warm.device.name == "Outdoor sensor Temperature"
    assert warm.device.units == {"reading": "°C"}
    assert seen(warm, "z/outdoor", '{"temperature": 11.5, "humidity": 60}') == {"reading": 11.5}
    assert seen(warm, "z/outdoor", '{"temperature": null}') == {}
    assert warm.observe("z/outdoor", b'{"temperature": "hot"}').faults
    assert seen(entity("sensor", {"name": "Washer", "stat_t": "w"}), "w", "rinsing") == {"reading": "rinsing"}


def test_a_binary_sensor_of_zigbee2mqtt_says_true_and_false() -> None:
    door = entity(
        "binary_sensor",
        {"name": "Door", "stat_t": "d", "pl_on": False, "pl_off": True, "val_tpl": "{{ value_json.contact }}"},
    )
    assert seen(door, "d", '{"contact":false}') == {"reading": "on"}
    assert seen(door, "d", '{"contact":true}') == {"reading": "off"}


def test_scene_button_number_valve_and_vacuum_are_spoken_to() -> None:
    scene = entity("scene", {"name": "Movie night", "cmd_t": "s", "pl_on": "movie"})
    assert published(scene, "activate", "now") == [("s", "movie")]
    assert published(entity("button", {"name": "Bell", "cmd_t": "b"}), "activate", "now") == [("b", "PRESS")]
    speed = entity("number", {"name": "Speed", "cmd_t": "n/set", "stat_t": "n", "max": 1500, "min": 0})
    assert published(speed, "setpoint", 1200) == [("n/set", "1200")]
    assert seen(speed, "n", "1200") == {"setpoint": 1200.0}
    valve = entity("valve", {"name": "Valve", "cmd_t": "v/set", "stat_t": "v", "pos": True})
    assert published(valve, "opening", "open") == [("v/set", "100")]
    assert seen(valve, "v", '{"state":"opening","position":10}') == {"position": 10.0, "opening": "opening"}
    vacuum = entity("vacuum", {"name": "Robot", "cmd_t": "r/cmd", "stat_t": "r", "sup_feat": ["start", "return_home"]})
    assert published(vacuum, "cleaning", "docked") == [("r/cmd", "return_to_base")]
    assert isinstance(vacuum.order("cleaning", "stopped"), Refused)
    assert seen(vacuum, "r", '{"state":"paused","battery_level":61}') == {"cleaning": "stopped"}


def test_machines_and_alarms_are_marked_by_our_own_field() -> None:
    pump = entity("switch", {**PLAIN_SWITCH, "edgeagent_kind": "machine"})
    assert pump.device.kind == "machine"
    assert pump.device.capabilities == {"run"}
    assert published(pump, "run", "stopped") == [("k/set", "OFF")]
    alarm = entity("button", {"name": "Alarm", "cmd_t": "a", "edgeagent_kind": "alarm"})
    assert alarm.device.kind == "alarm"
    assert alarm.device.capabilities == {"acknowledge"}


def test_a_thing_that_tells_nothing_has_nothing_to_wait_for() -> None:
    for fields in ({"name": "A", "cmd_t": "a"}, {**PLAIN_SWITCH, "opt": True}):
        order = entity("switch", fields).order("power", "on")
        assert isinstance(order, Order)
        assert order.reaches is None


def test_the_device_form_gives_each_component_and_says_what_it_leaves_out() -> None:
    found = announce(
        "device/0xa4c138",
        {
            "dev": {"ids": ["ea334450945afc"], "name": "Plug", "mf": "Bla", "sw": "1.0", "sa": "Kitchen"},
            "o": {"name": "bla2mqtt", "sw": "2.1", "url": "https://bla2mqtt.example.com/support"},
            "~": "plug",
            "avty_t": "~/lwt",
            "cmps": {
                "relay": {"p": "switch", "name": None, "cmd_t": "~/set", "stat_t": "~/state", "uniq_id": "p_relay"},
                "power": {"p": "sensor", "dev_cla": "power", "unit_of_meas": "W", "stat_t": "~/w", "uniq_id": "p_w"},
                "rssi": {"p": "sensor", "ent_cat": "diagnostic", "stat_t": "~/rssi", "uniq_id": "p_r"},
                "firmware": {"p": "update", "stat_t": "~/fw", "uniq_id": "p_f"},
                "bad": {"p": "switch", "cmd_t": "plug/#", "uniq_id": "p_b"},
                "gone": {"p": "switch"},
            },
        },
    )
    assert [(one.device.name, one.device.area) for one in found.entities] == [
        ("Plug", "Kitchen"),
        ("Plug Power", "Kitchen"),
    ]
    assert found.entities[0].topics == {"plug/state", "plug/lwt"}
    assert published(found.entities[0], "power", "on") == [("plug/set", "ON")]
    assert len(found.left_out) == 4
    assert any("maintenance" in reason for reason in found.left_out)


@pytest.mark.parametrize("origin", [{"o": {"name": "edgeagent", "sw": "0.9"}}, {"origin": {"name": "EdgeAgent"}}])
def test_what_edgeagent_shows_of_itself_is_no_thing_of_the_house(origin: Mapping[str, Any]) -> None:
    mute = {"p": "switch", "name": "Mute", "cmd_t": "kitchen-ear/mute/set", "uniq_id": "kitchen-ear_mute"}
    own = announce("device/kitchen-ear", {"dev": {"ids": ["kitchen-ear"]}, "cmps": {"mute": mute}, **origin})
    single = announce("switch/kitchen-ear_mute", {**mute, **origin})
    for found in (own, single):
        assert found.entities == ()
        assert found.left_out == ("edgeagent's own: it is no thing of the house",)
    assert announce("switch/other", {**mute, "o": {"name": "other"}}).entities
    assert announce("switch/other", {**mute, "o": ["edgeagent"]}).entities


def test_what_one_device_says_is_never_anothers() -> None:
    devices = Devices([DIALECT])
    for key in ("front", "back"):
        config = {"name": f"{key} door", "cmd_t": f"{key}/set", "stat_t": key, "uniq_id": key}
        devices.receive(f"homeassistant/lock/{key}/config", json.dumps(config).encode(), 0.0)
    front, back = "homeassistant:lock:front", "homeassistant:lock:back"
    told = devices.receive("back", b"LOCKED", 1.0)
    assert [observation.device for observation in told] == [back]
    assert devices.values(front) == {}
    # One that announces another's state topic as its own learns from it, and the other is told nothing.
    spy = {"name": "Spy", "cmd_t": "spy/set", "stat_t": "front", "uniq_id": "spy"}
    devices.receive("homeassistant/lock/spy/config", json.dumps(spy).encode(), 2.0)
    devices.receive("spy/set", b"LOCKED", 3.0)
    devices.receive("spy", b"LOCKED", 3.0)
    assert devices.values(front) == {}


OLD: Mapping[str, Mapping[str, Any]] = {
    "light/2017": {"platform": "mqtt_json", "name": "A", "brightness": True, "rgb": True, "command_topic": "a/set"},
    "cover/2019": {"name": "B", "command_topic": "b/set", "tilt_invert_state": True, "tilt_status_optimistic": "x"},
    "climate/2020": {"name": "C", "away_mode_command_topic": "c/away", "temperature_command_topic": "c/set"},
    "vacuum/2021": {"name": "D", "command_topic": "d/set", "schema": "legacy", "battery_level_topic": "d/b"},
    "switch/2016": {"name": "E", "command_topic": "e/set", "state_topic": "e", "icon": None, "retain": "yes"},
    "fan/2020": {"name": "F", "command_topic": "f/set", "speed_command_topic": "f/s", "speeds": ["off", "low"]},
}


@pytest.mark.parametrize("topic", OLD)
def test_what_was_announced_years_ago_and_never_removed_is_taken_as_far_as_it_makes_sense(topic: str) -> None:
    (thing,) = announce(topic, OLD[topic]).entities
    for there in thing.topics:
        for payload in (b"", b"\x00\x01", b"null", b"[]", b'{"state": []}', b"-", b"1e400", b"{{ states }}"):
            assert thing.observe(there, payload).observation.values == {}


TEMPLATED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "select": ("cmd_tpl", {"ops": ["x"], "stat_t": "a"}),
    "text": ("val_tpl", {"stat_t": "a"}),
    "alarm_control_panel": ("cmd_tpl", {"stat_t": "a"}),
    "cover": ("tilt_status_tpl", {"tilt_cmd_t": "t", "tilt_status_t": "a"}),
}


@pytest.mark.parametrize(
    "template", ["{{ cycler('a') }}", "{% include '/etc/passwd' %}", "{% for x in y %}{% endfor %}"]
)
@pytest.mark.parametrize("component", TEMPLATED)
def test_a_template_that_loops_or_reads_files_is_refused_with_its_field(component: str, template: str) -> None:
    field, config = TEMPLATED[component]
    with pytest.raises(PayloadError, match="template"):
        entity(component, {"name": "A", "cmd_t": "a/set", **config, field: template})


def test_a_template_that_explodes_tells_nothing_and_orders_nothing() -> None:
    bomb = "{{ 'a' * 9999999999 }}"
    told = entity("text", {"name": "A", "cmd_t": "a/set", "stat_t": "a", "val_tpl": bomb}).observe("a", b"x")
    assert told.faults
    assert told.observation.values == {}
    ordered = entity("select", {"name": "A", "cmd_t": "a/set", "ops": ["x"], "cmd_tpl": bomb})
    assert isinstance(ordered.order("option", "x"), Refused)


def test_an_empty_payload_removes() -> None:
    assert DIALECT.discover("homeassistant/switch/k/config", b"") == Removal("homeassistant/switch/k/config")


def test_names_are_put_together_as_home_assistant_shows_them() -> None:
    def named(**fields: Any) -> tuple[str, tuple[str, ...]]:
        device = entity("switch", {"cmd_t": "k", **fields}).device
        return device.name, device.aliases

    assert named(name=None, dev={"name": "Kettle"}) == ("Kettle", ())
    assert named(dev={"name": "Kettle"}) == ("Kettle", ())
    assert named(name="Relay 1", dev={"name": "Box"}) == ("Box Relay 1", ("Relay 1",))
    assert named(name="Box Relay", dev={"name": "Box"}) == ("Box Relay", ())
    assert named(name="Lock", dev={"name": "Front door lock"}) == ("Front door lock", ())
    assert named(name="Kettle") == ("Kettle", ())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a\x00b"},
        {"name": "a\nb"},
        {"name": "a\x1b[2Jb"},
        {"name": "x" * 65},
        {"name": ["a"]},
        {"unique_id": "x" * 300},
        {"device": {"name": "x" * 65}},
        {"device": {"suggested_area": "a\tb"}},
        {"device": "kettle"},
        {"command_topic": "a/+/b"},
        {"command_topic": "a/#"},
        {"command_topic": "a\x00b"},
        {"command_topic": ""},
        {"command_topic": "$SYS/broker"},
        {"command_topic": "ea/1/home/d/x/dn/do/mute"},
        {"command_topic": "spBv1.0/plant/NCMD/edge"},
        {"state_topic": "/spBv1.0/plant/DDATA/edge/pump"},
        {"command_topic": "homeassistant/lock/door/config"},
        {"command_topic": "homeassistant/status"},
        {"command_topic": "x" * 300},
        {"command_topic": None},
        {"command_topic": 5},
        {"state_topic": "#"},
        {"availability": [{"topic": "+"}]},
        {"availability": [{"topic": "a"}] * 17},
        {"availability": 5},
        {"availability_mode": "most"},
        {"value_template": "{% for i in x %}{% endfor %}"},
        {"value_template": "x" * 5000},
        {"value_template": 5},
        {"payload_on": "x" * 2000},
        {"payload_on": {"a": 1}},
        {"cmd_t": "twice"},
    ],
)
def test_a_hostile_field_is_refused_with_its_name(change: Mapping[str, Any]) -> None:
    with pytest.raises(PayloadError) as refused:
        entity("switch", {**PLAIN_SWITCH, **change})
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("component", "fields"),
    [
        ("number", {"min": 10, "max": 5}),
        ("number", {"max": 1e999}),
        ("climate", {"min_temp": 40}),
        ("climate", {"modes": ["x"] * 20}),
        ("fan", {"speed_range_min": 5, "speed_range_max": 5}),
        ("cover", {"position_open": 0}),
        ("light", {"schema": "template"}),
        ("light", {"brightness_scale": 0}),
        ("light", {"on_command_type": "brightness"}),
        ("sensor", {}),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(component: str, fields: Mapping[str, Any]) -> None:
    with pytest.raises(PayloadError):
        entity(component, {"name": "A", "command_topic": "a", **fields})


@pytest.mark.parametrize(
    "payload",
    [
        b"garbage",
        b"[]",
        b"5",
        b"{" * 1000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"name":"a","name":"b"}',
        b'{"name":NaN}',
        b"\xff\xfe",
        b" " * 70_000,
        b'{"cmps": []}',
        b"{}",
    ],
)
@pytest.mark.parametrize("component", ["switch", "device"])
def test_a_payload_that_makes_no_sense_is_refused(component: str, payload: bytes) -> None:
    with pytest.raises(PayloadError):
        DIALECT.discover(f"homeassistant/{component}/x/config", payload)


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/switch/config",
        "other/switch/x/config",
        "homeassistant/switch/a b/config",
        "homeassistant/a/b/c/d/config",
    ],
)
def test_a_topic_of_another_form_is_refused(topic: str) -> None:
    with pytest.raises(PayloadError):
        DIALECT.discover(topic, json.dumps(PLAIN_SWITCH).encode())


def test_a_component_that_nobody_speaks_to_is_left_out_and_no_error() -> None:
    found = announce("camera/x", {"name": "A", "topic": "a"})
    assert found.entities == ()
    assert found.left_out


@pytest.mark.parametrize("payload", [b"\xff", b"x" * 70_000, b"SIDEWAYS", b'{"state":{}}'])
def test_a_state_that_makes_no_sense_is_a_fault_and_no_exception(payload: bytes) -> None:
    for component, fields in (("cover", {}), ("lock", {}), ("number", {}), ("vacuum", {}), ("valve", {"pos": True})):
        told = entity(component, {"name": "A", "cmd_t": "a/set", "stat_t": "a", **fields}).observe("a", payload)
        assert told.faults
        assert told.observation.values == {}


def test_a_command_template_cannot_be_escaped_by_a_value() -> None:
    heater = entity(
        "climate", {"name": "A", "mode_cmd_t": "m", "modes": ["{{ 7*7 }}"], "mode_cmd_tpl": "<{{ value }}>"}
    )
    assert published(heater, "mode", "{{ 7*7 }}") == [("m", "<{{ 7*7 }}>")]


def test_a_command_template_that_fails_is_a_refusal() -> None:
    thing = entity("switch", {**PLAIN_SWITCH, "cmd_tpl": "{{ missing }}"})
    assert isinstance(thing.order("power", "on"), Refused)


def test_the_time_for_announcements_grows_with_their_number() -> None:
    def read(count: int) -> None:
        for number in range(count):
            announce(f"light/{number}/light", {**ZIGBEE_LAMP, "unique_id": str(number)})

    assert_linear(read, 200, 2000, times=10)


@pytest.mark.parametrize("name", colors.COLORS)
def test_each_colour_comes_back_from_every_way_to_write_it(name: str) -> None:
    assert is_reached("color", name, colors.name_of_hs(*colors.hs_of(name)))
    assert is_reached("color", name, colors.name_of_rgb(*colors.rgb_of(name)))
    assert is_reached("color", name, colors.name_of_xy(*colors.xy_of(name)))


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 100), st.integers(2, 65535))
def test_a_brightness_that_comes_back_in_the_lamps_own_scale_is_the_one_that_settles(percent: int, scale: int) -> None:
    lamp = entity(
        "light", {"name": "A", "schema": "json", "cmd_t": "a/set", "stat_t": "a", "brightness": True, "bri_scl": scale}
    )
    order = lamp.order("brightness", percent)
    assert isinstance(order, Order)
    assert order.reaches is not None
    assert is_reached("brightness", order.reaches, seen(lamp, "a", order.messages[0].payload.decode())["brightness"])


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 100), st.integers(1, 20), st.integers(1, 300))
def test_a_speed_comes_back_as_what_settles(percent: int, least: int, steps: int) -> None:
    fan = entity(
        "fan",
        {
            "name": "A",
            "cmd_t": "p",
            "pct_cmd_t": "s",
            "pct_stat_t": "f",
            "spd_rng_min": least,
            "spd_rng_max": least + steps,
        },
    )
    order = fan.order("speed", percent)
    assert isinstance(order, Order)
    assert seen(fan, "f", order.messages[0].payload.decode())["speed"] == order.reaches


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=10) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [
    *("name", "cmd_t", "stat_t", "dev", "avty", "~", "val_tpl", "schema", "modes", "cmps", "p", "bri_scl", "min"),
    *("o", "ops", "ptrn", "code", "sup_feat", "tilt_cmd_t", "tilt_min", "max_mirs", "clr_temp_k", "sup_clrm", "max_k"),
]


@settings(deadline=None, max_examples=400)
@example("light", {"name": None, "cmd_t": None, "~": "", "stat_t": None, "dev": None, "avty": None})
@given(
    st.sampled_from(
        ["light", "switch", "climate", "cover", "device", "number", "select", "text", "alarm_control_panel"]
    ),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
)
def test_whatever_is_announced_gives_entities_or_a_discovery_error(component: str, config: dict[str, Any]) -> None:
    with contextlib.suppress(PayloadError):
        DIALECT.discover(f"homeassistant/{component}/x/config", json.dumps(config).encode())


TELLERS = [
    entity("light", {"name": "A", "schema": "json", "cmd_t": "c", "stat_t": "a", "sup_clrm": ["hs"]}),
    entity("light", {"name": "A", "cmd_t": "c", "stat_t": "a", "bri_stat_t": "a", "rgb_stat_t": "a", "xy_stat_t": "a"}),
    entity("switch", {"name": "A", "cmd_t": "c", "stat_t": "a", "val_tpl": "{{ value_json.state.x + 1 }}"}),
    entity("cover", {"name": "A", "cmd_t": "c", "stat_t": "a", "pos_t": "a"}),
    entity("valve", {"name": "A", "cmd_t": "c", "stat_t": "a", "pos": True}),
    entity("fan", {"name": "A", "cmd_t": "c", "stat_t": "a", "pct_stat_t": "a"}),
    entity("vacuum", {"name": "A", "cmd_t": "c", "stat_t": "a"}),
    entity("climate", {"name": "A", "mode_cmd_t": "c", "mode_stat_t": "a", "temp_stat_t": "a", "curr_temp_t": "a"}),
    entity("light", {"name": "A", "schema": "json", "cmd_t": "c", "stat_t": "a", "sup_clrm": ["color_temp"]}),
    entity("light", {"name": "A", "cmd_t": "c", "clr_temp_stat_t": "a", "clrm_stat_t": "a", "rgbww_stat_t": "a"}),
    entity("siren", {"name": "A", "cmd_t": "c", "stat_t": "a"}),
    entity("select", {"name": "A", "cmd_t": "c", "stat_t": "a", "ops": ["state"]}),
    entity("text", {"name": "A", "cmd_t": "c", "stat_t": "a"}),
    entity("alarm_control_panel", {"name": "A", "cmd_t": "c", "stat_t": "a"}),
    entity("cover", {"name": "A", "cmd_t": "c", "tilt_cmd_t": "t", "tilt_status_t": "a"}),
    entity("sensor", {"name": "A", "stat_t": "a", "avty": [{"t": "a", "val_tpl": "{{ value_json.state[1] }}"}]}),
]
STATES = st.dictionaries(
    st.sampled_from(["state", "brightness", "color", "color_mode", "color_temp", "position", "h", "s"]), JSON
)


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(TELLERS), st.one_of(STATES.map(lambda state: json.dumps(state).encode()), st.binary(max_size=40))
)
def test_whatever_a_device_tells_gives_an_observation(teller: Entity, payload: bytes) -> None:
    assert teller.observe("a", payload).observation.device == teller.device.id
