"""Sparkplug B: the messages of a plant, one after the other, to what follows for the registry and for the plant. Pure.

Rules (Eclipse Sparkplug specification 3.0; A78):
- births are never retained; a retained one is old, and ignored;
- a session begins with a birth of the node that has number 0 and a bdSeq; it replaces the session before it, and the
  node's devices are away until they are born in it;
- each further message of the node has the next number, up to 255 and again from 0. With a gap, with data before a
  birth, or of a device or metric that was never born, nothing of the message is taken: the session is over, its devices
  are away, its aliases are forgotten, and the node is asked for a birth;
- messages that a broker hands out of order count as a gap: brokers keep a publisher's order, and a birth mends it;
- a death of the node counts if it has the session's bdSeq: an older one is the will of a connection that was replaced;
- a device whose birth cannot be read is passed over, and the birth counts as one message: a new one would not help;
- orders go by alias where the session's birth gave one, else by name; by name, too, if the session is over, since only
  a stop is sent then, and an alias may mean something else by now;
- nodes, devices and metrics are bounded; when full, a node without a session makes room.

What metrics are for: `sparkplug_metrics.py`. What is known of a node, and when it is asked: `sparkplug_node.py`. What
the host says of itself: `sparkplug_state.py`.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from edgeagent.act.dialects.dialect import Announcement
from edgeagent.act.dialects.sparkplug_births import NAMESPACE, Place, address_of, area_of, entities_of, payload_of
from edgeagent.act.dialects.sparkplug_node import SEQUENCE, Birth, Node, birth_of, session_of
from edgeagent.act.dialects.sparkplug_payload import Datatype, Payload, Scalar, decode, encode, metric_of
from edgeagent.act.dialects.sparkplug_state import OwnState
from edgeagent.act.names import LeftOut
from edgeagent.errors import PayloadError
from edgeagent.messages import Message

MOST_NODES = 256
MOST_DEVICES = 256
"""Of one node."""
MOST_METRICS = 20_000
"""In the whole plant: about 10 MB."""
MOST_ASKED_AT_ONCE = 20
"""Requests for births in one second: a plant that comes back together must not drown the broker."""
MOST_REFUSALS = 100
GRACE_S = 1.0
"""After connecting, nodes that wait for this host are born by themselves; only then the others are asked."""
REBIRTH = "Node Control/Rebirth"

Counted = Literal["birth", "data", "death", "ignored", "unreadable", "broken-off", "full", "asked"]


@dataclass(frozen=True, slots=True)
class Told:
    """What the registry is told, under a name that no client of a broker can use."""

    name: str
    payload: bytes


Following = Announcement | Told | Message
"""For the registry: what is there, and what it says; for the plant: what is published."""


class Host:
    """The host application. Times are in seconds of any one monotonic clock; `clock_ms` gives those since 1970."""

    def __init__(self, host_id: str, groups: Sequence[str], clock_ms: Callable[[], int]) -> None:
        """Know nothing of the plant yet; without `groups`, listen to all."""
        self.counts: Counter[Counted] = Counter()
        self.refusals: deque[LeftOut] = deque(maxlen=MOST_REFUSALS)
        self.state = OwnState(host_id, clock_ms)
        self._groups = frozenset(groups)
        self._clock_ms = clock_ms
        self._nodes: dict[tuple[str, str], Node] = {}
        self._second = 0
        self._asked_in_second = 0

    @property
    def filters(self) -> tuple[str, ...]:
        """Return what to subscribe to: the plant's messages, and last what is said in this host's name."""
        return (*(f"{NAMESPACE}/{group}/#" for group in sorted(self._groups) or ["+"]), self.state.topic)

    def connected(self, now_s: float) -> None:
        """Plan to ask the nodes that are known for births: what they said meanwhile is lost."""
        for node in self._nodes.values():
            node.asking.want()
            node.asking.not_before_s = now_s + GRACE_S

    def lost(self, now_s: float) -> tuple[Following, ...]:
        """Note that the connection is gone: nothing in the plant can be reached."""
        return tuple(one for key, node in self._nodes.items() for one in self._over(Place(*key), node, now_s))

    def receive(self, topic: str, payload: bytes, *, retained: bool, now_s: float) -> tuple[Following, ...]:
        """Take a message from the plant's broker, whatever it is; return what follows."""
        if topic == self.state.topic:
            self.state.hear(payload, retained=retained)
            return self.state.due(now_s)
        address = address_of(topic)
        if address is None or retained or (self._groups and address[1].group not in self._groups):
            self.counts["ignored"] += 1
            return ()
        verb, place = address
        node, gone = self._admitted(place)
        if node is None:
            self._refuse("full", topic, f"there are {MOST_NODES} nodes with a session already")
            return ()
        return (*gone, *self._take(verb, place, node, payload, now_s))

    def tick(self, now_s: float) -> tuple[Message, ...]:
        """Return what is to be published by now; called about once a second."""
        return (
            *self.state.due(now_s),
            *(one for key, node in self._nodes.items() for one in self._ask(key, node, now_s)),
        )

    def _admitted(self, place: Place) -> tuple[Node | None, tuple[Following, ...]]:
        """Return what is known of the node, and what goes because it comes; None if there is no room for it."""
        key = place.group, place.node
        gone: tuple[Following, ...] = ()
        if key not in self._nodes and len(self._nodes) >= MOST_NODES:
            idle = [other for other, node in self._nodes.items() if not node.has_session]
            oldest = next((other for other in idle if not self._nodes[other].announced), idle[0] if idle else None)
            if oldest is None:
                return None, ()
            left = self._nodes.pop(oldest)
            gone = tuple(Announcement(Place(*oldest, device).source, ()) for device in left.announced)
        return self._nodes.setdefault(key, Node()), gone

    def _take(self, verb: str, place: Place, node: Node, payload: bytes, now_s: float) -> Iterator[Following]:
        try:
            read = decode(payload)
        except PayloadError as error:
            self._refuse("unreadable", place.orders, f"{verb}: {error}")
            if verb == "DBIRTH" and node.has_session:
                node.follows((node.seq + 1) % SEQUENCE)
                yield from self._pass_over(place, node)
            elif verb != "NDEATH":
                yield from self._break_off(place, node, f"{verb}: {error}", now_s)
            return
        match verb:
            case "NBIRTH":
                yield from self._node_born(place, node, read, now_s)
            case "NDEATH":
                yield from self._node_dead(place, node, read, now_s)
            case _ if not node.has_session:
                yield from self._break_off(place, node, f"{verb} before a birth", now_s)
            case _ if not node.follows(read.seq):
                yield from self._break_off(place, node, f"{verb} {read.seq} after {node.seq}", now_s)
            case "DBIRTH":
                yield from self._device_born(place, node, read)
            case "DDEATH":
                self.counts["death"] += 1
                node.born.pop(place.device, None)
                yield from _away(place, node)
            case _:
                yield from self._data(place, node, read, now_s)

    def _node_born(self, place: Place, node: Node, read: Payload, now_s: float) -> Iterator[Following]:
        try:
            session, birth = session_of(read), birth_of(read.metrics)
            if read.seq != 0 or session is None:
                raise PayloadError(f"number {read.seq}, bdSeq {session}: expected number 0 and a bdSeq")  # noqa: TRY301 - told like the others
        except PayloadError as error:
            yield from self._break_off(place, node, f"NBIRTH: {error}", now_s)
            return
        yield from self._over(place, node, now_s)
        if not self._has_room(birth, place):
            return
        node.begin(session, birth, now_s)
        yield from self._announced(place, node, birth)

    def _device_born(self, place: Place, node: Node, read: Payload) -> Iterator[Following]:
        node.born.pop(place.device, None)
        try:
            birth = birth_of(read.metrics)
        except PayloadError as error:
            self._refuse("unreadable", place.orders, f"DBIRTH: {error}")
            yield from self._pass_over(place, node)
            return
        if len(node.born) > MOST_DEVICES or not self._has_room(birth, place):
            yield from self._pass_over(place, node)
            return
        node.passed_over.discard(place.device)
        node.born[place.device] = birth
        yield from self._announced(place, node, birth)

    def _data(self, place: Place, node: Node, read: Payload, now_s: float) -> Iterator[Following]:
        birth = node.born.get(place.device)
        if birth is None:
            if place.device not in node.passed_over:
                yield from self._break_off(place, node, "data of a device that was never born", now_s)
            return
        try:
            values, faults = birth.told(read.metrics)
        except LookupError as error:
            yield from self._break_off(place, node, str(error), now_s)
            return
        self.counts["data"] += 1
        self._note(place, faults)
        yield from (Told(place.told(name), payload_of(value)) for name, value in values.items())

    def _node_dead(self, place: Place, node: Node, read: Payload, now_s: float) -> Iterator[Following]:
        if session_of(read) != node.session:
            self.counts["ignored"] += 1
            return
        self.counts["death"] += 1
        node.asking.is_wanted = False
        yield from self._over(place, node, now_s)

    def _announced(self, place: Place, node: Node, birth: Birth) -> Iterator[Following]:
        self.counts["birth"] += 1
        self._note(place, birth.faults)
        area = area_of(place, birth.values, node.born[""].values)
        metrics = [one for one in birth.metrics.values() if one is not None]
        entities, left = entities_of(place, metrics, area, partial(self._order, place, node, birth))
        left_out = (f"{left} metrics: too many to be told apart by ear",) if left else ()
        if entities or place.device in node.announced:
            yield Announcement(place.source, entities, left_out)
        if entities:
            node.announced[place.device] = None
            yield Told(place.presence, b"1")
            yield from (Told(place.told(name), payload_of(value)) for name, value in birth.values.items())
        else:
            node.announced.pop(place.device, None)

    def _order(self, place: Place, node: Node, birth: Birth, name: str, value: Scalar) -> Message:
        """Make the order that gives a metric a value. Raise PayloadError if it is none of its datatype."""
        born = birth.metrics[name]
        is_current = node.born.get(place.device) is birth
        alias = birth.alias_of(name) if is_current else None
        datatype = Datatype.BOOLEAN if born is None else born.datatype
        metric = metric_of(datatype, value, name=name if alias is None else None, alias=alias)
        return Message(place.orders, encode(Payload((metric,), self._clock_ms())))

    def _over(self, place: Place, node: Node, now_s: float) -> Iterator[Following]:
        """End the session, if there is one."""
        if node.has_session:
            node.end(now_s)
            for device in node.announced:
                yield Told(Place(place.group, place.node, device).presence, b"0")

    def _break_off(self, place: Place, node: Node, why: str, now_s: float) -> Iterator[Following]:
        self._refuse("broken-off", place.orders, why)
        yield from self._over(place, node, now_s)
        node.asking.want()
        yield from self._ask((place.group, place.node), node, now_s)

    def _pass_over(self, place: Place, node: Node) -> Iterator[Following]:
        node.born.pop(place.device, None)
        if len(node.passed_over) < MOST_DEVICES:
            node.passed_over.add(place.device)
        yield from _away(place, node)

    def _ask(self, key: tuple[str, str], node: Node, now_s: float) -> Iterator[Message]:
        """Ask a node for a birth, if it is time and not too many have just been asked."""
        if not node.asking.is_due(now_s):
            return
        if int(now_s) != self._second:
            self._second, self._asked_in_second = int(now_s), 0
        if self._asked_in_second < MOST_ASKED_AT_ONCE:
            self._asked_in_second += 1
            self.counts["asked"] += 1
            node.asking.asked(now_s)
            # By name: what an alias means is just what is not known.
            metric = metric_of(Datatype.BOOLEAN, True, name=REBIRTH)  # noqa: FBT003 - the metric's value
            yield Message(Place(*key).orders, encode(Payload((metric,), self._clock_ms())))

    def _has_room(self, birth: Birth, place: Place) -> bool:
        has_room = sum(node.size for node in self._nodes.values()) + len(birth.metrics) <= MOST_METRICS
        if not has_room:
            self._refuse("full", place.orders, f"there are {MOST_METRICS} metrics already")
        return has_room

    def _note(self, place: Place, faults: Sequence[str]) -> None:
        if faults:
            self._refuse("unreadable", place.orders, faults[0])

    def _refuse(self, what: Counted, subject: str, reason: str) -> None:
        self.counts[what] += 1
        self.refusals.append(LeftOut(subject[:200], reason[:200]))


def _away(place: Place, node: Node) -> Iterator[Following]:
    if place.device in node.announced:
        yield Told(place.presence, b"0")
