"""What Home Assistant's intents, domains and slots are called here. Pure tables, and how to find one's way in them."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from edgeagent.grammar.imported import NotImportableError
from edgeagent.messages import Value

KINDS: Mapping[str, str] = {
    "light": "light",
    "switch": "switch",
    "input_boolean": "switch",
    "fan": "fan",
    "climate": "climate",
    "media_player": "media",
    "cover": "cover",
    "valve": "valve",
    "lock": "lock",
    "vacuum": "vacuum",
    "scene": "scene",
    "script": "scene",
    "button": "scene",
    "input_button": "scene",
    "sensor": "sensor",
    "binary_sensor": "binary_sensor",
}
"""Domains as kinds, which are also the names of the lists of names."""
_ON: Mapping[str, str] = {
    **dict.fromkeys(("cover", "valve"), "open"),
    "lock": "lock",
    "vacuum": "vacuum_start",
    **dict.fromkeys(("scene", "script", "button", "input_button"), "activate_scene"),
}
_OFF: Mapping[str, str] = {
    **dict.fromkeys(("cover", "valve"), "close"),
    "lock": "unlock",
    "vacuum": "vacuum_dock",
    **dict.fromkeys(("scene", "script", "button", "input_button"), ""),
}
_INTENTS: Mapping[str, str] = {
    "HassOpenCover": "open",
    "HassCloseCover": "close",
    "HassSetPosition": "set_position",
    "HassClimateSetTemperature": "set_temperature",
    "HassFanSetSpeed": "set_speed",
    "HassSetVolume": "set_volume",
    "HassSetVolumeRelative": "adjust_volume",
    "HassMediaPause": "media_pause",
    "HassMediaUnpause": "media_play",
    "HassMediaNext": "media_next",
    "HassMediaPrevious": "media_previous",
    "HassVacuumStart": "vacuum_start",
    "HassVacuumReturnToBase": "vacuum_dock",
    "HassGetState": "get_state",
    "HassGetCurrentTime": "get_time",
    "HassGetCurrentDate": "get_date",
    "HassStartTimer": "start_timer",
    "HassCancelTimer": "cancel_timer",
    "HassCancelAllTimers": "cancel_all_timers",
    "HassPauseTimer": "pause_timer",
    "HassUnpauseTimer": "resume_timer",
    "HassTimerStatus": "timer_left",
    "HassNevermind": "deny",
}
_LIGHT_SET: Mapping[str, str] = {
    "brightness": "set_brightness",
    "color": "set_color",
    "temperature": "set_color_temperature",
}
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("turn_on", "turn_off"), "switchable"),
    "set_brightness": "dimmable",
    "set_color": "colorable",
    "set_color_temperature": "colorable",
    **dict.fromkeys(("open", "close", "set_position"), "cover"),
    **dict.fromkeys(("lock", "unlock"), "lock"),
    "set_temperature": "climate",
    "set_speed": "fan",
    **dict.fromkeys(("set_volume", "adjust_volume"), "media"),
    **dict.fromkeys(("media_play", "media_pause", "media_next", "media_previous"), "media"),
    **dict.fromkeys(("vacuum_start", "vacuum_dock"), "vacuum"),
    "activate_scene": "scene",
}
"""The list of names of an intent where no domain tells one; of others, any device."""
_ONLY = frozenset({"set_brightness", "set_color", "set_color_temperature"})
"""Intents whose names are of what can do that, whatever the domain."""
_SLOTS: Mapping[str, Mapping[str, str]] = {
    "set_color_temperature": {"temperature": "kelvin"},
    "set_speed": {"percentage": "speed"},
    "set_volume": {"volume_level": "volume"},
    "adjust_volume": {"volume_step": "direction"},
    "start_timer": {"hours": "duration", "minutes": "duration", "seconds": "duration"},
}
_TIMERS = frozenset({"start_timer", "cancel_timer", "pause_timer", "resume_timer", "timer_left"})
_OURS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_NAMES, frozenset({"name", "area", "kind", "class", "scope"})),
    **dict.fromkeys(_TIMERS, frozenset({"label", "duration"})),
    "get_state": frozenset({"name", "area", "kind", "class", "state"}),
    **dict.fromkeys(("get_time", "get_date", "deny", "cancel_all_timers"), frozenset()),
}
_AMOUNTS: Mapping[str, str] = {
    "set_brightness": "brightness",
    "set_color": "color",
    "set_color_temperature": "kelvin",
    "set_position": "position",
    "set_temperature": "temperature",
    "set_speed": "speed",
    "set_volume": "volume",
    "adjust_volume": "direction",
    "start_timer": "duration",
}

RULES: Mapping[str, str] = MappingProxyType(
    {
        "the": "[the|my]",
        "name": "[the|my] {name}",
        "area": "[the|my] {area}",
        "in": "(in|of|on)",
        "all": "(all|all of|every)",
        "light": "(light|lights|lamp|lamps)",
        "turn": "(turn|switch|put)",
        "open": "(open|raise)",
        "close": "(close|shut|lower)",
        "set": "(set|change|turn|make)",
        "numeric_value_set": "(set|change|turn|adjust|raise|lower)",
        "here": "(here|in here|in this room)",
        "everywhere": "(everywhere|in the [whole] house)",
        "temp": "(temperature|temp)",
        "is": "(is|are)",
        "what_is": "(what is|what's)",
        "brightness": "{brightness} [percent]",
        "temperature": "{temperature} [degrees]",
    }
)
"""Rules that Home Assistant has of its own, so that files use them without saying what they are; in our words."""
LISTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        **{name: {"range": {"from": 0, "to": 100}} for name in ("brightness", "position", "volume", "fan_speed")},
        "temperature": {"range": {"from": 0, "to": 100, "step": 0.5}},
        "color_temperature": {"range": {"from": 1000, "to": 10000, "step": 100}},
        "timer_seconds": {"range": {"from": 1, "to": 100}},
        "timer_minutes": {"range": {"from": 1, "to": 100, "multiplier": 60}},
        "timer_hours": {"range": {"from": 1, "to": 24, "multiplier": 3600}},
        "on_off_states": {"values": [{"in": "on", "out": "on"}, {"in": "off", "out": "off"}]},
        "volume_step": {
            "values": [{"in": "(up|increase)", "out": "up"}, {"in": "(down|decrease)", "out": "down"}],
        },
        "brightness_level": {
            "values": [{"in": "(max|maximum|highest)", "out": 100}, {"in": "(min|minimum|lowest)", "out": 1}],
        },
    }
)
"""Lists of that sort."""


def is_theirs(intent: str) -> bool:
    """Tell whether an intent is Home Assistant's own; others are their owner's, and keep their names."""
    return intent.startswith("Hass")


def routes(intent: str, domains: Collection[str], slots: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Return our intents for one of theirs, each with the domains that it is for.

    Raise NotImportableError if there is none.
    """
    if intent in {"HassTurnOn", "HassTurnOff"}:
        table, usual = (_ON, "turn_on") if intent == "HassTurnOn" else (_OFF, "turn_off")
        found: dict[str, tuple[str, ...]] = {}
        for domain in domains:
            if domain not in KINDS:
                raise NotImportableError(f"there is no kind of device for the domain {domain:.40}")
            ours = table.get(domain, usual)
            if not ours:
                raise NotImportableError(f"a {domain} cannot be turned off")
            found[ours] = (*found.get(ours, ()), domain)
        return found or {usual: ()}
    if intent == "HassLightSet":
        one = [ours for slot, ours in _LIGHT_SET.items() if slot in slots]
        if len(one) != 1:
            raise NotImportableError("expected one of brightness, color and temperature")
        return {one[0]: tuple(domains)}
    if intent not in _INTENTS:
        raise NotImportableError(f"there is nothing for {intent:.60}")
    return {_INTENTS[intent]: tuple(domains)}


def names_of(intent: str, domains: Collection[str]) -> tuple[str, ...]:
    """Return the lists of names for a `{name}` in a sentence of our intent."""
    lists = tuple(dict.fromkeys(KINDS[domain] for domain in domains if domain in KINDS))
    return (_NAMES.get(intent, "device"),) if not lists or intent in _ONLY else lists


def slot_of(intent: str, slot: str) -> str:
    """Return what a slot of theirs is called with our intent. Raise NotImportableError if there is none."""
    usual = {"device_class": "class", "domain": "kind", "name": "label" if intent in _TIMERS else "name"}
    ours = _SLOTS.get(intent, {}).get(slot, usual.get(slot, slot))
    if ours not in {*_OURS.get(intent, ()), _AMOUNTS.get(intent, "")}:
        raise NotImportableError(f"{intent} has no slot for {slot:.40}")
    return ours


def amount_of(intent: str) -> str | None:
    """Return the slot without which our intent says nothing."""
    return _AMOUNTS.get(intent)


def value_of(slot: str, value: Value) -> Value:
    """Return a fixed value of theirs as ours: a kind for a domain."""
    if slot != "kind":
        return value
    if value not in KINDS:
        raise NotImportableError(f"there is no kind of device for the domain {value!r:.40}")
    return KINDS[str(value)]
