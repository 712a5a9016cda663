"""What an owner has taught: own sentences, and what each of them means in words that are understood already.

Lessons are kept as the files that were given, one after the other; the last can be taken back. What is learned from
them (`head.py`) is learned anew at every start, in milliseconds, so that it fits any model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from edgeagent.errors import SettingsError
from edgeagent.files import write_durably
from edgeagent.grammar.commands import CommandSet, Template, expression, read_yaml
from edgeagent.strict import Strict

MOST_LESSONS = 200
PREFIX = "taught "
_EXAMPLE = 'For example: teach: [{say: ["cosy time", "make it cosy"], means: "dim the lights to twenty percent"}]'
Sentence = Annotated[str, Field(min_length=1, max_length=300)]


class Lesson(Strict):
    """Sentences (in the syntax of templates), and a sentence that does what they mean."""

    say: tuple[Sentence, ...] = Field(min_length=1, max_length=100)
    means: Sentence


class _Document(Strict):
    language: str = "en"
    teach: tuple[Lesson, ...] = Field(min_length=1, max_length=MOST_LESSONS)


@dataclass(frozen=True, slots=True)
class Taught:
    """All lessons, in the order in which they were taught."""

    lessons: tuple[Lesson, ...] = ()

    @property
    def commands(self) -> CommandSet:
        """Return the sentences as templates; the intent of each lesson is `intent_of` its number."""
        templates = tuple(
            Template(intent_of(number), expression(text, f"lesson {number + 1}"), {}, f"lesson {number + 1}: {text}")
            for number, lesson in enumerate(self.lessons)
            for text in lesson.say
        )
        return CommandSet(templates, {}, {})

    def means(self, intent: str) -> str | None:
        """Return what a lesson's sentence means; None for an intent that was not taught."""
        number = intent.removeprefix(PREFIX)
        if number == intent or not number.isdigit() or int(number) >= len(self.lessons):
            return None
        return self.lessons[int(number)].means


def intent_of(number: int) -> str:
    """Return the intent of a lesson, counted from 0."""
    return f"{PREFIX}{number}"


def parse_lessons(text: str, where: str) -> tuple[Lesson, ...]:
    """Return the lessons in a YAML text. Raise SettingsError naming the place and what was expected."""
    document = read_yaml(text, where)
    try:
        lessons = _Document.model_validate(document).teach
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise SettingsError(f"{where}: {place}: {first['msg']}", remedy=_EXAMPLE) from error
    for number, lesson in enumerate(lessons, start=1):
        for sentence in lesson.say:
            expression(sentence, f"{where}: lesson {number}")
    return lessons


def load_taught(folder: Path) -> Taught:
    """Return what was taught; nothing where nothing was. Raise SettingsError if a file is damaged."""
    return Taught(tuple(lesson for path in _files(folder) for lesson in parse_lessons(_read(path), str(path))))


def add_lessons(folder: Path, text: str, where: str) -> tuple[Lesson, ...]:
    """Keep the lessons of a text beside those that are there; return them. Raise SettingsError if they are wrong."""
    lessons = parse_lessons(text, where)
    kept = _files(folder)
    if len(load_taught(folder).lessons) + len(lessons) > MOST_LESSONS:
        raise SettingsError(
            f"{where}: more than {MOST_LESSONS} lessons", remedy="Take some back: edgeagent teach --undo."
        )
    number = int(kept[-1].stem) + 1 if kept else 1
    write_durably(folder / f"{number:04}.yaml", text.encode())
    return lessons


def take_back(folder: Path) -> tuple[Lesson, ...]:
    """Remove the file that was taught last; return its lessons, none where there is none."""
    kept = _files(folder)
    if not kept:
        return ()
    lessons = parse_lessons(_read(kept[-1]), str(kept[-1]))
    kept[-1].unlink()
    return lessons


def version_of(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return what changes when something is taught or taken back."""
    return tuple((path.name, path.stat().st_mtime_ns) for path in _files(folder))


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.glob("*.yaml") if path.stem.isdigit()) if folder.is_dir() else []


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}", remedy="Remove it: edgeagent teach --undo.") from error
