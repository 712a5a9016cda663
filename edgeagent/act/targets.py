"""Which devices a command means, or what has to be asked or refused first. Pure.

The rules:
1. a name: the devices of that name in the named area; several: the one here, else ask which;
2. a kind ("the lights"): all of it in the named area, else here, else in the only area that has any, else ask which;
   "all" without an area is the whole house;
3. of what comes one at a time ("the door", "the alarm", any machine), several are never meant unless "all" was said;
4. a class of covers ("the windows"): those of that class, and those without a class that are called so; where no cover
   is of that class, those that are called so; never the other covers;
5. only devices that are able count where that settles it;
6. "it", "them" and "that" are the devices that were spoken of last, as far as they are able; of none, nothing is meant;
7. what is excepted ("all but the kitchen") is taken out at last; of what was excepted there must be something.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, get_args

from edgeagent.act.names import key_of
from edgeagent.messages import Capability, Command, Device, Kind, Question, Rejection, Slot, Value

MOST_LISTED = 5
"""More choices than these are not read out; they are all understood."""


class Home(Protocol):
    """What planning must know of the devices."""

    def named(self, name: str, area: str | None = None) -> Sequence[Device]:
        """Return the devices that are called so, in that area if one is given."""
        ...

    def of_kind(self, kind: Kind, area: str | None = None) -> Sequence[Device]:
        """Return the devices of that kind, in that area if one is given."""
        ...

    def all_devices(self) -> Sequence[Device]:
        """Return every device that can be spoken to."""
        ...

    def everything(self) -> Sequence[Device]:
        """Return every device, also those that are not for speech: safety knows no exception."""
        ...

    def values(self, device: str) -> Mapping[Capability, Value]:
        """Return the last values that the device told."""
        ...

    def is_available(self, device: str) -> bool:
        """Tell whether the device says that it can be reached."""
        ...


_KIND_OF: Mapping[Capability, Kind] = {
    "brightness": "light",
    "color": "light",
    "color_temperature": "light",
    "position": "cover",
    "opening": "cover",
    "tilt": "cover",
    "lock": "lock",
    "target_temperature": "climate",
    "mode": "climate",
    "speed": "fan",
    "playback": "media",
    "volume": "media",
    "cleaning": "vacuum",
    "acknowledge": "alarm",
    "run": "machine",
    "arming": "alarm_panel",
}
"""The kind that is meant where neither a name nor a kind was said: "louder", "it's too dark"."""
_ONE_AT_A_TIME: frozenset[Kind] = frozenset(
    {"lock", "machine", "alarm", "vacuum", "valve", "number", "scene", "select", "text", "alarm_panel"}
)
_SPOKEN_KINDS: Mapping[str, str] = {
    "climate": "heater",
    "media": "player",
    "switch": "plug",
    "number": "set point",
    "alarm_panel": "alarm system",
}
_CLASSES: Mapping[str, frozenset[str]] = {
    "blind": frozenset({"blind", "shade"}),
    "shade": frozenset({"shade", "blind"}),
    "garage": frozenset({"garage", "garage_door"}),
}
"""Home Assistant's device classes of what is said, where they are not the word itself: people mix blinds and shades."""
_CALLED: Mapping[str, frozenset[str]] = {
    "curtain": frozenset({"curtain", "curtains", "drape", "drapes"}),
    "window": frozenset({"window", "windows", "skylight", "skylights"}),
}

Meant = tuple[Device, ...] | Question | Rejection


def targets(
    command: Command, home: Home, here: str | None, capability: Capability, spoken_of: Sequence[str] = ()
) -> Meant:
    """Return the devices that a command is for: at least one, each with the capability.

    `spoken_of` are the ids of the devices that were spoken of last.
    """
    meant = _targets(command, home, here, capability, spoken_of)
    return _without(command, meant, home) if isinstance(meant, tuple) else meant


def _targets(command: Command, home: Home, here: str | None, capability: Capability, spoken_of: Sequence[str]) -> Meant:
    if command.slot("reference") is not None:
        able = [one for one in home.all_devices() if one.id in set(spoken_of) and capability in one.capabilities]
        if able:
            return tuple(able)
        if command.slot("kind") is None:
            return Rejection(command.utterance, "nothing-meant", command.text, "nothing was spoken of that can do that")
    place = place_of(command, here)
    if isinstance(place, Rejection):
        return place
    name = command.slot("name")
    if name is not None:
        return _by_name(command, home.named(str(name), place), place, here, capability)
    wanted = command.slot("kind") or _KIND_OF.get(capability)
    kind = next((known for known in get_args(Kind) if known == wanted), None)
    if kind is None:
        return Rejection(command.utterance, "no-such-device", command.text, "no device was named")
    able = [device for device in home.of_kind(kind) if capability in device.capabilities]
    return _by_kind(command, of_class(able, command.slot("class")), kind, place, here)


def without(command: Command, devices: Iterable[Device], home: Home) -> tuple[Device, ...]:
    """Return the devices that a command does not except."""
    areas = {key_of(str(slot.value)) for slot in command.slots if slot.name == "except_area"}
    names = [str(slot.value) for slot in command.slots if slot.name == "except_name"]
    ids = {device.id for name in names for device in home.named(name)}
    return tuple(one for one in devices if one.id not in ids and key_of(one.area or "") not in areas)


def _without(command: Command, meant: tuple[Device, ...], home: Home) -> Meant:
    """Take out what a command excepts by name or by area."""
    kept = without(command, meant, home)
    if not any(slot.name.startswith("except_") for slot in command.slots):
        return meant
    if len(kept) == len(meant):
        detail = "what you except is none of them"
        return Rejection(command.utterance, "no-such-device", command.text, detail)
    if not kept:
        return Rejection(command.utterance, "no-such-device", command.text, "nothing is left then")
    return kept


def place_of(command: Command, here: str | None) -> str | Rejection | None:
    """Return the area that was said, None if none was."""
    area = command.slot("area")
    if area != "here":
        return None if area is None else str(area)
    if here is None:
        detail = "I do not know where I am: set the area of this device"
        return Rejection(command.utterance, "no-such-device", command.text, detail)
    return here


def in_area(devices: Iterable[Device], area: str | None) -> tuple[Device, ...]:
    """Return the devices of an area; none where there is no area."""
    wanted = key_of(area or "")
    return tuple(device for device in devices if wanted and key_of(device.area or "") == wanted)


def which(command: Command, candidates: Sequence[Device]) -> Question | Rejection:
    """Ask for the area where that tells the candidates apart, for the name otherwise."""
    areas = {key_of(device.area): device.area for device in candidates if device.area}
    names = {key_of(device.name): device.name for device in candidates}
    is_group = command.slot("name") is None
    tells_apart = is_group or len(names) == 1 or len(areas) == len(candidates)
    by_area = tells_apart and len(areas) > 1 and all(device.area for device in candidates)
    choices = tuple((areas if by_area else names).values())
    if len(choices) == 1:
        detail = f"there are {len(candidates)} called {choices[0]}: say in which room, or give one another name"
        return Rejection(command.utterance, "not-able", command.text, detail)
    told = [f"the {choice.lower()}" for choice in choices]
    rest = told[-1] if len(told) <= MOST_LISTED else f"{len(told) - MOST_LISTED + 1} others"
    prompt = f"Which one: {', '.join(told[: min(len(told), MOST_LISTED) - 1])} or {rest}?"
    return Question(command.utterance, "which", prompt, choices)


def narrowed(command: Command, choice: Slot) -> Command:
    """Return the command with the answer to "which one?" in it."""
    kept = tuple(slot for slot in command.slots if slot.name != choice.name)
    return replace(command, slots=(*kept, choice))


def is_offered(answer: Slot, question: Question, command: Command) -> bool:
    """Tell whether an answer to "which one?" is one of the choices: "the bedroom", or "the bedroom heater" in full."""
    said = key_of(str(answer.value))
    name = key_of(str(command.slot("name") or ""))
    choices = {key_of(choice) for choice in question.choices}
    return said in choices or (bool(name) and said in {f"{choice} {name}" for choice in choices})


def called(device: Device) -> str:
    """Return the name with the area, where the name does not have it: there may be another of that name."""
    if device.area is None or key_of(device.area) in key_of(device.name):
        return device.name
    return f"{device.name} in the {device.area}"


def _by_name(
    command: Command, found: Sequence[Device], place: str | None, here: str | None, capability: Capability
) -> Meant:
    if not found:
        where = f" in the {place.lower()}" if place else ""
        detail = f"there is no {str(command.slot('name')).lower()}{where}"
        return Rejection(command.utterance, "no-such-device", command.text, detail)
    able = tuple(device for device in found if capability in device.capabilities)
    if not able:
        return Rejection(command.utterance, "not-able", command.text, f"{found[0].name} cannot do that")
    if len(able) > 1 and place is None:
        able = in_area(able, here) or able
    return able if len(able) == 1 else which(command, able)


def _by_kind(command: Command, able: Sequence[Device], kind: Kind, place: str | None, here: str | None) -> Meant:
    is_all = command.slot("scope") == "all"
    found = tuple(able)
    if place is not None:
        found = in_area(able, place)
    elif not is_all:
        found = in_area(able, here) or found
    if not found:
        word = str(command.slot("class") or _SPOKEN_KINDS.get(kind, kind))
        where = f" in the {place.lower()}" if place else ""
        detail = f"there is no {word}{where} that can do that"
        return Rejection(command.utterance, "no-such-device", command.text, detail)
    areas = {key_of(device.area or "") for device in found}
    is_unclear = len(areas) > 1 or (kind in _ONE_AT_A_TIME and len(found) > 1)
    return which(command, found) if is_unclear and not is_all else found


def of_class(covers: Sequence[Device], wanted: Value | None) -> Sequence[Device]:
    """Return the covers of the class that was said, by their device class or by what they are called."""
    if wanted is None:
        return covers
    word = str(wanted)
    classes = _CLASSES.get(word, frozenset({word}))
    words = _CALLED.get(word, frozenset({word, f"{word}s"}))
    are_called = [one for one in covers if any(words & set(key_of(name).split()) for name in (one.name, *one.aliases))]
    unclassed = [one for one in are_called if one.device_class is None]
    return [one for one in covers if one.device_class in classes or one in unclassed] or are_called
