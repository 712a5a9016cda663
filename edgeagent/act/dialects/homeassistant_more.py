"""Home Assistant's rarer things: siren, humidifier, water heater, lawn mower, event."""

import json
from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects.channels import (
    UNKNOWN,
    Channels,
    number_reader,
    number_writer,
    say,
    text_reader,
    words_reader,
)
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Values, Writer
from edgeagent.act.dialects.homeassistant_measures import LONGEST_READING, ClimateConfig
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig, SwitchedConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Number, Text, Topic
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Message, Value

WATER_RANGE_BY_UNIT = {"C": (43.3, 60.0), "F": (110.0, 140.0)}
"""Home Assistant's least and greatest target of a water heater where none is announced."""
_MOWING = {"mowing": "running", "paused": "stopped", "docked": "stopped", "returning": "stopped", "error": "error"}


class SirenConfig(SwitchedConfig):
    """A siren: on and off. Without a template the order is JSON; the state is JSON or a word."""

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
        if told is None or (isinstance(told, str) and told in UNKNOWN):
            return {}
        if not isinstance(told, str) or told not in self.states:
            raise PayloadError(f"expected one of {', '.join(self.states)}, found {told!a:.40}")
        return {"power": self.states[told]}


class HumidifierConfig(SwitchedConfig):
    """A humidifier or dehumidifier: on, off, and what humidity it shall reach."""

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
        target = self.target_humidity_state_template
        return Channels(
            "switch",
            (
                *self.power_readers(),
                *number_reader(self.target_humidity_state_topic, target, "setpoint"),
                *number_reader(self.current_humidity_topic, self.current_humidity_template, "reading"),
            ),
            (
                *self.power_writers(),
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
