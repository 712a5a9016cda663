"""Commands back to plain sentences, for programs that parse sentences of their own. Pure."""

from collections.abc import Mapping

from edgeagent.grammar.automaton import Automaton
from edgeagent.grammar.spoken import spell_out
from edgeagent.messages import Command, Value

_SENTENCES: Mapping[str, str] = {
    "turn_on": "turn on {target}",
    "turn_off": "turn off {target}",
    "open": "open {target}",
    "close": "close {target}",
    "lock": "lock {target}",
    "unlock": "unlock {target}",
    "set_brightness": "set {target} to {brightness} percent",
    "set_color": "set {target} to {color}",
    "set_position": "set {target} to {position} percent",
    "set_temperature": "set {target} to {temperature} degrees",
    "set_volume": "set {target} volume to {volume} percent",
    "media_pause": "pause {target}",
    "media_play": "resume {target}",
    "vacuum_start": "start {target}",
    "vacuum_dock": "dock {target}",
    "activate_scene": "activate {target}",
    "get_time": "what time is it",
    "get_date": "what is the date",
    "cancel_timer": "cancel the timer",
    "cancel_all_timers": "cancel all timers",
}
_KINDS: Mapping[Value, str] = {
    "light": "lights",
    "fan": "fans",
    "climate": "heaters",
    "switch": "plugs",
    "lock": "doors",
}
_CLASSES: Mapping[Value, str] = {
    "blind": "blinds",
    "shade": "shades",
    "curtain": "curtains",
    "shutter": "shutters",
    "window": "windows",
    "awning": "awnings",
    "garage": "garage door",
    "gate": "gate",
}


def canonical(command: Command, automaton: Automaton) -> str:
    """Return the plain sentence of the grammar that means exactly this command; "" where we know none."""
    pattern = _SENTENCES.get(command.intent, "")
    wanted = {slot.name: slot.value for slot in command.slots}
    amounts = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in wanted.items()}
    for target in _targets(wanted):
        try:
            sentence = pattern.format(**{**amounts, "target": target})
        except KeyError:  # it says less than this sentence needs
            return ""
        for reading in automaton.parse(spell_out(sentence))[:1]:
            if reading.intent == command.intent and {slot.name: slot.value for slot in reading.slots} == wanted:
                return sentence
    return ""


def _targets(slots: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the ways to say what is meant, the best first."""
    area, is_all = slots.get("area"), slots.get("scope") == "all"
    place = "" if area is None else " in here" if area == "here" else f" in the {area}"
    if "name" in slots:
        return (f"the {slots['name']}{place}",)
    word = _CLASSES.get(slots.get("class", ""), _KINDS.get(slots.get("kind", ""), ""))
    if not word:
        return ("",)
    return (f"all the {word}{place}",) if is_all else (f"the {word}{place}", f"the {word.removesuffix('s')}{place}")
