"""How many orders in how short a time are no person's any more, and what is made safe then. Pure; time comes in.

Rules:
- orders beyond the limit of a minute are refused; stops, answers and questions are not counted;
- at twice as many it is a storm: once, machines are stopped, covers that move are stopped, and what its owner has given
  a safe state is put into it; until a minute has passed without an order too many, everything but a stop is refused.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

from edgeagent.act.targets import Home
from edgeagent.messages import Action, Capability, Device, Value

WINDOW_S = 60.0
Verdict = Literal["go", "too-many", "storm"]


class Storm:
    """Counts orders. `clock` gives seconds that only go forward."""

    def __init__(self, most_in_a_minute: int, clock: Callable[[], float]) -> None:
        """Nothing was ordered yet."""
        self._most = most_in_a_minute
        self._clock = clock
        self._times: deque[float] = deque(maxlen=2 * most_in_a_minute)
        self._is_storm = False

    def order(self) -> Verdict:
        """Count an order, and return what is to happen with it; a storm is told once."""
        now = self._clock()
        while self._times and now - self._times[0] > WINDOW_S:
            self._times.popleft()
        if len(self._times) < self._most:
            if not self._times:
                self._is_storm = False
            if not self._is_storm:
                self._times.append(now)
                return "go"
        self._times.append(now)
        if len(self._times) < 2 * self._most or self._is_storm:
            return "too-many"
        self._is_storm = True
        return "storm"


def safe_actions(
    home: Home, safe_states: Callable[[Device], Mapping[Capability, Value]], utterance: str
) -> tuple[Action, ...]:
    """Return what makes the house safe."""
    orders: list[tuple[Device, Capability, Value]] = []
    for device in home.everything():
        own = {can: value for can, value in safe_states(device).items() if can in device.capabilities}
        orders += [(device, capability, value) for capability, value in own.items()]
        is_moving = device.kind == "cover" and home.values(device.id).get("opening") in {"opening", "closing"}
        if "run" in device.capabilities and "run" not in own:
            orders.append((device, "run", "stopped"))
        elif is_moving and own.keys().isdisjoint({"opening", "position"}):
            orders.append((device, "opening", "stopped"))
    return tuple(
        Action(f"{utterance}.safe{number}", utterance, *order, allowed_by="a storm of orders: made safe")
        for number, order in enumerate(orders, start=1)
    )
