"""What was done last, and the orders that put it back as it was. Pure; time comes in.

Rules:
- only what was known before can be put back: a device that never told its state is left as it is, and that is said;
- what was off before is switched off, whatever was set on it: a lamp that was dimmed up from off was off;
- what has no way back (a scene, a skipped song, a stop) is not undone; what opens, unlocks or starts something again is
  asked about like any other such order;
- to undo twice puts it back as it was ordered: what is undone is done in its turn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgeagent.act.safety import is_stop
from edgeagent.messages import Action, Capability, Command, Rejection, Value

UNDO = "undo"
REMEMBERED_S = 600.0
"""Seconds after which nobody means the last order any more."""
_WORDS: Mapping[Capability, frozenset[Value]] = {
    "power": frozenset({"on", "off"}),
    "opening": frozenset({"open", "closed"}),
    "lock": frozenset({"locked", "unlocked"}),
    "run": frozenset({"running", "stopped"}),
    "cleaning": frozenset({"cleaning", "docked"}),
}
"""States that can be ordered again; others, such as jammed, are none."""
_ANY: frozenset[Capability] = frozenset(
    {"brightness", "color", "color_temperature", "position", "tilt", "target_temperature", "mode", "speed", "volume",
     "setpoint", "option", "text"}
)  # fmt: skip

Values = Callable[[str], Mapping[Capability, Value]]
"""A device's id to its last values."""


@dataclass(frozen=True, slots=True)
class _Done:
    action: Action
    before: tuple[Capability, Value] | None
    was_so: bool


class LastDone:
    """The actions of the last order, with what the devices were before."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Remember nothing yet."""
        self._clock = clock
        self._done: tuple[_Done, ...] = ()
        self._at_s = 0.0

    def note(self, actions: tuple[Action, ...], values: Values) -> None:
        """Take note of actions that are about to be done."""
        done = tuple(_done(action, values(action.device.id)) for action in actions)
        is_same = bool(done and self._done) and done[0].action.utterance == self._done[0].action.utterance
        self._done = (*done, *self._done) if is_same else done  # all of one sentence; the latest is put back first
        self._at_s = self._clock()

    def before(self, device: str) -> Mapping[Capability, Value]:
        """Return what a device was before the last order, as far as that order has changed it."""
        return {
            done.before[0]: done.before[1] for done in self._done if done.before and done.action.device.id == device
        }

    def undone(self, command: Command) -> tuple[Action, ...] | Rejection:
        """Return the actions that put back what was done last, or why there are none."""
        if not self._done or self._clock() - self._at_s > REMEMBERED_S:
            return Rejection(command.utterance, "not-able", command.text, "nothing was done just now")
        back = [(done.action, done.before) for done in self._done if done.before is not None]
        if not back:
            first = self._done[0]
            name = first.action.device.name
            why = f"{name} was so before" if first.was_so else f"nobody knows what {name} was before"
            return Rejection(command.utterance, "not-able", command.text, why)
        return tuple(
            Action(f"{command.utterance}.{number}", command.utterance, action.device, *was)
            for number, (action, was) in enumerate(back, start=1)
        )


def _done(action: Action, values: Mapping[Capability, Value]) -> _Done:
    return _Done(action, before(action, values), values.get(action.capability) == action.value)


def before(action: Action, values: Mapping[Capability, Value]) -> tuple[Capability, Value] | None:
    """Return the order that puts a device back; None where there is none, or where nothing changes."""
    capability = action.capability
    if is_stop(capability, action.value):
        return None
    if capability == "opening" and "position" in action.device.capabilities and "position" in values:
        return "position", values["position"]
    if values.get("power") == "off" and "power" in action.device.capabilities and capability != "power":
        return "power", "off"
    told = values.get(capability)
    is_orderable = capability in _ANY or told in _WORDS.get(capability, ())
    return (capability, told) if told is not None and is_orderable and told != action.value else None
