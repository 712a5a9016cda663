"""Home Assistant's MQTT discovery: announcements to entities.

Rules:
- an announcement is on `<prefix>/<component>/[<node>/]<object>/config`, or, with several components, on
  `<prefix>/device/[<node>/]<object>/config`; an empty payload removes;
- `unique_id` is the identity; without it the topic is;
- what belongs to maintenance (`entity_category`) or is switched off by default has no voice;
- what edgeagent announces is no thing of the house: it is this device, or another like it, showing itself there;
- `retain` and `qos` of orders are ours to choose.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeagent.act.dialects.channels import Channels
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Announcement, Entity, Presence, Removal
from edgeagent.act.dialects.homeassistant_lights import light
from edgeagent.act.dialects.homeassistant_measures import (
    BinarySensorConfig,
    ButtonConfig,
    ClimateConfig,
    NumberConfig,
    SceneConfig,
    SensorConfig,
)
from edgeagent.act.dialects.homeassistant_more import (
    EventConfig,
    HumidifierConfig,
    LawnMowerConfig,
    SirenConfig,
    WaterHeaterConfig,
)
from edgeagent.act.dialects.homeassistant_movers import FanConfig, LockConfig, SwitchConfig, VacuumConfig, ValveConfig
from edgeagent.act.dialects.homeassistant_panels import AlarmPanelConfig, SelectConfig, TextConfig
from edgeagent.act.dialects.homeassistant_schema import (
    AvailabilityConfig,
    ComponentConfig,
    expand,
)
from edgeagent.act.dialects.homeassistant_tilt import SlatsConfig
from edgeagent.act.dialects.schema import LONGEST_NAME, validate
from edgeagent.act.dialects.templates import decode
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Device

MOST_COMPONENTS = 200
"""Components of one device; the largest real ones have about 60."""
_SHARED = (
    *("device", "command_topic", "state_topic", "availability", "availability_mode", "availability_topic"),
    *("availability_template", "payload_available", "payload_not_available"),
)
"""Fields of a device's announcement that hold for each of its components."""
_TOPIC = re.compile(r"(?P<component>[a-z_]{1,32})/(?:[a-zA-Z0-9_-]{1,128}/)?[a-zA-Z0-9_-]{1,128}/config")

_COMPONENTS: Mapping[str, Callable[[Mapping[str, Any]], type[ComponentConfig]]] = {
    "light": light,
    "switch": lambda _: SwitchConfig,
    "lock": lambda _: LockConfig,
    "cover": lambda _: SlatsConfig,
    "valve": lambda _: ValveConfig,
    "fan": lambda _: FanConfig,
    "vacuum": lambda _: VacuumConfig,
    "climate": lambda _: ClimateConfig,
    "number": lambda _: NumberConfig,
    "sensor": lambda _: SensorConfig,
    "binary_sensor": lambda _: BinarySensorConfig,
    "scene": lambda _: SceneConfig,
    "button": lambda _: ButtonConfig,
    "siren": lambda _: SirenConfig,
    "humidifier": lambda _: HumidifierConfig,
    "water_heater": lambda _: WaterHeaterConfig,
    "lawn_mower": lambda _: LawnMowerConfig,
    "event": lambda _: EventConfig,
    "select": lambda _: SelectConfig,
    "text": lambda _: TextConfig,
    "alarm_control_panel": lambda _: AlarmPanelConfig,
}


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """The dialect, for one discovery prefix."""

    prefix: str = "homeassistant"
    name: str = "homeassistant"

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the topic filters on which devices announce themselves."""
        return (f"{self.prefix}/+/+/config", f"{self.prefix}/+/+/+/config")

    def source(self, topic: str) -> str:
        """Return the topic itself: each announces for itself."""
        return topic

    def discover(self, topic: str, payload: bytes) -> Announcement | Removal:
        """Read an announcement. Raise PayloadError, saying what is wrong and where."""
        path = topic.removeprefix(f"{self.prefix}/")
        form = _TOPIC.fullmatch(path)
        if path == topic or form is None:
            raise PayloadError(f"topic: expected {self.prefix}/<component>/[<node>/]<object>/config")
        if not payload:
            return Removal(topic)
        config = parse(payload, largest=LARGEST_PAYLOAD_BYTES)
        if not isinstance(config, dict):
            raise PayloadError("expected a JSON object")
        config = expand(config)
        if _is_own(config):
            return Announcement(topic, (), ("edgeagent's own: it is no thing of the house",))
        if form["component"] == "device":
            return self._device(topic, path, config)
        made, left_out = self._entity(topic, path, form["component"], config)
        return Announcement(topic, () if made is None else (made,), left_out)

    def _device(self, topic: str, path: str, config: dict[str, Any]) -> Announcement:
        """Read the form with several components; a bad component is left out, and the others are taken."""
        components = config.get("components")
        if not isinstance(components, dict) or not all(isinstance(one, dict) for one in components.values()):
            raise PayloadError("components: expected an object of objects")
        if len(components) > MOST_COMPONENTS:
            raise PayloadError(f"components: {len(components)}, expected at most {MOST_COMPONENTS}")
        shared = {key: config[key] for key in _SHARED if key in config}
        entities: dict[str, Entity] = {}
        left_out: list[str] = []
        for key, component in components.items():
            try:
                own = expand(component, config.get("~"))
                made, why = self._entity(topic, f"{path}/{key[:128]}", str(own.get("platform", "")), {**shared, **own})
            except PayloadError as error:
                made, why = None, (str(error),)
            if made is not None and made.device.id in entities:
                why = ("unique_id stands twice",)
            elif made is not None:
                entities[made.device.id] = made
            left_out.extend(f"{key!a:.40}: {reason}" for reason in why)
        return Announcement(topic, tuple(entities.values()), tuple(left_out))

    def _entity(
        self, topic: str, path: str, component: str, config: dict[str, Any]
    ) -> tuple[Entity | None, tuple[str, ...]]:
        """Return the entity, and what of it is left out and why. Raise PayloadError if it is wrong."""
        if component not in _COMPONENTS:
            return None, (f"{component or 'no platform':.32}: nothing that is spoken to",)
        parts = validate(_COMPONENTS[component](config), config)
        if parts.entity_category is not None:
            return None, (f"{parts.entity_category:.32}: for maintenance, not for speech",)
        if not parts.enabled_by_default:
            return None, ("switched off by default",)
        self._refuse_announcing(parts)
        channels = parts.channels()
        if not channels.readers and not channels.writers:
            return None, channels.left_out or ("it can neither be ordered nor read",)
        identity = path if parts.unique_id is None else f"{component}:{parts.unique_id}"
        entity = Entity(
            self._describe(identity, component, parts, channels),
            topic,
            channels.readers,
            channels.writers,
            _presences(parts),
            parts.availability_mode,
            optimistic=parts.optimistic,
        )
        return entity, channels.left_out

    def _refuse_announcing(self, parts: ComponentConfig) -> None:
        """An order that lands on a discovery topic would announce a device of the announcer's making."""
        for field in type(parts).model_fields:
            topic = getattr(parts, field) if field.endswith("topic") else None
            if topic is None or not topic.startswith(f"{self.prefix}/"):
                continue
            if topic.endswith("/config") or topic == f"{self.prefix}/status":
                raise PayloadError(f"{field}: is a topic on which devices announce themselves")

    def _describe(self, identity: str, component: str, parts: ComponentConfig, channels: Channels) -> Device:
        name, aliases = _names(component, parts)
        orders: set[Capability] = {writer.capability for writer in channels.writers}
        reads = {reading for reader in channels.readers for reading in reader.capabilities if reading == "reading"}
        capabilities = frozenset(orders | reads)
        return Device(
            id=f"{self.name}:{identity}",
            name=name,
            kind=channels.kind,
            capabilities=capabilities,
            area=parts.device.suggested_area,
            aliases=aliases,
            dialect=self.name,
            device_class=parts.device_class,
            ranges={capability: ends for capability, ends in channels.ranges.items() if capability in capabilities},
            units={capability: unit for capability, unit in channels.units.items() if capability in capabilities},
            thing=parts.device.thing,
        )


def _is_own(config: Mapping[str, Any]) -> bool:
    origin = config.get("origin")
    name = origin.get("name") if isinstance(origin, dict) else None
    return isinstance(name, str) and name.strip().lower() == "edgeagent"


def _names(component: str, parts: ComponentConfig) -> tuple[str, tuple[str, ...]]:
    """Name it as Home Assistant shows it: device and part; a part alone is an alias.

    A name of null is the device's; a name that is left out is that of the device class.
    """
    whole = parts.device.name
    own = parts.name
    is_null = "name" in parts.model_fields_set and own is None
    if own is None and not is_null and parts.device_class is not None:
        own = parts.device_class.replace("_", " ").capitalize()
        if whole is not None and len(whole) + len(own) < LONGEST_NAME:
            return f"{whole} {own}", ()
    if own is None:
        return whole or component.replace("_", " ").capitalize(), ()
    if whole is None or _alike(own).startswith(_alike(whole)):
        return own, ()
    if _alike(whole).endswith(_alike(own)):
        return whole, ()
    if len(whole) + len(own) >= LONGEST_NAME:
        return own, ()
    return f"{whole} {own}", (own,)


def _alike(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold())


def _presences(parts: ComponentConfig) -> tuple[Presence, ...]:
    listed = parts.availability
    if parts.availability_topic is not None:
        listed = (
            AvailabilityConfig.model_construct(
                topic=parts.availability_topic,
                payload_available=parts.payload_available,
                payload_not_available=parts.payload_not_available,
                value_template=parts.availability_template,
            ),
        )
    return tuple(Presence(one.topic, _presence_reader(one)) for one in listed)


def _presence_reader(one: AvailabilityConfig) -> Callable[[bytes], bool | None]:
    words = {one.payload_available: True, one.payload_not_available: False}

    def read(payload: bytes) -> bool | None:
        text = decode(payload).strip() if one.value_template is None else one.value_template.read(payload)
        return None if text is None else words.get(text)

    return read
