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
_UNDER_WAY: Mapping[tuple[Capability, str], frozenset[str]] = MappingProxyType(
    {
        ("opening", "open"): frozenset({"opening"}),
        ("opening", "closed"): frozenset({"closing"}),
        ("lock", "locked"): frozenset({"locking"}),
        ("lock", "unlocked"): frozenset({"unlocking"}),
        ("cleaning", "docked"): frozenset({"returning"}),
        ("arming", "armed_home"): frozenset({"arming", "pending"}),
        ("arming", "armed_away"): frozenset({"arming", "pending"}),
        ("arming", "armed_night"): frozenset({"arming", "pending"}),
        ("arming", "disarmed"): frozenset({"disarming"}),
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
    return isinstance(wanted, str) and seen in _UNDER_WAY.get((capability, wanted), ())


@dataclass(frozen=True, slots=True)
class Expectation:
    """A value that is waited for. `answer` gets it once it is seen, `relapse` what is seen instead of it after that."""

    capability: Capability
    value: Value
    answer: asyncio.Future[Value]
    relapse: asyncio.Future[Value]

    def observe(self, seen: Value) -> None:
        """Take note of what the device says now."""
        if is_reached(self.capability, self.value, seen):
            if not self.answer.done():
                self.answer.set_result(seen)
        elif self.answer.done() and not self.relapse.done() and not is_under_way(self.capability, self.value, seen):
            self.relapse.set_result(seen)


@dataclass(slots=True)
class Expectations:
    """Who waits for which value of which device. Holds as many entries as there are orders under way."""

    _waiting: dict[str, list[Expectation]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many orders are waited for."""
        return sum(len(expectations) for expectations in self._waiting.values())

    @contextmanager
    def expect(self, device: str, capability: Capability, value: Value) -> Iterator[Expectation]:
        """Give an expectation that is answered once the device reports the value. Enter before ordering.

        Leaving the block forgets it, however it is left: a late answer finds nobody.
        """
        loop = asyncio.get_running_loop()
        expectation = Expectation(capability, value, loop.create_future(), loop.create_future())
        self._waiting.setdefault(device, []).append(expectation)
        try:
            yield expectation
        finally:
            expectation.answer.cancel()
            expectation.relapse.cancel()
            left = [other for other in self._waiting[device] if other is not expectation]
            if left:
                self._waiting[device] = left
            else:
                del self._waiting[device]

    def observe(self, observation: Observation) -> None:
        """Answer those whose value was seen."""
        for expectation in self._waiting.get(observation.device, ()):
            seen = observation.values.get(expectation.capability)
            if seen is not None:
                expectation.observe(seen)
