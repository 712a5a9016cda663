"""The owner's rules of what may not be done, and what holds now, to a ruling on an action. Pure.

Rules:
- a rule applies to the orders that it is for, at its hours, on its days, spoken at its places, and while all its states
  hold; what it does not name, it does not ask for;
- a state that nobody knows, or that of a device that is offline, counts as holding: what cannot be seen is not safe;
- of all that apply, one that refuses wins over one that asks, and the first of those is named;
- no rule forbids a stop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from edgeagent.act.names import key_of
from edgeagent.act.queries import words_now
from edgeagent.act.safety import Effect, Ruling, is_stop, names_of
from edgeagent.act.targets import Home
from edgeagent.messages import Action, Capability, Device, Kind

_BETWEEN = frozenset({"opening", "closing", "locking", "unlocking", "jammed", "pending", "arming"})
"""States on the way to another: nobody knows which of both holds."""


@dataclass(frozen=True, slots=True)
class Holds:
    """A state of a device: a word that it is in, or a number that its reading is above or below."""

    device: str
    words: frozenset[str] = frozenset()
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """Which orders a rule is for; what is empty leaves it open. Devices and areas are keys of names."""

    devices: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    areas: frozenset[str] = frozenset()
    capabilities: frozenset[Capability] = frozenset()
    values: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """What may not be done, or only after a question. `hours` may go over midnight; days count from Monday as 0."""

    name: str
    orders: Orders
    effect: Effect = "refuse"
    while_all: tuple[Holds, ...] = ()
    hours: tuple[time, time] | None = None
    days: frozenset[int] = frozenset()
    spoken_in: frozenset[str] = frozenset()
    say: str = ""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds now: the devices' states, the area in which the order was spoken, the local time."""

    home: Home
    here: str | None
    now: datetime


def ruling(action: Action, rules: Iterable[Rule], around: Circumstances) -> Ruling | None:
    """Return what the rules say of an action; None if none of them is about it."""
    if is_stop(action.capability, action.value):
        return None
    applying = [rule for rule in rules if _is_for(rule.orders, action) and _applies(rule, around)]
    first = next((rule for rule in applying if rule.effect == "refuse"), next(iter(applying), None))
    return None if first is None else Ruling(first.name, first.effect, first.say)


def _is_for(orders: Orders, action: Action) -> bool:
    device = action.device
    return (
        (not orders.devices or not orders.devices.isdisjoint({*names_of(device), device.id}))
        and (not orders.kinds or device.kind in orders.kinds)
        and (not orders.areas or key_of(device.area or "") in orders.areas)
        and (not orders.capabilities or action.capability in orders.capabilities)
        and (not orders.values or not orders.values.isdisjoint(_words_of(action)))
    )


def _words_of(action: Action) -> frozenset[str]:
    """Return the words for what an action does: to be set to half is to be opened, or switched on, as well."""
    value = action.value
    words = {value if isinstance(value, str) else f"{value:g}"}
    if isinstance(value, str):
        is_running = action.capability == "mode" and value != "off"
        return frozenset(words | ({"on"} if is_running else set()))
    if action.capability == "position":
        words.add("open" if value > 0 else "closed")
    if action.capability in {"brightness", "speed"}:
        words.add("on" if value > 0 else "off")
    return frozenset(words)


def _applies(rule: Rule, around: Circumstances) -> bool:
    if rule.spoken_in and key_of(around.here or "") not in rule.spoken_in:
        return False
    return _is_time(rule, around.now) and all(_holds(state, around.home) for state in rule.while_all)


def _is_time(rule: Rule, now: datetime) -> bool:
    """Tell whether it is a rule's hour and day; the hours after midnight belong to the day on which they began."""
    if rule.hours is None:
        return not rule.days or now.weekday() in rule.days
    begins, ends = rule.hours
    clock = now.time()
    if begins <= ends:
        return begins <= clock < ends and (not rule.days or now.weekday() in rule.days)
    day = now.weekday() if clock >= begins else (now.weekday() - 1) % 7
    return (clock >= begins or clock < ends) and (not rule.days or day in rule.days)


def _holds(state: Holds, home: Home) -> bool:
    found = _called(state.device, home)
    return not found or any(_is_so(state, device, home) for device in found)


def _is_so(state: Holds, device: Device, home: Home) -> bool:
    told = home.values(device.id)
    if not told or not home.is_available(device.id):
        return True
    if state.words:
        now = words_now(device, told)
        is_told = any(isinstance(value, str) for value in told.values())
        return not is_told or bool(state.words & now) or not now.isdisjoint(_BETWEEN)
    numbers = [value for can in ("reading", "setpoint", "target_temperature") if (value := told.get(can)) is not None]
    number = next((value for value in numbers if isinstance(value, float | int)), None)
    if number is None:
        return True
    return (state.above is None or number > state.above) and (state.below is None or number < state.below)


def _called(name: str, home: Home) -> Sequence[Device]:
    """Return the devices of that name or id, also those that are not for speech."""
    return [device for device in home.everything() if device.id == name or key_of(name) in names_of(device)]
