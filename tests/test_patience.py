"""How long a pause must be: by what can follow, and by whether it would change what is done."""

import math
import random
from pathlib import Path

import pytest

from edgeagent.evaluate.household import household
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.patience import POLITE, TAIL_S, Pause, pause_after
from edgeagent.settings import HearingSettings
from edgeagent.understand.interpret import Interpreter

HEARING = HearingSettings()
AT_ONCE = Pause(HEARING.complete_s, "complete", TAIL_S)
SOON = Pause(HEARING.question_could_go_on_s, "complete", HEARING.could_go_on_s)
DEVICES = Path(__file__).parent / "data" / "home_devices.yaml"


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    home = household(DEVICES)
    automaton = compile_commands(commands.built_in(["home"]).with_names(home.lists))
    return Interpreter(automaton, unsure_below=0.0, unique_names=home.collected.unique)


@pytest.mark.parametrize(
    "said",
    [
        "turn off the bed light",  # "in the bedroom" can follow, but there is only one
        "close the sliding door",
        "lock the front door",
        "activate party time",
        "what time is it",  # "right now" can follow
    ],
)
def test_what_can_only_mean_one_thing_is_hardly_waited_for(interpreter: Interpreter, said: str) -> None:
    pause = pause_after(said.split(), interpreter, HEARING)
    assert (pause.lasts_s, pause.means) == (SOON.lasts_s, SOON.means)
    assert pause.wordless_s >= HEARING.could_go_on_s


@pytest.mark.parametrize("said", ["set the bed light to red", "turn off the tv in the kitchen"])
def test_what_nothing_can_follow_is_not_waited_for(interpreter: Interpreter, said: str) -> None:
    assert pause_after(said.split(), interpreter, HEARING) == AT_ONCE


def test_a_number_that_sounds_like_the_beginning_of_another_is_given_time(interpreter: Interpreter) -> None:
    assert pause_after(["set", "the", "bed", "light", "to", "four"], interpreter, HEARING) == SOON


@pytest.mark.parametrize(
    ("said", "lasts_s"),
    [
        ("turn off the tv", HEARING.could_go_on_s),  # there are two
        ("turn off the lights", HEARING.could_go_on_s),
        ("turn on the bed light", HEARING.could_go_on_s),  # "at ten percent"
        ("open the sliding door", HEARING.guarded_could_go_on_s),  # "half"
        ("set a timer for five minutes", HEARING.question_could_go_on_s),
        ("turn on the", HEARING.unfinished_s),
        ("once upon a time", HEARING.unfinished_s),
        ("", HEARING.unfinished_s),
    ],
)
def test_what_could_become_something_else_is_waited_for(interpreter: Interpreter, said: str, lasts_s: float) -> None:
    pause = pause_after(said.split(), interpreter, HEARING)
    assert (pause.lasts_s, pause.means) == (lasts_s, "silence")
    assert pause.wordless_s == (math.inf if lasts_s == HEARING.unfinished_s else lasts_s)


def test_a_word_that_may_be_the_beginning_of_another_is_given_time(interpreter: Interpreter) -> None:
    said = ["what", "is", "the", "kitchen", "temp"]
    assert {"temp", "temperature"} <= interpreter.automaton.follow(interpreter.automaton.walk(said[:-1]) or 0)
    assert pause_after(said, interpreter, HEARING).lasts_s == HEARING.question_could_go_on_s


def test_what_is_called_like_something_else_is_waited_for(interpreter: Interpreter) -> None:
    nobody_known = Interpreter(interpreter.automaton, unsure_below=0.0)
    assert pause_after(["turn", "off", "the", "bed", "light"], nobody_known, HEARING).lasts_s == HEARING.could_go_on_s


def test_what_lies_ahead_is_told_by_slots_and_meanings(interpreter: Interpreter) -> None:
    automaton = interpreter.automaton
    state = automaton.walk(["turn", "off", "the", "bed", "light"])
    assert state is not None
    ahead = automaton.ahead(state, POLITE)
    assert ahead.slots == {"area"}
    assert {intent for intent, _ in ahead.meanings} == {"turn_off"}
    assert automaton.ahead(state, POLITE | {"in", "here"}).meanings == frozenset()


def test_what_becomes_another_order_without_a_new_slot_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "language: en\n"
        "intents:\n"
        "  stop: {data: [{sentences: [stop the music]}]}\n"
        "  stop_all: {data: [{sentences: [stop the music everywhere]}]}\n"
    )
    interpreter = Interpreter(compile_commands(commands.load(file)), unsure_below=0.0)
    assert pause_after(["stop", "the", "music"], interpreter, HEARING).lasts_s == HEARING.could_go_on_s


@pytest.mark.parametrize(
    ("said", "wordless_s"),
    [
        ("set the bed light to red", TAIL_S),  # "for ten minutes" may follow
        ("turn off the tv in the kitchen", TAIL_S),
    ],
)
def test_the_recognizer_alone_does_not_end_an_order_that_a_time_may_follow(
    interpreter: Interpreter, said: str, wordless_s: float
) -> None:
    assert pause_after(said.split(), interpreter, HEARING).wordless_s == wordless_s


def test_what_no_time_can_follow_ends_as_soon_as_nothing_can_follow(interpreter: Interpreter) -> None:
    found = [
        said
        for said in ("no thanks", "i confirm", "what can i say", "of course", "what time is it right now please")
        if pause_after(said.split(), interpreter, HEARING).means == "complete"
        and pause_after(said.split(), interpreter, HEARING).wordless_s < TAIL_S
    ]
    assert found


@pytest.mark.parametrize(
    "said",
    [
        "turn off the tv in the kitchen for ten minutes",
        "turn off the tv in the kitchen in ten minutes",
        "turn off the tv at seven",
        "turn off the tv tomorrow at seven thirty",
        "set the bed light to red for half an hour",
    ],
)
def test_an_order_with_its_time_is_whole_but_more_may_follow(interpreter: Interpreter, said: str) -> None:
    pause = pause_after(said.split(), interpreter, HEARING)
    assert pause == Pause(HEARING.could_go_on_s, "complete", HEARING.could_go_on_s)


@pytest.mark.parametrize(
    "said",
    [
        "turn off the tv in the kitchen for",
        "turn off the tv in the kitchen for ten",
        "turn off the tv in the kitchen and",
        "turn off the tv in the kitchen and turn on",
        "turn off the for ten minutes",
        "for ten minutes tea",
        "once upon a time in ten minutes",
        "in",
    ],
)
def test_half_a_time_or_half_an_order_is_waited_for_longest(interpreter: Interpreter, said: str) -> None:
    assert pause_after(said.split(), interpreter, HEARING) == Pause(HEARING.unfinished_s, "silence", math.inf)


def test_no_pause_is_shorter_than_a_breath_or_longer_than_that_of_half_a_sentence(interpreter: Interpreter) -> None:
    draw = random.Random(3)  # noqa: S311 - a sample
    for _ in range(300):
        words = interpreter.automaton.generate(draw)
        for count in range(len(words) + 1):
            pause = pause_after(words[:count], interpreter, HEARING)
            assert HEARING.complete_s <= pause.lasts_s <= HEARING.unfinished_s
            assert pause.wordless_s >= pause.lasts_s


def test_what_opens_with_a_time_is_waited_for_as_long_as_without(interpreter: Interpreter) -> None:
    said = ["open", "the", "sliding", "door", "at", "seven"]
    assert pause_after(said, interpreter, HEARING).lasts_s >= HEARING.guarded_could_go_on_s


def test_no_question_has_a_time(interpreter: Interpreter) -> None:
    said = ["what", "time", "is", "it", "in", "ten", "minutes"]
    assert pause_after(said, interpreter, HEARING).lasts_s == HEARING.unfinished_s
