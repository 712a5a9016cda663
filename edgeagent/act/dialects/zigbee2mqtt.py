"""Zigbee2MQTT's own lists of devices and groups: `<base>/bridge/devices`, `<base>/bridge/groups`.

Rules:
- each specific expose (light, switch, cover, lock, climate, fan) is a device of ours; of the generic ones, what can be
  read and not set is a sensor, and what is set to one of its words a select; what is for configuration or diagnosis,
  and texts, which are codes and programmes, have no voice;
- the Zigbee address is the identity, so a renamed device stays the same one; the gangs of a switch are told apart by
  their endpoints;
- a name with one slash, "kitchen/ceiling lamp", says the area;
- a group can what all its members can; its scenes are scenes.

Format: Zigbee2MQTT's documentation, "MQTT topics and messages" and "Exposes".
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from edgeagent.act.dialects.channels import Channels
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Announcement, Entity, Presence, Removal, Writer
from edgeagent.act.dialects.json_channels import message
from edgeagent.act.dialects.schema import LONGEST_NAME, AnyConfig, Config, Name, Text, Topic, thing_of, validate
from edgeagent.act.dialects.templates import decode
from edgeagent.act.dialects.zigbee2mqtt_exposes import SPECIFIC, asked, class_of, generic, specific
from edgeagent.act.dialects.zigbee2mqtt_features import Expose
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Device

LARGEST_LIST_BYTES = 4 << 20
"""Two hundred devices with all their exposes take 2 MB."""
MOST_LISTED = 1_000
MOST_BRIDGES = 16
_DEVICES, _GROUPS = "/bridge/devices", "/bridge/groups"


class Definition(Config):
    """What kind of thing a device is."""

    exposes: Annotated[tuple[dict[str, Any], ...], Field(max_length=200)] = ()


class Listed(Config):
    """A device of the list."""

    ieee_address: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{16}$")]
    type: Text = ""
    friendly_name: Annotated[str, Field(min_length=1, max_length=128)]
    disabled: bool = False
    definition: Definition | None = None


class Member(Config):
    """A device of a group."""

    ieee_address: Text


class Scene(Config):
    """A scene of a group."""

    id: int
    name: Name = None


class Group(Config):
    """A group of the list."""

    id: int
    friendly_name: Annotated[str, Field(min_length=1, max_length=128)]
    members: Annotated[tuple[Member, ...], Field(max_length=MOST_LISTED)] = ()
    scenes: Annotated[tuple[Scene, ...], Field(max_length=64)] = ()


class _Spoken(Config):
    topic: Topic


@dataclass(slots=True)
class _Bridge:
    devices: tuple[Listed, ...] = ()
    groups: tuple[Group, ...] = ()
    exposes: dict[str, tuple[Expose, ...]] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    announced: Announcement | None = None
    unread: dict[Literal["devices", "groups"], tuple[str, ...]] = field(default_factory=dict)


class Zigbee2MQTT:
    """The dialect, for every bridge on the bus. It remembers both lists of a bridge: groups are made of devices."""

    name = "zigbee2mqtt"
    filters = (f"+{_DEVICES}", f"+{_GROUPS}")

    def __init__(self) -> None:
        """Know no bridge."""
        self._bridges: dict[str, _Bridge] = {}

    def source(self, topic: str) -> str:
        """Return the topic of the bridge's list of devices: its groups are announced with them."""
        return f"{topic.removesuffix(_DEVICES).removesuffix(_GROUPS)}{_DEVICES}"

    def discover(self, topic: str, payload: bytes) -> Announcement | Removal:
        """Read one of the lists. Raise PayloadError, saying what is wrong and where."""
        source = self.source(topic)
        base = source.removesuffix(_DEVICES)
        if not payload and topic == source:
            self._bridges.pop(base, None)
            return Removal(source)
        if base not in self._bridges and len(self._bridges) >= MOST_BRIDGES:
            raise PayloadError(f"there are {MOST_BRIDGES} bridges already")
        bridge = self._bridges.get(base, _Bridge())
        digest = hashlib.sha256(payload).digest()
        if bridge.announced is not None and bridge.digests.get(topic) == digest:
            return bridge.announced  # it is sent again at every start, and takes its time to read
        entries = parse(payload, largest=LARGEST_LIST_BYTES) if payload else []
        if not isinstance(entries, list) or len(entries) > MOST_LISTED:
            raise PayloadError(f"expected a list of at most {MOST_LISTED}")
        self._bridges[base] = bridge
        if topic == source:
            bridge.devices, bridge.unread["devices"] = _listed(Listed, entries)
        else:
            bridge.groups, bridge.unread["groups"] = _listed(Group, entries)
        bridge.announced = self._announcement(base, source, bridge)
        bridge.digests[topic] = digest
        return bridge.announced

    def _announcement(self, base: str, source: str, bridge: _Bridge) -> Announcement:
        left_out = [reason for reasons in bridge.unread.values() for reason in reasons]
        entities: dict[str, Entity] = {}
        bridge.exposes = {}
        reading = [
            *((one.friendly_name, self._entities(base, source, one, bridge)) for one in bridge.devices),
            *((one.friendly_name, self._of_group(base, source, one, bridge)) for one in bridge.groups),
        ]
        for called, found in reading:
            try:
                entities.update((entity.device.id, entity) for entity in tuple(found))
            except PayloadError as error:
                left_out.append(f"{called!a:.60}: {error}")
        return Announcement(source, tuple(entities.values()), tuple(left_out))

    def _entities(self, base: str, source: str, listed: Listed, bridge: _Bridge) -> Iterator[Entity]:
        """Yield what a device is to us. Raise PayloadError if its exposes make no sense."""
        if listed.disabled or listed.type == "Coordinator" or listed.definition is None:
            return
        topic = _speaking(f"{base}/{listed.friendly_name}")
        exposes = tuple(validate(Expose, one) for one in listed.definition.exposes)
        bridge.exposes[listed.ieee_address] = exposes
        thing = thing_of(listed.ieee_address)
        main = [one for one in exposes if one.type in SPECIFIC]
        for expose in main:
            if (channels := specific(expose, topic)) is not None:
                identity = f"{listed.ieee_address}:{expose.type}:{expose.endpoint or ''}"
                gang = _gang(expose) if len(main) > 1 else ""
                device = self._device(listed.friendly_name, identity, channels, gang)
                entity = _entity(base, source, listed.friendly_name, replace(device, thing=thing), channels)
                yield replace(entity, asks=tuple(message(f"{topic}/get", {name: ""}) for name in asked(expose)))
        for expose in exposes:
            if expose.type not in SPECIFIC and (channels := generic(expose, topic)) is not None:
                part = (expose.label or expose.name or expose.says).replace("_", " ").lower()
                device = self._device(listed.friendly_name, f"{listed.ieee_address}:{expose.says}", channels, part)
                described = replace(device, thing=thing, device_class=class_of(expose))
                yield _entity(base, source, listed.friendly_name, described, channels)

    def _of_group(self, base: str, source: str, group: Group, bridge: _Bridge) -> Iterator[Entity]:
        """Yield a group, as the member that can least; and its scenes."""
        topic = _speaking(f"{base}/{group.friendly_name}")
        identity = f"{base}:group:{group.id}"
        members = [_main_of(bridge.exposes.get(member.ieee_address, ()), topic) for member in group.members]
        able = [channels for channels in members if channels is not None]
        if able and len(able) == len(members) and len({channels.kind for channels in able}) == 1:
            least = min(able, key=lambda channels: len(channels.writers))
            device = self._device(group.friendly_name, identity, least)
            yield _entity(base, source, group.friendly_name, device, least)
        for scene in group.scenes:
            if scene.name is None:
                continue
            channels = Channels("scene", (), (_recall(f"{topic}/set", scene.id),))
            device = self._device(scene.name, f"{identity}:scene:{scene.id}", channels)
            yield _entity(base, source, group.friendly_name, device, channels)

    def _device(self, called: str, identity: str, channels: Channels, part: str = "") -> Device:
        area, name = _place_and_name(called)
        reads = {one for reader in channels.readers for one in reader.capabilities if one == "reading"}
        return Device(
            id=f"{self.name}:{identity}",
            name=f"{name} {part}".strip()[:LONGEST_NAME],
            kind=channels.kind,
            capabilities=frozenset({writer.capability for writer in channels.writers} | reads),
            area=area,
            dialect=self.name,
            ranges=channels.ranges,
            units=channels.units,
        )


def _entity(base: str, source: str, called: str, device: Device, channels: Channels) -> Entity:
    presences = (Presence(f"{base}/bridge/state", _presence), Presence(f"{base}/{called}/availability", _presence))
    return Entity(device, source, channels.readers, channels.writers, presences, "none-away")


def _recall(topic: str, scene: int) -> Writer:
    return Writer("activate", lambda _: (message(topic, {"scene_recall": scene}),), ("now",))


def _listed(model: type[AnyConfig], entries: Sequence[Any]) -> tuple[tuple[AnyConfig, ...], tuple[str, ...]]:
    """Return the entries that are as they should be, and what is wrong with the others."""
    good: list[AnyConfig] = []
    wrong: list[str] = []
    for number, entry in enumerate(entries):
        try:
            good.append(validate(model, entry))
        except PayloadError as error:
            wrong.append(f"entry {number}: {error}")
    return tuple(good), tuple(wrong)


def _main_of(exposes: Sequence[Expose], topic: str) -> Channels | None:
    first = next((one for one in exposes if one.type in SPECIFIC and not one.endpoint), None)
    return None if first is None else specific(first, topic)


def _speaking(topic: str) -> str:
    return validate(_Spoken, {"topic": topic}).topic


def _gang(expose: Expose) -> str:
    return "" if expose.endpoint is None else re.sub(r"^l(\d)$", r"\1", expose.endpoint).replace("_", " ")


def _place_and_name(called: str) -> tuple[str | None, str]:
    area, slash, name = called.partition("/")
    is_placed = bool(slash and area and name and "/" not in name)
    return (_spaced(area), _spaced(name)) if is_placed else (None, _spaced(called))


def _spaced(text: str) -> str:
    return text.replace("_", " ").replace("/", " ").strip()


def _presence(payload: bytes) -> bool | None:
    text = decode(payload).strip()
    if text.startswith("{"):
        told = parse(text, largest=LARGEST_PAYLOAD_BYTES)
        text = str(told.get("state")) if isinstance(told, dict) else ""
    return {"online": True, "offline": False}.get(text)
