"""Tasmota's own discovery: `tasmota/discovery/<MAC>/config` and `/sensors`.

Rules:
- a relay is a switch, a light or, two by two, a shutter, as the announcement says; a light's brightness and colour go
  by the apparatus's one dimmer, its colour temperature is in mireds; an iFan's fan has three steps;
- a shutter has slats if its announcement says from which to which angle they turn, and for how long;
- the friendly name of a relay is what it is called; where it has none, the apparatus's name and its number;
- the MAC address is the identity; what a sensor tells is read from `tele/…/SENSOR`.

Format: Tasmota's documentation, "MQTT", "Commands", and what its firmware sends (`xdrv_12_discovery.ino`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgeagent.act.dialects.channels import Channels
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Announcement, Entity, Presence, Removal
from edgeagent.act.dialects.json_channels import amount, json_reader
from edgeagent.act.dialects.schema import LONGEST_NAME, thing_of, validate
from edgeagent.act.dialects.tasmota_parts import (
    LIGHT,
    SHUTTER,
    SWITCH,
    TasmotaConfig,
    fan_channels,
    light_channels,
    relay_channels,
    say,
    shutter_channels,
    within,
)
from edgeagent.act.dialects.templates import decode
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Device

MOST_APPARATUS = 4_000
MOST_MEASURED = 64
_TOPIC = re.compile(r"tasmota/discovery/(?P<mac>[0-9A-F]{12})/(?P<what>config|sensors)")
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
        shutters = [at for at, kind in enumerate(config.rl) if kind == SHUTTER]
        for at, kind in enumerate(config.rl):
            if kind == SWITCH or (kind == LIGHT and config.ifan):
                yield self._entity(
                    source, config, f"relay:{at + 1}", _relay_name(config, at), relay_channels(config, at)
                )
            elif kind == LIGHT:
                yield self._entity(
                    source, config, f"light:{at + 1}", _relay_name(config, at), light_channels(config, at)
                )
        for order, at in enumerate(shutters[::2], start=1):
            yield self._entity(
                source, config, f"shutter:{order}", _relay_name(config, at), shutter_channels(config, order)
            )
        if config.ifan:
            yield self._entity(source, config, "fan", f"{config.dn or config.t} fan", fan_channels(config))
        yield from self._sensors(source, config, apparatus.sensors)

    def _sensors(self, source: str, config: TasmotaConfig, sensors: Mapping[str, Any]) -> Iterator[Entity]:
        measured = [(part, key) for part, told in sensors.items() if isinstance(told, dict) for key in told]
        often = Counter(key for _, key in measured)
        unit_of_heat = "°F" if sensors.get("TempUnit") == "F" else "°C"
        for part, key in measured[:MOST_MEASURED]:
            if key not in _QUANTITIES:
                continue
            device_class, unit = _QUANTITIES[key]
            rule = within(part, amount("reading", key))
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
        asks = (say(config, question, ""),) if channels.writers else ()
        return Entity(device, source, channels.readers, channels.writers, (presence,), asks=asks)


def _relay_name(config: TasmotaConfig, at: int) -> str:
    own = config.fn[at] if at < len(config.fn) else None
    whole = config.dn or config.t
    return own or (whole if sum(1 for kind in config.rl if kind) == 1 else f"{whole} {at + 1}")
