"""Transcripts become commands, or rejections that say why."""

import pytest
from growth import assert_linear

from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.grammar.spoken import MOST_WORDS
from edgeagent.messages import Command, Interpretation, Rejection, Slot, Transcript, Word
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.text import typed

GRAMMAR = compile_commands(
    commands.parse(
        """
intents:
  turn: {data: [{sentences: ["turn {state} [the] {light} [now]"]}]}
  open: {data: [{sentences: ["open it"]}]}
  start: {data: [{sentences: ["open it", "go {thing}"]}]}
  leave: {data: [{sentences: ["go {place}", "go home"]}]}
  sleep: {data: [{sentences: ["go home"]}]}
lists:
  state: {values: ["on", "off"]}
  light: {values: [lamp]}
  thing: {values: [away]}
  place: {values: [to bed]}
""",
        "F",
    )
)


def heard(*words: str, confidence: float = 0.9) -> Transcript:
    return Transcript("u1", tuple(Word(word, 0, 0) for word in words), 1.0, confidence=confidence, ended_by="silence")


def interpret(*words: str, confidence: float = 0.9) -> Interpretation:
    return Interpreter(GRAMMAR, unsure_below=0.5).interpret(heard(*words, confidence=confidence))


def rejected(*words: str, confidence: float = 0.9) -> tuple[str, str]:
    found = interpret(*words, confidence=confidence)
    assert isinstance(found, Rejection)
    assert found.utterance == "u1"
    return found.reason, found.detail


def test_a_sentence_of_the_grammar_is_a_command_by_exit_0() -> None:
    expected = (Slot("state", "on", "on"), Slot("light", "lamp", "lamp"))
    assert interpret("turn", "on", "lamp") == Command(
        "u1", "turn", expected, "turn on lamp", 0, 0.9, "", ("the grammar has this sentence",)
    )


@pytest.mark.parametrize(
    ("words", "reason", "detail"),
    [
        ("", "no-words", "no words that can be read"),
        ("dance", "not-a-command", 'none begins "dance"'),
        ("turn on dance", "not-a-command", '"dance" does not go on after "turn on"'),
        ("turn on", "not-a-command", "the sentence stops in the middle"),
        ("turn on lamp now dance", "not-a-command", '"dance" does not go on after "turn on lamp now"'),
        ("open it", "unsure", "it could mean open or start"),
        ("go home", "unsure", "it could mean leave or sleep"),
    ],
)
def test_a_rejection_says_why(words: str, reason: str, detail: str) -> None:
    assert rejected(*words.split()) == (reason, detail)


def test_a_sound_that_does_not_bear_the_words_out_is_refused() -> None:
    reason, detail = rejected("turn", "on", "lamp", confidence=0.49)
    assert (reason, detail) == ("not-speech-we-know", "the sound bears it out by 0.49, 0.50 is needed")
    assert isinstance(interpret("turn", "on", "lamp", confidence=0.5), Command)


def test_the_most_words_are_looked_at_and_one_more_is_not() -> None:
    assert rejected(*["turn"] * MOST_WORDS)[0] == "not-a-command"
    assert rejected(*["turn"] * (MOST_WORDS + 1)) == ("too-long", f"more than {MOST_WORDS} words")


@pytest.mark.parametrize(
    ("piece", "count"),
    [
        ("turn on lamp ", 3400),
        ("\x00\x1b[31m\x07", 10_000),
        ("打开灯 ", 10_000),
        ("включи свет ", 5000),
        ("e\u0301", 100_000),
    ],
)
def test_ten_thousand_words_and_other_scripts_are_refused_in_linear_time(piece: str, count: int) -> None:
    interpreter = Interpreter(GRAMMAR, unsure_below=0.5)
    assert_linear(lambda text: interpreter.interpret(typed("t1", text)), piece * (count // 10), piece * count, times=10)
    found = interpreter.interpret(typed("t1", piece * count))
    assert isinstance(found, Rejection)
    assert len(found.text) <= 500
    assert found.text.isascii()
    assert found.text.isprintable()


def test_heard_words_of_any_kind_are_refused_too() -> None:
    for word in ("\x00", "灯", "\u202e", "a" * 100_000):
        assert rejected(word)[0] == "not-a-command"
    assert rejected(*["turn"] * 10_000)[0] == "too-long"


def test_typed_sentences_are_understood_as_if_they_were_heard() -> None:
    transcript = typed("t1", "Turn ON the lamp, now!")
    assert (transcript.text, transcript.ended_by, transcript.is_final) == ("turn on the lamp now", "text", True)
    assert isinstance(Interpreter(GRAMMAR, unsure_below=0.5).interpret(transcript), Command)


@pytest.mark.parametrize(
    "text",
    [
        *("\u043d\u0435 turn on the lamp now", "\u274c turn on the lamp now", "turn on the lamp now \U0001f6ab"),
        *("turn \u5f00 on the lamp now", "lamp 20,5", "lamp 20/5", "lamp 20 - 5", "lamp \u20135", "lamp - 5"),
        *("lamp 20, 5", "lamp 20;5"),
    ],
)
def test_typed_signs_that_cannot_be_read_are_not_dropped(text: str) -> None:
    found = Interpreter(GRAMMAR, unsure_below=0.5).interpret(typed("t1", text))
    assert isinstance(found, Rejection)
    assert found.detail == "it holds letters or signs that cannot be read"


@pytest.mark.parametrize(
    "text",
    [
        "Turn on the lamp\u2026 now!",
        "turn on \u201cthe lamp\u201d (now)",
        "turn on the l\u00e1mp now",
        "turn on - the lamp - now",
    ],
)
def test_typed_punctuation_and_accents_do_no_harm(text: str) -> None:
    assert isinstance(Interpreter(GRAMMAR, unsure_below=0.5).interpret(typed("t1", text)), Command)
