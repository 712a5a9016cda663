"""Home Assistant's things that measure, regulate or are pressed: climate, number, sensors, scene, button."""

from typing import Annotated, Literal

from pydantic import Field

from edgeagent.act.dialects.channels import (
    UNKNOWN,
    Channels,
    number,
    number_reader,
    number_writer,
    text_reader,
    words_reader,
    words_writer,
)
from edgeagent.act.dialects.dialect import Reader, Values, Writer
from edgeagent.act.dialects.homeassistant_schema import ComponentConfig
from edgeagent.act.dialects.schema import CheckedTemplate, Number, Payload, Text, Topic
from edgeagent.errors import PayloadError
from edgeagent.messages import Kind

LONGEST_READING = 64
"""Characters of a reading that is a word."""
RANGE_BY_UNIT = {"C": (7.0, 35.0), "F": (44.0, 95.0)}
"""Home Assistant's least and greatest target temperature where none is announced."""
PREFERRED_MODES = ("heat_cool", "heat", "cool", "auto")
"""What a climate device without a power topic is set to when it is switched on, as Home Assistant chooses."""


class ClimateConfig(ComponentConfig):
    """A thermostat, heater or air conditioner."""

    temperature_unit: Literal["C", "F"] = "C"
    min_temp: Number | None = None
    max_temp: Number | None = None
    modes: Annotated[tuple[Text, ...], Field(max_length=16)] = ("auto", "off", "cool", "heat", "dry", "fan_only")
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"
    power_command_topic: Topic | None = None
    power_command_template: CheckedTemplate | None = None
    mode_command_topic: Topic | None = None
    mode_command_template: CheckedTemplate | None = None
    mode_state_topic: Topic | None = None
    mode_state_template: CheckedTemplate | None = None
    temperature_command_topic: Topic | None = None
    temperature_command_template: CheckedTemplate | None = None
    temperature_state_topic: Topic | None = None
    temperature_state_template: CheckedTemplate | None = None
    current_temperature_topic: Topic | None = None
    current_temperature_template: CheckedTemplate | None = None

    def channels(self) -> Channels:
        """Map power, mode, target temperature and the reading."""
        least, most = RANGE_BY_UNIT[self.temperature_unit]
        least = least if self.min_temp is None else self.min_temp
        most = most if self.max_temp is None else self.max_temp
        if least >= most:
            raise PayloadError("max_temp: expected more than min_temp")
        degrees = f"°{self.temperature_unit}"
        return Channels(
            "climate",
            self._readers(),
            self._writers(),
            {"target_temperature": (least, most)},
            {"target_temperature": degrees, "reading": degrees},
        )

    def _readers(self) -> tuple[Reader, ...]:
        now, target = self.current_temperature_template, self.temperature_state_template
        return (
            *text_reader(self.mode_state_topic, self.mode_state_template, self._mode, "mode", "power"),
            *number_reader(self.temperature_state_topic, target, "target_temperature"),
            *number_reader(self.current_temperature_topic, now, "reading"),
        )

    def _writers(self) -> tuple[Writer, ...]:
        modes = {mode: mode for mode in self.modes}
        return (
            *self._power_writer(),
            *words_writer(self.mode_command_topic, self.mode_command_template, "mode", modes),
            *number_writer(self.temperature_command_topic, self.temperature_command_template, "target_temperature"),
        )

    def _power_writer(self) -> tuple[Writer, ...]:
        if self.power_command_topic is not None:
            payloads = {"on": self.payload_on, "off": self.payload_off}
            return words_writer(self.power_command_topic, self.power_command_template, "power", payloads)
        if "off" not in self.modes:
            return ()
        active = [mode for mode in (*PREFERRED_MODES, *self.modes) if mode in self.modes and mode != "off"]
        payloads_by_mode = {"on": active[0] if active else None, "off": "off"}
        return words_writer(self.mode_command_topic, self.mode_command_template, "power", payloads_by_mode)

    def _mode(self, text: str) -> Values:
        if text in UNKNOWN:
            return {}
        if text not in self.modes:
            raise PayloadError(f"expected one of {', '.join(self.modes)}, found {text!r:.40}")
        return {"mode": text, "power": "off" if text == "off" else "on"}


class NumberConfig(ComponentConfig):
    """A set point."""

    command_topic: Topic
    min: Number = 1
    max: Number = 100

    def channels(self) -> Channels:
        """Map setpoint."""
        if self.min >= self.max:
            raise PayloadError("max: expected more than min")
        return Channels(
            "number",
            number_reader(self.state_topic, self.value_template, "setpoint"),
            number_writer(self.command_topic, self.command_template, "setpoint"),
            {"setpoint": (self.min, self.max)},
            {} if self.unit_of_measurement is None else {"setpoint": self.unit_of_measurement},
        )


class SensorConfig(ComponentConfig):
    """Something that is measured or told."""

    state_topic: Topic
    state_class: Text | None = None

    def channels(self) -> Channels:
        """Map reading: a number where a unit is announced, otherwise what the text looks like."""
        return Channels(
            "sensor",
            text_reader(self.state_topic, self.value_template, self._reading, "reading"),
            units={} if self.unit_of_measurement is None else {"reading": self.unit_of_measurement},
        )

    def _reading(self, text: str) -> Values:
        if text in UNKNOWN:
            return {}
        is_number = self.unit_of_measurement is not None or self.state_class is not None
        try:
            return {"reading": number(text)}
        except PayloadError:
            if is_number or len(text) > LONGEST_READING or not text.isprintable():
                raise
            return {"reading": text}


class BinarySensorConfig(ComponentConfig):
    """Something that is or is not; on and off mean what its device class says."""

    state_topic: Topic
    payload_on: Payload = "ON"
    payload_off: Payload = "OFF"

    def channels(self) -> Channels:
        """Map reading: on or off."""
        words = {self.payload_on: "on", self.payload_off: "off"}
        return Channels("binary_sensor", words_reader(self.state_topic, self.value_template, "reading", words))


class SceneConfig(ComponentConfig):
    """A scene."""

    command_topic: Topic
    payload_on: Payload = "ON"

    def channels(self) -> Channels:
        """Map activate."""
        return Channels("scene", (), words_writer(self.command_topic, None, "activate", {"now": self.payload_on}))


class ButtonConfig(ComponentConfig):
    """Something that is pressed; with `edgeagent_kind: alarm`, the acknowledgement of an alarm."""

    command_topic: Topic
    payload_press: Payload = "PRESS"

    def channels(self) -> Channels:
        """Map activate, or acknowledge for an alarm."""
        pressed = {"now": self.payload_press}
        if self.edgeagent_kind == "alarm":
            return Channels(
                "alarm", (), words_writer(self.command_topic, self.command_template, "acknowledge", pressed)
            )
        kind: Kind = "machine" if self.edgeagent_kind == "machine" else "scene"
        return Channels(kind, (), words_writer(self.command_topic, self.command_template, "activate", pressed))
