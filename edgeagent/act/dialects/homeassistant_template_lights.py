"""Home Assistant's lights in the template schema: what is ordered and told is put together by templates."""

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import (
    BRIGHTNESS,
    UNKNOWN,
    Channels,
    number,
    number_reader,
    percent_of,
    raw_of,
    say,
    words_reader,
)
from edgeagent.act.dialects.dialect import Reader, Values, Writer
from edgeagent.act.dialects.homeassistant_white import WhiteConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Topic
from edgeagent.messages import Message, Value

_PERCENT, _RAW = percent_of(255), raw_of(255)


class TemplateLightConfig(WhiteConfig):
    """A light whose orders and states are templates."""

    command_topic: Topic
    command_on_template: CheckedTemplate
    command_off_template: CheckedTemplate
    state_template: CheckedTemplate | None = None
    brightness_template: CheckedTemplate | None = None
    color_temp_template: CheckedTemplate | None = None
    red_template: CheckedTemplate | None = None
    green_template: CheckedTemplate | None = None
    blue_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map power, and what there are templates for."""
        writers = [Writer("power", self._switch, ("on", "off"))]
        if self.brightness_template is not None:
            writers.append(Writer("brightness", self._dim, settle=lambda value: _PERCENT(_RAW(value))))
        if self.color_temp_template is not None:
            writers.append(Writer("color_temperature", self._warm, settle=self.white.settled))
        if self._is_colored:
            writers.append(Writer("color", self._tint, colors.COLORS))
        return Channels(
            "light",
            self._readers(),
            tuple(writers),
            {"brightness": BRIGHTNESS, "color_temperature": self.white.ends},
            {"brightness": "%", "color_temperature": "K"},
        )

    @property
    def _is_colored(self) -> bool:
        return None not in {self.red_template, self.green_template, self.blue_template}

    def _readers(self) -> tuple[Reader, ...]:
        if self.state_topic is None:
            return ()
        readers = (
            ()
            if self.state_template is None
            else words_reader(self.state_topic, self.state_template, "power", {"on": "on", "off": "off"})
        )
        if self.brightness_template is not None:
            readers += number_reader(self.state_topic, self.brightness_template, "brightness", _PERCENT)
        if self.color_temp_template is not None:
            warmth = self.white.kelvin
            readers += number_reader(self.state_topic, self.color_temp_template, "color_temperature", warmth)
        if self._is_colored:
            readers += (Reader(self.state_topic, ("color",), self._color),)
        return readers

    def _switch(self, value: Value) -> tuple[Message, ...]:
        if value == "on":
            return (say(self.command_topic, self.command_on_template, "on", state="on"),)
        return (say(self.command_topic, self.command_off_template, "off", state="off"),)

    def _dim(self, value: Value) -> tuple[Message, ...]:
        raw = _RAW(float(value))
        return (say(self.command_topic, self.command_on_template, "on", state="on", brightness=raw),)

    def _warm(self, value: Value) -> tuple[Message, ...]:
        raw = self.white.raw(float(value))
        return (say(self.command_topic, self.command_on_template, "on", state="on", color_temp=raw),)

    def _tint(self, value: Value) -> tuple[Message, ...]:
        red, green, blue = colors.rgb_of(str(value))
        parts = {"red": red, "green": green, "blue": blue}
        return (say(self.command_topic, self.command_on_template, "on", state="on", **parts),)

    def _color(self, payload: bytes) -> Values:
        templates = (self.red_template, self.green_template, self.blue_template)
        parts = [None if one is None else one.read(payload) for one in templates]
        told = [part for part in parts if part is not None and part not in UNKNOWN]
        return {"color": colors.name_of_rgb(*map(number, told))} if len(told) == len(parts) else {}
