"""What was spoken of: devices for "it", and the order to which "the same" and "no, the kitchen" go back. Pure.

Rules:
- devices are remembered for two minutes after they were ordered or asked about, an order for one;
- a correction must follow soon after: "no, the kitchen" ten minutes later is said to somebody else;
- a group that was meant by its kind stays a group where it is named again: the same in the bedroom.
"""

from collections.abc import Callable
from dataclasses import replace

from edgeagent.messages import Action, Command, Slot, When

SPOKEN_OF_S = 120.0
ORDERED_S = 60.0
CORRECTED_S = 15.0
AMENDED_S = 8.0
_WHERE = frozenset({"name", "area", "kind", "class", "scope", "reference", "except_name", "except_area"})


class Context:
    """The last order, and the last devices. `clock` gives seconds that only go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing was spoken of yet."""
        self._clock = clock
        self._devices: tuple[str, ...] = ()
        self._spoken_at_s = float("-inf")
        self._order: Command | None = None
        self._actions: tuple[Action, ...] = ()
        self._ordered_at_s = float("-inf")

    @property
    def devices(self) -> tuple[str, ...]:
        """Return the ids of the devices that "it" means."""
        return self._devices if self._clock() - self._spoken_at_s <= SPOKEN_OF_S else ()

    def speak_of(self, devices: tuple[str, ...]) -> None:
        """Take note of devices that were ordered or asked about."""
        if devices:
            self._devices, self._spoken_at_s = devices, self._clock()

    def order(self, command: Command, actions: tuple[Action, ...]) -> None:
        """Take note of an order that is carried out."""
        self.speak_of(tuple(action.device.id for action in actions))
        self._order, self._actions, self._ordered_at_s = command, actions, self._clock()

    def last(self, within_s: float) -> tuple[Command, tuple[Action, ...]] | None:
        """Return the last order with its actions, if it is no older than that."""
        if self._order is None or self._clock() - self._ordered_at_s > within_s:
            return None
        return self._order, self._actions


def elsewhere(order: Command, actions: tuple[Action, ...], said: Command) -> Command:
    """Return an order for what another sentence names: "the same in the bedroom", "no, the kitchen"."""
    there = tuple(slot for slot in said.slots if slot.name in {"name", "area"})
    kept = tuple(slot for slot in order.slots if slot.name not in _WHERE)
    if any(slot.name == "name" for slot in there):
        return replace(order, utterance=said.utterance, slots=(*kept, *there), then=(), doubt=said.doubt)
    group = tuple(slot for slot in order.slots if slot.name in {"kind", "class"})
    if not group and actions:
        group = (Slot("kind", actions[0].device.kind, ""),)
    return replace(order, utterance=said.utterance, slots=(*kept, *group, *there), then=(), doubt=said.doubt)


def amended(order: Command, said: Command) -> Command:
    """Return an order with the time that was said after it: "for ten minutes", "in ten minutes"."""
    seconds = said.slot("duration")
    length = float(seconds) if isinstance(seconds, float | int) else 0.0
    before = order.when or When()
    when = (
        replace(before, lasts_s=length) if said.slot("amend") == "for" else When(delay_s=length, lasts_s=before.lasts_s)
    )
    return replace(order, utterance=said.utterance, when=when, doubt=said.doubt)
