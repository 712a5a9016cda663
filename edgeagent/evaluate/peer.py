"""hassil with Home Assistant's own templates on the same sentences: what it takes them for, in our terms."""

from collections.abc import Mapping, Sequence

from hassil import Intents, TextSlotList, recognize_best
from hassil.intents import SlotList
from hassil.recognize import RecognizeResult
from home_assistant_intents import get_intents

from edgeagent.evaluate.household import Household
from edgeagent.messages import Command, Slot, Value

_DOMAINS = {"media": "media_player", "machine": "switch", "number": "number", "alarm": "button"}
_PLAIN: Mapping[str, str] = {
    "HassMediaNext": "media_next",
    "HassMediaPrevious": "media_previous",
    "HassMediaPause": "media_pause",
    "HassMediaUnpause": "media_play",
    "HassVacuumStart": "vacuum_start",
    "HassVacuumReturnToBase": "vacuum_dock",
    "HassGetCurrentTime": "get_time",
    "HassGetCurrentDate": "get_date",
    "HassCancelTimer": "cancel_timer",
    "HassCancelAllTimers": "cancel_all_timers",
    "HassPauseTimer": "pause_timer",
    "HassUnpauseTimer": "resume_timer",
    "HassTimerStatus": "timer_left",
    "HassGetState": "get_state",
    "HassClimateGetTemperature": "get_value",
}
_VALUED: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "HassLightSet": (("brightness", "set_brightness", "brightness"), ("color", "set_color", "color")),
    "HassClimateSetTemperature": (("temperature", "set_temperature", "temperature"),),
    "HassSetPosition": (("position", "set_position", "position"),),
    "HassSetVolume": (("volume_level", "set_volume", "volume"),),
    "HassFanSetSpeed": (("percentage", "set_speed", "speed"),),
}
_SWITCHED = {"cover": ("open", "close"), "valve": ("open", "close"), "lock": ("lock", "unlock")}
_KINDS = {"light": "light", "fan": "fan", "cover": "cover", "lock": "lock", "switch": "switch", "climate": "climate"}


class Hassil:
    """Home Assistant's sentence matching in a house."""

    def __init__(self, home: Household) -> None:
        """Load the English templates, and the names of the house with the domains of its devices."""
        document = get_intents("en")
        if document is None:
            raise RuntimeError("home-assistant-intents has no English")
        self._intents = Intents.from_dict(document)
        self._home = home
        kinds = {device.id: device.kind for device in home.all_devices()}
        named = [
            (said, said, {"domain": _DOMAINS.get(kinds[one], kinds[one])})
            for said, ids in home.collected.devices.items()
            for one in ids[:1]
        ]
        areas = [(area, area) for area in home.collected.areas]
        self._lists: dict[str, SlotList] = {
            "name": TextSlotList.from_tuples(named),
            "area": TextSlotList.from_tuples(areas),
        }
        self._lists["floor"] = TextSlotList.from_tuples([])

    def __call__(self, text: str) -> Command | None:
        """Return what a sentence is taken for; None if it is not understood."""
        found = recognize_best(text, self._intents, slot_lists=self._lists, best_slot_name="name")
        return None if found is None else self._as_command(text, found)

    def _as_command(self, text: str, found: RecognizeResult) -> Command:
        entities: dict[str, Value] = {name: entity.value for name, entity in found.entities.items()}
        name, slots = found.intent.name, self._slots(entities)
        if name in {"HassTurnOn", "HassTurnOff"}:
            pair = _SWITCHED.get(self._kind(entities), ("turn_on", "turn_off"))
            return _command(text, pair[0 if name == "HassTurnOn" else 1], slots)
        for entity, intent, slot in _VALUED.get(name, ()):
            if entity in entities:
                value = entities[entity]
                return _command(text, intent, {**slots, slot: value if isinstance(value, str) else float(value)})
        return _command(text, _PLAIN.get(name, name), slots)

    def _slots(self, entities: Mapping[str, Value]) -> dict[str, Value]:
        slots: dict[str, Value] = {name: entities[name] for name in ("name", "area") if name in entities}
        if entities.get("name") == "all":
            slots = {"scope": "all"}
        if "name" not in slots and (kind := _KINDS.get(str(entities.get("domain")))) is not None:
            slots["kind"] = kind
        return slots

    def _kind(self, entities: Mapping[str, Value]) -> str:
        devices: Sequence[str] = [one.kind for one in self._home.named(str(entities.get("name", "")))]
        return devices[0] if devices else str(entities.get("domain", ""))


def _command(text: str, intent: str, slots: Mapping[str, Value]) -> Command:
    said = tuple(Slot(name, value, str(value)) for name, value in slots.items())
    return Command("u1", intent, said, text, 0, 1.0)
