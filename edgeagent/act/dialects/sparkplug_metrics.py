"""What the metrics of a Sparkplug device are for: which can be ordered and how, which are only told.

Sparkplug says of a metric no more than its name, datatype and properties, so it follows from these:
- a Boolean whose name ends in Run, Enable, Start, Motor or Pump is a machine; Running or Feedback beside it, in the
  same folder, is what it then tells; Stop beside a Start stops it;
- a Boolean of a valve (the word stands in the device's id or in the metric's path) that ends in Open, Command, Set or
  Valve opens and closes it; Opened, State, Status or Feedback beside it is what it tells;
- a Boolean that ends in Ack or Acknowledge, in a folder Alarm or Alarms, acknowledges that alarm, and tells nothing;
- another Boolean that says that it is writable, or ends in Command, Cmd or Set, is a switch; State, Status or Feedback
  beside it is what it tells;
- a number that says that it is writable, or ends in Setpoint, SP or Target, can be set if its properties give a range:
  engLow and engHigh, low and high, or min and max; without a range it is only told;
- every other number, Boolean and text is told; dates are not;
- what says that it is not writable (writable false, readOnly true) is never ordered;
- its unit is the property engUnit, engineering unit, or unit;
- the folders Node Control, Device Control, Node Info and Properties, and bdSeq, are of the protocol, not of the plant.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgeagent.act.dialects import sparkplug_names as names
from edgeagent.act.dialects.channels import Channels, number_reader, text_reader, words_reader
from edgeagent.act.dialects.dialect import Values, Writer
from edgeagent.act.dialects.sparkplug_payload import Datatype, Scalar, as_float
from edgeagent.errors import PayloadError
from edgeagent.messages import Capability, Kind, Message

Send = Callable[[str, Scalar], Message]
"""Makes the message that gives a metric, by its name, a value."""
Told = Callable[[str], str]
"""Gives the name under which a metric's value is told."""

SETS = ("setpoint", "sp", "target")
LONGEST_READING = 64
LONGEST_UNIT = 32
_RUNS = ("run", "enable", "enabled", "start", "motor", "pump")
_TELLS_RUN = ("running", "feedback")
_OPENS = ("open", "command", "cmd", "set", "valve")
_TELLS_OPEN = ("opened", "state", "status", "feedback")
_SWITCHES = ("command", "cmd", "set")
_TELLS_SWITCH = ("state", "status", "feedback")
_ACKNOWLEDGES = ("ack", "acknowledge")
_ALARMS = frozenset({"alarm", "alarms"})
_PARTS_PLAYED = frozenset({"run", "enable", "enabled", "start", "running", "open", *_SWITCHES})
"""Said of what a metric is for, and not part of its name."""
_PROTOCOL = frozenset({"node control", "device control", "node info", "properties", "bdseq"})
_LEAST, _MOST = ("englow", "low", "min", "minimum"), ("enghigh", "high", "max", "maximum")
_UNIT = ("engunit", "engineeringunit", "engunits", "unit", "units")


@dataclass(frozen=True, slots=True)
class Born:
    """A metric as its birth told it: the parts of its name, and the words of the last of them."""

    name: str
    datatype: Datatype
    properties: Mapping[str, Scalar]
    parts: tuple[str, ...] = field(init=False)
    last: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Take the name apart, once."""
        object.__setattr__(self, "parts", tuple(part for part in self.name.split("/") if part))
        object.__setattr__(self, "last", names.words_of(self.parts[-1]) if self.parts else ())

    @property
    def folder(self) -> tuple[str, ...]:
        """Return the parts of the name before the last."""
        return self.parts[:-1]

    @property
    def writable(self) -> bool | None:
        """Tell whether it says that it can be written; None where it says nothing."""
        if isinstance(said := self._property("writable"), bool):
            return said
        return not said if isinstance(said := self._property("readonly"), bool) else None

    @property
    def range(self) -> tuple[float, float] | None:
        """Return the least and the greatest value that it may be given; None where it does not say."""
        least, most = self._property(*_LEAST), self._property(*_MOST)
        if not isinstance(least, int | float) or not isinstance(most, int | float):
            return None
        ends = max(float(least), self.datatype.bounds[0]), min(float(most), self.datatype.bounds[1])
        return ends if ends[0] < ends[1] else None

    @property
    def unit(self) -> str | None:
        """Return its unit; None where it does not say."""
        unit = self._property(*_UNIT)
        return unit if isinstance(unit, str) and 0 < len(unit) <= LONGEST_UNIT and unit.isprintable() else None

    def ends(self, *words: str) -> bool:
        """Tell whether the last word of the name, or the last two as one, is one of these."""
        return bool(self.last) and (self.last[-1] in words or "".join(self.last[-2:]) in words)

    def _property(self, *keys: str) -> Scalar | None:
        told = {"".join(names.words_of(key)): value for key, value in self.properties.items()}
        return next((told[key] for key in keys if key in told), None)


@dataclass(frozen=True, slots=True)
class Found:
    """A metric that can be ordered or asked, and the parts of its name that are said."""

    metric: Born
    channels: Channels
    said: tuple[str, ...]


def sorted_out(device: str, metrics: Iterable[Born], told: Told, send: Send) -> list[Found]:
    """Return what a device's metrics are for; what can be ordered first."""
    free = _Free(one for one in metrics if one.parts and one.parts[0].lower() not in _PROTOCOL)
    of_valve = "valve" in names.words_of(device)
    return [*_orderable(free, told, send, of_valve=of_valve), *_only_told(free.all(), told)]


class _Free:
    """The metrics that nothing has been made of yet."""

    def __init__(self, metrics: Iterable[Born]) -> None:
        self._by_name = {one.name: one for one in metrics}
        self._booleans = {
            (one.folder, one.last): one.name for one in self._by_name.values() if one.datatype is Datatype.BOOLEAN
        }

    def all(self) -> tuple[Born, ...]:
        return tuple(self._by_name.values())

    def has(self, one: Born) -> bool:
        return one.name in self._by_name

    def take(self, one: Born) -> None:
        self._by_name.pop(one.name, None)

    def beside(self, one: Born, *ends: str) -> Born | None:
        """Return the Boolean in the same folder that ends so and is otherwise called alike, or is just called so."""
        for stem in (one.last[:-1], ()):
            for end in ends:
                other = self._by_name.get(self._booleans.get((one.folder, (*stem, end)), ""))
                if other is not None and other is not one:
                    return other
        return None


def _orderable(free: _Free, told: Told, send: Send, *, of_valve: bool) -> Iterator[Found]:
    for one in free.all():
        if not free.has(one) or one.writable is False:
            continue
        if one.datatype is Datatype.BOOLEAN:
            found = _acknowledged(one, send) or _switched(one, free, told, send, of_valve=of_valve)
        else:
            found = _set(one, told, send)
        if found is not None:
            free.take(one)
            yield found


def _acknowledged(one: Born, send: Send) -> Found | None:
    is_alarm = any(not _ALARMS.isdisjoint(names.words_of(part)) for part in one.parts)
    if not (is_alarm and one.ends(*_ACKNOWLEDGES)):
        return None
    own = " ".join(word for word in one.last if word not in _ACKNOWLEDGES)
    folders = [" ".join(word for word in names.words_of(part) if word not in _ALARMS) for part in (*one.folder, own)]
    writer = Writer("acknowledge", lambda _: (send(one.name, True),), ("now",))  # noqa: FBT003 - the metric's value
    name = " ".join([part for part in folders if part][-2:])
    return Found(one, Channels("alarm", (), (writer,)), (name, "alarm"))


def _switched(one: Born, free: _Free, told: Told, send: Send, *, of_valve: bool) -> Found | None:
    """Describe what has two states, if it can be ordered; what tells the state is taken from those that are free."""
    is_valve = of_valve or any("valve" in names.words_of(part) for part in one.parts)
    kind: Kind
    capability: Capability
    no = (one.name, False)
    if is_valve and one.ends(*_OPENS):
        kind, capability, words = "valve", "opening", ("open", "closed")
        teller = free.beside(one, *_TELLS_OPEN)
    elif one.ends(*_RUNS) or (one.ends("running") and free.beside(one, *_RUNS) is None):
        kind, capability, words = "machine", "run", ("running", "stopped")
        teller = free.beside(one, *_TELLS_RUN)
        if one.ends("start") and (stop := free.beside(one, "stop")) and stop.writable is not False:
            no = (stop.name, True)
            free.take(stop)
    elif one.writable or one.ends(*_SWITCHES):
        kind, capability, words = "switch", "power", ("on", "off")
        teller = free.beside(one, *_TELLS_SWITCH)
    else:
        return None
    if teller is not None:
        free.take(teller)
    orders = dict(zip(words, ((one.name, True), no), strict=True))
    readers = words_reader(told((teller or one).name), None, capability, {"true": words[0], "false": words[1]})
    writer = Writer(capability, lambda word: (send(*orders[str(word)]),), words)
    return Found(one, Channels(kind, readers, (writer,)), _without_role(one))


def _set(one: Born, told: Told, send: Send) -> Found | None:
    if not one.datatype.is_number or not (one.writable or one.ends(*SETS)) or (ends := one.range) is None:
        return None
    settle: Callable[[float], float] = (
        round if one.datatype.is_integer else as_float if one.datatype is Datatype.FLOAT else float
    )
    writer = Writer("setpoint", lambda value: (send(one.name, settle(float(value))),), settle=settle)
    units: dict[Capability, str] = {} if one.unit is None else {"setpoint": one.unit}
    readers = number_reader(told(one.name), None, "setpoint")
    return Found(one, Channels("number", readers, (writer,), {"setpoint": ends}, units), one.parts)


def _only_told(metrics: Sequence[Born], told: Told) -> Iterator[Found]:
    for one in metrics:
        topic = told(one.name)
        kind: Kind = "sensor"
        units: dict[Capability, str] = {}
        if one.datatype.is_number:
            readers = number_reader(topic, None, "reading")
            units = {} if one.unit is None else {"reading": one.unit}
        elif one.datatype is Datatype.BOOLEAN:
            kind, readers = "binary_sensor", words_reader(topic, None, "reading", {"true": "on", "false": "off"})
        elif one.datatype in {Datatype.STRING, Datatype.TEXT}:
            readers = text_reader(topic, None, _reading, "reading")
        else:
            continue
        yield Found(one, Channels(kind, readers, units=units), one.parts)


def _without_role(one: Born) -> tuple[str, ...]:
    kept = " ".join(word for word in one.last if word not in _PARTS_PLAYED)
    return (*one.folder, kept) if kept else one.folder


def _reading(text: str) -> Values:
    if len(text) > LONGEST_READING or not text.isprintable():
        raise PayloadError(f"expected a short text, found {text!a:.40}")
    return {"reading": text} if text else {}
