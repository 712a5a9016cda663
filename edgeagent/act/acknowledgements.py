"""Orders awaiting their acknowledgement: done means that the device reports the ordered value."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from edgeagent.act.dialects.colors import canonical
from edgeagent.messages import Capability, Observation, Value

TOLERANCES: Mapping[Capability, float] = MappingProxyType(
    {
        "brightness": 2,
        "color_temperature": 60,
        "position": 2,
        "tilt": 2,
        "speed": 2,
        "volume": 2,
        "target_temperature": 0.25,
        "setpoint": 0.01,
    }
)
"""How far a reported value may be off, in the capability's unit: devices round to their own steps."""
_UNDER_WAY: Mapping[tuple[Capability, str], str] = MappingProxyType(
    {
        ("opening", "open"): "opening",
        ("opening", "closed"): "closing",
        ("lock", "locked"): "locking",
        ("lock", "unlocked"): "unlocking",
        ("cleaning", "docked"): "returning",
    }
)
_AT_REST = frozenset({"open", "closed", "stopped"})


def is_reached(capability: Capability, wanted: Value, seen: Value) -> bool:
    """Tell whether the seen value is the wanted one, within what devices round.

    A cover that was told to stop has done so wherever it rests: many then report open or closed, not stopped.
    """
    if isinstance(wanted, str) or isinstance(seen, str):
        if capability == "color" and isinstance(wanted, str) and isinstance(seen, str):
            return canonical(wanted) == canonical(seen)
        if capability == "opening" and wanted == "stopped":
            return seen in _AT_REST
        return wanted == seen
    return abs(wanted - seen) <= TOLERANCES.get(capability, 0.0)


def is_under_way(capability: Capability, wanted: Value, seen: Value) -> bool:
    """Tell whether the device says that it is moving to the wanted value: not done, but worth more patience."""
    return isinstance(wanted, str) and _UNDER_WAY.get((capability, wanted)) == seen


@dataclass(frozen=True, slots=True)
class _Expectation:
    capability: Capability
    value: Value
    answer: asyncio.Future[Value]


@dataclass(slots=True)
class Expectations:
    """Who waits for which value of which device. Holds as many entries as there are orders under way."""

    _waiting: dict[str, list[_Expectation]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many orders are waited for."""
        return sum(len(expectations) for expectations in self._waiting.values())

    @contextmanager
    def expect(self, device: str, capability: Capability, value: Value) -> Iterator[asyncio.Future[Value]]:
        """Give a future that gets the reported value once it is the expected one. Enter before ordering.

        Leaving the block forgets it, however it is left: a late answer finds nobody.
        """
        expectation = _Expectation(capability, value, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(device, []).append(expectation)
        try:
            yield expectation.answer
        finally:
            expectation.answer.cancel()
            left = [other for other in self._waiting[device] if other is not expectation]
            if left:
                self._waiting[device] = left
            else:
                del self._waiting[device]

    def observe(self, observation: Observation) -> None:
        """Answer those whose value was seen."""
        for expectation in self._waiting.get(observation.device, ()):
            seen = observation.values.get(expectation.capability)
            if seen is None or expectation.answer.done():
                continue
            if is_reached(expectation.capability, expectation.value, seen):
                expectation.answer.set_result(seen)
