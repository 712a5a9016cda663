"""The readers and writers of dialects whose devices tell and take one JSON object."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from edgeagent.act.dialects.channels import number
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, NOTHING, Reader, Values, Writer
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Message, Value

Scalar = str | bool | float | None
Rule = Callable[[Mapping[str, Any]], Values]
"""What one or more properties of a state mean. Raises PayloadError where they make no sense."""
LONGEST_WORD = 64


def json_reader(topic: str, capabilities: tuple[Capability, ...], *rules: Rule) -> Reader:
    """Return the reader of a JSON object by these rules; what makes no sense to one is told, and all is left."""

    def read(payload: bytes) -> Values:
        state = parse(payload, largest=LARGEST_PAYLOAD_BYTES)
        if not isinstance(state, dict):
            raise PayloadError("expected a JSON object")
        values: dict[Capability, Value] = {}
        for rule in rules:
            values.update(rule(state))
        return values

    return Reader(topic, capabilities, read)


def word(capability: Capability, name: str, meanings: Mapping[Scalar, str]) -> Rule:
    """Read one of a property's values; true is not 1."""
    known = {_key(payload): meaning for payload, meaning in meanings.items()}

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(name)
        if told is None:
            return NOTHING
        meaning = known.get(_key(told))
        if meaning is None:
            expected = ", ".join(str(payload) for payload in meanings)
            raise PayloadError(f"{name}: expected one of {expected}, found {told!a:.40}")
        return {capability: meaning}

    return rule


def amount(capability: Capability, name: str, scale: Callable[[float], float] = lambda value: value) -> Rule:
    """Read a number; `scale` takes it from the device's scale to ours."""

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(name)
        if told is None:
            return NOTHING
        if isinstance(told, bool) or not isinstance(told, int | float | str):
            raise PayloadError(f"{name}: expected a number, found {told!a:.40}")
        return {capability: scale(number(str(told)))}

    return rule


def anything(capability: Capability, name: str) -> Rule:
    """Read a number or a short text as it is."""

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(name)
        if told is None or told == "":
            return NOTHING
        if isinstance(told, int | float) and not isinstance(told, bool):
            return {capability: number(str(told))}
        if not isinstance(told, str) or len(told) > LONGEST_WORD or not told.isprintable():
            raise PayloadError(f"{name}: expected a number or a word, found {told!a:.40}")
        return {capability: told}

    return rule


def say_word(topic: str, capability: Capability, name: str, payloads: Mapping[str, Scalar]) -> Writer:
    """Write a property's value for a word."""
    return Writer(capability, lambda value: (message(topic, {name: payloads[str(value)]}),), tuple(payloads))


def say_amount(
    topic: str,
    capability: Capability,
    name: str,
    scale: Callable[[float], float] = lambda value: value,
    back: Callable[[float], float] = lambda value: value,
) -> Writer:
    """Write a number; `scale` takes it from our scale to the device's, `back` from there to what we shall read."""
    return Writer(
        capability,
        lambda value: (message(topic, {name: scale(float(value))}),),
        settle=lambda value: back(scale(value)),
    )


def message(topic: str, properties: Mapping[str, Any]) -> Message:
    """Return the message that sets the properties; whole numbers are written without a fraction."""
    plain = {
        name: int(value) if isinstance(value, float) and value == int(value) else value
        for name, value in properties.items()
    }
    return Message(topic, json.dumps(plain).encode())


def _key(payload: Any) -> str:
    return json.dumps(payload)
