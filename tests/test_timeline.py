"""Every step of an utterance is one line, for people and as JSON, whatever the words in it."""

import io
import json
import logging
from collections.abc import Iterable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgeagent.messages import (
    Action,
    Answer,
    Command,
    Device,
    Message,
    Outcome,
    Published,
    Question,
    Rejection,
    Slot,
    Step,
    Transcript,
    Word,
)
from edgeagent.timeline import JsonTimeline, as_row
from edgeagent.timeline_printed import PrintedTimeline

LAMP = Device("ha:1", "Bed [red]light", "light", frozenset({"power", "brightness"}))
DIM = Action("a1", "u1", LAMP, "brightness", 40.0)
HEARD = Transcript("u1", (Word("dim", 0.5, 0.8), Word("it", 0.8, 1.25)), 1.4, 10.0, 0.87654, "complete")
TYPED = Transcript("t1", (Word("stop", 0.0, 0.0),), 0.0, ended_by="text")


def partial(words: str) -> Transcript:
    return Transcript("u1", tuple(Word(word, 0.0, 0.0) for word in words.split()), 0.5, 10.0)


def command(exit_: int = 0, confidence: float = 1.0) -> Command:
    return Command("u1", "dim", (Slot("name", "bed", "bed"), Slot("level", 40.0, "forty")), "dim", exit_, confidence)


STEPS: list[tuple[Step, dict[str, Any], str]] = [
    (partial("dim"), {"utterance": "u1", "step": "hearing", "text": "dim", "at_s": 10.5}, ""),
    (
        HEARD,
        {
            "utterance": "u1",
            "step": "heard",
            "text": "dim it",
            "at_s": 11.4,
            "ended_by": "complete",
            "confidence": 0.8765,
            "sound_s": 1.4,
            "after_last_word_ms": 150,
        },
        "heard       dim it   1.4 s of sound, ended by complete 150 ms after the last word",
    ),
    (TYPED, {"utterance": "t1", "step": "heard", "text": "stop", "ended_by": "text"}, "heard       stop   typed"),
    (
        command(),
        {
            "utterance": "u1",
            "step": "understood",
            "intent": "dim",
            "slots": {"name": "bed", "level": 40.0},
            "exit": 0,
            "confidence": 1.0,
            "doubt": "",
            "why": [],
        },
        "understood  dim  name=bed  level=40   by exit 0, the grammar, 100% sure  +250.0 ms",
    ),
    (
        Question("u1", "which", "Which one?", ("Bedroom", "Kitchen")),
        {"utterance": "u1", "step": "question", "kind": "which", "choices": ["Bedroom", "Kitchen"], "why": []},
        "question    which: Bedroom, Kitchen   +250.0 ms",
    ),
    (
        Rejection("u1", "unsure", "dim", "0.2 sure, 0.5 is needed"),
        {"utterance": "u1", "step": "rejected", "reason": "unsure", "detail": "0.2 sure, 0.5 is needed", "why": []},
        "rejected    unsure: 0.2 sure, 0.5 is needed   +250.0 ms",
    ),
    (
        Rejection("u1", "busy"),
        {"utterance": "u1", "step": "rejected", "reason": "busy", "detail": "", "why": []},
        "rejected    busy   +250.0 ms",
    ),
    (
        Published(DIM, Message("bed/set", b"\xff 40")),
        {"utterance": "u1", "step": "published", "topic": "bed/set", "payload": "\ufffd 40", "allowed_by": ""},
        "published   bed/set  \ufffd 40   +250.0 ms",
    ),
    (
        Outcome(DIM, "done", 0.01234),
        {
            "utterance": "u1",
            "step": "done",
            "device": "Bed [red]light",
            "capability": "brightness",
            "value": 40.0,
            "took_ms": 12.3,
            "reason": "",
            "allowed_by": "",
        },
        "done        Bed [red]light: brightness is 40   acknowledged after 12.3 ms  +250.0 ms",
    ),
    (
        Outcome(DIM, "failed", 5.0, "still says 10"),
        {
            "utterance": "u1",
            "step": "failed",
            "device": "Bed [red]light",
            "capability": "brightness",
            "value": 40.0,
            "took_ms": 5000.0,
            "reason": "still says 10",
            "allowed_by": "",
        },
        "failed      Bed [red]light: still says 10   +250.0 ms",
    ),
    (
        Answer("u1", "Bed light, forty percent."),
        {"utterance": "u1", "step": "answered", "text": "Bed light, forty percent."},
        "answered    Bed light, forty percent.   +250.0 ms",
    ),
]


def printed(*steps: Step, styled: bool = False) -> str:
    """What a person sees of steps that are a quarter of a second apart."""
    seen = io.StringIO()
    ticks = iter(number / 4 for number in range(100))
    colours: Literal["standard"] | None = "standard" if styled else None
    console = Console(file=seen, highlight=False, width=40, force_terminal=styled, color_system=colours)
    timeline = PrintedTimeline(console, lambda: next(ticks))
    for step in steps:
        timeline(step)
    return seen.getvalue()


def as_json(steps: Iterable[Step]) -> str:
    written = io.StringIO()
    timeline = JsonTimeline(written)
    for step in steps:
        timeline(step)
    return written.getvalue()


@pytest.mark.parametrize(("step", "row", "line"), STEPS)
def test_a_step_is_a_flat_row_and_a_line(step: Step, row: dict[str, Any], line: str) -> None:
    assert as_row(step) == row
    assert list(as_row(step))[:2] == ["utterance", "step"]
    assert printed(step) == (f"  {line}\n" if line else "")


def test_a_row_can_be_the_fields_of_a_log_record() -> None:
    for step, _, _ in STEPS:
        assert not set(as_row(step)) & {*vars(logging.makeLogRecord({})), "message", "asctime"}


def test_json_is_one_object_a_line_in_the_order_of_the_steps() -> None:
    rows = [json.loads(line) for line in as_json(step for step, _, _ in STEPS).splitlines()]
    assert rows == [row for _, row, _ in STEPS]


@pytest.mark.parametrize(
    ("exit_", "confidence", "said"),
    [
        (0, 1.0, "by exit 0, the grammar, 100% sure"),
        (0, 0.504, "by exit 0, the grammar, 50% sure"),
        (2, 0.934, "by exit 2, the model, 93% sure"),
    ],
)
def test_who_understood_and_how_surely_is_said(exit_: int, confidence: float, said: str) -> None:
    assert said in printed(command(exit_, confidence))


def test_a_command_without_slots_is_its_name_alone() -> None:
    assert printed(Command("u1", "stop", (), "stop", 0, 1.0)).startswith("  understood  stop   by exit 0")


def test_an_utterance_without_words_is_said_to_have_none() -> None:
    nothing = Transcript("u1", (), 1.0, 2.0, 0.0, "silence")
    assert as_row(nothing)["after_last_word_ms"] is None
    assert printed(nothing) == "  heard       (no words)   1.0 s of sound, ended by silence\n"


def test_how_a_sentence_grew_while_it_was_spoken_is_shown_before_it() -> None:
    whole = partial("turn on the light")
    final = Transcript("u1", whole.words, 2.0, ended_by="silence")
    first, second = printed(partial("turn"), partial("fern"), partial("turn on the"), final).splitlines()
    assert first == "  hearing     turn … on the"
    assert second.startswith("  heard       turn on the light")


def test_what_was_heard_of_one_utterance_is_not_shown_with_the_next() -> None:
    assert printed(partial("turn"), partial("turn on"), HEARD, partial("dim"), HEARD).count("hearing") == 0


def test_every_sort_of_step_has_its_own_style() -> None:
    for step, _, line in STEPS:
        assert ("\x1b[" in printed(step, styled=True)) == bool(line)


def foreign(text: str) -> list[Step]:
    """Every step that can carry words of others."""
    device = Device(text, text, "light", frozenset({"power"}), text)
    action = Action("a1", "u1", device, "power", text)
    return [
        Transcript("u1", (Word(text, 0.0, 1.0),), 1.0, ended_by="silence"),
        Transcript("t1", (Word(text, 0.0, 1.0),), 1.0, ended_by="text"),
        Command("u1", "dim", (Slot("name", text, text),), text, 0, 1.0),
        Question("u1", "which", text, (text, text)),
        Rejection("u1", "no-such-device", text, text),
        Published(action, Message(text, text.encode("utf-8", "replace"))),
        Outcome(action, "done", 1.0),
        Outcome(action, "failed", 1.0, text),
        Answer("u1", text),
    ]


@given(st.text(st.characters()))
def test_no_text_breaks_a_line_or_speaks_to_the_terminal(text: str) -> None:
    for step in foreign(text):
        line = printed(step)
        assert line.endswith("\n")
        assert len(line.splitlines()) == 1
        assert not set(line) & {"\x1b", "\x07", "\x08", "\r", "\x7f", "\x9b", "\u202e", "\u2066"}
        assert line.encode()
        (row,) = as_json([step]).splitlines()
        assert row.isascii()
        assert json.loads(row) == json.loads(json.dumps(as_row(step)))


@pytest.mark.parametrize("text", ["[red]x[/nope]", "[/]", ":lock:", "[link=http://x]y", "\\[b]", "👨\u200d👩 Küche"])
def test_what_looks_like_markup_is_shown_as_it_is(text: str) -> None:
    for step in foreign(text):
        assert text in printed(step)


def test_a_terminal_gets_no_orders_from_foreign_text() -> None:
    shown = printed(Answer("u1", "\x1b[2Jgone\x9b1m\r\n\u202exe"), styled=True)
    assert "\\u001b[2Jgone\\u009b1m\\r\\n\\u202exe" in shown
    assert "\x1b[2J" not in shown
