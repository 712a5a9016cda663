"""`edgeagent teach`: keep lessons, and tell how well they were learned and that nothing else was forgotten."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeagent.act import names
from edgeagent.act.vocabulary import lists_of
from edgeagent.agent import TAUGHT
from edgeagent.errors import SettingsError
from edgeagent.grammar import commands
from edgeagent.grammar.spoken import Phrase
from edgeagent.messages import Command, Kind
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.taught import Lesson, Taught, add_lessons, load_taught, parse_lessons, take_back
from edgeagent.understand.text import typed
from edgeagent.understanding import interpreter_of, load_model, sentences_of

SENTENCES_ASKED = 300
_WRAPPED = ("hey {} thanks", "could you maybe {} now", "so uh {} for us")
"""Wordings that are in no lesson: what the tolerant tier makes of them is told."""


def teach_lessons(settings: AgentSettings, file: Path) -> dict[str, Any]:
    """Keep the lessons of a file. Raise SettingsError if it is wrong, or makes the agent forget what it knew."""
    folder = settings.device.state_dir / TAUGHT
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read: {error}", remedy="Name a YAML file of lessons.") from error
    began = time.perf_counter()
    lessons = parse_lessons(text, str(file))
    before = load_taught(folder)
    model = load_model(settings.understanding)
    old, new = (_interpreter(settings, model, one) for one in (before, Taught((*before.lessons, *lessons))))
    forgotten = _forgotten(old, new, model, lessons)
    if forgotten:
        told = ", ".join(f'"{one}"' for one in forgotten[:3])
        raise SettingsError(
            f"{file}: it would change what is understood already: {told}", remedy="Use other words in `say`."
        )
    rows = [_judged(new, len(before.lessons) + number, lesson) for number, lesson in enumerate(lessons)]
    add_lessons(folder, text, str(file))
    return {
        "taught": len(lessons),
        "took_s": round(time.perf_counter() - began, 2),
        "forgotten": 0,
        "asked": SENTENCES_ASKED,
        "lessons": rows,
    }


def take_lessons_back(settings: AgentSettings) -> dict[str, Any]:
    """Forget the file that was taught last. Raise SettingsError if nothing was taught."""
    lessons = take_back(settings.device.state_dir / TAUGHT)
    if not lessons:
        raise SettingsError("nothing was taught", remedy="Teach something: edgeagent teach FILE.yaml.")
    return {
        "taken_back": len(lessons),
        "lessons": [{"say": lesson.say[0], "means": lesson.means} for lesson in lessons],
    }


def _interpreter(settings: AgentSettings, model: CommandModel | None, taught: Taught) -> Interpreter:
    """Return what understands without any device: what a lesson means is looked at when it is said."""
    kinds: tuple[Kind, ...] = ("light", "switch", "cover", "lock", "climate", "fan", "media", "vacuum", "scene")
    everything = commands.built_in(settings.acting.commands)
    nobody = lists_of(names.collect(()))
    return interpreter_of(everything, nobody, kinds, model, unsure_below=0.0, taught=taught)


def _forgotten(old: Interpreter, new: Interpreter, model: CommandModel | None, lessons: Sequence[Lesson]) -> list[str]:
    """Return sentences that were understood and would be understood in another way."""
    draw = random.Random(1)  # noqa: S311  # a sample
    taught = [text for lesson in lessons for text in _sentences(lesson)]
    asked: list[str] = [text for text in taught if old.automaton.parse(tuple(text.split()))]
    asked += [" ".join(old.automaton.generate(draw)) for _ in range(SENTENCES_ASKED)]
    if model is not None:
        asked += model.golden_texts
    return [text for text in asked if _meaning(old, text) not in {None, _meaning(new, text)}]


def _meaning(interpreter: Interpreter, text: str) -> object:
    found = interpreter.interpret(typed("u", text))
    return (found.intent, found.slots, bool(found.doubt)) if isinstance(found, Command) else None


def _judged(interpreter: Interpreter, number: int, lesson: Lesson) -> dict[str, Any]:
    """Return how many sentences of a lesson lead to it: as they were taught, and in other wordings."""
    said = _sentences(lesson)
    exact = [_leads_to(interpreter, text, number) for text in said]
    other = [_leads_to(interpreter, frame.format(text), number) for text in said for frame in _WRAPPED]
    return {
        "say": lesson.say[0],
        "means": lesson.means,
        "exact": f"{sum(exact)} of {len(exact)}",
        "tolerant": f"{sum(other)} of {len(other)}",
    }


def _leads_to(interpreter: Interpreter, text: str, number: int) -> bool:
    return interpreter.lesson_of(typed("u", text)) == number


def _sentences(lesson: Lesson) -> Sequence[str]:
    found: list[Phrase] = sentences_of(Taught((lesson,)))[0]
    return [" ".join(words) for words in found[:20]]
