"""Tasmota's own discovery: `tasmota/discovery/<MAC>/config` and `/sensors`.

Rules:
- a relay is a switch, a light or, two by two, a shutter, as the announcement says; a light's brightness and colour go
  by the apparatus's one dimmer; an iFan's fan has three steps;
- the friendly name of a relay is what it is called; where it has none, the apparatus's name and its number;
- the MAC address is the identity; what a sensor tells is read from `tele/…/SENSOR`.

Format: Tasmota's documentation, "MQTT", "Commands", and what its firmware sends (`xdrv_12_discovery.ino`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field

from edgeagent.act.dialects import colors
from edgeagent.act.dialects.channels import PERCENT, Channels, number, opened
from edgeagent.act.dialects.dialect import (
    LARGEST_PAYLOAD_BYTES,
    NOTHING,
    Announcement,
    Entity,
    Presence,
    Reader,
    Removal,
    Values,
    Writer,
)
from edgeagent.act.dialects.json_channels import Rule, amount, json_reader, word
from edgeagent.act.dialects.schema import LONGEST_NAME, Config, Name, Text, Topic, thing_of, validate
from edgeagent.act.dialects.templates import decode
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Device, Message, Value

MOST_APPARATUS = 4_000
MOST_MEASURED = 64
_TOPIC = re.compile(r"tasmota/discovery/(?P<mac>[0-9A-F]{12})/(?P<what>config|sensors)")
_SWITCH, _LIGHT, _SHUTTER = 1, 2, 3
_DIMMABLE, _COLORED = 1, 3
"""From which light subtype on."""
_FAN_STEPS = 3
_QUANTITIES: Mapping[str, tuple[str, str]] = {
    "Temperature": ("temperature", "°C"),
    "Humidity": ("humidity", "%"),
    "Pressure": ("pressure", "hPa"),
    "Illuminance": ("illuminance", "lx"),
    "CarbonDioxide": ("carbon_dioxide", "ppm"),
    "Power": ("power", "W"),
    "Voltage": ("voltage", "V"),
    "Current": ("current", "A"),
    "Total": ("energy", "kWh"),
}
"""What is asked for, by its key in a sensor's object: its device class and its unit."""


class TasmotaConfig(Config):
    """What an apparatus says of itself; the names are the firmware's."""

    dn: Name = None
    fn: Annotated[tuple[Name, ...], Field(max_length=32)] = ()
    t: Annotated[str, Field(min_length=1, max_length=128)]
    ft: Annotated[str, Field(min_length=1, max_length=128)] = "%prefix%/%topic%/"
    tp: Annotated[tuple[Text, Text, Text], Field()] = ("cmnd", "stat", "tele")
    hn: Text = ""
    mac: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{12}$")]
    ofln: Text = "Offline"
    onln: Text = "Online"
    state: Annotated[tuple[Text, ...], Field(min_length=2, max_length=8)] = ("OFF", "ON", "TOGGLE", "HOLD")
    rl: Annotated[tuple[int, ...], Field(max_length=32)] = ()
    sho: Annotated[tuple[int, ...], Field(max_length=32)] = ()
    lt_st: int = 0
    ifan: Annotated[int, Field(alias="if")] = 0

    def topic(self, prefix: int, what: str) -> str:
        """Return a topic of the apparatus: 0 to order, 1 its answers, 2 what it tells by itself. Raise PayloadError."""
        base = self.ft.replace("%prefix%", self.tp[prefix]).replace("%topic%", self.t)
        base = base.replace("%hostname%", self.hn).replace("%id%", self.mac[-6:])
        return validate(_Spoken, {"topic": f"{base.rstrip('/')}/{what}"}).topic


class _Spoken(Config):
    topic: Topic


@dataclass(slots=True)
class _Apparatus:
    config: TasmotaConfig | None = None
    sensors: Mapping[str, Any] = field(default_factory=dict)


class Tasmota:
    """The dialect. It remembers both announcements of an apparatus: what is measured is told without topics."""

    name = "tasmota"
    filters = ("tasmota/discovery/+/config", "tasmota/discovery/+/sensors")

    def __init__(self) -> None:
        """Know no apparatus."""
        self._known: dict[str, _Apparatus] = {}

    def source(self, topic: str) -> str:
        """Return the topic of the apparatus's configuration: its sensors are announced with it."""
        return f"{topic.rpartition('/')[0]}/config"

    def discover(self, topic: str, payload: bytes) -> Announcement | Removal:
        """Read an announcement. Raise PayloadError, saying what is wrong and where."""
        form = _TOPIC.fullmatch(topic)
        if form is None:
            raise PayloadError("topic: expected tasmota/discovery/<MAC>/config or /sensors")
        mac = form["mac"]
        source = self.source(topic)
        if not payload and topic == source:
            self._known.pop(mac, None)
            return Removal(source)
        told = parse(payload, largest=LARGEST_PAYLOAD_BYTES) if payload else {}
        if not isinstance(told, dict):
            raise PayloadError("expected a JSON object")
        if mac not in self._known and len(self._known) >= MOST_APPARATUS:
            raise PayloadError(f"there are {MOST_APPARATUS} apparatus already")
        if topic == source:
            config = validate(TasmotaConfig, told)
            if config.mac.upper() != mac:
                raise PayloadError(f"mac: expected that of the topic, found {config.mac}")
            if not all(part in config.ft for part in ("%prefix%", "%topic%")):
                raise PayloadError(f"ft: expected %prefix% and %topic% in it, found {config.ft!a:.40}")
            self._known.setdefault(mac, _Apparatus()).config = config
        else:
            sensors = told.get("sn", {})
            if not isinstance(sensors, dict):
                raise PayloadError("sn: expected an object")
            self._known.setdefault(mac, _Apparatus()).sensors = sensors
        apparatus = self._known[mac]
        return Announcement(source, tuple(self._entities(source, apparatus)))

    def _entities(self, source: str, apparatus: _Apparatus) -> Iterator[Entity]:
        config = apparatus.config
        if config is None:  # its sensors came first
            return
        shutters = [at for at, kind in enumerate(config.rl) if kind == _SHUTTER]
        for at, kind in enumerate(config.rl):
            if kind == _SWITCH or (kind == _LIGHT and config.ifan):
                yield self._entity(source, config, f"relay:{at + 1}", _relay_name(config, at), _relay(config, at))
            elif kind == _LIGHT:
                yield self._entity(source, config, f"light:{at + 1}", _relay_name(config, at), _light(config, at))
        for order, at in enumerate(shutters[::2], start=1):
            yield self._entity(source, config, f"shutter:{order}", _relay_name(config, at), _shutter(config, order))
        if config.ifan:
            yield self._entity(source, config, "fan", f"{config.dn or config.t} fan", _fan(config))
        yield from self._sensors(source, config, apparatus.sensors)

    def _sensors(self, source: str, config: TasmotaConfig, sensors: Mapping[str, Any]) -> Iterator[Entity]:
        measured = [(part, key) for part, told in sensors.items() if isinstance(told, dict) for key in told]
        often = Counter(key for _, key in measured)
        unit_of_heat = "°F" if sensors.get("TempUnit") == "F" else "°C"
        for part, key in measured[:MOST_MEASURED]:
            if key not in _QUANTITIES:
                continue
            device_class, unit = _QUANTITIES[key]
            rule = _within(part, amount("reading", key))
            reader = json_reader(config.topic(2, "SENSOR"), ("reading",), rule)
            units: dict[Capability, str] = {"reading": unit_of_heat if key == "Temperature" else unit}
            whole = f"{config.dn or config.t} {part}" if often[key] > 1 else config.dn or config.t
            name = f"{whole} {device_class.replace('_', ' ')}"
            channels = Channels("sensor", (reader,), units=units)
            entity = self._entity(source, config, f"{part}:{key}", name, channels)
            yield replace(entity, device=replace(entity.device, device_class=device_class))

    def _entity(self, source: str, config: TasmotaConfig, part: str, name: str, channels: Channels) -> Entity:
        orders: set[Capability] = {writer.capability for writer in channels.writers}
        device = Device(
            id=f"{self.name}:{config.mac.upper()}:{part}"[:128],
            name=name[:LONGEST_NAME],
            kind=channels.kind,
            capabilities=frozenset(orders or {"reading"}),
            aliases=() if config.dn is None or name.startswith(config.dn) else (f"{config.dn} {name}"[:LONGEST_NAME],),
            dialect=self.name,
            ranges=channels.ranges,
            units=channels.units,
            thing=thing_of(config.mac),
        )
        words = {config.onln: True, config.ofln: False}
        presence = Presence(config.topic(2, "LWT"), lambda payload: words.get(decode(payload).strip()))
        is_shutter = channels.kind == "cover"  # a position is told only when it is asked for, or has changed
        question = f"ShutterPosition{part.rpartition(':')[2]}" if is_shutter else "STATE"
        asks = (_say(config, question, ""),) if channels.writers else ()
        return Entity(device, source, channels.readers, channels.writers, (presence,), asks=asks)


def _relay_name(config: TasmotaConfig, at: int) -> str:
    own = config.fn[at] if at < len(config.fn) else None
    whole = config.dn or config.t
    return own or (whole if sum(1 for kind in config.rl if kind) == 1 else f"{whole} {at + 1}")


def _relay(config: TasmotaConfig, at: int) -> Channels:
    rules, writer = _power(config, at)
    return Channels("switch", _readers(config, ("power",), *rules), (writer,))


def _light(config: TasmotaConfig, at: int) -> Channels:
    rules, writer = _power(config, at)
    writers: list[Writer] = [writer]
    known: list[Capability] = ["power"]
    if config.lt_st >= _DIMMABLE:
        rules.append(amount("brightness", "Dimmer"))
        writers.append(_amount(config, "brightness", "Dimmer"))
        known.append("brightness")
    if config.lt_st >= _COLORED:
        rules.append(_color)
        writers.append(Writer("color", lambda value: (_say(config, "Color2", _rgb(str(value))),), colors.COLORS))
        known.append("color")
    readers = _readers(config, tuple(known), *rules)
    return Channels("light", readers, tuple(writers), {"brightness": (1, 100)}, {"brightness": "%"})


def _shutter(config: TasmotaConfig, order: int) -> Channels:
    is_inverted = order <= len(config.sho) and bool(config.sho[order - 1] & 1)
    spelled = {"open": "ShutterOpen", "closed": "ShutterClose", "stopped": "ShutterStop"}

    def turned(percent: float) -> float:
        return 100 - percent if is_inverted else percent

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get(f"Shutter{order}")
        if not isinstance(told, dict) or told.get("Position") is None:
            return NOTHING
        return opened(turned(number(str(told["Position"]))), has_state=False)

    position = _amount(config, "position", f"ShutterPosition{order}", turned)
    opening = Writer("opening", lambda value: (_say(config, f"{spelled[str(value)]}{order}", ""),), tuple(spelled))
    topics = (config.topic(1, "RESULT"), config.topic(2, "SENSOR"))
    readers = tuple(json_reader(topic, ("position", "opening"), rule) for topic in topics)
    return Channels("cover", readers, (opening, position), {"position": PERCENT}, {"position": "%"})


def _fan(config: TasmotaConfig) -> Channels:
    def step(percent: float) -> float:
        return -(-percent * _FAN_STEPS // 100)

    def percent(raw: float) -> float:
        return raw * 100 // _FAN_STEPS

    def rule(state: Mapping[str, Any]) -> Values:
        told = state.get("FanSpeed")
        if told is None:
            return NOTHING
        raw = number(str(told))
        return {"power": "on", "speed": percent(raw)} if raw else {"power": "off"}

    power = Writer("power", lambda value: (_say(config, "FanSpeed", "2" if value == "on" else "0"),), ("on", "off"))
    speed = _amount(config, "speed", "FanSpeed", step, percent)
    readers = _readers(config, ("power", "speed"), rule)
    return Channels("fan", readers, (power, speed), {"speed": (1, 100)}, {"speed": "%"})


def _amount(
    config: TasmotaConfig,
    capability: Capability,
    command: str,
    scale: Callable[[float], float] = lambda value: value,
    back: Callable[[float], float] | None = None,
) -> Writer:
    """Write a whole number; `scale` takes it to the device's scale, `back` from there to what we shall read."""

    def write(value: Value) -> tuple[Message, ...]:
        return (_say(config, command, f"{round(scale(float(value)))}"),)

    return Writer(capability, write, settle=lambda value: round(value) if back is None else back(scale(value)))


def _power(config: TasmotaConfig, at: int) -> tuple[list[Rule], Writer]:
    """Return how a relay is read: by its number, or without one where it is the only relay; and how it is written."""
    off, on = config.state[0], config.state[1]
    is_only = sum(1 for kind in config.rl if kind) == 1
    keys = (f"POWER{at + 1}", "POWER") if is_only else (f"POWER{at + 1}",)
    writer = Writer(
        "power", lambda value: (_say(config, f"POWER{at + 1}", on if value == "on" else off),), ("on", "off")
    )
    return [word("power", key, {on: "on", off: "off"}) for key in keys], writer


def _readers(config: TasmotaConfig, capabilities: tuple[Capability, ...], *rules: Rule) -> tuple[Reader, ...]:
    topics = (config.topic(1, "RESULT"), config.topic(2, "STATE"))
    return tuple(json_reader(topic, capabilities, *rules) for topic in topics)


def _say(config: TasmotaConfig, command: str, payload: str) -> Message:
    return Message(config.topic(0, command), payload.encode())


def _rgb(name: str) -> str:
    return ",".join(str(part) for part in colors.rgb_of(name))


def _color(state: Mapping[str, Any]) -> Values:
    told = state.get("HSBColor")
    if not isinstance(told, str):
        return NOTHING
    parts = [number(part) for part in told.split(",", maxsplit=3)]
    return {"color": colors.name_of_hs(parts[0], parts[1])} if len(parts) >= 2 else NOTHING  # noqa: PLR2004 - hue and saturation


def _within(part: str, rule: Rule) -> Rule:
    def inner(state: Mapping[str, Any]) -> Values:
        told = state.get(part)
        return rule(told) if isinstance(told, dict) else NOTHING

    return inner
