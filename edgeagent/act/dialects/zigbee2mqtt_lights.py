"""Zigbee2MQTT's lamps: how power, brightness, colour temperature and colour are read and written."""

from collections.abc import Callable, Mapping
from typing import Any

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import BRIGHTNESS, Channels, number, percent_of, raw_of
from edgeagent.act.dialects.dialect import NOTHING, Values, Writer
from edgeagent.act.dialects.json_channels import Rule, amount, json_reader, message, say_amount
from edgeagent.act.dialects.white import MIREDS, WhiteScale
from edgeagent.act.dialects.zigbee2mqtt_features import Expose, add_power
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability


def light(expose: Expose, topic: str) -> Channels:
    """Return the channels of a lamp: power, brightness, colour temperature, colour."""
    state, brightness = expose.feature("state"), expose.feature("brightness")
    color, warmth = expose.feature("color_xy", "color_hs"), expose.feature("color_temp")
    rules: list[Rule] = []
    writers: list[Writer] = []
    known: list[Capability] = []
    if state is not None:
        add_power(state, topic, rules, writers)
        known.append("power")
    if brightness is not None:
        most = 254 if brightness.value_max is None else brightness.value_max
        if most < 1:
            raise PayloadError(f"brightness: value_max: expected at least 1, found {most:g}")
        percent, raw = percent_of(most), raw_of(most)
        rules.append(amount("brightness", brightness.says, percent))
        writers.append(say_amount(f"{topic}/set", "brightness", brightness.says, raw, percent))
        known.append("brightness")
    ranges: dict[Capability, tuple[float, float]] = {"brightness": BRIGHTNESS}
    units: dict[Capability, str] = {"brightness": "%"}
    if warmth is not None:
        white = _white_of(warmth)
        ranges["color_temperature"], units["color_temperature"] = white.ends, "K"
        rules.append(_white_rule(warmth, white))
        writers.append(say_amount(f"{topic}/set", "color_temperature", warmth.says, white.raw, white.kelvin))
        known.append("color_temperature")
    if color is not None:
        rules.append(_color_rule(color))
        write = _color_writer(color, topic)
        writers.append(Writer("color", lambda value: (write(str(value)),), colors.COLORS))
        known.append("color")
    reader = json_reader(topic, tuple(known), *rules)
    return Channels("light", (reader,), tuple(writers), ranges, units)


def _white_of(warmth: Expose) -> WhiteScale:
    least = MIREDS.least if warmth.value_min is None else warmth.value_min
    most = MIREDS.most if warmth.value_max is None else warmth.value_max
    return WhiteScale(least, most)


def _white_rule(warmth: Expose, white: WhiteScale) -> Rule:
    """Read the temperature; in a colour mode it is what comes nearest to the colour, and not what the lamp shows."""
    mode_name = warmth.says.replace("color_temp", "color_mode", 1)
    inner = amount("color_temperature", warmth.says, white.kelvin)

    def rule(state: Mapping[str, Any]) -> Values:
        return inner(state) if state.get(mode_name, "color_temp") == "color_temp" else NOTHING

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
