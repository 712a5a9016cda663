"""What was understood is said back as a sentence that means the same, or not at all."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from edgeagent.bridges.canonical import canonical
from edgeagent.bridges.wyoming_ear import Settled, sentence_of
from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.messages import Command, Rejection, Slot, Transcript, Value, Word
from edgeagent.pipeline import Heard
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

DEVICES = Path(__file__).parents[1] / "data" / "home_devices.yaml"


@lru_cache
def interpreter() -> Interpreter:
    automaton = compile_commands(commands.built_in(["home"]).with_names(names_of(DEVICES)))
    return Interpreter(automaton, unsure_below=0.4)


def command(intent: str, slots: Mapping[str, Value], text: str = "as i said") -> Command:
    return Command("u1", intent, tuple(Slot(name, value, "") for name, value in slots.items()), text, 1, 0.9)


def heard(text: str, doubt: str = "") -> Heard:
    transcript = typed("u1", text)
    found = interpreter().interpret(transcript)
    return Heard(transcript, replace(found, doubt=doubt) if isinstance(found, Command) else found)


@pytest.mark.parametrize(
    ("intent", "slots", "sentence"),
    [
        ("turn_off", {"kind": "light", "scope": "all"}, "turn off all the lights"),
        ("turn_on", {"kind": "light", "area": "here"}, "turn on the lights in here"),
        ("turn_on", {"name": "tv", "area": "office"}, "turn on the tv in the office"),
        ("set_brightness", {"name": "bed light", "brightness": 40.0}, "set the bed light to 40 percent"),
        ("close", {"kind": "cover", "class": "curtain", "area": "office"}, "close the curtains in the office"),
        ("unlock", {"kind": "lock"}, "unlock the door"),
        ("unlock", {"kind": "lock", "scope": "all"}, "unlock all the doors"),
        ("unlock", {"kind": "lock", "scope": "none"}, ""),
        ("set_temperature", {"name": "ecobee", "temperature": 21.5}, "set the ecobee to 21.5 degrees"),
        ("set_brightness", {"name": "bed light"}, ""),
        ("turn_on", {"name": "no such lamp"}, ""),
        ("turn_on", {}, ""),
        ("adjust_brightness", {"direction": "up"}, ""),
        ("get_time", {}, "what time is it"),
    ],
)
def test_a_command_is_said_plainly_or_not_at_all(intent: str, slots: Mapping[str, Value], sentence: str) -> None:
    assert canonical(command(intent, slots), interpreter().automaton) == sentence


def test_what_the_grammar_has_stays_as_it_was_said() -> None:
    assert sentence_of(heard("could you switch the bed light on please"), interpreter()) == (
        "could you switch the bed light on please"
    )


def test_what_was_understood_beyond_the_grammar_is_said_plainly() -> None:
    transcript = Transcript("u1", (Word("anything", 0, 1),), 1.0)
    found = command("turn_off", {"kind": "light", "scope": "all"}, "kindly extinguish every lamp")
    assert sentence_of(Heard(transcript, found), interpreter()) == "turn off all the lights"
    unknown = command("adjust_brightness", {"direction": "up"}, "a little more light please")
    assert sentence_of(Heard(transcript, unknown), interpreter()) == "a little more light please"


def test_names_are_written_as_the_registry_has_them() -> None:
    lists = {**names_of(DEVICES), "switchable": (("lamp two", "lamp 2"),)}
    own = Interpreter(compile_commands(commands.built_in(["home"]).with_names(lists)), unsure_below=0.4)
    transcript = typed("u1", "turn on lamp two")
    assert sentence_of(Heard(transcript, own.interpret(transcript)), own) == "turn on lamp 2"


def test_what_was_hardly_heard_or_refused_is_nothing() -> None:
    assert sentence_of(heard("unlock the front door", doubt="it was hardly heard"), interpreter()) == ""
    refused = Rejection("u1", "not-speech-we-know", "turn on the lights")
    assert sentence_of(Heard(typed("u1", "turn on the lights"), refused), interpreter()) == ""


def test_words_that_may_still_change_are_not_given() -> None:
    settled = Settled()
    partials = ["turn", "turn on", "turn on the", "turn off the", "turn off the kitchen", "turn off the kitchen lights"]
    assert [settled.more(typed("u1", partial)) for partial in partials] == ["", "turn", " on", "", " the", " kitchen"]
