"""Home Assistant's lights in the JSON schema: one topic for all that is ordered, one for all that is told."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import BRIGHTNESS, Channels, number, percent_of, raw_of
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Reader, Values, Writer
from edgeagent.act.dialects.homeassistant_white import WhiteConfig
from edgeagent.act.dialects.schema import Topic
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Message, Value

RGB_MODES = {"rgb": (), "rgbw": ("w",), "rgbww": ("c", "w")}
"""Colour modes to the white channels that have to be put out."""


class JsonLightConfig(WhiteConfig):
    """The JSON schema, as Zigbee2MQTT and ESPHome use it.

    `color_temp`, `hs`, `rgb` and `xy` are how the modes were written before 2024.
    """

    command_topic: Topic
    brightness: bool = False
    brightness_scale: Annotated[int, Field(ge=1, le=65535)] = 255
    supported_color_modes: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    color_temp: bool = False
    hs: bool = False
    rgb: bool = False
    xy: bool = False

    def channels(self) -> Channels:
        """Map power, brightness, colour temperature and the first colour mode that we can write."""
        mode = self._color_mode()
        writers = [Writer("power", self._switch, ("on", "off"))]
        known: tuple[Capability, ...] = ("power",)
        if self.brightness or set(self.supported_color_modes) - {"onoff"}:
            percent, raw = percent_of(self.brightness_scale), raw_of(self.brightness_scale)
            writers.append(Writer("brightness", self._dim, settle=lambda value: percent(raw(value))))
            known += ("brightness",)
        if self._is_white:
            writers.append(Writer("color_temperature", self._warm, settle=self.white.settled))
            known += ("color_temperature",)
        if mode is not None:
            writers.append(Writer("color", lambda value: self._say(color=_json_color(mode, str(value))), colors.COLORS))
            known += ("color",)
        readers = () if self.state_topic is None else (Reader(self.state_topic, known, self._read),)
        return Channels(
            "light",
            readers,
            tuple(writers),
            {"brightness": BRIGHTNESS, "color_temperature": self.white.ends},
            {"brightness": "%", "color_temperature": "K"},
        )

    @property
    def _is_white(self) -> bool:
        return self.color_temp or "color_temp" in self.supported_color_modes

    def _color_mode(self) -> str | None:
        old = {"hs": self.hs, "rgb": self.rgb, "xy": self.xy}
        modes = (*self.supported_color_modes, *(mode for mode, is_used in old.items() if is_used))
        return next((mode for mode in modes if mode in {"hs", "xy", *RGB_MODES}), None)

    def _switch(self, value: Value) -> tuple[Message, ...]:
        return (Message(self.command_topic, json.dumps({"state": str(value).upper()}).encode()),)

    def _dim(self, value: Value) -> tuple[Message, ...]:
        return self._say(brightness=raw_of(self.brightness_scale)(float(value)))

    def _warm(self, value: Value) -> tuple[Message, ...]:
        return self._say(color_temp=self.white.raw(float(value)))

    def _say(self, **properties: Any) -> tuple[Message, ...]:
        return (Message(self.command_topic, json.dumps({"state": "ON", **properties}).encode()),)

    def _read(self, payload: bytes) -> Values:
        state = parse(payload, largest=LARGEST_PAYLOAD_BYTES)
        if not isinstance(state, dict):
            raise PayloadError("expected a JSON object")
        values: dict[Capability, Value] = {}
        match state.get("state"):
            case "ON" | "OFF" as power:
                values["power"] = power.lower()
            case None:
                pass
            case other:
                raise PayloadError(f"state: expected ON or OFF, found {other!a:.40}")
        if (raw := state.get("brightness")) is not None:
            values["brightness"] = percent_of(self.brightness_scale)(number(str(raw)))
        # In a colour mode the temperature is a leftover, or what comes nearest to the colour.
        is_warm = state.get("color_mode", "color_temp") == "color_temp"
        if self._is_white and is_warm and (warmth := state.get("color_temp")) is not None:
            values["color_temperature"] = self.white.kelvin(number(str(warmth)))
        if (name := _named_json_color(state)) is not None:
            values["color"] = name
        return values


def _json_color(mode: str, name: str) -> dict[str, float]:
    match mode:
        case "hs":
            hue, saturation = colors.hs_of(name)
            return {"h": hue, "s": saturation}
        case "xy":
            x, y = colors.xy_of(name)
            return {"x": x, "y": y}
        case _:
            red, green, blue = colors.rgb_of(name)
            return {"r": red, "g": green, "b": blue, **dict.fromkeys(RGB_MODES[mode], 0)}


def _named_json_color(state: Mapping[str, Any]) -> str | None:
    """Name the colour that the state tells; a lamp that is warm or cold is white."""
    if state.get("color_mode") in ("color_temp", "white"):
        return "white"
    color = state.get("color")
    if not isinstance(color, dict):
        return None
    ways: Sequence[tuple[str, Callable[..., str]]] = (
        ("hs", colors.name_of_hs),
        ("xy", colors.name_of_xy),
        ("rgb", colors.name_of_rgb),
    )
    spelled = {"h": color.get("h", color.get("hue")), "s": color.get("s", color.get("saturation"))}
    whole = {**color, **spelled}
    for keys, name in ways:
        parts = [whole.get(key) for key in keys]
        if None not in parts:
            return name(*(number(str(part)) for part in parts))
    return None
