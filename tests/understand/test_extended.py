"""Several orders in one sentence, times and exceptions; and the sentences that only look like that."""

import random
import time
from functools import lru_cache

import pytest
from homes import announce, everything
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.vocabulary import lists_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.grammar.spoken import Phrase
from edgeagent.messages import Command, Interpretation, Rejection, Value, When
from edgeagent.understand.extended import MOST_ORDERS, extended, is_tail, with_text
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.repair import has_correction
from edgeagent.understand.text import typed


@lru_cache(maxsize=1)
def home() -> Devices:
    devices = everything()
    announce(devices, "light", "desk", "Desk lamp", "Office", bri_cmd_t="d", bri_stat_t="e", bri_scl=100)
    announce(devices, "light", "ceiling", "Ceiling lamp", "Office")
    announce(devices, "light", "bed", "Bedside lamp", "Bedroom")
    announce(devices, "light", "pepper", "Salt and pepper lamp", "Bedroom")
    announce(devices, "switch", "printer", "Black and white printer", "Office")
    announce(devices, "switch", "white", "White printer", "Office")
    announce(devices, "light", "seven", "Seven", "Hall")
    announce(devices, "light", "two", "Lamp for two", "Hall")
    announce(devices, "switch", "minute", "Ten minutes", "Hall")
    announce(devices, "text", "sign", "Door sign", "Hall")
    return devices


@lru_cache(maxsize=1)
def interpreter() -> Interpreter:
    built_in = commands.built_in(("home", "plant")).with_names(lists_of(home().names()))
    return Interpreter(compile_commands(built_in), unsure_below=0.5)


def heard(text: str) -> Interpretation:
    return interpreter().interpret(typed("u1", text))


def understood(text: str) -> Command:
    found = heard(text)
    assert isinstance(found, Command), found
    return found


def meanings(text: str) -> list[tuple[str, Value | None]]:
    return [
        (part.intent, part.slot("name") or part.slot("kind") or part.slot("area")) for part in understood(text).parts
    ]


def is_rejected(text: str) -> bool:
    return isinstance(heard(text), Rejection)


ON, OFF = "turn_on", "turn_off"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("turn on the kettle and turn off the desk lamp", [(ON, "kettle"), (OFF, "desk lamp")]),
        ("turn on the kettle then lock the front door", [(ON, "kettle"), ("lock", "front door")]),
        ("turn on the kettle and then lock the door", [(ON, "kettle"), ("lock", "lock")]),
        ("turn on the kettle and also the desk lamp", [(ON, "kettle"), (ON, "desk lamp")]),
        ("turn on the kettle and the desk lamp", [(ON, "kettle"), (ON, "desk lamp")]),
        ("turn the kettle and the desk lamp off", [(OFF, "kettle"), (OFF, "desk lamp")]),
        ("turn the kettle on and off", [(ON, "kettle"), (OFF, "kettle")]),
        ("turn off all the lights but the desk lamp and lock the door", [(OFF, "light"), ("lock", "lock")]),
        ("what time is it and turn on the kettle", [("get_time", None), (ON, "kettle")]),
        ("lock the front door and what time is it", [("lock", "front door"), ("get_time", None)]),
        ("close the inlet valve and stop the conveyor", [("close", "inlet valve"), ("stop_machine", "conveyor")]),
        ("please turn on the kettle and could you lock the front door", [(ON, "kettle"), ("lock", "front door")]),
        ("turn on seven and the lamp for two", [(ON, "seven"), (ON, "lamp for two")]),
    ],
)
def test_several_orders_are_several_commands(said: str, expected: list[tuple[str, Value | None]]) -> None:
    assert meanings(said) == expected
    assert all(not part.doubt and part.utterance == "u1" for part in understood(said).parts)


def test_no_more_orders_are_taken_than_anybody_means() -> None:
    four = " and ".join(["turn on the kettle"] * MOST_ORDERS)
    assert len(understood(four).parts) == MOST_ORDERS
    assert is_rejected(f"{four} and turn on the kettle")


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("turn on the kettle in ten minutes", When(delay_s=600.0)),
        ("turn on the kettle after ten minutes", When(delay_s=600.0)),
        ("turn on the kettle ten minutes from now", When(delay_s=600.0)),
        ("in ten minutes turn on the kettle", When(delay_s=600.0)),
        ("turn on the kettle for half an hour", When(lasts_s=1800.0)),
        ("turn on the kettle for an hour and a half", When(lasts_s=5400.0)),
        ("turn on the kettle for four and a half minutes", When(lasts_s=270.0)),
        ("turn on the kettle for two hours and thirty minutes", When(lasts_s=9000.0)),
        ("turn on the kettle at seven", When(clock="07:00", is_either_half=True)),
        ("turn on the kettle at seven thirty", When(clock="07:30", is_either_half=True)),
        ("turn on the kettle at seven pm", When(clock="19:00")),
        ("turn on the kettle at seven in the evening", When(clock="19:00")),
        ("turn on the kettle at nineteen hundred", When(clock="19:00")),
        ("turn on the kettle at oh seven hundred", When(clock="07:00")),
        ("turn on the kettle at midnight", When(clock="00:00")),
        ("turn on the kettle at noon", When(clock="12:00")),
        ("turn on the kettle tomorrow at seven", When(clock="07:00", days=1)),
        ("turn on the kettle at seven tomorrow", When(clock="07:00", days=1)),
        ("tomorrow at seven pm turn on the kettle", When(clock="19:00", days=1)),
        ("turn on the kettle at ten tonight", When(clock="22:00")),
        ("turn on the kettle this evening at eight", When(clock="20:00")),
        ("turn on the kettle at twelve tonight", When(clock="00:00")),
        ("turn on the kettle in ten minutes for an hour", When(delay_s=600.0, lasts_s=3600.0)),
        ("in ten minutes turn on the kettle for an hour", When(delay_s=600.0, lasts_s=3600.0)),
        ("turn on the kettle for an hour in ten minutes", When(delay_s=600.0, lasts_s=3600.0)),
        ("at seven pm turn on the kettle for an hour", When(clock="19:00", lasts_s=3600.0)),
        ("turn on the kettle in the kitchen in ten minutes", When(delay_s=600.0)),
        ("turn on seven at seven", When(clock="07:00", is_either_half=True)),
        ("turn on the lamp for two for two minutes", When(lasts_s=120.0)),
        ("turn on ten minutes in ten minutes", When(delay_s=600.0)),
        ("um turn on the kettle please in ten minutes", When(delay_s=600.0)),
    ],
)
def test_a_time_stands_before_or_after_an_order(said: str, when: When) -> None:
    found = understood(said)
    assert (found.intent, found.when, found.then, found.doubt) == (ON, when, (), "")


@pytest.mark.parametrize(
    "said",
    [
        "turn on the kettle in ten",
        "turn on the kettle in ten minutes in ten minutes",
        "turn on the kettle at twenty five",
        "turn on the kettle for ten",
        "turn on the kettle in minus ten minutes",
        "turn on the kettle in ten minutes if it rains",
        "turn on the kettle in ten minutes or so",
        "turn on the kettle every ten minutes",
        "turn on the kettle until ten",
        "turn on the kettle before ten minutes",
        "turn on the lights in ten minutes in the kitchen",
        "yes in ten minutes",
        "no in five minutes",
        "undo that in ten minutes",
        "help in ten minutes",
        "the bedroom in ten minutes",
        "do the same in the bedroom in ten minutes",
    ],
)
def test_what_is_no_time_of_an_order_is_not_understood(said: str) -> None:
    assert is_rejected(said)


def test_a_time_after_several_orders_may_be_meant_for_all_or_one_and_is_a_doubt_for_each() -> None:
    found = understood("turn on the kettle and turn off the desk lamp in ten minutes")
    assert [part.when for part in found.parts] == [When(delay_s=600.0)] * 2
    assert all("may be meant for all" in part.doubt for part in found.parts)


def test_a_time_before_several_orders_is_for_all_of_them() -> None:
    found = understood("in ten minutes turn on the kettle and turn off the desk lamp")
    assert [(part.when, part.doubt) for part in found.parts] == [(When(delay_s=600.0), "")] * 2


@pytest.mark.parametrize(
    ("said", "left_out"),
    [
        ("turn off all the lights except the desk lamp", [("except_name", "desk lamp")]),
        ("turn off all the lights but not the desk lamp", [("except_name", "desk lamp")]),
        ("turn off the lights except in the office", [("except_area", "office")]),
        (
            "turn off all the lights except the desk lamp and the bedroom",
            [("except_name", "desk lamp"), ("except_area", "bedroom")],
        ),
        ("turn off all the lights other than the one in the office", [("except_area", "office")]),
    ],
)
def test_what_is_left_out_stands_at_the_end(said: str, left_out: list[tuple[str, str]]) -> None:
    found = understood(said)
    assert found.intent == OFF
    assert [(slot.name, slot.value) for slot in found.slots if slot.name.startswith("except")] == left_out


def test_an_exception_with_a_time_has_both() -> None:
    found = understood("turn off all the lights except the desk lamp for ten minutes")
    assert (found.slot("except_name"), found.when) == ("desk lamp", When(lasts_s=600.0))


@pytest.mark.parametrize(
    "said",
    [
        "turn off the kettle except the desk lamp",
        "turn off all the lights except",
        "turn off all the lights except the moon",
        "turn off all the lights except when it is dark",
        "except the desk lamp turn off all the lights",
        "stop everything except the conveyor",
    ],
)
def test_what_is_no_exception_is_not_understood(said: str) -> None:
    assert is_rejected(said)


GARDEN_PATHS = [
    "don't turn on the kettle and turn off the desk lamp",
    "turn on the kettle and don't turn off the desk lamp",
    "do not turn on the kettle and turn off the desk lamp",
    "never turn on the kettle and the desk lamp",
    "turn on the kettle and not the desk lamp",
    "turn on not the kettle but the desk lamp",
    "if it rains turn on the kettle and turn off the desk lamp",
    "turn on the kettle and turn off the desk lamp if it rains",
    "when i come home turn on the kettle and the desk lamp",
    "she said turn on the kettle and turn off the desk lamp",
    "she told me to turn on the kettle and then left",
    "he was about to turn on the kettle and the desk lamp",
    "i turned on the kettle and the desk lamp",
    "and",
    "and and and",
    "and then",
    "turn on the kettle or the desk lamp",
    "turn on the kettle and yes",
    "yes and turn on the kettle",
    "no and turn on the kettle",
    "turn on the kettle and no",
    "turn on the kettle and the moon",
    "unlock the front door and the kettle",
    "turn on the kettle and never mind",
    "turn on the kettle and turn on the desk lamp no wait",
    "turn on the black and white printer",
    "turn on the salt and pepper lamp",
    "black and white",
    "in ten minutes",
    "tell me in ten minutes to turn on the kettle",
    "did you turn on the kettle and turn off the desk lamp",
    "was it you who said turn on the kettle in ten minutes",
    "what happens if i turn on the kettle in ten minutes",
    "turn on the kettle in ten minutes unless i say stop",
]


@pytest.mark.parametrize("said", GARDEN_PATHS)
def test_what_only_looks_like_several_orders_is_none(said: str) -> None:
    found = heard(said)
    # A length alone amends the order before, and needs one.
    assert isinstance(found, Rejection) or found.intent == "amend", found  # type: ignore[union-attr]


def test_orders_are_never_split_inside_a_number() -> None:
    found = understood("set the line speed to one hundred and fifty rpm")
    assert (found.slot("value"), found.then) == (150.0, ())


def test_an_answer_is_no_part_of_a_sentence() -> None:
    for said in (
        "turn on the kettle and the bedroom",
        "the bedroom and turn on the kettle",
        "the bedroom and the hall",
    ):
        found = heard(said)
        assert isinstance(found, Rejection) or "choose" not in [part.intent for part in found.parts], said  # type: ignore[union-attr]


def test_what_an_order_says_stays_with_its_order() -> None:
    said = "set the desk lamp to forty percent and set the kitchen light to sixty percent"
    assert [(part.slot("name"), part.slot("brightness")) for part in understood(said).parts] == [
        ("desk lamp", 40.0),
        ("kitchen light", 60.0),
    ]


def test_a_text_is_what_follows_to_and_only_when_it_is_typed() -> None:
    found = understood("set the door sign to do not disturb and turn on the kettle")
    assert (found.intent, found.slot("said")) == ("set_text", "do not disturb and turn on the kettle")
    assert understood("set the door sign to go to bed").slot("said") == "go to bed"

    def never(_: Phrase) -> Command | None:
        return None

    assert with_text(["set", "the", "door", "sign", "to", "x"], never) is None
    assert with_text(["to"], never) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("for ten minutes", True),
        ("in ten minutes", True),
        ("at seven", True),
        ("at seven thirty in the evening", True),
        ("tomorrow at seven", True),
        ("tonight at nine", True),
        ("ten minutes from now", True),
        ("for ten", False),
        ("for", False),
        ("", False),
        ("tomorrow", False),
        ("from now", False),
        ("at", False),
        ("for minutes", False),
        ("at seven at seven", False),
    ],
)
def test_a_tail_is_a_time_as_it_stands(words: str, *, expected: bool) -> None:
    assert is_tail(words.split()) is expected


def alone(words: Phrase) -> Command | None:
    """Understand "turn on x", of which there are three."""
    is_one = words[:2] == ("turn", "on") and words[2:] in {("a",), ("b",), ("c",)}
    return Command("u", ON, (), " ".join(words), 0, 1.0) if is_one else None


SAID = [
    *("turn", "on", "off", "a", "b", "c", "and", "then", "also", "in", "for", "at", "ten", "minutes", "seven"),
    *("except", "but", "not", "the", "tomorrow", "hour", "half", "minute"),
]


@given(st.lists(st.sampled_from(SAID), max_size=14))
def test_any_words_are_understood_or_not_and_every_order_was_said(words: list[str]) -> None:
    found = extended(words, alone)
    if found is not None:
        assert len(found.parts) <= words.count("and") + words.count("then") + words.count("also") + 1
        assert all(part.intent == ON for part in found.parts)
        assert found.text == " ".join(words)


WORDS = sorted(interpreter().automaton.words)
NEGATIONS = ["don't", "never", "not", "do not"]


def sentences() -> st.SearchStrategy[list[str]]:
    """Give orders of the grammar, with what joins them and what turns them into their opposite."""
    draw = random.Random(7)  # noqa: S311 - a sample
    orders = [" ".join(interpreter().automaton.generate(draw)) for _ in range(300)]
    pieces = ["and", "then", "in ten minutes", "for an hour", "at seven", "except the desk lamp", "please", *NEGATIONS]
    return st.lists(st.sampled_from([*orders, *pieces]), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([*WORDS, *NEGATIONS]), max_size=12))
def test_arbitrary_words_never_raise(words: list[str]) -> None:
    heard(" ".join(words))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sentences(), st.sampled_from(NEGATIONS), st.integers(0, 20))
def test_no_sentence_with_a_negation_in_it_is_obeyed(pieces: list[str], negation: str, place: int) -> None:
    words = " ".join(pieces).split()
    words[min(place, len(words)) : min(place, len(words))] = negation.split()
    text = " ".join(words)
    found = heard(text)
    is_text = isinstance(found, Command) and any(part.intent == "set_text" for part in found.parts)
    is_no = isinstance(found, Command) and found.intent == "deny"
    is_exception = "but not" in text or has_correction(words)  # what is corrected is replaced, whatever it was
    assert is_text or is_no or is_exception or isinstance(found, Rejection), text


def how_long_s(words: list[str]) -> float:
    began = time.process_time()
    extended(words, lambda _: None)
    return time.process_time() - began


def test_a_sentence_of_many_ands_is_judged_in_no_time() -> None:
    calls = 0

    def none(_: Phrase) -> Command | None:
        nonlocal calls
        calls += 1
        return None

    extended(["x", "and"] * 12 + ["x"], none)
    assert calls < 5_000
    assert how_long_s(["x", "and"] * 12) < 0.5


def test_a_sentence_of_many_times_is_judged_in_no_time() -> None:
    calls = 0

    def none(_: Phrase) -> Command | None:
        nonlocal calls
        calls += 1
        return None

    extended(["for", "a", "minute"] * 9, none)
    assert calls < 200


@pytest.mark.parametrize(
    "said",
    [
        "cancel the timer in ten minutes",
        "cancel all plans tomorrow at seven",
        "what time is it in ten minutes",
        "is the kettle on for ten minutes",
        "how warm is it in the bedroom at seven",
        "set a timer for five minutes in ten minutes",
    ],
)
def test_only_orders_can_be_for_later(said: str) -> None:
    assert is_rejected(said)


@pytest.mark.parametrize(
    "said",
    [
        "turn on the kettle for ten minutes and turn off the desk lamp",
        "turn on the kettle in one hour and turn off the desk lamp in two hours",
    ],
)
def test_the_orders_of_a_sentence_may_have_their_own_times(said: str) -> None:
    assert understood(said).when is not None


def test_three_may_share_a_verb() -> None:
    expected: list[tuple[str, Value | None]] = [(ON, "kettle"), (ON, "desk lamp"), (ON, "bedside lamp")]
    assert meanings("turn on the kettle and the desk lamp and the bedside lamp") == expected


def test_the_words_of_an_order_are_its_own() -> None:
    found = understood("turn on the kettle and set the bedroom heater to seventy degrees fahrenheit")
    assert "fahrenheit" not in found.parts[0].text
