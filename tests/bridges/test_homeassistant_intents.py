"""Sentences that people say, understood by the real grammar, as the intents that Home Assistant's own data define."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from edgeagent.bridges.homeassistant_intents import HassIntent, intent_of
from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.messages import Capability, Command, Device, Kind, Slot, Value, When
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

DEVICES = Path(__file__).parents[1] / "data" / "home_devices.yaml"
KITCHEN = "Kitchen"


@lru_cache
def automaton() -> Automaton:
    return compile_commands(commands.built_in(["home", "plant"]).with_names(names_of(DEVICES)))


@lru_cache
def defined() -> Mapping[str, Any]:
    document = json.loads((files("home_assistant_intents") / "intents.json").read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def understood(sentence: str) -> Command:
    found = Interpreter(automaton(), unsure_below=0).interpret(typed("u1", sentence))
    assert isinstance(found, Command), found
    return found


def command(intent: str, **slots: Value) -> Command:
    return Command("u1", intent, tuple(Slot(name, value, "") for name, value in slots.items()), "", 0, 1.0)


def device(name: str, kind: Kind, area: str | None = None, *can: Capability) -> Device:
    return Device(name.lower(), name, kind, frozenset(can), area)


def meant(found: HassIntent | None) -> tuple[str, Mapping[str, Value]] | None:
    return None if found is None else (found.name, found.slots)


SENTENCES: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "turn on the bed light": ("HassTurnOn", {"name": "bed light"}),
    "turn off the tv in the office": ("HassTurnOff", {"name": "tv", "area": "office"}),
    "turn on the lights": ("HassTurnOn", {"domain": "light", "area": KITCHEN}),
    "turn on the lights in here": ("HassTurnOn", {"domain": "light", "area": KITCHEN}),
    "turn off the lights in the office": ("HassTurnOff", {"domain": "light", "area": "office"}),
    "turn off all the lights": ("HassTurnOff", {"domain": "light"}),
    "turn off all the lights in the bedroom": ("HassTurnOff", {"domain": "light", "area": "bedroom"}),
    "turn on the heating": ("HassTurnOn", {"domain": "climate", "area": KITCHEN}),
    "set the bed light to 40 percent": ("HassLightSet", {"name": "bed light", "brightness": 40}),
    "dim the office to 20 percent": ("HassLightSet", {"area": "office", "domain": "light", "brightness": 20}),
    "make the bed light blue": ("HassLightSet", {"name": "bed light", "color": "blue"}),
    "open the sliding door": ("HassTurnOn", {"name": "sliding door", "domain": "cover"}),
    "close the curtains in the office": (
        "HassTurnOff",
        {"area": "office", "domain": "cover", "device_class": "curtain"},
    ),
    "set the sliding door to 30 percent": ("HassSetPosition", {"name": "sliding door", "position": 30}),
    "open the windows in the kitchen to 30 percent": (
        "HassSetPosition",
        {"area": "kitchen", "domain": "cover", "device_class": "window", "position": 30},
    ),
    "lock the front door": ("HassTurnOn", {"name": "front door", "domain": "lock"}),
    "unlock the front door": ("HassTurnOff", {"name": "front door", "domain": "lock"}),
    "set the ecobee to 21 degrees": ("HassClimateSetTemperature", {"name": "ecobee", "temperature": 21}),
    "set the temperature in the bedroom to 19.5 degrees": (
        "HassClimateSetTemperature",
        {"area": "bedroom", "temperature": 19.5},
    ),
    "pause the tv in the office": ("HassMediaPause", {"name": "tv", "area": "office"}),
    "resume the music": ("HassMediaUnpause", {"area": KITCHEN}),
    "next song": ("HassMediaNext", {"area": KITCHEN}),
    "previous track": ("HassMediaPrevious", {"area": KITCHEN}),
    "set the volume to 30 percent": ("HassSetVolume", {"area": KITCHEN, "volume_level": 30}),
    "louder": ("HassSetVolumeRelative", {"area": KITCHEN, "volume_step": "up"}),
    "start cleaning": ("HassVacuumStart", {}),
    "stop vacuuming": ("HassVacuumReturnToBase", {}),
    "activate party time": ("HassTurnOn", {"name": "party time", "domain": "scene"}),
    "is the front door locked": ("HassGetState", {"name": "front door", "state": "locked"}),
    "are the office lights on": ("HassGetState", {"area": "office", "domain": "light", "state": "on"}),
    "what is the outdoor humidity": ("HassGetState", {"name": "outdoor humidity"}),
    "what is the temperature in the office": (
        "HassGetState",
        {"area": "office", "domain": "sensor", "device_class": "temperature"},
    ),
    "what time is it": ("HassGetCurrentTime", {}),
    "what is the date": ("HassGetCurrentDate", {}),
    "set a timer for an hour and a half": ("HassStartTimer", {"hours": 1, "minutes": 30}),
    "set a pasta timer for ten minutes": ("HassStartTimer", {"minutes": 10, "name": "pasta"}),
    "timer for forty five seconds": ("HassStartTimer", {"seconds": 45}),
    "cancel the timer": ("HassCancelTimer", {}),
    "cancel all timers": ("HassCancelAllTimers", {}),
    "pause the pasta timer": ("HassPauseTimer", {"name": "pasta"}),
    "resume the timer": ("HassUnpauseTimer", {}),
    "how much time is left": ("HassTimerStatus", {}),
    "never mind": ("HassNevermind", {}),
}


@pytest.mark.parametrize(("sentence", "intent"), SENTENCES.items(), ids=SENTENCES.keys())
def test_a_sentence_is_the_intent_that_means_the_same(sentence: str, intent: tuple[str, Mapping[str, Value]]) -> None:
    assert meant(intent_of(understood(sentence), KITCHEN)) == intent


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_intent_and_slot_is_one_that_home_assistant_defines(sentence: str) -> None:
    found = intent_of(understood(sentence), KITCHEN)
    assert found is not None
    slots = defined()[found.name].get("slots") or {}
    assert set(found.slots) <= set(slots)
    assert {name for name, body in slots.items() if body.get("required")} <= set(found.slots)


@pytest.mark.parametrize(
    "sentence",
    ["emergency stop", "undo that", "make it brighter", "help", "yes", "set the ecobee to heat mode", "the kitchen"],
)
def test_what_home_assistant_has_no_intent_for_has_none(sentence: str) -> None:
    assert intent_of(understood(sentence), KITCHEN) is None


@pytest.mark.parametrize(
    "sentence", ["turn on the lights", "turn off the lights in here", "close the curtains", "dim the lights to half"]
)
def test_where_here_is_unknown_a_group_is_not_the_whole_house(sentence: str) -> None:  # core#87166
    assert intent_of(understood(sentence), None) is None


def test_all_of_a_kind_is_the_whole_house() -> None:
    assert meant(intent_of(understood("turn off all the lights"), None)) == ("HassTurnOff", {"domain": "light"})


def test_a_lock_is_opened_by_its_name_or_not_at_all() -> None:
    assert intent_of(understood("unlock the door"), KITCHEN) is None
    assert meant(intent_of(understood("lock the door"), KITCHEN)) == (
        "HassTurnOn",
        {"domain": "lock", "area": KITCHEN},
    )
    assert intent_of(command("open", kind="valve"), KITCHEN) is None


def test_an_order_for_later_is_not_one_for_now() -> None:
    later = Command("u1", "turn_on", (Slot("name", "bed light", ""),), "", 0, 1.0, when=When(delay_s=60.0))
    assert intent_of(later, KITCHEN) is None


def test_a_name_is_spelled_as_its_owner_does_and_told_apart_by_its_area() -> None:
    lamp = device("Café-Lamp 2", "light", "Living Room")
    assert meant(intent_of(command("turn_on", name="café lamp 2"), None, lambda _: lamp)) == (
        "HassTurnOn",
        {"name": "Café-Lamp 2", "domain": "light"},
    )
    assert meant(intent_of(command("turn_on", name="living room café lamp 2"), None, lambda _: lamp)) == (
        "HassTurnOn",
        {"name": "Café-Lamp 2", "area": "Living Room", "domain": "light"},
    )
    assert meant(intent_of(command("turn_on", name="café lamp 2", area="living room"), None, lambda _: lamp)) == (
        "HassTurnOn",
        {"name": "Café-Lamp 2", "area": "Living Room", "domain": "light"},
    )


def test_a_valve_is_no_cover_and_a_button_no_scene() -> None:
    valve = device("Garden", "valve")
    assert meant(intent_of(command("open", name="garden"), None, lambda _: valve)) == (
        "HassTurnOn",
        {"name": "Garden", "domain": "valve"},
    )
    button = device("Doorbell", "scene")
    assert meant(intent_of(command("activate_scene", name="doorbell"), None, lambda _: button)) == (
        "HassTurnOn",
        {"name": "Doorbell"},
    )


def test_a_contact_that_is_open_is_on_in_home_assistant() -> None:
    contact = device("Kitchen Window", "binary_sensor", "Kitchen")
    found = intent_of(command("get_state", name="kitchen window", state="closed"), None, lambda _: contact)
    assert meant(found) == ("HassGetState", {"name": "Kitchen Window", "domain": "binary_sensor", "state": "off"})


def test_the_temperature_of_a_thermostat_is_the_climates() -> None:
    thermostat = device("EcoBee", "climate", "Living Room", "target_temperature")
    found = intent_of(command("get_value", name="ecobee", quantity="temperature"), None, lambda _: thermostat)
    assert meant(found) == ("HassClimateGetTemperature", {"name": "EcoBee"})
    assert intent_of(command("get_value", name="ecobee", quantity="power"), None, lambda _: thermostat) is None


def test_a_speed_that_was_said_in_words_is_a_percentage() -> None:
    assert meant(intent_of(command("set_speed", name="fan", speed="medium"), None)) == (
        "HassFanSetSpeed",
        {"name": "fan", "percentage": 50},
    )
    assert intent_of(command("set_speed", name="fan", speed="breezy"), None) is None


def test_somebodys_own_intent_goes_on_as_it_is() -> None:
    assert meant(intent_of(command("MakeCoffee", cups=2.0), None)) == ("MakeCoffee", {"cups": 2})
    assert intent_of(command("make_coffee", cups=2.0), None) is None


def test_answers_are_templates_without_a_word_that_was_said() -> None:
    found = intent_of(command("turn_on", name="{{ states('lock.door') }}"), None)
    assert found is not None
    assert found.says == "Done."
    for sentence in SENTENCES:
        one = intent_of(understood(sentence), KITCHEN)
        assert one is not None
        assert one.says is None or not any(
            str(value) in one.says for value in one.slots.values() if len(str(value)) > 4
        )
