"""A command and what is there to actions, or a question, a rejection, an answer. Pure.

Which devices are meant:
1. a name: the devices of that name; several: the one in the named area, else the one here, else ask which;
2. a kind ("the lights"): all of it in the named area, else here, else in the only area that has any, else ask which;
3. only devices that are able count where that settles it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, get_args

from edgeagent.act.queries import reading, state_of
from edgeagent.messages import Action, Answer, Capability, Command, Device, Kind, Question, Rejection, Slot, Value

BRIGHTNESS_STEP = 20.0
VOLUME_STEP = 10.0
WORST_SPEEDS = {"low": 25.0, "medium": 50.0, "high": 100.0}


class Home(Protocol):
    """What planning must know of the devices."""

    def named(self, name: str, area: str | None = None) -> Sequence[Device]:
        """Return the devices that are called so, in that area if one is given."""
        ...

    def of_kind(self, kind: Kind, area: str | None = None) -> Sequence[Device]:
        """Return the devices of that kind, in that area if one is given."""
        ...

    def all_devices(self) -> Sequence[Device]:
        """Return every device."""
        ...

    def values(self, device: str) -> Mapping[Capability, Value]:
        """Return the last values that the device told."""
        ...

    def is_available(self, device: str) -> bool:
        """Tell whether the device says that it can be reached."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions of one command, all of which belong together."""

    command: Command
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class TimerOrder:
    """What is to be done with timers: they are ours, not a device's."""

    command: Command


Planned = Plan | Question | Rejection | Answer | TimerOrder

_FIXED: Mapping[str, tuple[Capability, Value]] = {
    "turn_on": ("power", "on"),
    "turn_off": ("power", "off"),
    "open": ("opening", "open"),
    "close": ("opening", "closed"),
    "stop_moving": ("opening", "stopped"),
    "lock": ("lock", "locked"),
    "unlock": ("lock", "unlocked"),
    "media_play": ("playback", "playing"),
    "media_pause": ("playback", "paused"),
    "media_next": ("playback", "next"),
    "media_previous": ("playback", "previous"),
    "vacuum_start": ("cleaning", "cleaning"),
    "vacuum_dock": ("cleaning", "docked"),
    "activate_scene": ("activate", "now"),
    "start_machine": ("run", "running"),
    "stop_machine": ("run", "stopped"),
    "acknowledge_alarm": ("acknowledge", "now"),
}
_VALUED: Mapping[str, tuple[Capability, str]] = {
    "set_brightness": ("brightness", "brightness"),
    "set_color": ("color", "color"),
    "set_position": ("position", "position"),
    "set_temperature": ("target_temperature", "temperature"),
    "set_mode": ("mode", "mode"),
    "set_speed": ("speed", "speed"),
    "set_volume": ("volume", "volume"),
    "set_point": ("setpoint", "value"),
}
_STEPPED: Mapping[str, tuple[Capability, float]] = {
    "adjust_brightness": ("brightness", BRIGHTNESS_STEP),
    "adjust_volume": ("volume", VOLUME_STEP),
}
_KIND_OF: Mapping[Capability, Kind] = {
    "brightness": "light",
    "color": "light",
    "position": "cover",
    "opening": "cover",
    "target_temperature": "climate",
    "mode": "climate",
    "speed": "fan",
    "playback": "media",
    "volume": "media",
    "cleaning": "vacuum",
    "acknowledge": "alarm",
}
_TIMERS = frozenset({"start_timer", "cancel_timer", "cancel_all_timers", "pause_timer", "resume_timer", "timer_left"})
_DIRECTIONS: Mapping[Value, int] = {"up": 1, "down": -1}
_UNITS: Mapping[str, frozenset[str]] = {
    "rpm": frozenset({"rpm", "r/min", "1/min"}),
    "bar": frozenset({"bar"}),
    "percent": frozenset({"%", "percent"}),
    "degrees": frozenset({"°c", "°f", "c", "f", "degrees", "celsius", "fahrenheit"}),
    "liters per minute": frozenset({"l/min", "lpm"}),
    "litres per minute": frozenset({"l/min", "lpm"}),
}


def plan(command: Command, home: Home, here: str | None, now: Callable[[], datetime]) -> Planned:
    """Return what is to be done about a command. `here` is the area of this device; `now` gives the local time."""
    if command.intent in _TIMERS:
        return TimerOrder(command)
    if command.intent == "get_time":
        return Answer(command.utterance, f"It is {now():%H:%M}.")
    if command.intent == "get_date":
        return Answer(command.utterance, f"It is {now():%A}, {now():%B} {now().day}.")
    if command.intent == "help":
        return Answer(command.utterance, _help(home))
    if command.intent == "emergency_stop":
        return _emergency_stop(command, home)
    if command.intent in {"get_state", "get_value"}:
        return _query(command, home, here)
    order = _order(command)
    if order is None:
        return Rejection(command.utterance, "not-able", command.text, f"no device does {command.intent}")
    capability, value = order
    meant = _targets(command, home, here, capability)
    if not isinstance(meant, tuple):
        return meant
    return _actions(command, meant, capability, value, home)


def _order(command: Command) -> tuple[Capability, Value] | None:
    if (fixed := _FIXED.get(command.intent)) is not None:
        return fixed
    if (valued := _VALUED.get(command.intent)) is not None:
        value = command.slot(valued[1])
        if value is None:
            return None
        return valued[0], WORST_SPEEDS.get(str(value), value) if valued[0] == "speed" else value
    if (stepped := _STEPPED.get(command.intent)) is not None:
        return stepped[0], stepped[1] * _DIRECTIONS.get(command.slot("direction") or "up", 1)
    return None


def _targets(
    command: Command, home: Home, here: str | None, capability: Capability
) -> tuple[Device, ...] | Question | Rejection:
    name, area = command.slot("name"), command.slot("area")
    place = here if area == "here" else None if area is None else str(area)
    if area == "here" and here is None:
        detail = "no area is set for this device: [device] area"
        return Rejection(command.utterance, "no-such-device", command.text, detail)
    if name is not None:
        return _by_name(command, home, str(name), place, here, capability)
    wanted = command.slot("kind") or _KIND_OF.get(capability)
    kind = next((known for known in get_args(Kind) if known == wanted), None)
    if kind is None:
        return Rejection(command.utterance, "no-such-device", command.text, "no device was named")
    return _by_kind(command, home, kind, place, here, capability)


def _by_name(
    command: Command, home: Home, name: str, place: str | None, here: str | None, capability: Capability
) -> tuple[Device, ...] | Question | Rejection:
    found = tuple(home.named(name, place))
    if not found:
        where = f" in the {place.lower()}" if place else ""
        return Rejection(command.utterance, "no-such-device", command.text, f"there is no {name.lower()}{where}")
    able = tuple(device for device in found if capability in device.capabilities)
    if not able:
        return Rejection(command.utterance, "not-able", command.text, f"{found[0].name} cannot do that")
    if len(able) > 1 and place is None and here is not None:
        able = tuple(device for device in able if _same(device.area, here)) or able
    return able if len(able) == 1 else _which(command, able)


def _by_kind(
    command: Command, home: Home, kind: Kind, place: str | None, here: str | None, capability: Capability
) -> tuple[Device, ...] | Question | Rejection:
    everywhere = tuple(device for device in home.of_kind(kind) if capability in device.capabilities)
    if command.slot("scope") == "all" and place is None:
        found = everywhere
    else:
        area = place or (here if any(_same(device.area, here) for device in everywhere) else None)
        found = tuple(device for device in everywhere if area is None or _same(device.area, area))
    if not found:
        where = f" in the {place.lower()}" if place else ""
        return Rejection(command.utterance, "no-such-device", command.text, f"there is no {kind}{where} that can do that")
    areas = {device.area for device in found}
    if len(areas) > 1 and command.slot("scope") != "all":
        return _which(command, found)
    return found


def _which(command: Command, candidates: Sequence[Device]) -> Question:
    """Ask for the area where that tells the candidates apart, for the name otherwise."""
    areas = tuple(dict.fromkeys(device.area for device in candidates if device.area))
    by_area = len(areas) == len(candidates) or len({device.name for device in candidates}) == 1
    choices = areas if by_area and len(areas) > 1 else tuple(dict.fromkeys(device.name for device in candidates))
    listed = ", ".join(f"the {choice.lower()}" for choice in choices[:-1])
    prompt = f"Which one: {listed} or the {choices[-1].lower()}?" if listed else "Which one? They have the same name."
    return Question(command.utterance, "which", prompt, choices)


def narrowed(command: Command, choice: Slot) -> Command:
    """Return the command with the answer to "which one?" in it."""
    kept = tuple(slot for slot in command.slots if slot.name != choice.name)
    return replace(command, slots=(*kept, choice))


def _actions(
    command: Command, devices: Sequence[Device], capability: Capability, value: Value, home: Home
) -> Plan | Rejection:
    actions = []
    for number, device in enumerate(devices, start=1):
        if not home.is_available(device.id):
            if len(devices) > 1:
                continue
            return Rejection(command.utterance, "no-such-device", command.text, f"{device.name} is offline")
        wanted = _absolute(command, device, capability, value, home)
        if (complaint := _complaint(command, device, capability, wanted)) is not None:
            return Rejection(command.utterance, "out-of-range", command.text, complaint)
        actions.append(Action(f"{command.utterance}.{number}", command.utterance, device, capability, wanted))
    if not actions:
        return Rejection(command.utterance, "no-such-device", command.text, "all of them are offline")
    return Plan(command, tuple(actions))


def _absolute(command: Command, device: Device, capability: Capability, value: Value, home: Home) -> Value:
    """Turn "brighter" into a brightness."""
    if command.intent not in _STEPPED:
        return value
    before = home.values(device.id).get(capability, 50.0)
    return min(100.0, max(0.0, float(before) + float(value)))


def _complaint(command: Command, device: Device, capability: Capability, value: Value) -> str | None:
    unit = command.slot("unit")
    own = device.units.get(capability)
    if unit is not None and own is not None and own.lower() not in _UNITS.get(str(unit), {str(unit)}):
        return f"{device.name} is set in {own}, not in {unit}"
    if isinstance(value, str) or capability not in device.ranges:
        return None
    low, high = device.ranges[capability]
    if low <= value <= high:
        return None
    return f"{device.name} takes {low:g} to {high:g}{f' {own}' if own else ''}, not {value:g}"


def _emergency_stop(command: Command, home: Home) -> Plan | Rejection:
    """Stop every machine that can be stopped, whether it says that it is there or not."""
    machines = [device for device in home.all_devices() if "run" in device.capabilities]
    if not machines:
        return Rejection(command.utterance, "no-such-device", command.text, "there is no machine to stop")
    return Plan(
        command,
        tuple(
            Action(f"{command.utterance}.{number}", command.utterance, machine, "run", "stopped")
            for number, machine in enumerate(machines, start=1)
        ),
    )


def _query(command: Command, home: Home, here: str | None) -> Question | Rejection | Answer:
    area = command.slot("area")
    place = here if area == "here" else None if area is None else str(area)
    name = command.slot("name")
    if name is not None:
        found = tuple(home.named(str(name), place))
    else:
        found = tuple(device for device in home.all_devices() if place is None or _same(device.area, place))
    if command.intent == "get_value":
        answer = reading(found, str(command.slot("quantity") or ""), home.values, here if name is None else None)
    elif len(found) > 1:
        return _which(command, found)
    else:
        answer = state_of(found, str(command.slot("state") or ""), home.values)
    if answer is None:
        return Rejection(command.utterance, "no-such-device", command.text, "nothing here tells that")
    return Answer(command.utterance, answer)


def _help(home: Home) -> str:
    names = sorted({device.name for device in home.all_devices() if device.capabilities - {"reading"}})
    if not names:
        return "No device has been found yet."
    return f"You can speak to {', '.join(names[:8])}{' and others' if len(names) > 8 else ''}."


def _same(area: str | None, other: str | None) -> bool:
    return area is not None and other is not None and area.casefold() == other.casefold()
