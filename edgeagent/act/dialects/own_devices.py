"""The owner's own devices: a YAML file that says on which topics each is ordered and told.

    - name: Pool pump
      kind: machine
      area: Garden
      available: {topic: pool/lwt, online: "1", offline: "0"}
      run:
        order: {topic: pool/pump/set, words: {running: "1", stopped: "0"}}
        state: {topic: pool/pump, template: "{{ value_json.on }}"}
    - name: Boiler pressure
      kind: number
      setpoint: {order: {topic: boiler/set}, state: {topic: boiler/is}, least: 0, most: 6, unit: bar}
    - name: Desk lamp
      kind: light
      power: {order: {topic: lamp/set, words: {"on": "1", "off": "0"}}, state: {topic: lamp}}
      color_temperature: {order: {topic: lamp/kelvin/set}, state: {topic: lamp/kelvin}, least: 2200, most: 6500}
    - name: Slats
      kind: cover
      tilt: {order: {topic: slats/set}, state: {topic: slats}}
    - name: Washing programme
      kind: select
      option: {order: {topic: washer/set, words: {cotton: "3", wool: "7"}}, state: {topic: washer}}
    - name: Door sign
      kind: text
      text: {order: {topic: sign/set}, state: {topic: sign}, most: 20}
    - name: House alarm
      kind: alarm_panel
      arming:
        order: {topic: alarm/set, words: {armed_away: AWAY, armed_home: STAY, disarmed: "OFF"}}
        state: {topic: alarm, words: {AWAY: armed_away, STAY: armed_home, "OFF": disarmed, EXIT: arming}}

Rules:
- `words` of an order go from our word to the device's payload; those of a state are the same unless given;
- a number is written as it is, or by the order's template; `least` and `most` are its range, 0 to 100 where it is in
  percent; `color_temperature` is in kelvin;
- a text is written as it is, or by the order's template; `least` and `most` are its characters, 1 to 255 where untold;
- the file is the owner's, so what is wrong in it is an error with its place, and never left out silently.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeagent.act.dialects.channels import (
    Channels,
    number_reader,
    number_writer,
    text_reader,
    words_reader,
    words_writer,
)
from edgeagent.act.dialects.channels import number as finite
from edgeagent.act.dialects.dialect import Announcement, Entity, Presence, Reader, Values, Writer
from edgeagent.act.dialects.schema import CheckedTemplate, Name, Number, Payload, Topic
from edgeagent.act.dialects.templates import decode
from edgeagent.act.dialects.texts import LONGEST_TEXT, Texts, free_text_reader, free_text_writer
from edgeagent.errors import PayloadError, SettingsError
from edgeagent.files import read_text
from edgeagent.grammar.commands import read_yaml
from edgeagent.messages import Capability, Device, Kind

NAME = "own"
_EXAMPLE = "For example - {name: Fan, kind: switch, power: {order: {topic: fan/set, words: {'on': '1', 'off': '0'}}}}"
WORDS: Mapping[Capability, frozenset[str]] = {
    "power": frozenset({"on", "off"}),
    "opening": frozenset({"open", "closed", "stopped"}),
    "lock": frozenset({"locked", "unlocked"}),
    "playback": frozenset({"playing", "paused", "next", "previous"}),
    "cleaning": frozenset({"cleaning", "docked", "stopped"}),
    "activate": frozenset({"now"}),
    "run": frozenset({"running", "stopped"}),
    "acknowledge": frozenset({"now"}),
    "arming": frozenset({"disarmed", "armed_home", "armed_away", "armed_night"}),
}
"""What can be ordered of capabilities with words of ours; `mode` and `option` take the device's."""
PERCENTAGES: frozenset[Capability] = frozenset({"brightness", "position", "tilt", "speed", "volume"})
NUMBERS: frozenset[Capability] = PERCENTAGES | {"target_temperature", "setpoint", "color_temperature"}
_UNITS: Mapping[Capability, str] = {"color_temperature": "K", **dict.fromkeys(PERCENTAGES, "%")}
"""Those that are ours, and not the device's."""


class Strict(BaseModel):
    """The owner wrote it: what we do not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Ordered(Strict):
    """Where and how a value is ordered."""

    topic: Topic
    words: Annotated[dict[str, Payload], Field(max_length=32, default_factory=dict)]
    template: CheckedTemplate | None = None


class Told(Strict):
    """Where and how a value is told; `words` go from the device's payload to our word."""

    topic: Topic
    words: Annotated[dict[str, str], Field(max_length=32, default_factory=dict)]
    template: CheckedTemplate | None = None


class Ability(Strict):
    """What a device can, or tells."""

    order: Ordered | None = None
    state: Told | None = None
    least: Number | None = None
    most: Number | None = None
    unit: Annotated[str, Field(max_length=32)] | None = None


class Available(Strict):
    """Where a device tells whether it is there."""

    topic: Topic
    online: Payload = "online"
    offline: Payload = "offline"


class OwnDevice(Strict):
    """One entry of the file: what it is, and by their names what it can."""

    name: Annotated[Name, Field(min_length=1)]
    kind: Kind
    area: Name = None
    aliases: Annotated[tuple[Name, ...], Field(max_length=16)] = ()
    device_class: Annotated[str, Field(max_length=32)] | None = None
    available: Available | None = None
    abilities: dict[Capability, Ability]

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, entry: Any) -> Any:
        """Gather what stands under names of capabilities."""
        if not isinstance(entry, dict):
            raise ValueError("expected a table of fields")  # noqa: TRY004 - pydantic turns ValueError into a complaint
        able = {key: value for key, value in entry.items() if key in get_args(Capability)}
        if not able:
            raise ValueError(f"it can nothing: expected one of {', '.join(get_args(Capability))}")
        return {key: value for key, value in entry.items() if key not in able} | {"abilities": able}


def own_devices(path: Path) -> Announcement:
    """Return the devices of a file. Raise SettingsError naming the entry and the field that is wrong."""
    entries = _read(path)
    entities: dict[str, Entity] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{path}: entry {number}"
        try:
            device = OwnDevice.model_validate(entry)
            entity = _entity(device, str(path))
        except ValidationError as error:
            details = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in details["loc"] if part != "abilities")
            complaint = details["msg"].removeprefix("Value error, ")
            found = f", found {details['input']!r:.60}" if place else ""
            raise SettingsError(
                f"{where}: {f'{place}: ' if place else ''}{complaint}{found}", remedy=_EXAMPLE
            ) from error
        except PayloadError as error:
            raise SettingsError(f"{where}: {error}", remedy=_EXAMPLE) from error
        if entity.device.id in entities:
            raise SettingsError(
                f"{where}: {device.name!r} stands there twice", remedy="Give each its own name or area."
            )
        entities[entity.device.id] = entity
    return Announcement(str(path), tuple(entities.values()))


def _entity(device: OwnDevice, source: str) -> Entity:
    parts = [_channels(device.kind, capability, ability) for capability, ability in device.abilities.items()]
    readers = tuple(reader for part in parts for reader in part.readers)
    writers = tuple(writer for part in parts for writer in part.writers)
    reads = {one for reader in readers for one in reader.capabilities if one == "reading"}
    described = Device(
        id=f"{NAME}:{device.area or ''}:{device.name}",
        name=device.name or "",
        kind=device.kind,
        capabilities=frozenset({writer.capability for writer in writers} | reads),
        area=device.area,
        aliases=tuple(alias for alias in device.aliases if alias),
        dialect=NAME,
        device_class=device.device_class,
        ranges={name: ends for part in parts for name, ends in part.ranges.items()},
        units={name: unit for part in parts for name, unit in part.units.items()},
    )
    return Entity(described, source, readers, writers, _presences(device.available))


def _channels(kind: Kind, capability: Capability, ability: Ability) -> Channels:
    order, state = ability.order, ability.state
    unit = _UNITS.get(capability) if ability.unit is None else ability.unit
    units: dict[Capability, str] = {} if unit is None else {capability: unit}
    if order is None and state is None:
        raise PayloadError(f"{capability}: expected `order`, `state` or both")
    if capability == "reading":
        if state is None or order is not None:
            raise PayloadError("reading: is told and never ordered: expected `state` alone")
        return Channels(kind, _reading(state), units=units)
    if capability in NUMBERS:
        percent = capability in PERCENTAGES
        least = 0.0 if percent and ability.least is None else ability.least
        most = 100.0 if percent and ability.most is None else ability.most
        if least is None or most is None or least >= most:
            raise PayloadError(f"{capability}: expected `least` and `most`, the least first")
        readers = () if state is None else number_reader(state.topic, state.template, capability)
        writers = () if order is None else number_writer(order.topic, order.template, capability)
        return Channels(kind, readers, writers, {capability: (least, most)}, units)
    if capability == "text":
        return _text(kind, ability)
    return Channels(kind, _words(state, order, capability), _orders(order, capability))


def _text(kind: Kind, ability: Ability) -> Channels:
    order, state = ability.order, ability.state
    if (order is not None and order.words) or (state is not None and state.words):
        raise PayloadError("text: takes any text: expected no `words`; what has words is an `option`")
    least, most = ability.least or 0, LONGEST_TEXT if ability.most is None else ability.most
    texts = Texts(int(least), int(most), is_quoted=order is not None and order.template is not None)
    readers = () if state is None else free_text_reader(state.topic, state.template)
    return Channels(kind, readers, () if order is None else free_text_writer(order.topic, order.template, texts))


def _orders(order: Ordered | None, capability: Capability) -> tuple[Writer, ...]:
    if order is None:
        return ()
    known = WORDS.get(capability)
    if not order.words or (known is not None and not known >= set(order.words)):
        expected = "some" if known is None else ", ".join(sorted(known))
        raise PayloadError(f"{capability}.order.words: expected {expected}, found {', '.join(order.words) or 'none'}")
    return words_writer(order.topic, order.template, capability, order.words)


def _words(state: Told | None, order: Ordered | None, capability: Capability) -> tuple[Reader, ...]:
    if state is None:
        return ()
    words = state.words or ({} if order is None else {payload: word for word, payload in order.words.items()})
    if not words:
        raise PayloadError(f"{capability}.state.words: expected what the device's payloads mean")
    return words_reader(state.topic, state.template, capability, words)


def _reading(state: Told) -> tuple[Reader, ...]:
    if state.words:
        return words_reader(state.topic, state.template, "reading", state.words)

    def meaning(text: str) -> Values:
        try:
            return {"reading": finite(text)}
        except PayloadError:
            if not text or len(text) > 64 or not text.isprintable():  # noqa: PLR2004 - as much as anybody says
                raise
            return {"reading": text}

    return text_reader(state.topic, state.template, meaning, "reading")


def _presences(available: Available | None) -> tuple[Presence, ...]:
    if available is None:
        return ()
    words = {available.online: True, available.offline: False}
    return (Presence(available.topic, lambda payload: words.get(decode(payload).strip())),)


def _read(path: Path) -> Sequence[Any]:
    document = read_yaml(read_text(path, "Name a readable YAML file of devices."), str(path))
    if not isinstance(document, list):
        raise SettingsError(f"{path}: expected a list of devices", remedy=_EXAMPLE)
    return document
