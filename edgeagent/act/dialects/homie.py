"""Homie 5: devices that describe themselves on `<domain>/5/<device>/$description`.

Rules:
- what a property is follows from its datatype, format and unit; what a node is, from its properties and from the words
  of its type and name ("light", "blinds"), for Homie has no list of kinds;
- a settable on/off makes its node a switch or a light, with brightness, colour and colour temperature (a number in K or
  MK⁻¹) beside it; what can be opened and closed is a cover, what can be locked a lock; another settable number is a set
  point, another enumeration a select, another string a text; what cannot be set is a sensor;
- `$state` tells whether the device is there; a child is there as long as its root is;
- orders go to `…/set`; what the device then tells is its value, `$target` is only what it is on the way to.

Format: the Homie convention, version 5.0.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from edgeagent.act.dialects.channels import Channels
from edgeagent.act.dialects.dialect import LARGEST_PAYLOAD_BYTES, Announcement, Entity, Presence, Removal
from edgeagent.act.dialects.homie_others import other_channels
from edgeagent.act.dialects.homie_properties import Node, Part, main_channels, passage_of
from edgeagent.act.dialects.schema import LONGEST_NAME, Config, Name, Text, thing_of, validate
from edgeagent.act.dialects.templates import decode
from edgeagent.bounded_json import parse
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Device

_TOPIC = re.compile(r"(?P<base>[a-zA-Z0-9_-]+/5/(?P<device>[a-z0-9-]{1,64}))/\$description")
_ID = re.compile(r"[a-z0-9-]{1,64}")
_THERE: Mapping[str, bool | None] = {
    "ready": True,
    "init": None,
    **dict.fromkeys(("disconnected", "sleeping", "lost"), False),
}


class Description(Config):
    """A device."""

    homie: Text
    name: Name = None
    type: Text = ""
    nodes: Annotated[dict[str, Node], Field(max_length=64, default_factory=dict)]
    root: Text | None = None


class Homie:
    """The dialect, for every domain on the bus."""

    name = "homie"
    filters = ("+/5/+/$description",)

    def source(self, topic: str) -> str:
        """Return the topic itself: each announces for itself."""
        return topic

    def discover(self, topic: str, payload: bytes) -> Announcement | Removal:
        """Read a description. Raise PayloadError, saying what is wrong and where."""
        form = _TOPIC.fullmatch(topic)
        if form is None:
            raise PayloadError("topic: expected <domain>/5/<device>/$description")
        if not payload:
            return Removal(topic)
        told = validate(Description, parse(payload, largest=LARGEST_PAYLOAD_BYTES))
        if not told.homie.startswith("5."):
            raise PayloadError(f"homie: expected version 5, found {told.homie!a:.20}")
        entities: dict[str, Entity] = {}
        left_out: list[str] = []
        for key, node in told.nodes.items():
            try:
                if _ID.fullmatch(key) is None:
                    raise PayloadError("no id")  # noqa: TRY301 - told like the others
                for entity in self._of_node(topic, form["base"], form["device"], told, key, node):
                    entities[entity.device.id] = entity
            except PayloadError as error:
                left_out.append(f"{key!a:.60}: {error}")
        return Announcement(topic, tuple(entities.values()), tuple(left_out))

    def _of_node(  # where a node stands
        self, source: str, base: str, device: str, told: Description, key: str, node: Node
    ) -> Iterator[Entity]:
        """Yield what a node is to us. Raise PayloadError if its formats make no sense."""
        part = Part(f"{base}/{key}", node, {name: one for name, one in node.properties.items() if _ID.fullmatch(name)})
        whole = told.name or device
        own = node.name or key
        is_all = len(told.nodes) == 1 or own.lower().startswith(whole.lower())
        name = (own if node.name and own.lower().startswith(whole.lower()) else whole) if is_all else f"{whole} {own}"
        parents = () if told.root is None or _ID.fullmatch(told.root) is None else (told.root,)
        domain = base.removesuffix(device)
        presences = tuple(Presence(f"{domain}{one}/$state", _presence) for one in (device, *parents))

        def entity(identity: str, called: str, channels: Channels, aliases: tuple[str, ...] = ()) -> Entity:
            orders: set[Capability] = {writer.capability for writer in channels.writers}
            passage = passage_of(node) if channels.kind == "cover" else None
            reads = {one for reader in channels.readers for one in reader.capabilities if one == "reading"}
            described = Device(
                id=f"{self.name}:{base}/{identity}",
                name=called[:LONGEST_NAME],
                kind=channels.kind,
                capabilities=frozenset(orders | reads),
                aliases=aliases,
                dialect=self.name,
                device_class=passage,
                ranges=channels.ranges,
                units=channels.units,
                thing=thing_of(device),
            )
            return Entity(described, source, channels.readers, channels.writers, presences, "none-away")

        if (main := main_channels(part)) is not None:
            yield entity(key, name, main, () if is_all else (own,))
        for one, channels in other_channels(part):
            wanted = node.properties[one].name or one
            yield entity(f"{key}/{one}", name if len(node.properties) == 1 else f"{name} {wanted}", channels)


def _presence(payload: bytes) -> bool | None:
    return _THERE.get(decode(payload).strip())
