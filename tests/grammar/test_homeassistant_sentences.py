"""Sentences of Home Assistant become ours: the same words mean the same, and what cannot is told by its line."""

import json
from collections.abc import Mapping
from importlib.resources import files

import pytest
import yaml

from edgeagent.act.names import collect
from edgeagent.act.vocabulary import lists_of
from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.grammar.homeassistant_sentences import imported
from edgeagent.grammar.imported import Imported
from edgeagent.grammar.spoken import spell_out
from edgeagent.messages import Capability, Device, Kind, Value


def device(name: str, kind: Kind, area: str, *can: Capability) -> Device:
    return Device(name.lower(), name, kind, frozenset(can), area)


HOME = (
    device("Bed Light", "light", "Bedroom", "power", "brightness", "color"),
    device("Coffee Machine", "switch", "Kitchen", "power"),
    device("Left Curtain", "cover", "Office", "opening", "position"),
    device("Front Door", "lock", "Hall", "lock"),
    device("Ecobee", "climate", "Office", "target_temperature"),
    device("Sonos", "media", "Kitchen", "playback", "volume"),
    device("Roomba", "vacuum", "Hall", "cleaning"),
    device("Party Time", "scene", "Hall", "activate"),
    device("Ceiling Fan", "fan", "Office", "power", "speed"),
)


def grammar(found: Imported, *, alone: bool = True) -> Automaton:
    own = commands.parse(found.text, "imported.yaml")
    whole = commands.merge([commands.built_in(["home"]), own])
    every = commands.CommandSet(own.templates if alone else whole.templates, whole.lists, whole.rules)
    return compile_commands(every.with_names(lists_of(collect(HOME))))


def meaning(found: Imported, sentence: str) -> tuple[str, dict[str, Value]] | None:
    readings = grammar(found).parse(spell_out(sentence))
    return None if not readings else (readings[0].intent, {slot.name: slot.value for slot in readings[0].slots})


def read(text: str) -> Imported:
    return imported({"custom.yaml": text}, "custom.yaml")


def one(intent: str, sentence: str, more: Mapping[str, object] | None = None) -> Imported:
    block = {"sentences": [sentence], **(more or {})}
    return read(yaml.safe_dump({"language": "en", "intents": {intent: {"data": [block]}}}))


def domain(*domains: str) -> Mapping[str, object]:
    return {"requires_context": {"domain": list(domains)}}


@pytest.mark.parametrize(
    ("intent", "template", "more", "said", "meant"),
    [
        ("HassTurnOn", "fire up {name}", {}, "fire up coffee machine", ("turn_on", {"name": "coffee machine"})),
        ("HassTurnOn", "light {name}", domain("light"), "light bed light", ("turn_on", {"name": "bed light"})),
        (
            "HassTurnOn",
            "wake {name}",
            domain("light", "fan"),
            "wake ceiling fan",
            ("turn_on", {"name": "ceiling fan"}),
        ),
        ("HassTurnOn", "draw {name}", domain("cover"), "draw left curtain", ("open", {"name": "left curtain"})),
        ("HassTurnOff", "drop {name}", domain("cover"), "drop left curtain", ("close", {"name": "left curtain"})),
        ("HassTurnOn", "bolt {name}", domain("lock"), "bolt front door", ("lock", {"name": "front door"})),
        ("HassTurnOff", "unbolt {name}", domain("lock"), "unbolt front door", ("unlock", {"name": "front door"})),
        ("HassTurnOn", "it is {name}", domain("scene"), "it is party time", ("activate_scene", {"name": "party time"})),
        (
            "HassTurnOff",
            "darken [the] {area}",
            {"slots": {"domain": "light"}},
            "darken the bedroom",
            ("turn_off", {"kind": "light", "area": "bedroom"}),
        ),
        (
            "HassTurnOff",
            "too bright",
            {"slots": {"domain": "light"}, "requires_context": {"area": {"slot": True}}},
            "too bright",
            ("turn_off", {"kind": "light", "area": "here"}),
        ),
        (
            "HassLightSet",
            "glow {name} {brightness}",
            {},
            "glow bed light 40",
            ("set_brightness", {"name": "bed light", "brightness": 40.0}),
        ),
        (
            "HassLightSet",
            "paint {name} {color}",
            {},
            "paint bed light red",
            ("set_color", {"name": "bed light", "color": "red"}),
        ),
        (
            "HassLightSet",
            "blaze in {area}",
            {"slots": {"brightness": 100, "domain": "light"}},
            "blaze in bedroom",
            ("set_brightness", {"brightness": 100, "kind": "light", "area": "bedroom"}),
        ),
        (
            "HassSetPosition",
            "{name} at {position}",
            {},
            "left curtain at 30",
            ("set_position", {"name": "left curtain", "position": 30.0}),
        ),
        (
            "HassClimateSetTemperature",
            "warm <name> to <temperature>",
            {},
            "warm the ecobee to 21.5 degrees",
            ("set_temperature", {"name": "ecobee", "temperature": 21.5}),
        ),
        (
            "HassFanSetSpeed",
            "spin {name} {fan_speed:percentage}",
            {},
            "spin ceiling fan 50",
            ("set_speed", {"name": "ceiling fan", "speed": 50.0}),
        ),
        (
            "HassSetVolume",
            "{name} loudness {volume:volume_level}",
            {},
            "sonos loudness 20",
            ("set_volume", {"name": "sonos", "volume": 20.0}),
        ),
        ("HassMediaPause", "hush {name}", {}, "hush sonos", ("media_pause", {"name": "sonos"})),
        ("HassVacuumReturnToBase", "home {name}", {}, "home roomba", ("vacuum_dock", {"name": "roomba"})),
        ("HassStartTimer", "brew for {timer_minutes:minutes}", {}, "brew for 4", ("start_timer", {"duration": 240.0})),
        ("HassCancelTimer", "kill {timer_name:name}", {}, "kill pasta", ("cancel_timer", {"label": "pasta"})),
        ("HassGetCurrentTime", "clock", {}, "clock", ("get_time", {})),
        (
            "MakeCoffee",
            "make {1..4:cups} cups in {area}",
            {},
            "make 2 cups in kitchen",
            ("MakeCoffee", {"cups": 2.0, "area": "kitchen"}),
        ),
        (
            "Tell",
            "tell about {name}",
            {"slots": {"how": "briefly"}},
            "tell about roomba",
            ("Tell", {"how": "briefly", "name": "roomba"}),
        ),
    ],
)
def test_a_sentence_means_the_same_here(
    intent: str,
    template: str,
    more: Mapping[str, object],
    said: str,
    meant: tuple[str, Mapping[str, Value]],
) -> None:
    found = one(intent, template, more)
    assert found.left_out == ()
    assert meaning(found, said) == meant


def test_a_domain_picks_the_names_that_can_be_said() -> None:
    found = one("HassTurnOn", "light {name}", domain("light"))
    assert meaning(found, "light coffee machine") is None


def test_domains_that_are_different_orders_here_are_two_sentences() -> None:
    found = one("HassTurnOn", "start {name}", domain("light", "cover"))
    assert found.sentences == 2
    assert meaning(found, "start bed light") == ("turn_on", {"name": "bed light"})
    assert meaning(found, "start left curtain") == ("open", {"name": "left curtain"})


FILE = """\
language: "en"
intents:
  HassTurnOn:
    data:
      - sentences:
          - "<kick> [<the>] {name}"
          - "kick the {rooms:area} {name}"
        requires_context: {domain: light}
  SetMode:
    data:
      - sentences:
          - "go [to|into] {mode} mode <end>"
lists:
  mode:
    values:
      - in: "(holiday|vacation)"
        out: "away"
      - night
  rooms:
    values: [bedroom, {in: den, out: office}]
expansion_rules:
  kick: "(kick|hit)"
  the: "that"
  end: "[<kick> it|now]"
"""


def test_lists_and_rules_are_taken_along_and_never_become_ours() -> None:
    found = read(FILE)
    assert found.left_out == ()
    assert meaning(found, "hit that bed light") == ("turn_on", {"name": "bed light"})
    assert meaning(found, "hit the bed light") is None
    assert meaning(found, "kick the den bed light") == ("turn_on", {"area": "office", "name": "bed light"})
    assert meaning(found, "go to vacation mode hit it") == ("SetMode", {"mode": "away"})
    assert meaning(found, "go night mode") == ("SetMode", {"mode": "night"})
    ours, theirs = commands.built_in(["home", "plant"]), commands.parse(found.text, "imported.yaml")
    assert not set(ours.rules) & set(theirs.rules)
    assert not set(ours.lists) & set(theirs.lists)
    both = grammar(found, alone=False)
    assert both.parse(spell_out("turn on the bed light"))[0].intent == "turn_on"
    assert both.parse(spell_out("hit that bed light"))[0].intent == "turn_on"


def test_files_of_a_folder_share_their_lists() -> None:
    sentences = "language: en\nintents: {Go: {data: [{sentences: ['go {where}']}]}}\n"
    lists = "language: en\nlists: {where: {values: [home, away]}}\n"
    found = imported({"a.yaml": sentences, "b.yaml": lists}, "en")
    assert found.left_out == ()
    assert meaning(found, "go away") == ("Go", {"where": "away"})


@pytest.mark.parametrize(
    ("intent", "template", "more", "why"),
    [
        ("HassShoppingListAddItem", "add {item}", {}, "nothing for HassShoppingListAddItem"),
        ("HassTurnOn", "turn on {floor}", {}, "no slot for floor"),
        ("Own", "go to {floor}", {}, "floors are not known"),
        ("Own", "add {nothing}", {}, "no list {nothing}"),
        ("Own", "say <nothing>", {}, "no rule <nothing>"),
        ("Own", "say {free}", {"lists": {"free": {"wildcard": True}}}, "free text"),
        ("Own", "say {x}", {"lists": {"x": {"values": [True]}}}, "in quotes"),
        ("Own", "say {x}", {"lists": {"x": {"values": [{"in": "a", "context": {"b": "c"}}]}}}, "context"),
        ("Own", "say {x}", {"lists": {"x": {"range": {"from": 1}}}}, "expected numbers"),
        ("Own", "say {@x}", {}, "captures"),
        ("Own", "say (this", {}, "not a sentence template"),
        ("Own", "say \u706f", {}, "cannot be spoken"),
        ("Own", "say <a>", {"expansion_rules": {"a": "<b>", "b": "<a>"}}, "contains itself"),
        ("Own", "say", {"requires_context": {"state": "on"}}, "depends on state"),
        ("Own", "say", {"requires_context": {"area": "Kitchen"}}, "depends on area"),
        ("Own", "say", {"excludes_context": {"domain": "light"}}, "excludes_context is not supported"),
        ("HassTurnOn", "mow with {name}", domain("lawn_mower"), "no kind of device for the domain lawn_mower"),
        ("HassTurnOff", "end {name}", domain("scene"), "a scene cannot be turned off"),
        ("HassLightSet", "change {name}", {}, "one of brightness, color and temperature"),
        ("HassSetPosition", "move {name}", {}, "needs a slot position"),
        ("HassStartTimer", "{timer_hours:hours} {timer_minutes:minutes}", {}, "write {duration}"),
        ("HassTurnOn", "x", {"slots": {"name": True}}, "expected a word or a number"),
        ("Own", "say " + "very " * 900, {}, "too long"),
    ],
)
def test_what_there_is_nothing_for_is_told(intent: str, template: str, more: Mapping[str, object], why: str) -> None:
    found = one(intent, template, more)
    assert (found.sentences, found.text) == (0, "")
    assert len(found.left_out) == 1
    assert why in found.left_out[0].why
    assert found.left_out[0].file == "custom.yaml"


def test_what_is_left_out_is_told_with_its_line_and_the_rest_goes_on() -> None:
    found = read(FILE.replace('"<kick> [<the>] {name}"', '"<kick> {floor} {name}"'))
    assert [(remark.line, remark.what) for remark in found.left_out] == [(6, "<kick> {floor} {name}")]
    assert found.sentences == 2


def test_what_changes_is_told() -> None:
    found = read("responses: {}\nskip_words: [please]\n" + FILE.replace("<kick> [<the>]", "<turn> on"))
    told = {remark.what: remark.why for remark in found.changed}
    assert set(told) == {"responses", "skip_words", "<turn>"}
    assert "taken for" in told["<turn>"]


def test_another_language_is_left_out() -> None:
    found = read(FILE.replace('"en"', '"de"'))
    assert found.text == ""
    assert [(remark.line, "its language is de" in remark.why) for remark in found.left_out] == [(1, True)]


@pytest.mark.parametrize(
    "text",
    [
        "intents: {A: {data: 3}}",
        "intents: {A: []}",
        "intents: {A: {data: [{sentences: no}]}}",
        "intents: {A: {data: [3]}}",
    ],
)
def test_what_is_no_list_is_told(text: str) -> None:
    found = read(text)
    assert [remark.why.split(":")[1] for remark in found.left_out] == [" expected a list"]


@pytest.mark.parametrize("text", ["", "[1, 2]", "intents: 5", "lists: {a: 3}"])
def test_a_file_without_a_sentence_gives_nothing(text: str) -> None:
    assert read(text).text == ""


@pytest.mark.parametrize("text", ["{", "a: b: c", "a: &x [*x]", "a: 1\na: 2"])
def test_what_is_no_yaml_is_a_mistake_of_the_file(text: str) -> None:
    with pytest.raises(SettingsError):
        read(text)


def test_most_of_home_assistants_own_sentences_become_ours_and_compile() -> None:
    document = json.loads((files("home_assistant_intents") / "data" / "en.json").read_text("utf-8"))
    text = json.dumps({key: document[key] for key in ("language", "intents", "lists", "expansion_rules")})
    found = read(text)
    assert found.sentences > 200
    assert len(grammar(found)) > 1000
    assert {"turn_on", "turn_off", "open", "lock", "set_brightness", "set_temperature"} <= set(found.intents)
    reasons = {remark.why for remark in found.left_out}
    assert not {reason for reason in reasons if "template" in reason}
