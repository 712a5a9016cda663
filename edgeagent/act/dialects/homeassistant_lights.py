"""Home Assistant's lights, in the default schema (one topic per property) and in the JSON schema (one for all)."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import (
    UNKNOWN,
    Channels,
    number,
    number_reader,
    plain,
    say,
    text_reader,
    words_reader,
)
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Reader, Values, Writer
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Payload, Topic
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Message, Value

BRIGHTNESS: tuple[float, float] = (1, 100)
"""Percent; nothing less than one, for no light at all is an order to switch off."""
RGB_MODES = {"rgb": (), "rgbw": ("w",), "rgbww": ("c", "w")}
"""JSON colour modes to the white channels that have to be put out."""

Scale = Annotated[int, Field(ge=1, le=65535)]


class LightConfig(ComponentConfig):
    """The default schema."""

    command_topic: Topic
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"
    on_command_type: Literal["last", "first", "brightness"] = "last"
    state_value_template: CheckedTemplate | None = None
    brightness_scale: Scale = 255
    brightness_command_topic: Topic | None = None
    brightness_command_template: CheckedTemplate | None = None
    brightness_state_topic: Topic | None = None
    brightness_value_template: CheckedTemplate | None = None
    hs_command_topic: Topic | None = None
    hs_command_template: CheckedTemplate | None = None
    hs_state_topic: Topic | None = None
    hs_value_template: CheckedTemplate | None = None
    rgb_command_topic: Topic | None = None
    rgb_command_template: CheckedTemplate | None = None
    rgb_state_topic: Topic | None = None
    rgb_value_template: CheckedTemplate | None = None
    xy_command_topic: Topic | None = None
    xy_command_template: CheckedTemplate | None = None
    xy_state_topic: Topic | None = None
    xy_value_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map power, brightness and one of the ways to give a colour."""
        if self.on_command_type == "brightness" and self.brightness_command_topic is None:
            raise PayloadError("on_command_type: brightness, but there is no brightness_command_topic")
        writers = [Writer("power", self._switch, ("on", "off"))]
        if self.brightness_command_topic is not None:
            writers.append(Writer("brightness", self._dim, settle=_settled(self.brightness_scale)))
        if self._color_message("white") is not None:
            writers.append(Writer("color", self._tint, colors.COLORS))
        return Channels("light", self._readers(), tuple(writers), {"brightness": BRIGHTNESS}, {"brightness": "%"})

    def _readers(self) -> tuple[Reader, ...]:
        power = {self.payload_on: "on", self.payload_off: "off"}
        template = self.state_value_template or self.value_template
        color = _numbers_reader
        return (
            *words_reader(self.state_topic, template, "power", power),
            *number_reader(
                self.brightness_state_topic,
                self.brightness_value_template,
                "brightness",
                _percent(self.brightness_scale),
            ),
            *color(self.hs_state_topic, self.hs_value_template, 2, colors.name_of_hs),
            *color(self.rgb_state_topic, self.rgb_value_template, 3, colors.name_of_rgb),
            *color(self.xy_state_topic, self.xy_value_template, 2, colors.name_of_xy),
        )

    def _switch(self, value: Value) -> tuple[Message, ...]:
        if value == "on" and self.on_command_type == "brightness":
            return (self._brightness(100),)
        return (Message(self.command_topic, (self.payload_on if value == "on" else self.payload_off).encode()),)

    def _dim(self, value: Value) -> tuple[Message, ...]:
        return self._together(self._brightness(float(value)))

    def _tint(self, value: Value) -> tuple[Message, ...]:
        message = self._color_message(str(value))
        return () if message is None else self._together(message)

    def _together(self, style: Message) -> tuple[Message, ...]:
        """Order style and power as `on_command_type` says."""
        match self.on_command_type:
            case "first":
                return (*self._switch("on"), style)
            case "last":
                return (style, *self._switch("on"))
            case "brightness":
                return (style,)

    def _brightness(self, percent: float) -> Message:
        raw = max(1, round(percent / 100 * self.brightness_scale))
        return say(self.brightness_command_topic or "", self.brightness_command_template, raw)

    def _color_message(self, name: str) -> Message | None:
        hue, saturation = colors.hs_of(name)
        red, green, blue = colors.rgb_of(name)
        x, y = colors.xy_of(name)
        if self.hs_command_topic is not None:
            text = f"{plain(hue)},{plain(saturation)}"
            return say(self.hs_command_topic, self.hs_command_template, text, hue=hue, sat=saturation)
        if self.rgb_command_topic is not None:
            rgb = {"red": red, "green": green, "blue": blue}
            return say(self.rgb_command_topic, self.rgb_command_template, f"{red},{green},{blue}", **rgb)
        if self.xy_command_topic is not None:
            return say(self.xy_command_topic, self.xy_command_template, f"{x},{y}", x=x, y=y)
        return None


class JsonLightConfig(ComponentConfig):
    """The JSON schema, as Zigbee2MQTT and ESPHome use it. `hs`, `rgb` and `xy` are how it was written before 2024."""

    command_topic: Topic
    brightness: bool = False
    brightness_scale: Scale = 255
    supported_color_modes: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    hs: bool = False
    rgb: bool = False
    xy: bool = False

    def channels(self) -> Channels:
        """Map power, brightness and the first colour mode that we can write."""
        mode = self._color_mode()
        writers = [Writer("power", self._switch, ("on", "off"))]
        known: tuple[Capability, ...] = ("power",)
        if self.brightness or set(self.supported_color_modes) - {"onoff"}:
            writers.append(Writer("brightness", self._dim, settle=_settled(self.brightness_scale)))
            known += ("brightness",)
        if mode is not None:
            writers.append(Writer("color", lambda value: self._say(color=_json_color(mode, str(value))), colors.COLORS))
            known += ("color",)
        readers = () if self.state_topic is None else (Reader(self.state_topic, known, self._read),)
        return Channels("light", readers, tuple(writers), {"brightness": BRIGHTNESS}, {"brightness": "%"})

    def _color_mode(self) -> str | None:
        old = {"hs": self.hs, "rgb": self.rgb, "xy": self.xy}
        modes = (*self.supported_color_modes, *(mode for mode, is_used in old.items() if is_used))
        return next((mode for mode in modes if mode in {"hs", "xy", *RGB_MODES}), None)

    def _switch(self, value: Value) -> tuple[Message, ...]:
        return (Message(self.command_topic, json.dumps({"state": str(value).upper()}).encode()),)

    def _dim(self, value: Value) -> tuple[Message, ...]:
        return self._say(brightness=max(1, round(float(value) / 100 * self.brightness_scale)))

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
            values["brightness"] = _percent(self.brightness_scale)(number(str(raw)))
        if (name := _named_json_color(state)) is not None:
            values["color"] = name
        return values


def light(config: Mapping[str, Any]) -> type[ComponentConfig]:
    """Choose the schema. Raise PayloadError for one that is not spoken here."""
    match config.get("schema", "default"):
        case "json":
            return JsonLightConfig
        case "default" | "basic":
            return LightConfig
        case other:
            raise PayloadError(f"schema: expected default, json or template, found {other!a:.40}")


def _percent(scale: int) -> Callable[[float], float]:
    return lambda raw: float(min(max(round(raw * 100 / scale), 0), 100))


def _settled(scale: int) -> Callable[[float], float]:
    return lambda percent: _percent(scale)(max(1, round(percent / 100 * scale)))


def _numbers_reader(
    topic: str | None, template: CheckedTemplate | None, count: int, name: Callable[..., str]
) -> tuple[Reader, ...]:
    """Read a colour written as numbers with commas."""

    def meaning(text: str) -> Values:
        if text in UNKNOWN:
            return {}
        parts = [number(part) for part in text.strip("()[]").split(",", maxsplit=count)]
        if len(parts) != count:
            raise PayloadError(f"expected {count} numbers, found {text!r:.40}")
        return {"color": name(*parts)}

    return text_reader(topic, template, meaning, "color")


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
    """Name the colour that the state tells; a lamp that shows a colour temperature is white."""
    if state.get("color_mode") == "color_temp":
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
