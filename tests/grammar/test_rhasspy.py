"""Files of Rhasspy become command sets that understand the same sentences, and what cannot is told by its line."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.grammar import commands
from edgeagent.grammar.automaton import Automaton, compile_commands
from edgeagent.grammar.imported import Imported
from edgeagent.grammar.rhasspy import MOST_VALUES, imported
from edgeagent.grammar.spoken import spell_out
from edgeagent.messages import Value


def grammar(found: Imported) -> Automaton:
    return compile_commands(commands.parse(found.text, "imported.yaml"))


def read(text: str, slots: Mapping[str, str] | None = None) -> Imported:
    return imported(text, slots or {}, "sentences.ini")


def meaning(found: Imported, sentence: str) -> tuple[str, dict[str, Value]] | None:
    readings = grammar(found).parse(spell_out(sentence))
    return None if not readings else (readings[0].intent, {slot.name: slot.value for slot in readings[0].slots})


def test_intents_keep_their_names_and_sentences() -> None:
    found = read("[GetTime]\nwhat time is it\ntell me the time\n\n# a comment\n; another\n[Stop]\nstop that now\n")
    assert (found.sentences, found.intents, found.left_out, found.changed) == (3, ("GetTime", "Stop"), (), ())
    assert meaning(found, "tell me the time") == ("GetTime", {})
    assert meaning(found, "stop that now") == ("Stop", {})
    assert meaning(found, "a comment") is None


@pytest.mark.parametrize(
    ("template", "said", "slots"),
    [
        ("turn (on | off){state} the light", "turn off the light", {"state": "off"}),
        ("turn on the (living room lamp){name}", "turn on the living room lamp", {"name": "living room lamp"}),
        ("turn on the (living room lamp){name:light_1}", "turn on the living room lamp", {"name": "light_1"}),
        ("turn on the light{name}", "turn on the light", {"name": "light"}),
        ("play (Primer | The Moon){movie}", "play the moon", {"movie": "The Moon"}),
        ("use the (television | tele):tv please", "use the tele please", {}),
        ("use the (tele:tv | radio){name}", "use the tele", {"name": "tv"}),
        ("use the ((big | small) lamp:light){name}", "use the small lamp", {"name": "small light"}),
        ("go to [the:] (den | [the] playroom){room}", "go to the den", {"room": "den"}),
        ("in the [den | playroom]{room} be quiet", "in the be quiet", {}),
        ("in the [den | playroom]{room} be quiet", "in the den be quiet", {"room": "den"}),
        ("make it (0..100){brightness}", "make it 40", {"brightness": 40.0}),
        ("make it 0..100,5{brightness!int} percent", "make it 35 percent", {"brightness": 35.0}),
        ("set it to (-10..10,5){degrees} degrees", "set it to minus five degrees", {"degrees": -5.0}),
        ("stop [] now [|]", "stop now", {}),
        ("make it 10..20 percent", "make it 15 percent", {"number": 15.0}),
        ("make it (low:0 | medium:0.5 | high:1){level!float}", "make it medium", {"level": 0.5}),
        ("make ten:10!int{n} cups", "make ten cups", {"n": 10}),
        ("make (two:2 | three:3){n!int} cups", "make three cups", {"n": 3}),
        ("say (Hello){word!upper}", "say hello", {"word": "HELLO"}),
        ("turn on the lamp (:){domain:light}", "turn on the lamp", {"domain": "light"}),
        ("(:){level:3!int} up", "up", {"level": 3}),
        ("up (:){level!float:3}", "up", {"level": 3.0}),
        (r"\[the] problem sentence", "problem sentence", {}),
        ("wait [a | one | (0..5){n}] moment", "wait 3 moment", {"n": 3.0}),
        ("set lamp2 to (on:)", "set lamp two to on", {}),
    ],
)
def test_what_stands_in_a_template_is_understood(template: str, said: str, slots: dict[str, Value]) -> None:
    found = read(f"[Do]\n{template}\n")
    assert found.left_out == ()
    assert meaning(found, said) == ("Do", slots)


def test_rules_are_shared_between_intents_and_do_not_become_ours() -> None:
    found = read(
        "[SetColor]\n"
        "colors = (red | green:lime){color}\n"
        "the = [the | my]\n"
        "set <the> light to <colors>\n"
        "[GetColor]\n"
        "the = (that)\n"
        "is <the> light <SetColor.colors>\n"
    )
    assert found.left_out == ()
    assert meaning(found, "set my light to green") == ("SetColor", {"color": "lime"})
    assert meaning(found, "is that light red") == ("GetColor", {"color": "red"})
    assert meaning(found, "is my light red") is None
    ours = commands.built_in(["home", "plant"])
    theirs = commands.parse(found.text, "imported.yaml")
    assert not set(ours.rules) & set(theirs.rules)
    assert not set(ours.lists) & set(theirs.lists)


def test_rules_whose_names_look_alike_are_kept_apart() -> None:
    found = read("[a.b]\nx-y = one\nx_y = two\nfirst <x-y>\nsecond <x_y>\n")
    assert meaning(found, "first one") == ("a.b", {})
    assert meaning(found, "second two") == ("a.b", {})
    assert meaning(found, "second one") is None


def test_values_come_from_files() -> None:
    slots = {"rooms": "[the:] (den | downstairs cellar):den\nPlay Room\n\n# no room\n", "more/colors": "red\nblue\n"}
    found = read(
        "[Go]\ngo to ($rooms){room}\npaint $rooms{room} ($more/colors){color}\n[Look]\nlook at $rooms\n", slots
    )
    assert found.left_out == ()
    assert meaning(found, "go to the downstairs cellar") == ("Go", {"room": "den"})
    assert meaning(found, "paint play room blue") == ("Go", {"room": "Play Room", "color": "blue"})
    assert meaning(found, "look at the den") == ("Look", {})


def test_days_and_months_are_known_without_a_file() -> None:
    found = read("[Remind]\nremind me on ($rhasspy/days){day} in $rhasspy/months\n")
    assert meaning(found, "remind me on friday in may") == ("Remind", {"day": "friday"})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("play $movies{movie}", "no file of that name"),
        ("play $rhasspy/number,1,10{n}", "a program"),
        ("say (a | b){x!my/own}", "converter !my/own"),
        ("make (two | three){n!int} cups", "!int cannot be done with 'two'"),
        ("turn on (the light", "not closed"),
        ("turn on) the light", "bracket too many"),
        ("turn on{ now", "a tag is {name}"),
        ("use <nothing>", "no rule <nothing>"),
        ("use <broken>", "it needs <broken>, which was left out"),
        ("use <loop>", "contains itself"),
        ("use (<loop>){x}", "contains itself"),
        ("a ((b){c} d){e}", "inside another tag"),
        ("now (:){x}", "neither words nor a value"),
        ("licht an \u706f", "cannot be spoken"),
        ("licht an (\u706f){x}", "cannot be spoken"),
        ("now ;{x:y}", "has no words"),
        ("(" * 40 + "a" + ")" * 40, "deep"),
        ("pick (" + " ".join("(a|b)" for _ in range(10)) + "){x}", f"more than {MOST_VALUES}"),
        ("say (one){a b}", "no name for a slot"),
        ("x " * 3000, "more than 4000 characters"),
        ("{x}", "belongs to nothing"),
        ("count to 0..999999999", "goes beyond"),
    ],
)
def test_what_there_is_nothing_for_is_told_with_its_line_and_the_rest_goes_on(line: str, why: str) -> None:
    text = f"[Do]\nbroken = (a\nloop = b <loop>\n\ndo this\n{line}\ndo that\n"
    found = read(text)
    mine = [remark for remark in found.left_out if remark.line == 6]
    assert len(mine) == 1
    assert why in mine[0].why
    assert mine[0].what == line.strip()[:200]
    assert [remark.line for remark in found.left_out if remark.line != 6] == [2]
    assert found.sentences == 2
    assert meaning(found, "do that") == ("Do", {})


def test_what_loses_its_meaning_is_told() -> None:
    found = read("[Do]\nuse the tele:tv\nwarm to 5..30\n")
    assert [(remark.line, remark.what) for remark in found.changed] == [(2, "use the tele:tv"), (3, "warm to 5..30")]
    assert "'tv' is not written" in found.changed[0].why


def test_a_sentence_without_an_intent_is_told() -> None:
    found = read("turn on the light\n[Do]\ndo this\n")
    assert [(remark.line, remark.why) for remark in found.left_out] == [(1, "it stands before the first [Intent]")]


@pytest.mark.parametrize("text", ["", "\n\n", "[Only]\n", "# nothing\n", "[Do]\n(\n"])
def test_a_file_without_a_sentence_gives_nothing(text: str) -> None:
    found = read(text)
    assert (found.text, found.sentences, found.intents) == ("", 0, ())


@given(st.text(alphabet="ab[](){}<>|:!$.,0\\= \n#", max_size=80))
def test_any_text_gives_a_file_that_loads_or_nothing(text: str) -> None:
    found = read(f"[Do]\n{text}")
    if found.text:
        loaded = commands.parse(found.text, "imported.yaml")
        assert len(loaded.templates) == found.sentences
        compile_commands(loaded)
    else:
        assert found.sentences == 0
