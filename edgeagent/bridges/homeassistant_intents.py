"""Our commands as Home Assistant's intents. Pure.

Rules:
- opening is turning on and closing is turning off, with the domain `cover` or `valve`; locking is turning on, and
  unlocking turning off, with the domain `lock`;
- a group ("the lights") without a place is the one here, as everywhere in edgeagent. Home Assistant would take the
  whole house, so where we do not know where here is, such a group has no intent, unless all of them were meant;
- what comes one at a time is unlocked or opened by its name, or not at all: Home Assistant asks nobody which one;
- an order for later, and what Home Assistant has no intent for, has none;
- intents with a capital in front are no words of ours: somebody's own, from their own sentences, passed on as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgeagent.act.names import key_of
from edgeagent.messages import Command, Device, Value

DONE = "Done."
_STATE = "{{ state.name }} is {{ state.state_with_unit }}."
_WHETHER = (
    "{% if query.matched %}Yes: {{ query.matched | map(attribute='name') | join(', ') }}.{% else %}No.{% endif %}"
)
_TIME = "It is {{ slots.time.strftime('%H:%M') }}."
_DATE = "It is {{ slots.date.strftime('%A, %d %B %Y') }}."
"""Answers as templates that Home Assistant renders; none has a word in it that was said."""

_DOMAINS: Mapping[Value, str] = {
    "light": "light",
    "switch": "switch",
    "cover": "cover",
    "lock": "lock",
    "climate": "climate",
    "fan": "fan",
    "media": "media_player",
    "vacuum": "vacuum",
    "scene": "scene",
    "valve": "valve",
}
_MOVED: Mapping[str, tuple[str, str]] = {
    "turn_on": ("HassTurnOn", ""),
    "turn_off": ("HassTurnOff", ""),
    "open": ("HassTurnOn", "cover"),
    "close": ("HassTurnOff", "cover"),
    "lock": ("HassTurnOn", "lock"),
    "unlock": ("HassTurnOff", "lock"),
    "activate_scene": ("HassTurnOn", "scene"),
}
"""The intent, and the domain where neither a kind nor a known device tells another."""
_AMOUNTS: Mapping[str, tuple[str, str, str, str]] = {
    "set_brightness": ("HassLightSet", "brightness", "brightness", "light"),
    "set_color": ("HassLightSet", "color", "color", "light"),
    "set_color_temperature": ("HassLightSet", "kelvin", "temperature", "light"),
    "set_position": ("HassSetPosition", "position", "position", "cover"),
    "set_speed": ("HassFanSetSpeed", "speed", "percentage", ""),
}
"""The intent, our slot, theirs, and the domain of a group; no domain where the intent takes none."""
_SINGLE: Mapping[str, tuple[str, str, str]] = {
    "set_temperature": ("HassClimateSetTemperature", "temperature", "temperature"),
    "set_volume": ("HassSetVolume", "volume", "volume_level"),
    "adjust_volume": ("HassSetVolumeRelative", "direction", "volume_step"),
    "media_play": ("HassMediaUnpause", "", ""),
    "media_pause": ("HassMediaPause", "", ""),
    "media_next": ("HassMediaNext", "", ""),
    "media_previous": ("HassMediaPrevious", "", ""),
    "vacuum_start": ("HassVacuumStart", "", ""),
    "vacuum_dock": ("HassVacuumReturnToBase", "", ""),
}
"""Intents that find their one device by themselves where none is named."""
_TIMERS: Mapping[str, str] = {
    "start_timer": "HassStartTimer",
    "cancel_timer": "HassCancelTimer",
    "pause_timer": "HassPauseTimer",
    "resume_timer": "HassUnpauseTimer",
    "timer_left": "HassTimerStatus",
}
_PLAIN: Mapping[str, tuple[str, str | None]] = {
    "get_time": ("HassGetCurrentTime", _TIME),
    "get_date": ("HassGetCurrentDate", _DATE),
    "cancel_all_timers": ("HassCancelAllTimers", DONE),
    "deny": ("HassNevermind", None),
}
_SPEEDS: Mapping[Value, int] = {"low": 25, "medium": 50, "high": 100}
_SENSED: Mapping[Value, str] = {
    **dict.fromkeys(("open", "wet", "occupied", "on"), "on"),
    **dict.fromkeys(("closed", "dry", "empty", "off"), "off"),
}
"""What a binary sensor says, to what Home Assistant keeps of it."""

Named = Callable[[str], Device | None]


@dataclass(frozen=True, slots=True)
class HassIntent:
    """An intent of Home Assistant with its slots, and a template for the answer, None where it finds its own."""

    name: str
    slots: Mapping[str, Value]
    says: str | None = DONE


def intent_of(command: Command, here: str | None, named: Named = lambda _: None) -> HassIntent | None:
    """Return the intent that means the same, None where there is none.

    `here` is the area that we are in; `named` gives the one device of a name, and so how its owner spells it.
    """
    intent = command.intent
    if command.when is not None:
        return None
    if intent[:1].isupper():
        return HassIntent(intent, {slot.name: _number(slot.value) for slot in command.slots})
    if intent in _PLAIN:
        name, says = _PLAIN[intent]
        return HassIntent(name, {}, says)
    if intent in _TIMERS:
        return _timer(command)
    target = _Target(command, here, named)
    if intent in _MOVED:
        return _moved(target)
    if intent in _AMOUNTS:
        return _amount(target)
    if intent in _SINGLE:
        return _single(target)
    if intent == "get_state":
        return _state(target)
    return _reading(target) if intent == "get_value" else None


class _Target:
    """What a command is for."""

    def __init__(self, command: Command, here: str | None, named: Named) -> None:
        self.command = command
        name, area, kind = command.slot("name"), command.slot("area"), command.slot("kind")
        self.device = None if name is None else named(str(name))
        self.is_named = name is not None
        self.is_all = command.slot("scope") == "all"
        self.domain = _DOMAINS.get(kind if kind is not None else self.device.kind if self.device else "", "")
        self.is_nowhere = area == "here" and here is None
        self.area = here if area == "here" else None if area is None else str(area)
        self.name = "" if name is None else str(name)
        if self.device is not None:
            is_short = key_of(self.device.name) == key_of(self.name)
            self.name = self.device.name
            self.area = self.device.area if self.area is not None or not is_short else None
        self.here = here

    def slots(self, domain: str = "") -> dict[str, Value]:
        """Return what tells Home Assistant what is meant."""
        found: dict[str, Value] = {"name": self.name} if self.is_named else {}
        if self.area is not None:
            found["area"] = self.area
        elif not self.is_named and not self.is_all and self.here is not None:
            found["area"] = self.here
        if domain:
            found["domain"] = domain
        if (of_class := self.command.slot("class")) is not None:
            found["device_class"] = of_class
        return found

    @property
    def is_too_wide(self) -> bool:
        """Tell whether Home Assistant would take more than was meant."""
        is_placed = self.is_named or self.is_all or self.area is not None or self.here is not None
        return self.is_nowhere or not is_placed


def _moved(target: _Target) -> HassIntent | None:
    intent = target.command.intent
    name, usual = _MOVED[intent]
    if intent == "activate_scene" and target.device is not None:
        return HassIntent(name, target.slots())  # it may be a button or a script, which we take for scenes
    domain = target.domain or usual
    is_opened = intent in {"unlock", "open"} and domain in {"lock", "valve"}
    if target.is_too_wide or (is_opened and not target.is_named and not target.is_all):
        return None
    if not target.is_named and not domain:
        return None
    return HassIntent(name, target.slots(domain))


def _amount(target: _Target) -> HassIntent | None:
    name, ours, theirs, domain = _AMOUNTS[target.command.intent]
    value = target.command.slot(ours)
    if value is None or target.is_too_wide:
        return None
    if ours == "speed":
        value = _SPEEDS.get(value, value)
        if isinstance(value, str):
            return None
    return HassIntent(name, {**target.slots("" if target.is_named else domain), theirs: _number(value)})


def _single(target: _Target) -> HassIntent | None:
    name, ours, theirs = _SINGLE[target.command.intent]
    if target.is_nowhere:
        return None
    slots = target.slots()
    if "Vacuum" in name and not target.is_named and target.command.slot("area") is None:
        slots.pop("area", None)  # it is not where it was last put
    value = target.command.slot(ours) if ours else None
    if value is not None:
        slots[theirs] = _number(value)
    return None if ours and value is None else HassIntent(name, slots)


def _state(target: _Target) -> HassIntent | None:
    if target.is_nowhere or not (target.is_named or target.domain):
        return None
    state = target.command.slot("state")
    domain = "" if target.is_named else target.domain
    if target.device is not None and target.device.kind == "binary_sensor":
        domain = "binary_sensor"
        state = None if state is None else _SENSED.get(state, state)
    slots = target.slots(domain)
    return HassIntent("HassGetState", slots, _STATE) if state is None else _whether(slots, state)


def _whether(slots: dict[str, Value], state: Value) -> HassIntent:
    return HassIntent("HassGetState", {**slots, "state": state}, _WHETHER)


def _reading(target: _Target) -> HassIntent | None:
    quantity = target.command.slot("quantity")
    if target.is_nowhere:
        return None
    if not target.is_named:
        if quantity is None:
            return None
        return HassIntent("HassGetState", {**target.slots("sensor"), "device_class": quantity}, _STATE)
    kind = None if target.device is None else target.device.kind
    if quantity == "temperature" and kind == "climate":
        return HassIntent("HassClimateGetTemperature", target.slots(), _STATE)
    is_read = quantity is None or kind == "sensor"
    return HassIntent("HassGetState", target.slots(), _STATE) if is_read else None


def _timer(command: Command) -> HassIntent | None:
    slots: dict[str, Value] = {}
    duration = command.slot("duration")
    if command.intent == "start_timer":
        if not isinstance(duration, int | float) or duration < 1:
            return None
        minutes, seconds = divmod(round(duration), 60)
        hours, minutes = divmod(minutes, 60)
        slots = {unit: n for unit, n in (("hours", hours), ("minutes", minutes), ("seconds", seconds)) if n}
    if (label := command.slot("label")) is not None:
        slots["name"] = label
    says = None if command.intent == "timer_left" else DONE
    return HassIntent(_TIMERS[command.intent], slots, says)


def _number(value: Value) -> Value:
    """Return a whole number as one: Home Assistant's slots are checked for it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
