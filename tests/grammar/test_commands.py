"""The command sets that ship with edgeagent understand people's own wording, and nothing but commands."""

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeagent.grammar import commands, spoken
from edgeagent.grammar.automaton import Automaton, Parse, compile_commands

DATA = Path(__file__).parents[1] / "data"
SETS: Mapping[str, Sequence[str]] = {"home": ("home",), "plant": ("plant",), "both": ("home", "plant")}
NUMBER_WORDS = {word for value in range(100) for phrase in spoken.number_phrases(value) for word in phrase}
LISTS = (
    *("light", "switch", "switchable", "dimmable", "colorable", "cover", "lock", "climate", "fan", "media", "vacuum"),
    *(
        "scene",
        "sensor",
        "binary_sensor",
        "machine",
        "valve",
        "alarm",
        "setpoint",
        "device",
        "area",
        "whitable",
        "tiltable",
        "select",
        "option",
        "text",
        "panel",
    ),
)


@lru_cache
def sentences_of(which: str) -> Mapping[str, Any]:
    document = yaml.safe_load((DATA / f"sentences_{which}.yaml").read_text("utf-8"))
    assert isinstance(document, dict)
    return document


@lru_cache
def grammar(which: str, names_of: str) -> Automaton:
    names = {key: list(values) for key, values in sentences_of(names_of)["names"].items()}
    devices = {name for key, values in names.items() if key != "area" for name in values}
    names.setdefault("device", sorted(devices))
    spoken_names = {key: [(" ".join(spoken.spell_out(name)), name) for name in names.get(key, ())] for key in LISTS}
    return compile_commands(commands.built_in(SETS[which]).with_names(spoken_names))


def parses(which: str, names_of: str, sentence: str) -> tuple[Parse, ...]:
    return grammar(which, names_of).parse(spoken.spell_out(sentence))


def understood(which: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    said = sentences_of(which)["sentences"]
    return [(sentence, intent, slots) for intent, group in said.items() for sentence, slots in group.items()]


def rejected(which: str) -> list[str]:
    return list(sentences_of(which)["reject"])


def assert_understood(readings: Sequence[Parse], intent: str, slots: Mapping[str, Any]) -> None:
    assert [(one.intent, {slot.name: slot.value for slot in one.slots}) for one in readings[:1]] == [(intent, slots)]
    assert all(other.intent == intent or other.explains < readings[0].explains for other in readings)


@pytest.mark.parametrize(("sentence", "intent", "slots"), understood("home"))
def test_what_people_say_at_home_is_understood(sentence: str, intent: str, slots: Mapping[str, Any]) -> None:
    assert_understood(parses("home", "home", sentence), intent, slots)
    assert_understood(parses("both", "home", sentence), intent, slots)


@pytest.mark.parametrize(("sentence", "intent", "slots"), understood("plant"))
def test_what_people_say_in_a_plant_is_understood(sentence: str, intent: str, slots: Mapping[str, Any]) -> None:
    assert_understood(parses("plant", "plant", sentence), intent, slots)
    assert_understood(parses("both", "plant", sentence), intent, slots)


@pytest.mark.parametrize("sentence", rejected("home"))
def test_what_is_no_command_at_home_is_not_understood(sentence: str) -> None:
    assert parses("home", "home", sentence) == ()


@pytest.mark.parametrize("sentence", rejected("plant"))
def test_what_is_no_command_in_a_plant_is_not_understood(sentence: str) -> None:
    assert parses("plant", "plant", sentence) == ()


def test_the_sentences_are_many_and_cover_every_intent() -> None:
    said = [*understood("home"), *understood("plant")]
    assert len(said) >= 150
    assert len(rejected("home")) + len(rejected("plant")) >= 40
    known = {template.intent for template in commands.built_in(("home", "plant")).templates}
    assert known == {intent for _, intent, _ in said}


@pytest.mark.parametrize("names_of", ["home", "plant"])
def test_every_sentence_of_the_grammar_means_one_thing(names_of: str) -> None:
    automaton = grammar("both", names_of)
    pick = random.Random(1)  # noqa: S311 - a sample, not a secret
    for _ in range(4000):
        words = automaton.generate(pick)
        best, *others = [one for one in automaton.parse(words) if one.intent != "choose"] or automaton.parse(words)
        rivals = [other for other in others if other.explains == best.explains and other.intent != best.intent]
        assert not rivals, " ".join(words)


@pytest.mark.parametrize("which", ["home", "plant"])
def test_generated_sentences_are_plain_words_and_have_no_doubled_word(which: str) -> None:
    automaton = grammar(which, which)
    pick = random.Random(2)  # noqa: S311 - a sample, not a secret
    in_names = {
        word for names in sentences_of(which)["names"].values() for name in names for word in name.lower().split()
    }
    allowed = (
        {"stop", "emergency"} | NUMBER_WORDS | in_names
    )  # "what's the pool temperature temperature" is the owner's doing
    for _ in range(4000):
        words = automaton.generate(pick)
        assert spoken.spell_out(" ".join(words)) == tuple(words) or len(words) > spoken.MOST_WORDS
        doubled = {word for word, after in pairwise(words) if word == after}
        assert doubled <= allowed, " ".join(words)


def test_a_house_without_devices_still_has_timers_and_the_time() -> None:
    empty = compile_commands(commands.built_in(("home", "plant")).with_names({name: [] for name in LISTS}))
    assert [parse.intent for parse in empty.parse(spoken.spell_out("set a timer for five minutes"))] == ["start_timer"]
    assert [parse.intent for parse in empty.parse(spoken.spell_out("emergency stop"))] == ["emergency_stop"]
    assert empty.parse(spoken.spell_out("turn on the bed light")) == ()
    assert empty.parse(spoken.spell_out("turn on the lights in the kitchen")) == ()


def test_both_sets_with_a_house_stay_small() -> None:
    automaton = grammar("both", "home")
    assert len(automaton) < 10_000
    assert len(automaton.flat().arcs) < 5_000


def test_files_use_words_of_speech_only() -> None:
    words = grammar("both", "home").words | grammar("both", "plant").words
    assert {word for word in words if spoken.spell_out(word) != (word,)} == set()
