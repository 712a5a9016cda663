"""What Zigbee2MQTT says that a device can ("exposes") to how it is read and written."""

from collections.abc import Callable, Mapping
from typing import Any

from edgeagent.act.dialects.channels import PERCENT, Channels, number, opened, options_of
from edgeagent.act.dialects.dialect import NOTHING, Values, Writer
from edgeagent.act.dialects.json_channels import (
    Rule,
    Scalar,
    amount,
    anything,
    json_reader,
    say_amount,
    say_word,
    word,
)
from edgeagent.act.dialects.zigbee2mqtt_features import GETTABLE, PUBLISHED, SETTABLE, Expose, add_power, ends_of
from edgeagent.act.dialects.zigbee2mqtt_lights import light
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value

HEATING = ("occupied_heating_setpoint", "current_heating_setpoint", "unoccupied_heating_setpoint")
MODES = frozenset({"off", "heat", "cool", "auto", "dry", "fan_only"})
"""System modes that are spoken of."""
PREFERRED_MODES = ("heat", "cool", "auto")
_CLASSES: Mapping[str, str] = {
    "contact": "opening",
    "occupancy": "occupancy",
    "presence": "presence",
    "water_leak": "moisture",
    "smoke": "smoke",
    "gas": "gas",
    "vibration": "vibration",
    "temperature": "temperature",
    "humidity": "humidity",
    "pressure": "pressure",
    "illuminance": "illuminance",
    "illuminance_lux": "illuminance",
    "power": "power",
    "energy": "energy",
    "voltage": "voltage",
    "current": "current",
    "co2": "carbon_dioxide",
    "soil_moisture": "moisture",
    "battery": "battery",
}
"""Exposes to Home Assistant's device classes, which questions go by."""
_UNSPOKEN = frozenset(
    {
        *("linkquality", "battery_low", "tamper", "device_temperature", "power_outage_count", "power_on_behavior"),
        *("update", "update_available", "action", "action_group", "device_status", "self_test", "test"),
        *("backlight_mode", "calibration", "device_mode", "effect", "identify", "indicator_mode", "keypad_lockout"),
        *(
            "motion_sensitivity",
            "motor_direction",
            "operation_mode",
            "power_outage_memory",
            "power_type",
            "sensitivity",
        ),
        *("switch_type", "temperature_sensor_select", "temperature_unit", "thermostat_unit", "week"),
    }
)
"""What older versions list without a category, and nobody asks for or orders."""
_SPOKEN_DIAGNOSIS = frozenset({"battery"})


def specific(expose: Expose, topic: str) -> Channels | None:
    """Return the channels of a light, switch, cover, lock, climate or fan; None if nothing of it can be ordered."""
    channels = SPECIFIC[expose.type](expose, topic)
    return channels if channels.writers else None


def generic(expose: Expose, topic: str) -> Channels | None:
    """Return the channels of what is no specific thing: a sensor, or something with options; None without a voice."""
    return _select(expose, topic) or _sensor(expose, topic)


def _select(expose: Expose, topic: str) -> Channels | None:
    """Read and write one of its words. What can be set and never tells is not known to have been set; no voice."""
    is_both = expose.access & PUBLISHED and expose.access & SETTABLE and expose.says and expose.category is None
    words = [value for value in expose.values if isinstance(value, str)]
    if expose.type != "enum" or not is_both or expose.name in _UNSPOKEN or len(words) != len(expose.values):
        return None
    try:
        options = options_of(words)
    except PayloadError:  # too many to be said, or two that sound alike
        return None
    called: dict[Scalar, str] = {payload: option for option, payload in options.items()}
    reader = json_reader(topic, ("option",), word("option", expose.says, called))
    return Channels("select", (reader,), (say_word(f"{topic}/set", "option", expose.says, options),))


def _sensor(expose: Expose, topic: str) -> Channels | None:
    is_kept = expose.category is None or expose.name in _SPOKEN_DIAGNOSIS
    is_read = expose.access & PUBLISHED and not expose.access & SETTABLE and expose.says
    if not is_kept or not is_read or expose.name in _UNSPOKEN or expose.type not in {"numeric", "binary", "enum"}:
        return None
    if expose.type == "binary":
        states = {expose.value_on: "on", expose.value_off: "off"}
        return Channels("binary_sensor", (json_reader(topic, ("reading",), word("reading", expose.says, states)),))
    rule = (amount if expose.type == "numeric" else anything)("reading", expose.says)
    units: dict[Capability, str] = {} if expose.unit is None else {"reading": expose.unit}
    return Channels("sensor", (json_reader(topic, ("reading",), rule),), units=units)


def asked(expose: Expose) -> tuple[str, ...]:
    """Return the property that is asked for when the device comes; it tells all others with it."""
    return tuple(one.says for one in expose.features if one.name == "state" and one.says and one.access & GETTABLE)


def class_of(expose: Expose) -> str | None:
    """Return the device class by which it is asked for."""
    return _CLASSES.get(expose.name or "")


def _switch(expose: Expose, topic: str) -> Channels:
    rules: list[Rule] = []
    writers: list[Writer] = []
    if (state := expose.feature("state")) is not None:
        add_power(state, topic, rules, writers)
    return Channels("switch", (json_reader(topic, ("power",), *rules),), tuple(writers))


def _lock(expose: Expose, topic: str) -> Channels:
    state = expose.feature("state")
    if state is None:
        return Channels("lock")
    locked, unlocked = ends_of(state, "LOCK", "UNLOCK")
    reader = json_reader(topic, ("lock",), word("lock", state.says, {locked: "locked", unlocked: "unlocked"}))
    return Channels(
        "lock", (reader,), (say_word(f"{topic}/set", "lock", state.says, {"locked": locked, "unlocked": unlocked}),)
    )


def _cover(expose: Expose, topic: str) -> Channels:
    state, position, tilt = expose.feature("state"), expose.feature("position"), expose.feature("tilt")
    rules: list[Rule] = []
    writers: list[Writer] = []
    known: list[Capability] = ["opening"]
    if state is not None:
        spelled = {"open": "OPEN", "closed": "CLOSE", "stopped": "STOP"}
        payloads = {meaning: payload for meaning, payload in spelled.items() if payload in state.values}
        told: dict[Scalar, str] = {"OPEN": "open", "CLOSE": "closed", "STOP": "stopped"}
        rules.append(word("opening", state.says, told))
        if payloads:
            writers.append(say_word(f"{topic}/set", "opening", state.says, payloads))
    if position is not None:
        rules.append(_position_rule(position.says))
        writers.append(say_amount(f"{topic}/set", "position", position.says, round, float))
        known.append("position")
    if tilt is not None:
        rules.append(amount("tilt", tilt.says))
        writers.append(say_amount(f"{topic}/set", "tilt", tilt.says, round, float))
        known.append("tilt")
    ranges = dict.fromkeys(known[1:], PERCENT)
    units = dict.fromkeys(known[1:], "%")
    return Channels("cover", (json_reader(topic, tuple(known), *rules),), tuple(writers), ranges, units)


def _climate(expose: Expose, topic: str) -> Channels:
    target, mode = expose.feature(*HEATING), expose.feature("system_mode")
    now = next((one for one in expose.features if one.name == "local_temperature" and one.says), None)
    rules: list[Rule] = []
    writers: list[Writer] = []
    known: list[Capability] = []
    ranges: dict[Capability, tuple[float, float]] = {}
    if target is not None:
        least = 5.0 if target.value_min is None else target.value_min
        most = 30.0 if target.value_max is None else target.value_max
        if least >= most:
            raise PayloadError(f"{target.name}: value_max: expected more than value_min")
        ranges["target_temperature"] = (least, most)
        rules.append(amount("target_temperature", target.says))
        writers.append(say_amount(f"{topic}/set", "target_temperature", target.says))
        known.append("target_temperature")
    if mode is not None:
        modes = {str(value): str(value) for value in mode.values if value in MODES}
        active = next((one for one in (*PREFERRED_MODES, *modes) if one in modes and one != "off"), None)
        rules.append(_mode_rule(mode.says))
        if modes:
            writers.append(say_word(f"{topic}/set", "mode", mode.says, modes))
        if active is not None and "off" in modes:
            writers.append(say_word(f"{topic}/set", "power", mode.says, {"on": active, "off": "off"}))
        known += ["mode", "power"]
    if now is not None:
        rules.append(amount("reading", now.says))
        known.append("reading")
    unit = (target or now or expose).unit or "°C"
    units: dict[Capability, str] = {"target_temperature": unit, "reading": unit}
    return Channels("climate", (json_reader(topic, tuple(known), *rules),), tuple(writers), ranges, units)


def _fan(expose: Expose, topic: str) -> Channels:
    state, mode = expose.feature("state"), expose.feature("mode")
    rules: list[Rule] = []
    writers: list[Writer] = []
    if state is not None:
        add_power(state, topic, rules, writers)
    elif mode is not None and {"off", "on"} <= set(mode.values):
        told: dict[Scalar, str] = {str(value): "off" if value == "off" else "on" for value in mode.values}
        rules.append(word("power", mode.says, told))
        writers.append(say_word(f"{topic}/set", "power", mode.says, {"on": "on", "off": "off"}))
    return Channels("fan", (json_reader(topic, ("power",), *rules),), tuple(writers))


SPECIFIC: Mapping[str, Callable[[Expose, str], Channels]] = {
    "light": light,
    "switch": _switch,
    "lock": _lock,
    "cover": _cover,
    "climate": _climate,
    "fan": _fan,
}


def _position_rule(name: str) -> Rule:
    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(name)
        return NOTHING if told is None else opened(number(str(told)), has_state=False)

    return rule


def _mode_rule(name: str) -> Rule:
    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(name)
        if not isinstance(told, str):
            return NOTHING
        power: Value = "off" if told == "off" else "on"
        return {"power": power, "mode": told} if told in MODES else {"power": power}

    return rule
