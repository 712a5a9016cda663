"""What Zigbee2MQTT says that a device can ("exposes") to how it is read and written."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import PERCENT, Channels, number, opened
from edgeagent.act.dialects.dialect import NOTHING, Values, Writer
from edgeagent.act.dialects.json_channels import (
    Rule,
    Scalar,
    amount,
    anything,
    json_reader,
    message,
    say_amount,
    say_word,
    word,
)
from edgeagent.act.dialects.schema import Config, Number, Text
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Value

PUBLISHED, SETTABLE, GETTABLE = 1, 2, 4
"""Bits of `access`."""
MOST_VALUE = 65_535
BRIGHTNESS: tuple[float, float] = (1, 100)
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
    }
)
"""What older versions list without a category, and nobody asks for."""
_SPOKEN_DIAGNOSIS = frozenset({"battery"})


class Expose(Config):
    """One thing that a device can do or tell. It `says` so under this property of its state."""

    type: Text
    name: Text | None = None
    says: Annotated[Text, Field(alias="property")] = ""
    label: Text | None = None
    endpoint: Text | None = None
    category: Text | None = None
    access: int = 0
    unit: Annotated[str, Field(max_length=32)] | None = None
    value_on: str | bool | float | None = None
    value_off: str | bool | float | None = None
    value_min: Annotated[Number, Field(ge=-MOST_VALUE, le=MOST_VALUE)] | None = None
    value_max: Annotated[Number, Field(ge=-MOST_VALUE, le=MOST_VALUE)] | None = None
    values: Annotated[tuple[str | bool | float, ...], Field(max_length=128)] = ()
    features: Annotated[tuple["Expose", ...], Field(max_length=64)] = ()

    def feature(self, *names: str) -> "Expose | None":
        """Return the first of the features with these names that can be set and has a property."""
        found = {one.name: one for one in reversed(self.features) if one.says and one.access & SETTABLE}
        return next((found[name] for name in names if name in found), None)


def specific(expose: Expose, topic: str) -> Channels | None:
    """Return the channels of a light, switch, cover, lock, climate or fan; None if nothing of it can be ordered."""
    channels = SPECIFIC[expose.type](expose, topic)
    return channels if channels.writers else None


def sensor(expose: Expose, topic: str) -> Channels | None:
    """Return the channels of something that is read; None for what has no voice."""
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


def _light(expose: Expose, topic: str) -> Channels:
    state, brightness = expose.feature("state"), expose.feature("brightness")
    color = expose.feature("color_xy", "color_hs")
    rules: list[Rule] = []
    writers: list[Writer] = []
    known: list[Capability] = []
    if state is not None:
        _add_power(state, topic, rules, writers)
        known.append("power")
    if brightness is not None:
        most = 254 if brightness.value_max is None else brightness.value_max
        if most < 1:
            raise PayloadError(f"brightness: value_max: expected at least 1, found {most:g}")
        percent, raw = _percent_of(most), _raw_of(most)
        rules.append(amount("brightness", brightness.says, percent))
        writers.append(say_amount(f"{topic}/set", "brightness", brightness.says, raw, percent))
        known.append("brightness")
    if color is not None:
        rules.append(_color_rule(color))
        write = _color_writer(color, topic)
        writers.append(Writer("color", lambda value: (write(str(value)),), colors.COLORS))
        known.append("color")
    reader = json_reader(topic, tuple(known), *rules)
    return Channels("light", (reader,), tuple(writers), {"brightness": BRIGHTNESS}, {"brightness": "%"})


def _switch(expose: Expose, topic: str) -> Channels:
    rules: list[Rule] = []
    writers: list[Writer] = []
    if (state := expose.feature("state")) is not None:
        _add_power(state, topic, rules, writers)
    return Channels("switch", (json_reader(topic, ("power",), *rules),), tuple(writers))


def _lock(expose: Expose, topic: str) -> Channels:
    state = expose.feature("state")
    if state is None:
        return Channels("lock")
    locked, unlocked = _ends(state, "LOCK", "UNLOCK")
    reader = json_reader(topic, ("lock",), word("lock", state.says, {locked: "locked", unlocked: "unlocked"}))
    return Channels(
        "lock", (reader,), (say_word(f"{topic}/set", "lock", state.says, {"locked": locked, "unlocked": unlocked}),)
    )


def _cover(expose: Expose, topic: str) -> Channels:
    state, position = expose.feature("state"), expose.feature("position")
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
    return Channels(
        "cover", (json_reader(topic, tuple(known), *rules),), tuple(writers), {"position": PERCENT}, {"position": "%"}
    )


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
        _add_power(state, topic, rules, writers)
    elif mode is not None and {"off", "on"} <= set(mode.values):
        told: dict[Scalar, str] = {str(value): "off" if value == "off" else "on" for value in mode.values}
        rules.append(word("power", mode.says, told))
        writers.append(say_word(f"{topic}/set", "power", mode.says, {"on": "on", "off": "off"}))
    return Channels("fan", (json_reader(topic, ("power",), *rules),), tuple(writers))


SPECIFIC: Mapping[str, Callable[[Expose, str], Channels]] = {
    "light": _light,
    "switch": _switch,
    "lock": _lock,
    "cover": _cover,
    "climate": _climate,
    "fan": _fan,
}


def _add_power(state: Expose, topic: str, rules: list[Rule], writers: list[Writer]) -> None:
    on, off = _ends(state, "ON", "OFF")
    rules.append(word("power", state.says, {on: "on", off: "off"}))
    writers.append(say_word(f"{topic}/set", "power", state.says, {"on": on, "off": off}))


def _ends(state: Expose, on: str, off: str) -> tuple[Scalar, Scalar]:
    return (
        on if state.value_on is None else state.value_on,
        off if state.value_off is None else state.value_off,
    )


def _percent_of(most: float) -> Callable[[float], float]:
    return lambda raw: float(min(max(round(raw * 100 / most), 0), 100))


def _raw_of(most: float) -> Callable[[float], float]:
    return lambda percent: max(1, round(percent / 100 * most))


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


def _color_rule(color: Expose) -> Rule:
    mode_name = color.says.replace("color", "color_mode", 1)

    def rule(state: Mapping[str, Any]) -> Values:
        if state.get(mode_name) == "color_temp":
            return {"color": "white"}
        told = state.get(color.says)
        if not isinstance(told, dict):
            return NOTHING
        for keys, name in ((("x", "y"), colors.name_of_xy), (("hue", "saturation"), colors.name_of_hs)):
            parts = [told.get(key) for key in keys]
            if None not in parts:
                return {"color": name(*(number(str(part)) for part in parts))}
        return NOTHING

    return rule


def _color_writer(color: Expose, topic: str) -> Callable[[str], Any]:
    def write(name: str) -> Any:
        if color.name == "color_hs":
            hue, saturation = colors.hs_of(name)
            return message(f"{topic}/set", {color.says: {"hue": round(hue), "saturation": round(saturation)}})
        x, y = colors.xy_of(name)
        return message(f"{topic}/set", {color.says: {"x": x, "y": y}})

    return write
