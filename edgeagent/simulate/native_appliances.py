"""Virtual things that announce themselves in their own dialects: Tasmota, Zigbee2MQTT, Homie. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from edgeagent.simulate.appliances import Appliance, State

_GET_SET = 7
"""Zigbee2MQTT's access bits: told, set, asked for."""


def tasmota_plug(mac: str, topic: str, name: str) -> Appliance:
    """A plug with Tasmota's firmware and one relay; it tells its state when it is asked to."""
    announcement = {
        "ip": "192.0.2.10",
        "dn": name,
        "fn": [name, *[None] * 7],
        "hn": topic,
        "mac": mac,
        "md": "Virtual plug",
        "ty": 0,
        "if": 0,
        "ofln": "Offline",
        "onln": "Online",
        "state": ["OFF", "ON", "TOGGLE", "HOLD"],
        "sw": "14.1.0",
        "t": topic,
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        "rl": [1, 0, 0, 0, 0, 0, 0, 0],
        "lt_st": 0,
        "sho": [0, 0, 0, 0],
        "so": {"4": 0, "30": 0},
        "ver": 1,
    }

    def react(state: State, asked: str, payload: str) -> tuple[State, ...]:
        if asked.endswith("/STATE"):
            return (state,)
        return ({"POWER": payload},) if payload in {"ON", "OFF"} else ()

    return Appliance(
        topic,
        f"tasmota/discovery/{mac}/config",
        announcement,
        f"tele/{topic}/LWT",
        (f"cmnd/{topic}/POWER1", f"cmnd/{topic}/STATE"),
        {"POWER": "OFF"},
        react,
        lambda state: {f"stat/{topic}/RESULT": json.dumps(state)},
        ("Online", "Offline"),
    )


def zigbee_listed(base: str, address: str, name: str, exposes: Mapping[str, Any], initial: State) -> Appliance:
    """A device on the list of a Zigbee2MQTT bridge; it takes whatever properties it has."""
    entry = {
        "ieee_address": address,
        "type": "Router",
        "friendly_name": name,
        "supported": True,
        "disabled": False,
        "definition": {"model": "Virtual", "vendor": "edgeagent", "description": name, "exposes": [exposes]},
    }

    def react(state: State, asked: str, payload: str) -> tuple[State, ...]:
        if asked.endswith("/get"):
            return (state,)
        try:
            order = json.loads(payload)
        except ValueError:
            return ()
        known = isinstance(order, dict) and set(order) <= set(state)
        return ({**state, **order},) if known else ()

    return Appliance(
        name,
        f"{base}/bridge/devices",
        entry,
        f"{base}/{name}/availability",
        (f"{base}/{name}/set", f"{base}/{name}/get"),
        initial,
        react,
        lambda state: {f"{base}/{name}": json.dumps(state)},
        ('{"state":"online"}', '{"state":"offline"}'),
    )


def zigbee_lamp(base: str, address: str, name: str) -> Appliance:
    """A lamp that can be dimmed, and be warm or cold."""
    state = {"type": "binary", "name": "state", "property": "state", "access": _GET_SET}
    state |= {"value_on": "ON", "value_off": "OFF"}
    level = {"type": "numeric", "name": "brightness", "property": "brightness", "access": _GET_SET}
    level |= {"value_min": 0, "value_max": 254}
    warmth = {"type": "numeric", "name": "color_temp", "property": "color_temp", "access": _GET_SET}
    warmth |= {"unit": "mired", "value_min": 250, "value_max": 454}
    exposes = {"type": "light", "features": [state, level, warmth]}
    white = {"color_mode": "color_temp", "color_temp": 370}
    return zigbee_listed(base, address, name, exposes, {"state": "OFF", "brightness": 254, "linkquality": 120, **white})


def homie_relay(device: str, name: str) -> Appliance:
    """A relay that describes itself as Homie 5 says."""
    base = f"homie/5/{device}"
    on = {"name": "On", "datatype": "boolean", "settable": True, "retained": True}
    announcement = {
        "homie": "5.0",
        "version": 1,
        "name": name,
        "nodes": {"relay": {"name": "Relay", "type": "switch", "properties": {"on": on}}},
    }
    return Appliance(
        device,
        f"{base}/$description",
        announcement,
        f"{base}/$state",
        (f"{base}/relay/on/set",),
        {"on": "false"},
        lambda _state, _asked, payload: ({"on": payload},) if payload in {"true", "false"} else (),
        lambda state: {f"{base}/relay/on": str(state["on"])},
        ("ready", "lost"),
    )
