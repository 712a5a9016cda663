"""What Zigbee2MQTT lists of a device, an "expose" or one of its features, and what several kinds of things share."""

from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects.dialect import Writer
from edgeagent.act.dialects.json_channels import Rule, Scalar, say_word, word
from edgeagent.act.dialects.schema import Config, Number, Text

PUBLISHED, SETTABLE, GETTABLE = 1, 2, 4
"""Bits of `access`."""
MOST_VALUE = 65_535


class Expose(Config):
    """One thing that a device can do or tell. It `says` so under this property of its state."""

    type: Text
    name: Text | None = None
    says: Annotated[Text, Field(alias="property")] = ""
    label: Text | None = None
    endpoint: Text | None = None
    category: Text | None = None
    access: int = 0
    unit: Annotated[str, Field(max_length=32)] | None = None
    value_on: str | bool | float | None = None
    value_off: str | bool | float | None = None
    value_min: Annotated[Number, Field(ge=-MOST_VALUE, le=MOST_VALUE)] | None = None
    value_max: Annotated[Number, Field(ge=-MOST_VALUE, le=MOST_VALUE)] | None = None
    values: Annotated[tuple[str | bool | float, ...], Field(max_length=128)] = ()
    features: Annotated[tuple["Expose", ...], Field(max_length=64)] = ()

    def feature(self, *names: str) -> "Expose | None":
        """Return the first of the features with these names that can be set and has a property."""
        found = {one.name: one for one in reversed(self.features) if one.says and one.access & SETTABLE}
        return next((found[name] for name in names if name in found), None)


def add_power(state: Expose, topic: str, rules: list[Rule], writers: list[Writer]) -> None:
    """Add how power is read and written."""
    on, off = ends_of(state, "ON", "OFF")
    rules.append(word("power", state.says, {on: "on", off: "off"}))
    writers.append(say_word(f"{topic}/set", "power", state.says, {"on": on, "off": off}))


def ends_of(state: Expose, on: str, off: str) -> tuple[Scalar, Scalar]:
    """Return what is told and ordered for on and off; where it is not listed, these."""
    return (
        on if state.value_on is None else state.value_on,
        off if state.value_off is None else state.value_off,
    )
