import re

import pytest
from homes import announce, everything

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.vocabulary import lists_of
from edgeagent.grammar import commands


def test_devices_stand_in_the_lists_of_what_they_can_do() -> None:
    lists = lists_of(everything().names())
    assert ("kettle", "kettle") in lists["switchable"]
    assert ("conveyor", "conveyor") in lists["machine"]
    assert ("conveyor", "conveyor") not in lists["switchable"]
    assert ("line speed", "line speed") in lists["setpoint"]
    assert ("bedroom heater", "bedroom heater") in lists["climate"]
    assert ("hall one", "hall one") in lists["area"]
    assert {said for said, _ in lists["sensor"]} >= {"outdoor temperature", "boiler temperature"}


def test_numbers_in_names_are_said_as_words_and_mean_the_name() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "p", "Pump 12")
    said = [entry for entry in lists_of(devices.names())["device"] if entry[0].startswith("pump")]
    assert ("pump twelve", "pump 12") in said


def test_without_devices_every_list_is_there_and_empty() -> None:
    lists = lists_of(Devices([HomeAssistant()]).names())
    assert not any(lists.values())


def test_every_list_that_the_command_sets_take_from_the_devices_is_there() -> None:
    built_in = commands.built_in(("home", "plant"))
    texts = [template.where for template in built_in.templates]
    used = {name for text in texts for name in re.findall(r"{(\w+):name}", text)}
    assert used
    assert used <= set(lists_of(everything().names()))


@pytest.mark.parametrize(
    "name",
    [
        *("all the lights", "turn on the light", "the light", "in the kitchen", "good lamp off", "Küche лампа"),
        *("light and unlock the front door", "every lamp", "don't touch", "set"),
    ],
)
def test_a_piece_of_a_sentence_is_no_name(name: str) -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "x", name)
    assert lists_of(devices.names())["device"] == ()
    assert devices.names().left_out


@pytest.mark.parametrize("name", ["Emergency light", "Over the sink", "Stop button", "Room temperature", "Open sign"])
def test_command_words_may_stand_in_a_name(name: str) -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "x", name)
    assert [said for said, _ in lists_of(devices.names())["device"]] == [name.lower()]
