"""Home Assistant's rarer things: siren, humidifier, water heater, lawn mower, event, and lights by templates."""

import json
from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import (
    UNKNOWN,
    Channels,
    number,
    number_reader,
    number_writer,
    say,
    text_reader,
    words_reader,
    words_writer,
)
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Reader, Values, Writer
from edgeagent.act.dialects.homeassistant_measures import LONGEST_READING, ClimateConfig
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Number, Payload, Text, Topic
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Message, Value

WATER_RANGE_BY_UNIT = {"C": (43.3, 60.0), "F": (110.0, 140.0)}
"""Home Assistant's least and greatest target of a water heater where none is announced."""
RAW_BRIGHTNESS = 255
_MOWING = {"mowing": "running", "paused": "stopped", "docked": "stopped", "returning": "stopped", "error": "error"}


class SirenConfig(ComponentConfig):
    """A siren: on and off. Without a template the order is JSON; the state is JSON or a word."""

    command_topic: Topic
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"
    state_on: Payload | None = None
    state_off: Payload | None = None
    state_value_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map power."""
        template = self.state_value_template or self.value_template
        readers = text_reader(self.state_topic, template, self._power, "power")
        return Channels("switch", readers, (Writer("power", self._switch, ("on", "off")),))

    def _switch(self, value: Value) -> tuple[Message, ...]:
        word = self.payload_on if value == "on" else self.payload_off
        if self.command_template is None:
            return (Message(self.command_topic, json.dumps({"state": word}).encode()),)
        return (say(self.command_topic, self.command_template, word, state=word),)

    def _power(self, text: str) -> Values:
        told = parse(text, largest=LARGEST_PAYLOAD_BYTES).get("state") if text.startswith("{") else text
        words = {self.state_on or self.payload_on: "on", self.state_off or self.payload_off: "off"}
        if told is None or told in UNKNOWN:
            return {}
        if told not in words:
            raise PayloadError(f"expected one of {', '.join(words)}, found {told!a:.40}")
        return {"power": words[told]}


class HumidifierConfig(ComponentConfig):
    """A humidifier or dehumidifier: on, off, and what humidity it shall reach."""

    command_topic: Topic
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"
    state_value_template: CheckedTemplate | None = None
    target_humidity_command_topic: Topic | None = None
    target_humidity_command_template: CheckedTemplate | None = None
    target_humidity_state_topic: Topic | None = None
    target_humidity_state_template: CheckedTemplate | None = None
    current_humidity_topic: Topic | None = None
    current_humidity_template: CheckedTemplate | None = None
    min_humidity: Number = 0
    max_humidity: Number = 100

    def channels(self) -> Channels:
        """Map power, the target as a set point, and the reading."""
        if self.min_humidity >= self.max_humidity:
            raise PayloadError("max_humidity: expected more than min_humidity")
        power = {"on": self.payload_on, "off": self.payload_off}
        states = {payload: word for word, payload in power.items()}
        target = self.target_humidity_state_template
        return Channels(
            "switch",
            (
                *words_reader(self.state_topic, self.state_value_template or self.value_template, "power", states),
                *number_reader(self.target_humidity_state_topic, target, "setpoint"),
                *number_reader(self.current_humidity_topic, self.current_humidity_template, "reading"),
            ),
            (
                *words_writer(self.command_topic, self.command_template, "power", power),
                *number_writer(
                    self.target_humidity_command_topic, self.target_humidity_command_template, "setpoint", round
                ),
            ),
            {"setpoint": (self.min_humidity, self.max_humidity)},
            {"setpoint": "%", "reading": "%"},
        )


class WaterHeaterConfig(ClimateConfig):
    """A water heater: a heater with modes and a range of its own."""

    modes: Annotated[tuple[Text, ...], Field(max_length=16)] = (
        *("off", "eco", "electric", "gas"),
        *("heat_pump", "high_demand", "performance"),
    )

    def channels(self) -> Channels:
        """Map power, mode, target temperature and the reading."""
        least, most = WATER_RANGE_BY_UNIT[self.temperature_unit]
        whole = self.model_copy(
            update={
                "min_temp": least if self.min_temp is None else self.min_temp,
                "max_temp": most if self.max_temp is None else self.max_temp,
            }
        )
        return super(WaterHeaterConfig, whole).channels()


class LawnMowerConfig(ComponentConfig):
    """A lawn mower: a machine that runs and stops, so that it is asked about before it starts."""

    activity_state_topic: Topic | None = None
    activity_value_template: CheckedTemplate | None = None
    start_mowing_command_topic: Topic | None = None
    start_mowing_command_template: CheckedTemplate | None = None
    pause_command_topic: Topic | None = None
    pause_command_template: CheckedTemplate | None = None
    dock_command_topic: Topic | None = None
    dock_command_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map run; what stops it sends it to its dock where it can be sent there, else it pauses."""
        start = (self.start_mowing_command_topic, self.start_mowing_command_template, "start_mowing")
        dock = (self.dock_command_topic, self.dock_command_template, "dock")
        pause = (self.pause_command_topic, self.pause_command_template, "pause")
        stop = dock if dock[0] is not None else pause
        known = {word: way for word, way in (("running", start), ("stopped", stop)) if way[0] is not None}

        def write(value: Value) -> tuple[Message, ...]:
            topic, template, word = known[str(value)]
            return (say(topic or "", template, word),)

        readers = words_reader(self.activity_state_topic, self.activity_value_template, "run", _MOWING)
        return Channels("machine", readers, (Writer("run", write, tuple(known)),) if known else ())


class EventConfig(ComponentConfig):
    """Something that happens: a button was pressed, a bell was rung. It is told, and never ordered."""

    state_topic: Topic
    event_types: Annotated[tuple[Text, ...], Field(max_length=64)] = ()

    def channels(self) -> Channels:
        """Map reading: the last event."""
        return Channels("sensor", text_reader(self.state_topic, self.value_template, self._event, "reading"))

    def _event(self, text: str) -> Values:
        told = parse(text, largest=LARGEST_PAYLOAD_BYTES)
        event = told.get("event_type") if isinstance(told, dict) else None
        if not isinstance(event, str) or (self.event_types and event not in self.event_types):
            raise PayloadError(f"event_type: expected one of {', '.join(self.event_types)}, found {event!a:.40}")
        return {"reading": event.replace("_", " ")[:LONGEST_READING]}


class TemplateLightConfig(ComponentConfig):
    """A light whose orders and states are templates."""

    command_topic: Topic
    command_on_template: CheckedTemplate
    command_off_template: CheckedTemplate
    state_template: CheckedTemplate | None = None
    brightness_template: CheckedTemplate | None = None
    red_template: CheckedTemplate | None = None
    green_template: CheckedTemplate | None = None
    blue_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map power, and what there are templates for."""
        writers = [Writer("power", self._switch, ("on", "off"))]
        if self.brightness_template is not None:
            writers.append(Writer("brightness", self._dim, settle=lambda percent: _percent(_raw(percent))))
        if self._is_colored:
            writers.append(Writer("color", self._tint, colors.COLORS))
        return Channels("light", self._readers(), tuple(writers), {"brightness": (1, 100)}, {"brightness": "%"})

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
            readers += number_reader(self.state_topic, self.brightness_template, "brightness", _percent)
        if self._is_colored:
            readers += (Reader(self.state_topic, ("color",), self._color),)
        return readers

    def _switch(self, value: Value) -> tuple[Message, ...]:
        if value == "on":
            return (say(self.command_topic, self.command_on_template, "on", state="on"),)
        return (say(self.command_topic, self.command_off_template, "off", state="off"),)

    def _dim(self, value: Value) -> tuple[Message, ...]:
        raw = _raw(float(value))
        return (say(self.command_topic, self.command_on_template, "on", state="on", brightness=raw),)

    def _tint(self, value: Value) -> tuple[Message, ...]:
        red, green, blue = colors.rgb_of(str(value))
        parts = {"red": red, "green": green, "blue": blue}
        return (say(self.command_topic, self.command_on_template, "on", state="on", **parts),)

    def _color(self, payload: bytes) -> Values:
        templates = (self.red_template, self.green_template, self.blue_template)
        parts = [None if one is None else one.read(payload) for one in templates]
        told = [part for part in parts if part is not None and part not in UNKNOWN]
        return {"color": colors.name_of_rgb(*map(number, told))} if len(told) == len(parts) else {}


def _raw(percent: float) -> int:
    return max(1, round(percent / 100 * RAW_BRIGHTNESS))


def _percent(raw: float) -> float:
    return float(min(max(round(raw * 100 / RAW_BRIGHTNESS), 0), 100))
