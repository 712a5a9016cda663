"""What a birth makes of a Sparkplug device: entities with names, areas, and their place in the plant.

Rules (what each metric is for: `sparkplug_metrics.py`):
- each metric that can be ordered or asked is a device of the registry, called by its Sparkplug device and its own name;
- what can be ordered comes first, and one Sparkplug device gives no more than people can tell apart by ear;
- the area is the metric Area or Location of the device's birth or the node's, at its top or among the Properties; else
  what the node's id says, if it is no code;
- a set point has its name without that word as well, if nothing else of the device is called so;
- the registry is told values and presence under names that begin with NUL: no client of any broker can send these.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeagent.act.dialects import sparkplug_names as names
from edgeagent.act.dialects.dialect import Entity, Presence
from edgeagent.act.dialects.schema import LONGEST_NAME, printable
from edgeagent.act.dialects.sparkplug_metrics import SETS, Born, Found, Send, sorted_out
from edgeagent.act.dialects.sparkplug_payload import Scalar
from edgeagent.messages import Capability, Device

DIALECT = "sparkplug"
NAMESPACE = "spBv1.0"
MOST_ENTITIES = 64
"""Of one Sparkplug device; a controller may have a thousand metrics, and nobody knows their names."""
LONGEST_ID = 128
_AREA = ("area", "location")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is in the plant; `device` is empty for the node itself."""

    group: str
    node: str
    device: str = ""

    @property
    def source(self) -> str:
        """Return the name under which the registry keeps what is announced here."""
        return f"\0sparkplug/{self.group}/{self.node}/{self.device}"

    @property
    def presence(self) -> str:
        """Return the name under which the registry is told whether the device is there, as 1 or 0."""
        return f"\0sparkplug-online/{self.group}/{self.node}/{self.device}"

    @property
    def orders(self) -> str:
        """Return the topic on which orders are taken here."""
        at = f"{self.node}/{self.device}" if self.device else self.node
        return f"{NAMESPACE}/{self.group}/{'DCMD' if self.device else 'NCMD'}/{at}"

    def told(self, metric: str) -> str:
        """Return the name under which the registry is told a metric's value."""
        return f"{self.source}/{metric}"


def address_of(topic: str) -> tuple[str, Place] | None:
    """Return what a message is and where in the plant it comes from; None for what no node says."""
    match topic.split("/"):
        case [space, group, "NBIRTH" | "NDATA" | "NDEATH" as verb, node] if space == NAMESPACE:
            place = Place(group, node)
        case [space, group, "DBIRTH" | "DDATA" | "DDEATH" as verb, node, device] if space == NAMESPACE and device:
            place = Place(group, node, device)
        case _:
            return None
    return (verb, place) if group and node and all(map(_is_id, (group, node, place.device))) else None


def entities_of(place: Place, metrics: Iterable[Born], area: str | None, send: Send) -> tuple[tuple[Entity, ...], int]:
    """Return what can be ordered or asked here, by names of their own if that can be, and how many are left out."""
    everything = sorted_out(place.device, metrics, place.told, send)
    found = everything[:MOST_ENTITIES]
    owner = names.spoken(place.device or place.node)
    short = [names.called(owner, one.said) for one in found]
    entities = tuple(
        _entity(place, one, name if name and short.count(name) == 1 else _longer(place, owner, one), area, short)
        for one, name in zip(found, short, strict=True)
    )
    return entities, len(everything) - len(found)


def area_of(place: Place, *told: Mapping[str, Scalar]) -> str | None:
    """Return the area that a device's birth tells, else that which the node's tells, else what the node's id names."""
    areas = (area for values in told for area in _areas(values))
    return next(areas, names.area_of(place.node) if place.device else None)


def payload_of(value: Scalar) -> bytes:
    """Return how the registry is told a value."""
    text = str(value)
    return (text.lower() if isinstance(value, bool) else text).encode()


def _is_id(text: str) -> bool:
    try:
        return len(text) <= LONGEST_ID and set("+#").isdisjoint(printable(text))
    except ValueError:
        return False


def _longer(place: Place, owner: Sequence[str], one: Found) -> str:
    return names.called(owner, one.said, most_parts=len(one.said)) or place.device or place.node


def _entity(place: Place, one: Found, name: str, area: str | None, taken: Sequence[str]) -> Entity:
    channels = one.channels
    orders: set[Capability] = {writer.capability for writer in channels.writers}
    reads = {can for reader in channels.readers for can in reader.capabilities if can == "reading"}
    shorter = " ".join(word for word in name.split() if word.lower() not in SETS)
    is_free = channels.kind == "number" and shorter not in {"", *taken}
    device = Device(
        id=f"{DIALECT}:{place.group}/{place.node}/{place.device}/{one.metric.name}",
        name=name[:LONGEST_NAME],
        kind=channels.kind,
        capabilities=frozenset(orders | reads),
        area=area,
        aliases=(shorter,) if is_free else (),
        dialect=DIALECT,
        ranges=channels.ranges,
        units=channels.units,
    )
    return Entity(device, place.source, channels.readers, channels.writers, (Presence(place.presence, _presence),))


def _areas(told: Mapping[str, Scalar]) -> Iterator[str]:
    for name, value in told.items():
        folder, _, last = name.lower().rpartition("/")
        if last in _AREA and folder in {"", "properties"} and isinstance(value, str):
            area = value.strip()
            if 0 < len(area) <= LONGEST_NAME and area.isprintable():
                yield area


def _presence(payload: bytes) -> bool:
    return payload == b"1"
