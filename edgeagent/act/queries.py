"""Questions about state to answers in words, from what the devices last told.

The rules:
- of several devices of one name, those count that can tell what is asked; then the one here; else ask which;
- a reading that nobody is named for is that of the named area, else of here, else of everywhere, three at the most;
- what a device that is offline told is told as old.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from edgeagent.act.names import key_of
from edgeagent.act.targets import Home, called, in_area, of_class, place_of, which, without
from edgeagent.messages import Answer, Capability, Command, Device, Kind, Question, Rejection, Value

MOST_TOLD = 3

_STATES: Mapping[Capability, frozenset[str]] = {
    "power": frozenset({"on", "off"}),
    "opening": frozenset({"open", "closed", "opening", "closing"}),
    "lock": frozenset({"locked", "unlocked"}),
    "run": frozenset({"running", "stopped"}),
    "playback": frozenset({"playing", "paused"}),
    "cleaning": frozenset({"cleaning", "docked"}),
    "arming": frozenset({"disarmed", "armed", "triggered"}),
}
"""The words in which a capability can be asked about."""
_CLASS_WORDS: Mapping[str, tuple[str, str]] = {
    "door": ("open", "closed"),
    "garage_door": ("open", "closed"),
    "window": ("open", "closed"),
    "opening": ("open", "closed"),
    "lock": ("unlocked", "locked"),
    "motion": ("seeing motion", "quiet"),
    "occupancy": ("occupied", "empty"),
    "presence": ("occupied", "empty"),
    "moisture": ("wet", "dry"),
    "smoke": ("seeing smoke", "clear"),
    "battery": ("low", "charged"),
    "running": ("running", "stopped"),
    "problem": ("in trouble", "fine"),
    "vibration": ("vibrating", "still"),
}
"""What on and off of a binary sensor mean (Home Assistant's binary sensor device classes)."""
_CLASSES: Mapping[str, frozenset[str]] = {"pressure": frozenset({"pressure", "atmospheric_pressure"})}
_CALLED: Mapping[str, str] = {"volume_flow_rate": "flow", "aqi": "air quality", "illuminance": "light level"}
_UNITS: Mapping[str, frozenset[str]] = {"speed": frozenset({"rpm", "r/min", "1/min"})}


def query(command: Command, home: Home, here: str | None) -> Question | Rejection | Answer:
    """Answer a question about a device's state, or about a quantity."""
    place = place_of(command, here)
    if isinstance(place, Rejection):
        return place
    name = command.slot("name")
    found = home.all_devices() if name is None else home.named(str(name), place)
    if command.intent == "get_value":
        return _value(command, found, home, place, here)
    if name is None:
        return _group(command, home, place, here)
    if not found:
        return Rejection(command.utterance, "no-such-device", command.text, f"there is no {str(name).lower()}")
    asked = str(command.slot("state") or "")
    able = tuple(device for device in found if asked and asked in _words_of(device)) or tuple(found)
    one = _one(command, able, here if place is None else None)
    if not isinstance(one, Device):
        return one
    told = state_of(one, asked, home.values(one.id)) + _caveat(one, home)
    return Answer(command.utterance, told, about=(one.id,))


def state_of(device: Device, asked: str, told: Mapping[Capability, Value]) -> str:
    """Answer "is it …?", or "how is it?" where nothing particular was asked, from what the device told."""
    states = {
        capability: _in_words(device, capability, told[capability])
        for capability in (*_STATES, "reading")
        if capability in told
    }
    set_to = _set_to(device, told)
    if not states:
        return f"{device.name} {f'is {set_to}' if set_to else 'has not said'}."
    about = [state for can, state in states.items() if asked and asked in _words(device, can)]
    if about and asked == "armed" and about[0].startswith("armed"):
        return f"Yes, {device.name} is {about[0]}."
    if about:
        return f"Yes, {device.name} is {asked}." if asked in about else f"No, {device.name} is {about[0]}."
    return f"{device.name} is {next(iter(states.values()))}{f', {set_to}' if set_to else ''}."


def _group(command: Command, home: Home, place: str | None, here: str | None) -> Question | Rejection | Answer:
    """Answer a question about all of a kind: those of the named area, else of here, else of the whole house."""
    asked = str(command.slot("state") or "")
    kind = next((known for known in get_args(Kind) if known == command.slot("kind")), None)
    every = of_class(home.of_kind(kind), command.slot("class")) if kind is not None else ()
    able = [device for device in without(command, every, home) if asked in _words_of(device)]
    there = in_area(able, place) if place else in_area(able, here) or able
    if not there:
        return Rejection(command.utterance, "no-such-device", command.text, "there is nothing here that tells that")
    if len(there) == 1:
        told = state_of(there[0], asked, home.values(there[0].id))
        return Answer(command.utterance, told + _caveat(there[0], home), about=(there[0].id,))
    those = [one for one in there if asked in words_now(one, home.values(one.id))]
    are = [called(one) for one in those]
    if not are:
        return Answer(command.utterance, f"No, none of them is {asked}.")
    more = f" and {len(are) - MOST_TOLD} more" if len(are) > MOST_TOLD else ""
    return Answer(
        command.utterance,
        f"Yes: {', '.join(are[:MOST_TOLD])}{more} {'is' if len(are) == 1 else 'are'} {asked}.",
        about=tuple(one.id for one in those),
    )


def words_now(device: Device, told: Mapping[Capability, Value]) -> frozenset[str]:
    """Return the words for what a device is now: "open" of a door whose sensor says on, and on itself."""
    raw = {value for value in told.values() if isinstance(value, str)}
    return frozenset(raw | {_in_words(device, capability, value) for capability, value in told.items()})


def _value(
    command: Command, found: Sequence[Device], home: Home, place: str | None, here: str | None
) -> Question | Rejection | Answer:
    quantity, name = str(command.slot("quantity") or ""), command.slot("name")
    if name is None:
        measuring = [device for device in found if quantity and _measures(device, quantity)]
        there = in_area(measuring, place) if place else in_area(measuring, here) or measuring
        told = [device for device in there if "reading" in home.values(device.id)] or there
    else:
        measuring = [device for device in found if _measures(device, quantity)] or _parts_of(found, quantity, home)
        one = _one(command, measuring or [device for device in found if _is_set(device, quantity)], here)
        if isinstance(one, Question):
            return one
        told = [one] if isinstance(one, Device) else []
    if not told:
        detail = "nothing here tells that"
        if name is not None:
            detail = f"{str(name).lower()} does not tell that" if found else f"there is no {str(name).lower()}"
        return Rejection(command.utterance, "no-such-device", command.text, detail)
    names = Counter(device.name for device in told)
    sentences = [
        _reading(device if names[device.name] == 1 else replace(device, name=called(device)), home.values(device.id))
        + _caveat(device, home)
        for device in told[:MOST_TOLD]
    ]
    return Answer(command.utterance, " ".join(sentences), about=tuple(device.id for device in told[:MOST_TOLD]))


def _one(command: Command, devices: Sequence[Device], here: str | None) -> Device | Question | Rejection:
    if not devices:
        return Rejection(command.utterance, "no-such-device", command.text, "nothing here tells that")
    nearest = in_area(devices, here) or devices
    return nearest[0] if len(nearest) == 1 else which(command, nearest)


def _measures(device: Device, quantity: str) -> bool:
    """Tell whether this device's reading is of the quantity: by its class; without one, by its unit or its name."""
    if "reading" not in device.capabilities:
        return False
    if not quantity:
        return True
    if device.kind == "climate":
        return quantity == "temperature"
    if device.device_class is not None:
        return device.device_class in _CLASSES.get(quantity, {quantity})
    if device.units.get("reading", "").lower() in _UNITS.get(quantity, ()):
        return True
    word = _CALLED.get(quantity, quantity.replace("_", " "))
    return f" {word} " in f" {key_of(device.name)} "


def _parts_of(found: Sequence[Device], quantity: str, home: Home) -> list[Device]:
    """Return the sensors that belong to a device: they are called after it ("Kettle power" of "Kettle")."""
    starts = tuple(f"{key_of(device.name)} " for device in found)
    parts = (device for device in home.all_devices() if starts and key_of(device.name).startswith(starts))
    return [device for device in parts if quantity and _measures(device, quantity)]


def _is_set(device: Device, quantity: str) -> bool:
    if "target_temperature" in device.capabilities:
        return quantity in {"", "temperature"}
    return "setpoint" in device.capabilities


def _reading(device: Device, told: Mapping[Capability, Value]) -> str:
    set_to = _set_to(device, told)
    if "reading" not in told:
        return f"{device.name} is {set_to}." if set_to else f"{device.name} has not said."
    told_now = _in_words(device, "reading", told["reading"])
    return f"{device.name}: {told_now}{f', {set_to}' if set_to else ''}."


def _set_to(device: Device, told: Mapping[Capability, Value]) -> str:
    targets: tuple[Capability, ...] = ("target_temperature", "setpoint")
    settings = [f"set to {_in_words(device, can, told[can])}" for can in targets if can in told]
    return settings[0] if settings else ""


def _caveat(device: Device, home: Home) -> str:
    return "" if home.is_available(device.id) else " But it is offline now."


def _words_of(device: Device) -> frozenset[str]:
    return frozenset(word for capability in device.capabilities for word in _words(device, capability))


def _words(device: Device, capability: Capability) -> frozenset[str]:
    if capability == "reading" and device.kind == "binary_sensor":
        return frozenset(_CLASS_WORDS.get(device.device_class or "", ("on", "off")))
    return _STATES.get(capability, frozenset())


def _in_words(device: Device, capability: Capability, value: Value) -> str:
    words = _CLASS_WORDS.get(device.device_class or "")
    if capability == "reading" and words is not None and value in {"on", "off"}:
        return words[0 if value == "on" else 1]
    if isinstance(value, str):
        return value.replace("_", " ")
    number = f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{number} {device.units.get(capability, '')}".rstrip()
