"""Virtual things, each with the announcement that the real one makes and the way it answers orders. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Appliance:
    """A thing: how it announces itself, and two functions.

    `there_gone` are the payloads of its availability topic. What several things announce on one topic is a list.
    `react` takes state, command topic and payload, and gives the states that follow, the last of which stays; none if
    the order makes no sense to it. `tell` gives the payload of each state topic.
    """

    key: str
    discovery_topic: str
    announcement: Mapping[str, Any]
    availability_topic: str
    commands: tuple[str, ...]
    initial: State
    react: Callable[[State, str, str], tuple[State, ...]]
    tell: Callable[[State], Mapping[str, str]]
    there_gone: tuple[str, str] = ("online", "offline")


def zigbee_light(key: str, name: str, area: str) -> Appliance:
    """A colour lamp behind Zigbee2MQTT: JSON schema, brightness to 254, colour as xy, colour temperature in mireds."""
    base = f"zigbee2mqtt/{name}"

    def react(state: State, _topic: str, payload: str) -> tuple[State, ...]:
        try:
            order = json.loads(payload)
        except ValueError:
            return ()
        if not isinstance(order, dict):
            return ()
        mode = "color_temp" if "color_temp" in order else "xy" if "color" in order else state["color_mode"]
        return ({**state, **order, "color_mode": mode},)

    announcement = {
        **_device(key, name, area, "Signify Netherlands B.V."),
        "availability": [{"topic": f"{base}/availability", "value_template": "{{ value_json.state }}"}],
        "brightness": True,
        "brightness_scale": 254,
        "command_topic": f"{base}/set",
        "max_mireds": 500,
        "min_mireds": 153,
        "name": None,
        "origin": {"name": "Zigbee2MQTT", "sw": "2.6.0", "url": "https://www.zigbee2mqtt.io"},
        "schema": "json",
        "state_topic": base,
        "supported_color_modes": ["xy", "color_temp"],
        "unique_id": f"{key}_light_zigbee2mqtt",
    }
    white = {"color": {"x": 0.3127, "y": 0.329}, "color_mode": "xy", "color_temp": 153}
    off = {"state": "OFF", "brightness": 254, **white}
    return Appliance(
        key,
        f"homeassistant/light/{key}/light/config",
        announcement,
        f"{base}/availability",
        (f"{base}/set",),
        off,
        react,
        lambda state: {base: json.dumps(state)},
        ('{"state": "online"}', '{"state": "offline"}'),
    )


def dimmer(key: str, name: str, area: str) -> Appliance:
    """A lamp with a topic per property, short keys and a base topic, as Tasmota announces it."""
    base = f"tasmota/{key}"
    announcement = {
        "~": base,
        "name": None,
        "uniq_id": f"{key}_LI_1",
        "cmd_t": "~/cmnd/POWER",
        "stat_t": "~/tele/STATE",
        "stat_val_tpl": "{{value_json.POWER}}",
        "bri_cmd_t": "~/cmnd/Dimmer",
        "bri_stat_t": "~/tele/STATE",
        "bri_scl": 100,
        "bri_val_tpl": "{{value_json.Dimmer}}",
        "on_cmd_type": "brightness",
        "avty_t": "~/tele/LWT",
        "dev": {"ids": [key], "name": name, "sa": area, "mf": "Tasmota", "mdl": "Dimmer"},
    }

    def react(state: State, topic: str, payload: str) -> tuple[State, ...]:
        if topic.endswith("/POWER"):
            return ({**state, "POWER": payload},) if payload in {"ON", "OFF"} else ()
        if not payload.isdecimal() or int(payload) > 100:  # noqa: PLR2004 - percent
            return ()
        return ({**state, "POWER": "ON" if int(payload) else "OFF", "Dimmer": int(payload)},)

    return Appliance(
        key,
        f"homeassistant/light/{key}_LI_1/config",
        announcement,
        f"{base}/tele/LWT",
        (f"{base}/cmnd/POWER", f"{base}/cmnd/Dimmer"),
        {"POWER": "OFF", "Dimmer": 60},
        react,
        lambda state: {f"{base}/tele/STATE": json.dumps(state)},
    )


def heater(key: str, area: str) -> Appliance:
    """A radiator thermostat that is just called Heater."""
    base = f"zigbee2mqtt/{key}"
    announcement = {
        **_device(key, "Heater", area, "Danfoss"),
        "availability_topic": f"{base}/availability",
        "current_temperature_template": "{{ value_json.local_temperature }}",
        "current_temperature_topic": base,
        "max_temp": "30",
        "min_temp": "5",
        "mode_command_topic": f"{base}/set/system_mode",
        "mode_state_template": "{{ value_json.system_mode }}",
        "mode_state_topic": base,
        "modes": ["off", "heat"],
        "name": None,
        "temperature_command_topic": f"{base}/set/occupied_heating_setpoint",
        "temperature_state_template": "{{ value_json.occupied_heating_setpoint }}",
        "temperature_state_topic": base,
        "temperature_unit": "C",
        "unique_id": f"{key}_climate_zigbee2mqtt",
    }

    def react(state: State, topic: str, payload: str) -> tuple[State, ...]:
        if topic.endswith("/system_mode"):
            return ({**state, "system_mode": payload},) if payload in {"off", "heat"} else ()
        try:
            return ({**state, "occupied_heating_setpoint": float(payload)},)
        except ValueError:
            return ()

    return Appliance(
        key,
        f"homeassistant/climate/{key}/climate/config",
        announcement,
        f"{base}/availability",
        (f"{base}/set/system_mode", f"{base}/set/occupied_heating_setpoint"),
        {"system_mode": "off", "occupied_heating_setpoint": 18.0, "local_temperature": 19.2},
        react,
        lambda state: {base: json.dumps(state)},
    )


def blinds(key: str, name: str, area: str) -> Appliance:
    """Blinds that say on the way that they move, with state and position on two topics, as ESPHome announces them."""
    base = f"{key}/cover/{key}"
    announcement = {
        "name": name,
        "stat_t": f"{base}/state",
        "cmd_t": f"{base}/command",
        "pos_t": f"{base}/position/state",
        "set_pos_t": f"{base}/position/command",
        "dev_cla": "blind",
        "avty_t": f"{key}/status",
        "uniq_id": f"ESPcover{key}",
        "dev": {"ids": key, "name": key, "sa": area, "mf": "espressif", "sw": "esphome v2025.10.0"},
    }
    targets = {"OPEN": 100, "CLOSE": 0}

    def react(state: State, topic: str, payload: str) -> tuple[State, ...]:
        now = int(state["position"])
        if payload == "STOP" and topic.endswith("/cover/" + key + "/command"):
            return ({"position": now, "state": "open" if now else "closed"},)
        wanted = targets.get(payload, int(payload) if payload.isdecimal() else -1)
        if not 0 <= wanted <= 100:  # noqa: PLR2004 - percent
            return ()
        moving = {"position": now, "state": "opening" if wanted > now else "closing"}
        return (moving, {"position": wanted, "state": "open" if wanted else "closed"})

    return Appliance(
        key,
        f"homeassistant/cover/{key}/{key}/config",
        announcement,
        f"{key}/status",
        (f"{base}/command", f"{base}/position/command"),
        {"position": 100, "state": "open"},
        react,
        lambda state: {f"{base}/state": state["state"], f"{base}/position/state": str(state["position"])},
    )


def simple(
    component: str, key: str, name: str, area: str, initial: str, payloads: Mapping[str, str], **fields: Any
) -> Appliance:
    """A thing with one command topic and one state topic; `payloads` go from order to state."""
    base = f"house/{key}"
    commands = {"command_topic": f"{base}/set"} if payloads else {}
    announcement = {**_plain(key, name, area, base), **commands, "state_topic": f"{base}/state", **fields}
    return Appliance(
        key,
        f"homeassistant/{component}/{key}/config",
        announcement,
        f"{base}/availability",
        tuple(commands.values()),
        {"state": initial},
        lambda _state, _topic, payload: ({"state": payloads[payload]},) if payload in payloads else (),
        lambda state: {f"{base}/state": state["state"]},
    )


def button(key: str, name: str, area: str, **fields: Any) -> Appliance:
    """Something that is pressed and tells nothing."""
    base = f"house/{key}"
    announcement = {**_plain(key, name, area, base), "command_topic": f"{base}/set", **fields}
    return Appliance(
        key,
        f"homeassistant/button/{key}/config",
        announcement,
        f"{base}/availability",
        (f"{base}/set",),
        {"pressed": 0},
        lambda state, _topic, payload: ({"pressed": state["pressed"] + 1},) if payload == "PRESS" else (),
        lambda _state: {},
    )


def setpoint(key: str, name: str, area: str, initial: float, least: float, most: float, unit: str) -> Appliance:
    """A number that can be set."""
    base = f"plant/{key}"
    announcement = {
        **_plain(key, name, area, base),
        "command_topic": f"{base}/set",
        "state_topic": f"{base}/state",
        "min": least,
        "max": most,
        "unit_of_measurement": unit,
    }

    def react(_state: State, _topic: str, payload: str) -> tuple[State, ...]:
        try:
            value = float(payload)
        except ValueError:
            return ()
        return ({"value": value},) if least <= value <= most else ()

    return Appliance(
        key,
        f"homeassistant/number/{key}/config",
        announcement,
        f"{base}/availability",
        (f"{base}/set",),
        {"value": initial},
        react,
        lambda state: {f"{base}/state": f"{state['value']:g}"},
    )


def fan(key: str, name: str, area: str) -> Appliance:
    """A fan with three speeds."""
    base = f"house/{key}"
    announcement = {
        **_plain(key, name, area, base),
        "command_topic": f"{base}/power/set",
        "state_topic": f"{base}/power",
        "percentage_command_topic": f"{base}/speed/set",
        "percentage_state_topic": f"{base}/speed",
        "speed_range_min": 1,
        "speed_range_max": 3,
    }

    def react(state: State, topic: str, payload: str) -> tuple[State, ...]:
        if topic.endswith("/power/set"):
            return ({**state, "power": payload},) if payload in {"ON", "OFF"} else ()
        return ({"power": "ON", "speed": payload},) if payload in {"1", "2", "3"} else ()

    return Appliance(
        key,
        f"homeassistant/fan/{key}/config",
        announcement,
        f"{base}/availability",
        (f"{base}/power/set", f"{base}/speed/set"),
        {"power": "OFF", "speed": "1"},
        react,
        lambda state: {f"{base}/power": state["power"], f"{base}/speed": state["speed"]},
    )


def _device(key: str, name: str, area: str, maker: str) -> dict[str, Any]:
    return {"device": {"identifiers": [key], "name": name, "suggested_area": area, "manufacturer": maker}}


def _plain(key: str, name: str, area: str, base: str) -> dict[str, Any]:
    device = _device(key, name, area, "edgeagent")
    return {**device, "name": None, "unique_id": key, "availability_topic": f"{base}/availability"}
