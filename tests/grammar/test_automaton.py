"""Templates become one automaton that parses what hassil recognises, generates it, and knows what can follow."""

import io
import random
import resource
import time
from collections.abc import Mapping
from typing import Any

import pytest
from growth import assert_linear
from hassil import Intents
from hassil.recognize import recognize_all
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import START, Automaton, compile_commands
from edgeagent.messages import Value

Meaning = tuple[str, frozenset[tuple[str, Value]]]

HOME = """
language: en
intents:
  turn:
    data:
      - sentences: ["[please] turn <the> {light} {state}", "turn {state} <the> {light}[ now]"]
      - sentences: ["all (light|lamp)[s] {state}"]
        slots: {light: all}
  dim:
    data:
      - sentences: ["(dim|set) <the> {light} [to] {level:brightness}[%| percent]", "{0..3:steps} steps"]
  move:
    data:
      - sentences: ["(open;the gate;now)", "(quick;[slow]) close"]
expansion_rules:
  the: "[the|my]"
lists:
  state: {values: ["on", {in: "(off|out)", out: "off"}]}
  light: {values: [kitchen light, {in: "[big] bed light", out: bed}, light]}
  level: {range: {from: 10, to: 30, step: 10}}
"""


def compiled(text: str) -> Automaton:
    return compile_commands(commands.parse(text, "F"))


def sentences(*templates: str, more: str = "") -> Automaton:
    quoted = ", ".join(f"'{template}'" for template in templates)
    return compiled(f"intents: {{a: {{data: [{{sentences: [{quoted}]}}]}}}}\n{more}")


def accepts(automaton: Automaton, text: str) -> bool:
    return bool(automaton.parse(text.split()))


def slots(automaton: Automaton, text: str) -> Mapping[str, Value]:
    return {slot.name: slot.value for slot in automaton.parse(text.split())[0].slots}


def ours(automaton: Automaton, text: str) -> set[Meaning]:
    found = automaton.parse(text.split())
    return {(parse.intent, frozenset((slot.name, slot.value) for slot in parse.slots)) for parse in found}


def hassils(intents: Intents, text: str) -> set[Meaning]:
    def plain(value: Any) -> Value:
        return float(value) if isinstance(value, int) else str(value).strip()

    found = recognize_all(text, intents, language="en")
    return {
        (one.intent.name, frozenset((name, plain(entity.value)) for name, entity in one.entities.items()))
        for one in found
    }


@pytest.mark.parametrize(
    ("template", "yes", "no"),
    [
        ("turn [it] on", ["turn it on", "turn on"], ["turn it", "turn it it on"]),
        ("(a|b) c", ["a c", "b c"], ["c", "a b c"]),
        ("a|b", ["a", "b"], ["a b"]),
        ("(a;b;c)", ["a b c", "c b a", "b a c"], ["a b", "a b c a"]),
        ("([a ];b)", ["a b", "b", "b a"], ["a"]),
        ("turn(s|ed|[ing]) on", ["turns on", "turned on", "turn on", "turning on"], ["turn s on"]),
        ("light[s][ now]", ["light", "lights", "lights now"], ["lightsnow"]),
        ("Turn-on the café, OK?", ["turn on the cafe ok"], ["turn-on the cafe ok"]),
        ("lamp 2 to 50%", ["lamp two to fifty percent"], ["lamp 2 to 50%"]),
        ("what\u2019s up".replace("'", "''"), ["what's up"], []),
    ],
)
def test_templates_mean_what_hassil_says(template: str, yes: list[str], no: list[str]) -> None:
    automaton = sentences(template)
    assert [text for text in yes if not accepts(automaton, text)] == []
    assert [text for text in no if accepts(automaton, text)] == []


def test_lists_give_what_they_put_out_or_else_the_words() -> None:
    automaton = compiled(HOME)
    assert slots(automaton, "turn my big bed light out") == {"light": "bed", "state": "off"}
    assert slots(automaton, "turn kitchen light on") == {"light": "kitchen light", "state": "on"}
    assert slots(automaton, "all lamps off") == {"light": "all", "state": "off"}


def test_ranges_give_numbers() -> None:
    automaton = sentences(
        "{0..10,5:a} inline",
        "{b} times",
        "{c} halves",
        "{d} tenths",
        more="lists: {b: {range: {from: 1, to: 3, multiplier: 60}}, c: {range: {from: -1, to: 1, fractions: halves}},"
        " d: {range: {from: 1, to: 2, fractions: tenths}}}",
    )
    assert slots(automaton, "five inline") == {"a": 5.0}
    assert not accepts(automaton, "six inline")
    assert slots(automaton, "three times") == {"b": 180.0}
    assert slots(automaton, "minus a half halves") == {"c": -0.5}
    assert slots(automaton, "one point three tenths") == {"d": 1.3}
    assert not accepts(automaton, "two point one tenths")


def test_what_can_follow_is_known() -> None:
    automaton = sentences("turn on [the] light [now]")
    assert automaton.follow(START) == {"turn"}
    state = automaton.walk(["turn", "on"])
    assert state is not None
    assert automaton.follow(state) == {"the", "light"}
    assert not automaton.is_final(state)
    end = automaton.walk(["turn", "on", "light"])
    assert end is not None
    assert automaton.is_final(end)
    assert automaton.follow(end) == {"now"}
    assert automaton.walk(["turn", "off"]) is None


def test_templates_that_need_an_empty_list_are_dropped_without_a_trace() -> None:
    automaton = sentences("turn on {light}", "stop", more="lists: {light: {values: []}}")
    assert automaton.words == {"stop"}
    assert automaton.follow(START) == {"stop"}


def test_an_empty_command_set_generates_nothing_and_says_so() -> None:
    with pytest.raises(SettingsError, match="no sentence"):
        compiled("intents: {}").generate(random.Random(0))  # noqa: S311 - a sample


def test_hassil_recognises_the_same_in_what_we_generate_and_in_what_is_almost_that() -> None:
    automaton = compiled(HOME)
    oracle = Intents.from_yaml(io.StringIO(HOME))
    pick = random.Random(3)  # noqa: S311 - a sample
    vocabulary = sorted(automaton.words)
    seen = set()
    for _ in range(150):
        words = list(automaton.generate(pick))
        place = pick.randrange(len(words))
        for said in (words, words[:place], [*words[:place], pick.choice(vocabulary), *words[place + 1 :]]):
            seen.add(" ".join(said))
    understood = 0
    for text in sorted(seen - {""}):
        mine = ours(automaton, text)
        assert mine == hassils(oracle, text), text
        understood += bool(mine)
    assert understood > 50


LISTS = ("light", "switch", "switchable", "dimmable", "colorable", "cover", "lock", "climate", "fan", "media", "vacuum")
MORE = (
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
)
HOUSE = compile_commands(
    commands.built_in(("home", "plant")).with_names(
        {
            name: [(f"{word} {name.replace('_', ' ')}", f"{word}-{name}") for word in ("big", "old")]
            for name in LISTS + MORE
        }
    )
)


@given(st.integers())
def test_what_the_built_in_sets_generate_they_parse(seed: int) -> None:
    words = HOUSE.generate(random.Random(seed))  # noqa: S311 - a sample
    readings = HOUSE.parse(words)
    assert readings
    for slot in readings[0].slots:
        assert slot.text == "" or slot.text in " ".join(words)
    for count, word in enumerate(words):
        state = HOUSE.walk(words[:count])
        assert state is not None
        assert word in HOUSE.follow(state)
    end = HOUSE.walk(words)
    assert end is not None
    assert HOUSE.is_final(end)


@pytest.mark.parametrize("word", ["on", "\x1b[31m", "灯", "turn"])
def test_ten_thousand_words_are_parsed_in_linear_time(word: str) -> None:
    assert HOUSE.parse([word] * 10_000) == ()
    assert_linear(HOUSE.parse, [word] * 10_000, [word] * 160_000, times=16)


def test_readings_that_differ_only_in_wording_count_once() -> None:
    lists = "lists: {x: &same {values: ['on', it]}, y: *same}"
    automaton = sentences(*("turn [on] [on] {x}" for _ in range(30)), "turn on {y}", more=lists)
    assert {slot.name for parse in automaton.parse(["turn", "on", "it"]) for slot in parse.slots} == {"x", "y"}


def bomb(depth: int, body: str, last: str) -> str:
    rules = "".join(f"  r{number}: '{body.format(number + 1)}'\n" for number in range(depth))
    return f"intents: {{a: {{data: [{{sentences: ['<r0>']}}]}}}}\nexpansion_rules:\n{rules}  r{depth}: '{last}'\n"


BLOW_UPS = {
    "choices far from the end": "intents: {a: {data: [{sentences: ['"
    + " ".join(["[(a|b)]"] * 25)
    + " a "
    + " ".join(["(a|b)"] * 20)
    + "']}]}}",
    "spellings of one word": "intents: {a: {data: [{sentences: ['" + "[a|b]" * 40 + "']}]}}",
    "rules that double": bomb(19, "<r{0}> <r{0}>", "a [b]"),
    "permutations": "intents: {a: {data: [{sentences: ['(a;b;c;d;e;f;g;h;i;j;k)']}]}}",
    "rules too deep": bomb(25, "<r{0}>", "a"),
}


@pytest.mark.parametrize("name", list(BLOW_UPS))
def test_a_blow_up_is_refused_in_bounded_time_and_memory(name: str) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(SettingsError) as caught:
        compiled(BLOW_UPS[name])
    assert time.process_time() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 1 << 20
    assert caught.value.remedy
