"""A command and what is there to actions, or a question, a rejection, an answer. Pure.

Which devices are meant is in targets.py, what each is ordered in amounts.py, what is answered in queries.py. The rules:
- devices of a group that are offline stay in the plan, so that their failure is told; if all are, nothing is planned;
- a stop is planned whether the device says that it is there or not;
- the emergency stop is for every machine, and for what is moving.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from edgeagent.act.amounts import Wish, amount, is_dark
from edgeagent.act.help import help_for
from edgeagent.act.queries import query
from edgeagent.act.safety import is_stop
from edgeagent.act.targets import Home, narrowed, targets
from edgeagent.act.undo import UNDO
from edgeagent.messages import Action, Answer, Capability, Command, Device, Kind, Question, Rejection, Value

__all__ = ["Home", "Later", "Plan", "Planned", "Several", "TimerOrder", "narrowed", "plan"]

EMERGENCY_STOP = "emergency_stop"
STOP = "stop"
BRIGHTNESS_STEP = 20.0
VOLUME_STEP = 10.0
DEGREES_STEP = 1.0
POSITION_STEP = 20.0
SPEED_STEP = 25.0
KELVIN_STEP = 500.0
SPEEDS: Mapping[Value, float] = {"low": 25.0, "medium": 50.0, "high": 100.0}
"""Percent; a fan of three steps rounds them up to its own."""
MOST_NAMES_IN_HELP = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions of one command, all of which belong together."""

    command: Command
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class TimerOrder:
    """What is to be done with timers, or with what is planned: they are ours, not a device's."""

    command: Command


@dataclass(frozen=True, slots=True)
class Later:
    """Actions for later. `ends` are those that end what the plan begins, or what was begun before it.

    What the utterance `instead_of` has planned is not done any more.
    """

    plan: Plan
    ends: tuple[Action, ...] = ()
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """What one sentence asks for, one after the other; a question, if there is one, comes last."""

    parts: "tuple[Planned, ...]"


Stakes = Literal["nothing", "something", "much"]

Planned = Plan | Later | Several | Question | Rejection | Answer | TimerOrder

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
    "disarm": ("arming", "disarmed"),
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
    "set_color_temperature": ("color_temperature", "kelvin"),
    "set_tilt": ("tilt", "tilt"),
    "set_option": ("option", "option"),
    "set_text": ("text", "said"),
    "arm": ("arming", "arming"),
}
_STEPPED: Mapping[str, tuple[Capability, float]] = {
    "adjust_brightness": ("brightness", BRIGHTNESS_STEP),
    "adjust_volume": ("volume", VOLUME_STEP),
    "adjust_temperature": ("target_temperature", DEGREES_STEP),
    "adjust_position": ("position", POSITION_STEP),
    "adjust_speed": ("speed", SPEED_STEP),
    "adjust_color_temperature": ("color_temperature", KELVIN_STEP),
}
_STOPS: tuple[tuple[Capability, Value], ...] = (
    ("run", "stopped"),
    ("opening", "stopped"),
    ("cleaning", "stopped"),
    ("playback", "paused"),
)
_PERCENT_OF: Mapping[Kind, tuple[str, str]] = {
    "light": ("set_brightness", "brightness"),
    "cover": ("set_position", "position"),
    "fan": ("set_speed", "speed"),
    "media": ("set_volume", "volume"),
}
"""What "it" is set to in percent, by its kind: the intent and its slot."""
_STEP_OF: Mapping[Kind, tuple[str, str]] = {
    "light": ("adjust_brightness", ""),
    "media": ("adjust_volume", ""),
    "climate": ("adjust_temperature", ""),
    "fan": ("adjust_speed", ""),
    "cover": ("adjust_position", ""),
}
_BY_REFERENCE = frozenset({"set_percent", "adjust"})
_DIRECTIONS: Mapping[Value, int] = {"up": 1, "down": -1}
_TIMERS = frozenset({"start_timer", "cancel_timer", "cancel_all_timers", "pause_timer", "resume_timer", "timer_left"})
PLANS = frozenset({"list_plans", "cancel_plans"})
_TOLD = frozenset({"get_time", "get_date", "help"})
_ANSWERS = frozenset({"confirm", "deny", "choose"})
ABOUT_BEFORE = frozenset({"same", "correct", "amend", UNDO})
"""What is said about the order before: the dialogue knows it."""
INTENTS = frozenset(
    {*_FIXED, *_VALUED, *_STEPPED, *_TIMERS, *_TOLD, *PLANS, *ABOUT_BEFORE, "get_state", "get_value", EMERGENCY_STOP}
    | {*_ANSWERS, STOP, *_BY_REFERENCE}
)
"""All that this agent can do, or take for an answer to a question."""


_MAY_BE_GUARDED = frozenset(
    intent
    for intent, (capability, _) in (*_FIXED.items(), *_VALUED.items())
    if capability in {"lock", "run", "setpoint", "opening", "position", "activate", "arming"}
)


def stakes_of(intent: str) -> Stakes:
    """Return what may be lost if an intent is acted on before the person has finished.

    Nothing where it is only answered, or is about a timer, which can be cancelled; much where it may let somebody in,
    or set something going, whatever the device turns out to be.
    """
    if intent in _TIMERS or intent in _TOLD or intent in PLANS or intent in {"get_state", "get_value"}:
        return "nothing"
    return "much" if intent in _MAY_BE_GUARDED or intent in ABOUT_BEFORE else "something"


def can_be_later(intent: str) -> bool:
    """Tell whether an intent is an order that a time can be said with: no question, no answer, nothing about before."""
    return intent in _FIXED or intent in _VALUED or intent in _STEPPED or intent in _BY_REFERENCE


def plan(
    command: Command, home: Home, here: str | None, now: Callable[[], datetime], spoken_of: Sequence[str] = ()
) -> Planned:
    """Return what is to be done about a command, for now.

    `here` is the area of this device; `now` gives the local time; `spoken_of` are the devices that "it" may mean.
    """
    if command.intent in _TIMERS or command.intent in PLANS:
        return TimerOrder(command)
    if command.intent not in INTENTS:  # of the owner's own command files: whoever waits for it hears of it on the bus
        return Answer(command.utterance, "I have passed that on.")
    match command.intent:
        case _ if command.intent == EMERGENCY_STOP:
            return _emergency_stop(command, home)
        case _ if command.intent == STOP:
            return _stop(command, home, spoken_of)
        case "help" if command.slot("name") is not None:
            return help_for(command, home)
        case "get_state" | "get_value":
            return query(command, home, here)
        case intent if intent in _TOLD:
            return Answer(command.utterance, _told(command.intent, home, now()))
        case _:
            return _order(command, home, here, spoken_of)


def _order(
    command: Command, home: Home, here: str | None, spoken_of: Sequence[str]
) -> Plan | Question | Rejection | Answer:
    command = _of_what_was_spoken_of(command, home, spoken_of)
    wish = _wish(command)
    if wish is None:
        is_about_nothing = command.intent in _BY_REFERENCE
        detail = "nothing was spoken of that can do that" if is_about_nothing else "nothing here can do that"
        return Rejection(command.utterance, "nothing-meant" if is_about_nothing else "not-able", command.text, detail)
    meant = targets(command, home, here, wish.capability, spoken_of)
    if not isinstance(meant, tuple):
        return meant
    return _actions(command, meant, wish, home)


def _of_what_was_spoken_of(command: Command, home: Home, spoken_of: Sequence[str]) -> Command:
    """Return "set it to fifty percent", or "turn it up", as the order that fits what "it" is."""
    intents = {"set_percent": _PERCENT_OF, "adjust": _STEP_OF}.get(command.intent)
    if intents is None:
        return command
    kinds = {device.kind for device in home.all_devices() if device.id in spoken_of}
    fitting = next((intents[kind] for kind in intents if kind in kinds), None)
    if fitting is None:
        return command
    intent, slot = fitting
    slots = tuple(replace(one, name=slot) if one.name == "percent" else one for one in command.slots)
    return replace(command, intent=intent, slots=slots)


def _wish(command: Command) -> Wish | None:
    if (fixed := _FIXED.get(command.intent)) is not None:
        return Wish(*fixed)
    if (valued := _VALUED.get(command.intent)) is not None:
        value = command.slot(valued[1])
        if value is None:
            return None
        return Wish(valued[0], SPEEDS.get(value, value) if valued[0] == "speed" else value)
    stepped, direction = _STEPPED.get(command.intent), _DIRECTIONS.get(command.slot("direction") or "")
    if stepped is None or direction is None:
        return None
    factor, by = command.slot("factor"), command.slot("by")
    if isinstance(factor, float):
        return Wish(stepped[0], factor, is_factor=True)
    return Wish(stepped[0], (by if isinstance(by, float) else stepped[1]) * direction, is_step=True)


def _actions(command: Command, devices: Sequence[Device], wish: Wish, home: Home) -> Plan | Rejection | Answer:
    uid = command.utterance
    if not is_stop(wish.capability, wish.value) and not any(home.is_available(device.id) for device in devices):
        detail = f"{devices[0].name} is offline" if len(devices) == 1 else "all of them are offline"
        return Rejection(uid, "offline", command.text, detail)
    awake = [device for device in devices if not is_dark(wish, home.values(device.id))]
    if not awake:
        return Answer(uid, f"{devices[0].name} is off." if len(devices) == 1 else "They are off.")
    actions = []
    for number, device in enumerate(awake, start=1):
        wanted = amount(command, device, wish, home.values(device.id))
        if isinstance(wanted, str):
            return Rejection(uid, "out-of-range", command.text, wanted)
        actions.append(Action(f"{uid}.{number}", uid, device, *wanted))
    return Plan(command, tuple(actions))


def _emergency_stop(command: Command, home: Home) -> Plan | Rejection:
    """Stop every machine that can be stopped, there or not, and every cover that is moving."""
    orders: list[tuple[Device, Capability]] = []
    for device in home.everything():
        if "run" in device.capabilities:
            orders.append((device, "run"))
        elif device.kind == "cover" and home.values(device.id).get("opening") in {"opening", "closing"}:
            orders.append((device, "opening"))
    if not orders:
        return Rejection(command.utterance, "no-such-device", command.text, "there is no machine to stop")
    return Plan(
        command,
        tuple(
            Action(f"{command.utterance}.{number}", command.utterance, device, capability, "stopped")
            for number, (device, capability) in enumerate(orders, start=1)
        ),
    )


def _stop(command: Command, home: Home, spoken_of: Sequence[str]) -> Plan | Rejection:
    """Stop what was spoken of last, if it can be stopped; else the covers that are moving."""
    stopped: list[tuple[Device, Capability, Value]] = []
    for device in home.all_devices():
        told = home.values(device.id)
        if device.id in spoken_of and (how := next((one for one in _STOPS if one[0] in device.capabilities), None)):
            stopped.append((device, *how))
        elif device.kind == "cover" and told.get("opening") in {"opening", "closing"}:
            stopped.append((device, "opening", "stopped"))
    if not stopped:
        return Rejection(command.utterance, "nothing-meant", command.text, "nothing is moving")
    uid = command.utterance
    return Plan(command, tuple(Action(f"{uid}.{number}", uid, *one) for number, one in enumerate(stopped, start=1)))


def _told(intent: str, home: Home, now: datetime) -> str:
    if intent == "get_time":
        return f"It is {now:%H:%M}."
    if intent == "get_date":
        return f"It is {now:%A}, {now:%B} {now.day}."
    names = sorted({device.name for device in home.all_devices() if device.capabilities - {"reading"}})
    if not names:
        return "No device has been found yet."
    others = " and others" if len(names) > MOST_NAMES_IN_HELP else ""
    return f"You can speak to {', '.join(names[:MOST_NAMES_IN_HELP])}{others}."
