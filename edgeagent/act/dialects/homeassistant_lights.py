"""Home Assistant's lights in the default schema (one topic per property); which schema a light is announced in."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import (
    BRIGHTNESS,
    UNKNOWN,
    Channels,
    number,
    number_reader,
    percent_of,
    plain,
    raw_of,
    say,
    text_reader,
    words_reader,
)
from edgeagent.act.dialects.dialect import Reader, Values, Writer
from edgeagent.act.dialects.homeassistant_json_lights import JsonLightConfig
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig
from edgeagent.act.dialects.homeassistant_template_lights import TemplateLightConfig
from edgeagent.act.dialects.homeassistant_white import WhiteConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Payload, Topic
from edgeagent.errors import PayloadError
from edgeagent.messages import Message, Value

_WHITE_MODES = frozenset({"color_temp", "white"})
_WHITE_PARTS: Mapping[str, tuple[str, ...]] = {"rgbw": ("white",), "rgbww": ("cold_white", "warm_white")}
"""The white channels of a way to give a colour; they are put out for one."""


class LightConfig(WhiteConfig):
    """The default schema."""

    command_topic: Topic
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"
    on_command_type: Literal["last", "first", "brightness"] = "last"
    state_value_template: CheckedTemplate | None = None
    brightness_scale: Annotated[int, Field(ge=1, le=65535)] = 255
    brightness_command_topic: Topic | None = None
    brightness_command_template: CheckedTemplate | None = None
    brightness_state_topic: Topic | None = None
    brightness_value_template: CheckedTemplate | None = None
    color_mode_state_topic: Topic | None = None
    color_mode_value_template: CheckedTemplate | None = None
    color_temp_command_topic: Topic | None = None
    color_temp_command_template: CheckedTemplate | None = None
    color_temp_state_topic: Topic | None = None
    color_temp_value_template: CheckedTemplate | None = None
    hs_command_topic: Topic | None = None
    hs_command_template: CheckedTemplate | None = None
    hs_state_topic: Topic | None = None
    hs_value_template: CheckedTemplate | None = None
    rgb_command_topic: Topic | None = None
    rgb_command_template: CheckedTemplate | None = None
    rgb_state_topic: Topic | None = None
    rgb_value_template: CheckedTemplate | None = None
    rgbw_command_topic: Topic | None = None
    rgbw_command_template: CheckedTemplate | None = None
    rgbw_state_topic: Topic | None = None
    rgbw_value_template: CheckedTemplate | None = None
    rgbww_command_topic: Topic | None = None
    rgbww_command_template: CheckedTemplate | None = None
    rgbww_state_topic: Topic | None = None
    rgbww_value_template: CheckedTemplate | None = None
    xy_command_topic: Topic | None = None
    xy_command_template: CheckedTemplate | None = None
    xy_state_topic: Topic | None = None
    xy_value_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map power, brightness, colour temperature and one of the ways to give a colour."""
        if self.on_command_type == "brightness" and self.brightness_command_topic is None:
            raise PayloadError("on_command_type: brightness, but there is no brightness_command_topic")
        writers = [Writer("power", self._switch, ("on", "off"))]
        if self.brightness_command_topic is not None:
            percent, raw = percent_of(self.brightness_scale), raw_of(self.brightness_scale)
            writers.append(Writer("brightness", self._dim, settle=lambda value: percent(raw(value))))
        if self.color_temp_command_topic is not None:
            writers.append(Writer("color_temperature", self._warm, settle=self.white.settled))
        if self._color_message("white") is not None:
            writers.append(Writer("color", self._tint, colors.COLORS))
        return Channels(
            "light",
            self._readers(),
            tuple(writers),
            {"brightness": BRIGHTNESS, "color_temperature": self.white.ends},
            {"brightness": "%", "color_temperature": "K"},
        )

    def _readers(self) -> tuple[Reader, ...]:
        power = {self.payload_on: "on", self.payload_off: "off"}
        template = self.state_value_template or self.value_template
        level = percent_of(self.brightness_scale)
        rgb = colors.name_of_rgb
        return (
            *words_reader(self.state_topic, template, "power", power),
            *number_reader(self.brightness_state_topic, self.brightness_value_template, "brightness", level),
            *_numbers_reader(self.hs_state_topic, self.hs_value_template, 2, colors.name_of_hs),
            *_numbers_reader(self.rgb_state_topic, self.rgb_value_template, 3, rgb),
            *_numbers_reader(self.rgbw_state_topic, self.rgbw_value_template, 4, lambda *parts: rgb(*parts[:3])),
            *_numbers_reader(self.rgbww_state_topic, self.rgbww_value_template, 5, lambda *parts: rgb(*parts[:3])),
            *_numbers_reader(self.xy_state_topic, self.xy_value_template, 2, colors.name_of_xy),
            *number_reader(
                self.color_temp_state_topic, self.color_temp_value_template, "color_temperature", self.white.kelvin
            ),
            *text_reader(self.color_mode_state_topic, self.color_mode_value_template, _white_mode, "color"),
        )

    def _switch(self, value: Value) -> tuple[Message, ...]:
        if value == "on" and self.on_command_type == "brightness":
            return (self._brightness(100),)
        return (Message(self.command_topic, (self.payload_on if value == "on" else self.payload_off).encode()),)

    def _dim(self, value: Value) -> tuple[Message, ...]:
        return self._together(self._brightness(float(value)))

    def _warm(self, value: Value) -> tuple[Message, ...]:
        raw = self.white.raw(float(value))
        return self._together(say(self.color_temp_command_topic or "", self.color_temp_command_template, raw))

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
        raw = raw_of(self.brightness_scale)(percent)
        return say(self.brightness_command_topic or "", self.brightness_command_template, raw)

    def _color_message(self, name: str) -> Message | None:
        hue, saturation = colors.hs_of(name)
        if self.hs_command_topic is not None:
            text = f"{plain(hue)},{plain(saturation)}"
            return say(self.hs_command_topic, self.hs_command_template, text, hue=hue, sat=saturation)
        rgb: dict[str, float] = dict(zip(("red", "green", "blue"), colors.rgb_of(name), strict=True))
        for topic, template, way in (
            (self.rgb_command_topic, self.rgb_command_template, "rgb"),
            (self.rgbw_command_topic, self.rgbw_command_template, "rgbw"),
            (self.rgbww_command_topic, self.rgbww_command_template, "rgbww"),
        ):
            if topic is not None:
                parts = {**rgb, **dict.fromkeys(_WHITE_PARTS.get(way, ()), 0)}
                return say(topic, template, ",".join(str(part) for part in parts.values()), **parts)
        if self.xy_command_topic is not None:
            x, y = colors.xy_of(name)
            return say(self.xy_command_topic, self.xy_command_template, f"{x},{y}", x=x, y=y)
        return None


def light(config: Mapping[str, Any]) -> type[ComponentConfig]:
    """Choose the schema. Raise PayloadError for one that is not spoken here."""
    match config.get("schema", "default"):
        case "json":
            return JsonLightConfig
        case "template":
            return TemplateLightConfig
        case "default" | "basic":
            return LightConfig
        case other:
            raise PayloadError(f"schema: expected default, json or template, found {other!a:.40}")


def _white_mode(mode: str) -> Values:
    """A lamp that is warm or cold shows no colour; what colour it shows otherwise, another topic tells."""
    return {"color": "white"} if mode in _WHITE_MODES else {}


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
