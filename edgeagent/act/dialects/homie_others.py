"""A Homie node's properties that are no part of a thing: set points, selects, texts and sensors."""

from collections.abc import Iterator

from edgeagent.act.dialects.channels import (
    UNKNOWN,
    Channels,
    number_reader,
    number_writer,
    options_of,
    text_reader,
    words_reader,
    words_writer,
)
from edgeagent.act.dialects.dialect import Values
from edgeagent.act.dialects.homie_properties import STATES, Part, Property
from edgeagent.act.dialects.texts import Texts, free_text_reader, free_text_writer
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability

LONGEST_READING = 64


def other_channels(part: Part) -> Iterator[tuple[str, Channels]]:
    """Yield what is left: what is set to a number, a word or a text, and what is told; what is neither has no voice."""
    for key, one in part.free.items():
        channels = _settable(f"{part.topic}/{key}", one) if one.settable else _told(f"{part.topic}/{key}", one)
        if channels is not None:
            yield key, channels


def _settable(topic: str, one: Property) -> Channels | None:
    """Return a set point, a select or a text. Raise PayloadError if its format makes no sense."""
    order = f"{topic}/set"
    if one.is_number and (ends := one.ends) is not None:
        units: dict[Capability, str] = {} if one.unit is None else {"setpoint": one.unit}
        readers = number_reader(topic, None, "setpoint")
        return Channels("number", readers, number_writer(order, None, "setpoint"), {"setpoint": ends}, units)
    if one.datatype == "enum":
        options = options_of(one.words)
        called = {payload: word for word, payload in options.items()}
        return Channels(
            "select", words_reader(topic, None, "option", called), words_writer(order, None, "option", options)
        )
    if one.datatype == "string":
        return Channels("text", free_text_reader(topic, None), free_text_writer(order, None, Texts()))
    return None


def _told(topic: str, one: Property) -> Channels | None:
    if one.is_number:
        units: dict[Capability, str] = {} if one.unit is None else {"reading": one.unit}
        return Channels("sensor", number_reader(topic, None, "reading"), units=units)
    if one.datatype == "boolean":
        return Channels("binary_sensor", words_reader(topic, None, "reading", STATES))
    if one.datatype in {"enum", "string"}:
        return Channels("sensor", text_reader(topic, None, _reading, "reading"))
    return None


def _reading(text: str) -> Values:
    if text in UNKNOWN:
        return {}
    if len(text) > LONGEST_READING or not text.isprintable():
        raise PayloadError(f"expected a short text, found {text!a:.40}")
    return {"reading": text}
