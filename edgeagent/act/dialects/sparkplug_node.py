"""What is known of one edge node: its session, what was born in it, and when the node is asked for a new birth.

Rules:
- a birth is whole: one metric without a name, or a name or an alias that stands twice, and nothing of it is taken;
- data is whole, too: one metric that was never born, and nothing of it is taken;
- a metric whose datatype is not read is remembered, so that its data is no surprise, and passed over;
- a node is asked for a birth at once, then no sooner than `ASK_LEAST_S` later, then ever more rarely: a birth is large,
  and a node whose births do not help must not be kept busy with them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgeagent.act.dialects.sparkplug_metrics import Born
from edgeagent.act.dialects.sparkplug_payload import Datatype, Metric, Payload, Scalar, datatype_of, value_of
from edgeagent.errors import PayloadError

SEQUENCE = 256
"""The numbers of messages go up to 255 and begin again."""
ASK_LEAST_S = 10.0
ASK_MOST_S = 600.0
STEADY_S = 60.0
"""A session that held this long was a good one: the waits begin anew."""
ASKS_IN_SILENCE = 3
"""A request may get lost: so often it is made without a word from the node."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a birth told: the metrics by name (None: not read), the names by alias, the values, what was unreadable."""

    metrics: Mapping[str, Born | None]
    names: Mapping[int, str]
    values: Mapping[str, Scalar]
    faults: tuple[str, ...] = ()

    def alias_of(self, name: str) -> int | None:
        """Return the alias of a metric, or None if it has none."""
        return next((alias for alias, other in self.names.items() if other == name), None)

    def told(self, metrics: Iterable[Metric]) -> tuple[Mapping[str, Scalar], tuple[str, ...]]:
        """Return the values that data tells, and what was unreadable. Raise LookupError for what was never born."""
        named = [(self._name(metric), metric) for metric in metrics]
        return _values((self.metrics[name], metric) for name, metric in named)

    def _name(self, metric: Metric) -> str:
        name = self.names.get(-1 if metric.alias is None else metric.alias) if metric.name is None else metric.name
        if name is None or name not in self.metrics:
            raise LookupError(f"{f'alias {metric.alias}' if metric.name is None else metric.name!a:.60} was never born")
        return name


def birth_of(metrics: Iterable[Metric]) -> Birth:
    """Read the metrics of a birth. Raise PayloadError where they are not clear."""
    born: dict[str, Born | None] = {}
    names: dict[int, str] = {}
    pairs: list[tuple[Born | None, Metric]] = []
    for metric in metrics:
        if metric.name is None:
            raise PayloadError("a metric without a name")
        if metric.name in born:
            raise PayloadError(f"metric {metric.name!a:.60} stands twice")
        if metric.alias is not None and names.setdefault(metric.alias, metric.name) != metric.name:
            raise PayloadError(f"alias {metric.alias} stands for two metrics")
        is_read = metric.datatype in set(Datatype)
        born[metric.name] = Born(metric.name, datatype_of(metric.datatype), metric.properties) if is_read else None
        pairs.append((born[metric.name], metric))
    return Birth(born, names, *_values(pairs))


def session_of(read: Payload) -> int | None:
    """Return the number of the session, bdSeq, that a birth or a death speaks of; None if it names none."""
    found = [metric.raw for metric in read.metrics if metric.name == "bdSeq" and not metric.is_null]
    number = found[0] if len(found) == 1 else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _values(pairs: Iterable[tuple[Born | None, Metric]]) -> tuple[Mapping[str, Scalar], tuple[str, ...]]:
    values: dict[str, Scalar] = {}
    faults: list[str] = []
    for born, metric in pairs:
        if born is None or not metric.is_good:
            continue
        try:
            value = value_of(metric, born.datatype)
        except PayloadError as error:
            faults.append(f"{born.name!a:.60}: {error}")
            continue
        if value is not None:
            values[born.name] = value
    return values, tuple(faults)


@dataclass(slots=True)
class Asking:
    """When a node is asked for a birth."""

    is_wanted: bool = False
    not_before_s: float = 0.0
    wait_s: float = ASK_LEAST_S
    in_silence: int = 0

    def is_due(self, now_s: float) -> bool:
        """Tell whether the node should be asked now."""
        return self.is_wanted and now_s >= self.not_before_s and self.in_silence < ASKS_IN_SILENCE

    def want(self) -> None:
        """Note that the node has spoken, and a birth is needed."""
        self.is_wanted = True
        self.in_silence = 0

    def asked(self, now_s: float) -> None:
        """Note that the node is asked."""
        self.not_before_s = now_s + self.wait_s
        self.wait_s = min(2 * self.wait_s, ASK_MOST_S)
        self.in_silence += 1


@dataclass(slots=True)
class Node:
    """An edge node. `born` are the births of its session, by device, the node's own under ""; empty without one.

    `announced` are the devices that the registry knows, `passed_over` those whose births could not be taken.
    """

    born: dict[str, Birth] = field(default_factory=dict)
    announced: dict[str, None] = field(default_factory=dict)
    passed_over: set[str] = field(default_factory=set)
    session: int = -1
    seq: int = 0
    since_s: float = 0.0
    asking: Asking = field(default_factory=Asking)

    @property
    def has_session(self) -> bool:
        """Tell whether what it says can be understood."""
        return "" in self.born

    @property
    def size(self) -> int:
        """Return how many metrics are remembered."""
        return sum(len(birth.metrics) for birth in self.born.values())

    def begin(self, session: int, birth: Birth, now_s: float) -> None:
        """Begin a session; its devices are yet to be born."""
        self.born = {"": birth}
        self.session, self.seq, self.since_s = session, 0, now_s
        self.asking.is_wanted = False

    def end(self, now_s: float) -> None:
        """Forget the session: aliases mean nothing any more."""
        if self.has_session and now_s - self.since_s >= STEADY_S:
            self.asking.wait_s = ASK_LEAST_S
        self.born = {}
        self.passed_over = set()

    def follows(self, seq: int | None) -> bool:
        """Tell whether this is the number that comes next, and count it."""
        if seq != (self.seq + 1) % SEQUENCE:
            return False
        self.seq = (self.seq + 1) % SEQUENCE
        return True
