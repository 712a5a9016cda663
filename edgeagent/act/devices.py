"""The registry: announcements and payloads to devices, what they were last seen to be, and what they are called.

Rules:
- bounded: beyond `most` devices an announcement is refused and counted, before it is read when nothing could fit (A75);
- the first topic that announces an id keeps it; a second one is a conflict, shown and never obeyed (A76);
- a thing that several dialects announce is one device: the first of the dialects speaks to it (`things.py`);
- two devices of one name are both kept: whoever acts asks which (A72);
- what a topic announces replaces what that topic announced before; values survive where a device keeps its topics;
- `version` rises only when devices, names or areas change, never with a state.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from edgeagent import topics
from edgeagent.act import names
from edgeagent.act.dialects.dialect import Announcement, Dialect, Entity, Removal
from edgeagent.act.household import NOTHING_SAID, Household
from edgeagent.act.names import LeftOut, Names
from edgeagent.act.things import chosen
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Device, Kind, Message, Observation, Value

log = logging.getLogger(__name__)

MOST_REFUSALS = 200
"""The latest refusals, and the latest of what has no voice, are kept to be shown; all are counted."""
MOST_CONFLICTS = 200
"""Further conflicts are refused like any other announcement."""
LONGEST_SHOWN = 200
"""Characters of a topic or reason that are kept."""

NO_TOPIC = "\0"
"""What names begin with under which devices are told what nobody can publish: no topic has a NUL (MQTT 5, 4.7.3)."""

Counted = Literal["announced", "removed", "refused", "left-out", "full", "conflict", "observed", "unreadable"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A device that claims an id which another topic announced before."""

    device: Device
    claimed_by: str
    held_by: str


@dataclass(slots=True)
class _Known:
    entity: Entity
    values: dict[Capability, Value] = field(default_factory=dict)
    reachable: Mapping[str, bool] = field(default_factory=dict)
    available: bool | None = None
    seen_s: float | None = None
    has_fault: bool = False


class Devices:
    """All devices by id. Nothing here waits, connects or calls back."""

    def __init__(self, dialects: Sequence[Dialect], *, most: int = 2000, household: Household = NOTHING_SAID) -> None:
        """Start empty; `most` devices at the most, seen as their owner says in `household`."""
        self._household = household
        self.version = 0
        self.counts: Counter[Counted] = Counter()
        self.refusals: deque[LeftOut] = deque(maxlen=MOST_REFUSALS)
        self.left_out: deque[LeftOut] = deque(maxlen=MOST_REFUSALS)
        self._dialects = tuple(dialects)
        self._most = most
        self._known: dict[str, _Known] = {}
        self._by_source: dict[str, tuple[str, ...]] = {}
        self._by_topic: dict[str, dict[str, None]] = {}
        self._by_key: dict[str, dict[str, None]] = {}
        self._asks: dict[Message, None] = {}
        self._conflicts: dict[tuple[str, str], Conflict] = {}
        self._collected_at = -1
        self._spoken: dict[str, Device] = {}
        self._put_by: Mapping[str, str] = {}
        self._names = names.collect(())

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the topic filters of announcements."""
        return tuple(name for dialect in self._dialects for name in dialect.filters)

    @property
    def topics(self) -> frozenset[str]:
        """Return the topics on which the known devices tell their state; changes only with `version`."""
        return frozenset(topic for topic in self._by_topic if not topic.startswith(NO_TOPIC))

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Return the claims to ids that are taken."""
        return tuple(self._conflicts.values())

    def announce(self, announcement: Announcement) -> None:
        """Take devices that nobody announces on the bus."""
        self._replace(announcement)

    def asks(self) -> tuple[Message, ...]:
        """Return what makes the devices that came, came back or moved since the last call tell their states."""
        asks, self._asks = tuple(self._asks), {}
        return asks

    def receive(self, topic: str, payload: bytes, now_s: float) -> tuple[Observation, ...]:
        """Apply a message from the bus, whatever it is; return what it told about devices."""
        if topic.startswith(NO_TOPIC):
            self._note("refused", topic, "no topic of a bus: MQTT forbids NUL")
            return ()
        try:
            for dialect in self._dialects:
                if any(topics.matches(pattern, topic) for pattern in dialect.filters):
                    self._discover(dialect, topic, payload)
                    return ()
            return self._observe(topic, payload, now_s)
        except Exception:
            # Dialects read what anybody on the bus may write: a mistake in one must not deafen the whole house.
            log.exception("message not digested", extra={"topic": _shown(topic)})
            self._note("refused", topic, "its reader failed: report this, with the log")
            return ()

    def told(self, name: str, payload: bytes, now_s: float) -> tuple[Observation, ...]:
        """Apply what was translated for the registry, under a name that begins with NUL and is no topic of any bus.

        Raise ValueError for another name: what comes over a bus goes to `receive`.
        """
        if not name.startswith(NO_TOPIC):
            raise ValueError(f"{name!a:.80}: expected a name that begins with NUL")
        return self._observe(name, payload, now_s)

    def entity(self, device: str) -> Entity | None:
        """Return how a device is spoken to."""
        known = self._known.get(device)
        if known is None:
            return None
        self._collect()
        spoken = self._spoken.get(device)  # with what its twin in another dialect knows of it
        return known.entity if spoken in (None, known.entity.device) else replace(known.entity, device=spoken)

    def values(self, device: str) -> Mapping[Capability, Value]:
        """Return the last values that the device told."""
        known = self._known.get(device)
        return MappingProxyType({} if known is None else known.values)

    def is_available(self, device: str) -> bool:
        """Tell whether the device is known and has not said that it is away."""
        known = self._known.get(device)
        return known is not None and known.available is not False

    def seen_s(self, device: str) -> float | None:
        """Return when the device last told something, on the clock of `receive`."""
        known = self._known.get(device)
        return None if known is None else known.seen_s

    def all_devices(self) -> tuple[Device, ...]:
        """Return every device, in the order of their announcement."""
        self._collect()
        return tuple(self._spoken.values())

    def everything(self) -> tuple[Device, ...]:
        """Return every device, also those that are not for speech."""
        return (*self.all_devices(), *self.unspoken())

    def put_by(self) -> Mapping[str, str]:
        """Return the ids of devices to which another dialect speaks better, and that dialect."""
        self._collect()
        return self._put_by

    def unspoken(self) -> tuple[Device, ...]:
        """Return the devices of which their owner says that they are not for speech."""
        self._collect()
        apart = {*self._spoken, *self._put_by}
        return tuple(known.entity.device for device, known in self._known.items() if device not in apart)

    def named(self, name: str, area: str | None = None) -> tuple[Device, ...]:
        """Return the devices that are called so, in that area if one is given."""
        self._collect()
        ids = self._by_key.get(names.key_of(name), {})
        return _in_area((self._spoken[device] for device in ids), area)

    def of_kind(self, kind: Kind, area: str | None = None) -> tuple[Device, ...]:
        """Return the devices of that kind, in that area if one is given."""
        return _in_area((device for device in self.all_devices() if device.kind == kind), area)

    def names(self) -> Names:
        """Return what can be said; made anew only when `version` has risen."""
        self._collect()
        return self._names

    def _collect(self) -> None:
        if self._collected_at == self.version:
            return
        announced = (known.entity.device for known in self._known.values())
        spoken, self._put_by = chosen(announced, [dialect.name for dialect in self._dialects])
        said = [one for device in spoken if (one := self._household.as_said(device)) is not None]
        self._spoken = {device.id: device for device in said}
        options = [word for one in said for word in self._words(one.id, "option")]
        self._names = names.collect(said, area_aliases=self._household.areas, options=options)
        self._by_key = {}
        for name, ids in self._names.devices.items():
            self._by_key.setdefault(names.key_of(name), {}).update(dict.fromkeys(ids))
        self._collected_at = self.version

    def _words(self, device: str, capability: Capability) -> tuple[str, ...]:
        writers = self._known[device].entity.writers
        return next((writer.words for writer in writers if writer.capability == capability), ())

    def _discover(self, dialect: Dialect, topic: str, payload: bytes) -> None:
        if dialect.source(topic) not in self._by_source and len(self._known) >= self._most:
            if payload:
                self._note("full", topic, f"there are {self._most} devices already: acting.max_devices")
            return
        try:
            found = dialect.discover(topic, payload)
        except PayloadError as error:
            self._note("refused", topic, str(error))
            return
        match found:
            case Removal():
                self._replace(Announcement(found.topic, ()))
            case Announcement():
                self._replace(found)

    def _replace(self, announcement: Announcement) -> None:
        """Put what a topic announces now in the place of what it announced before."""
        topic = announcement.topic
        self._conflicts = {key: conflict for key, conflict in self._conflicts.items() if key[0] != topic}
        for reason in announcement.left_out:
            self._note("left-out", topic, reason)
        wanted = {entity.device.id: entity for entity in announcement.entities}
        before = self._by_source.pop(topic, ())
        for gone in before:
            if gone not in wanted:
                self._remove(gone)
        accepted = tuple(device for device, entity in wanted.items() if self._accept(device, entity))
        if accepted:
            self._by_source[topic] = accepted

    def _accept(self, device: str, entity: Entity) -> bool:
        known = self._known.get(device)
        if known is None:
            if len(self._known) >= self._most:
                self._note("full", entity.source, f"there are {self._most} devices already: acting.max_devices")
                return False
            self._known[device] = _Known(entity)
            self._asks.update(dict.fromkeys(entity.asks))
            self.counts["announced"] += 1
            self.version += 1
        elif known.entity.source != entity.source:
            self._contest(entity, known.entity)
            return False
        else:
            self._renew(known, entity)
        for topic in entity.topics:
            self._by_topic.setdefault(topic, {})[device] = None
        return True

    def _renew(self, known: _Known, entity: Entity) -> None:
        """Take a repeated announcement; Home Assistant's devices repeat theirs at every restart."""
        if known.entity.topics != entity.topics:
            self._forget_topics(known.entity)
            known.values, known.reachable, known.available = {}, {}, None
            self._asks.update(dict.fromkeys(entity.asks))
        if known.entity.device != entity.device or known.entity.topics != entity.topics:
            self.version += 1
        known.entity = entity

    def _contest(self, claimant: Entity, holder: Entity) -> None:
        if len(self._conflicts) < MOST_CONFLICTS:
            conflict = Conflict(claimant.device, _shown(claimant.source), _shown(holder.source))
            self._conflicts[(claimant.source, claimant.device.id)] = conflict
        self._note("conflict", claimant.source, f"claims {claimant.device.id}, which {holder.source} announced before")

    def _remove(self, device: str) -> None:
        self._forget_topics(self._known.pop(device).entity)
        self.counts["removed"] += 1
        self.version += 1

    def _forget_topics(self, entity: Entity) -> None:
        for topic in entity.topics:
            speakers = self._by_topic[topic]
            del speakers[entity.device.id]
            if not speakers:
                del self._by_topic[topic]

    def _observe(self, topic: str, payload: bytes, now_s: float) -> tuple[Observation, ...]:
        observations: list[Observation] = []
        for device in self._by_topic.get(topic, ()):
            known = self._known[device]
            seen = known.entity.observe(topic, payload, known.reachable)
            known.reachable = seen.reachable
            if seen.faults:
                self.counts["unreadable"] += 1
                if not known.has_fault:
                    known.has_fault = True
                    self._note("unreadable", topic, f"{known.entity.device.name}: {seen.faults[0]}", count=0)
            if seen.observation.available is not None:
                if seen.observation.available and known.available is False:
                    self._asks.update(dict.fromkeys(known.entity.asks))
                known.available = seen.observation.available
            elif not seen.observation.values:
                continue
            known.values.update(seen.observation.values)
            known.seen_s = now_s
            self.counts["observed"] += 1
            observations.append(seen.observation)
        return tuple(observations)

    def _note(self, what: Counted, topic: str, reason: str, *, count: int = 1) -> None:
        self.counts[what] += count
        notes = self.left_out if what == "left-out" else self.refusals
        notes.append(LeftOut(_shown(topic), _shown(reason)))


def _in_area(devices: Iterable[Device], area: str | None) -> tuple[Device, ...]:
    if area is None:
        return tuple(devices)
    wanted = names.key_of(area)
    return tuple(device for device in devices if names.key_of(device.area or "") == wanted)


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_SHOWN])
