"""What a Homie node's properties make of it: how it is read and written."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import (
    PERCENT,
    Channels,
    number,
    number_reader,
    number_writer,
    opened,
    text_reader,
    words_reader,
    words_writer,
)
from edgeagent.act.dialects.dialect import Reader, Values, Writer
from edgeagent.act.dialects.schema import Config, Name, Text
from edgeagent.act.dialects.white import WhiteScale
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Kind, Message

Called = tuple[str, ...]
"""The words of a node's type and name."""
_COVERS = ("blind", "shutter", "cover", "curtain", "awning", "garage", "gate")
_LIGHTS = ("light", "lamp", "bulb", "dimmer", "led")
_LEVELS = ("bright", "dim", "level", "intensity", "speed")
_PAYLOADS = {"on": "true", "off": "false"}
STATES = {"true": "on", "false": "off"}
_LOCK_STATES = {
    "locked": "locked",
    "lock": "locked",
    "unlocked": "unlocked",
    "unlock": "unlocked",
    "true": "locked",
    "false": "unlocked",
    "jammed": "jammed",
}
_COVER_STATES = {
    **{word: word for word in ("open", "closed", "opening", "closing", "stopped")},
    "close": "closed",
    "stop": "stopped",
}


class Property(Config):
    """Something that can be told or set."""

    name: Name = None
    datatype: Text
    format: Text | None = None
    unit: Annotated[str, Field(max_length=32)] | None = None
    settable: bool = False
    retained: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """Return the values of an enumeration."""
        return tuple((self.format or "").split(",")) if self.datatype == "enum" else ()

    @property
    def is_number(self) -> bool:
        """Tell whether it is a number."""
        return self.datatype in {"integer", "float"}

    @property
    def ends(self) -> tuple[float, float] | None:
        """Return the least and the greatest number; None where the format leaves one open."""
        least, _, rest = (self.format or "").partition(":")
        most = rest.partition(":")[0]
        if not least or not most:
            return PERCENT if self.unit == "%" and not self.format else None
        ends = number(least), number(most)
        if ends[0] >= ends[1]:
            raise PayloadError(f"format: {self.format!a:.40}: expected the least first")
        return ends


class Node(Config):
    """A part of a device."""

    name: Name = None
    type: Text = ""
    properties: Annotated[dict[str, Property], Field(max_length=64, default_factory=dict)]


@dataclass(frozen=True, slots=True)
class Part:
    """A node that is being read: where its properties are, and those that nothing has been made of yet."""

    topic: str
    node: Node
    free: dict[str, Property]

    def take(self, is_wanted: Callable[[str, Property], bool]) -> tuple[str, Property] | None:
        """Return the first property that is wanted, with its topic; nothing else is made of it."""
        for key, one in self.free.items():
            if is_wanted(key, one):
                del self.free[key]
                return f"{self.topic}/{key}", one
        return None


def passage_of(node: Node) -> str | None:
    """Return the device class of a node that keeps people out, by its type and name."""
    return next((word for word in ("garage", "gate", "door") if _is_called(_called(node), (word,))), None)


def main_channels(part: Part) -> Channels | None:
    """Return what a node is as a whole: the first of the kinds that its properties make; None if it is none."""
    called = _called(part.node)
    return _lock(part, called) or _cover(part, called) or _climate(part) or _switched(part, called)


def _lock(part: Part, called: Called) -> Channels | None:
    found = part.take(lambda _, one: one.settable and bool({"lock", "locked"} & {*one.words}))
    if found is None and _is_called(called, ("lock",)):
        found = part.take(lambda _, one: one.settable and one.datatype == "boolean")
    if found is None:
        return None
    topic, one = found
    payloads = {"locked": _first(one, "lock", "locked"), "unlocked": _first(one, "unlock", "unlocked")}
    if one.datatype == "boolean":
        payloads = {"locked": "true", "unlocked": "false"}
    readers = words_reader(topic, None, "lock", _LOCK_STATES)
    return Channels("lock", readers, words_writer(f"{topic}/set", None, "lock", payloads))


def _cover(part: Part, called: Called) -> Channels | None:
    is_cover = _is_called(called, _COVERS)
    moved = part.take(
        lambda _, one: one.settable and {"open"} < {*one.words} and not {"close", "closed"}.isdisjoint(one.words)
    )
    placed = part.take(lambda _, one: one.settable and one.is_number and one.unit == "%") if is_cover or moved else None
    if moved is None and placed is None:
        return None
    readers: tuple[Reader, ...] = ()
    writers: tuple[Writer, ...] = ()
    if placed is not None:
        topic = placed[0]
        readers += text_reader(
            topic, None, lambda text: opened(number(text), has_state=moved is not None), "position", "opening"
        )
        writers += number_writer(f"{topic}/set", None, "position", round, float)
    if moved is not None:
        topic, one = moved
        payloads = {"open": "open", "closed": _first(one, "close", "closed"), "stopped": _first(one, "stop", "stopped")}
        readers += words_reader(topic, None, "opening", _COVER_STATES)
        writers += words_writer(f"{topic}/set", None, "opening", payloads)
    elif placed is not None:
        writers += words_writer(f"{placed[0]}/set", None, "opening", {"open": "100", "closed": "0"})
    kind: Kind = "valve" if _is_called(called, ("valve",)) else "cover"
    return Channels(kind, readers, writers, {"position": PERCENT}, {"position": "%"})


def _climate(part: Part) -> Channels | None:
    target = part.take(
        lambda _, one: one.settable and one.is_number and one.unit in {"°C", "°F"} and one.ends is not None
    )
    if target is None:
        return None
    topic, one = target
    unit, ends = one.unit or "°C", one.ends or PERCENT
    readers = number_reader(topic, None, "target_temperature")
    writers = number_writer(f"{topic}/set", None, "target_temperature")
    if (now := part.take(lambda _, other: not other.settable and other.is_number and other.unit == unit)) is not None:
        readers += number_reader(now[0], None, "reading")
    if (power := part.take(lambda _, other: other.settable and other.datatype == "boolean")) is not None:
        readers += words_reader(power[0], None, "power", STATES)
        writers += words_writer(f"{power[0]}/set", None, "power", _PAYLOADS)
    units: dict[Capability, str] = {"target_temperature": unit, "reading": unit}
    return Channels("climate", readers, writers, {"target_temperature": ends}, units)


def _switched(part: Part, called: Called) -> Channels | None:
    power = part.take(lambda _, one: one.settable and one.datatype == "boolean")
    level = part.take(lambda key, one: one.settable and one.is_number and one.ends is not None and _is_level(key, one))
    color = part.take(lambda _, one: one.settable and one.datatype == "color")
    is_light = color is not None or _is_called(called, _LIGHTS)
    if power is None and not (is_light and level is not None):
        if level is not None:  # a set point, then
            part.free[level[0].rpartition("/")[2]] = level[1]
        return None
    kind: Kind = (
        "fan" if _is_called(called, ("fan", "ventilat")) else "light" if is_light or level is not None else "switch"
    )
    readers: tuple[Reader, ...] = ()
    writers: tuple[Writer, ...] = ()
    if power is not None:
        readers += words_reader(power[0], None, "power", STATES)
        writers += words_writer(f"{power[0]}/set", None, "power", _PAYLOADS)
    capability: Capability = "speed" if kind == "fan" else "brightness"
    warmth = _warmth(part) if kind == "light" else Channels(kind)
    readers += warmth.readers
    writers += warmth.writers
    if level is not None:
        topic, one = level
        least, most = one.ends or PERCENT
        to_raw, to_percent = _raw_of(least, most, whole=one.datatype == "integer"), _percent_of(least, most)
        readers += number_reader(topic, None, capability, to_percent)
        writers += number_writer(f"{topic}/set", None, capability, to_raw, to_percent)
    if color is not None:
        topic, one = color
        write = _say_hsv if "rgb" not in (one.format or "rgb").split(",") else _say_rgb
        readers += text_reader(topic, None, _color, "color")
        writers += (
            Writer("color", lambda value: (Message(f"{topic}/set", write(str(value)).encode()),), colors.COLORS),
        )
    return Channels(kind, readers, writers, {capability: (1, 100), **warmth.ranges}, {capability: "%", **warmth.units})


def _warmth(part: Part) -> Channels:
    """Return the colour temperature of a light, in kelvin or mireds; nothing where it has none."""
    found = part.take(
        lambda _, one: one.settable and one.is_number and one.unit in {"K", "MK⁻¹"} and one.ends is not None
    )
    if found is None:
        return Channels("light")
    topic, one = found
    white = WhiteScale(*(one.ends or PERCENT), is_kelvin=one.unit == "K")
    return Channels(
        "light",
        number_reader(topic, None, "color_temperature", white.kelvin),
        number_writer(f"{topic}/set", None, "color_temperature", white.raw, white.kelvin),
        {"color_temperature": white.ends},
        {"color_temperature": "K"},
    )


def _called(node: Node) -> Called:
    return tuple(re.findall("[a-z]+", f"{node.type} {node.name or ''}".lower()))


def _is_called(called: Called, beginnings: tuple[str, ...]) -> bool:
    return any(word.startswith(beginnings) for word in called)


def _is_level(key: str, one: Property) -> bool:
    return one.unit == "%" or any(word in key for word in _LEVELS)


def _first(one: Property, *spelled: str) -> str | None:
    return next((word for word in spelled if word in one.words), None)


def _percent_of(least: float, most: float) -> Callable[[float], float]:
    return lambda raw: float(min(max(round((raw - least) * 100 / (most - least)), 0), 100))


def _raw_of(least: float, most: float, *, whole: bool) -> Callable[[float], float]:
    def raw(percent: float) -> float:
        exact = least + percent * (most - least) / 100
        return max(round(exact), round(least) + 1) if whole else exact  # the least is off, and that is another order

    return raw


def _say_rgb(name: str) -> str:
    return "rgb," + ",".join(str(part) for part in colors.rgb_of(name))


def _say_hsv(name: str) -> str:
    hue, saturation = colors.hs_of(name)
    return f"hsv,{hue:g},{saturation:g},100"


def _color(text: str) -> Values:
    space, *parts = text.split(",", maxsplit=4)
    numbers = [number(part) for part in parts]
    match space, len(numbers):
        case "rgb", 3:
            return {"color": colors.name_of_rgb(*numbers)}
        case "hsv", 3:
            return {"color": colors.name_of_hs(numbers[0], numbers[1])}
        case "xyz", 2 | 3:
            return {"color": colors.name_of_xy(numbers[0], numbers[1])}
    raise PayloadError(f"expected a colour, found {text!a:.40}")
