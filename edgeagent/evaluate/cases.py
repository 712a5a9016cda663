"""A folder of sound files with labels.json to the cases of a spoken test set."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeagent.errors import SettingsError
from edgeagent.grammar.automaton import Automaton
from edgeagent.grammar.spoken import MOST_WORDS, Phrase, spell_out
from edgeagent.messages import Command, Value

_EXAMPLE = 'For example {"a.flac": {"intent": null}, "b.flac": {"said": "turn on the light"}}.'
_SHORTER = "Cut the sound and its text, or leave `said` out."


@dataclass(frozen=True, slots=True)
class Meaning:
    """An intent with the slots that must have been said."""

    intent: str
    slots: tuple[tuple[str, Value], ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as labels.json has it."""
        return {"intent": self.intent, "slots": dict(self.slots)}


@dataclass(frozen=True, slots=True)
class Case:
    """One sound file and what must come of it; None: nothing may be done. `said` are its words, None: not known."""

    path: Path
    expected: Meaning | None
    said: Phrase | None = None


def meaning_of(command: Command) -> Meaning:
    """Return the command's meaning in a form that can be compared: slots that templates fix silently are left out."""
    return Meaning(command.intent, _slots({slot.name: slot.value for slot in command.slots if slot.text}))


def load_cases(folder: Path, automaton: Automaton) -> tuple[Case, ...]:
    """Read labels.json: per file `{"intent", "slots"}`, intent null for "must be rejected"; or `{"said"}`; or both.

    With `said` alone, the grammar's reading of that text is expected, null again means rejection. Raise SettingsError
    naming the file and the entry if something is wrong.
    """
    path = folder / "labels.json"
    try:
        labels = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", remedy="The folder needs a labels.json.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not JSON: {error}", remedy="Mend the line that is named.") from error
    if not isinstance(labels, dict) or not labels:
        raise SettingsError(f"{path}: expected an object of file names", remedy=_EXAMPLE)
    return tuple(_case(folder, name, label, automaton) for name, label in sorted(labels.items()))


def _case(folder: Path, name: str, label: object, automaton: Automaton) -> Case:
    where = f"{folder / 'labels.json'}: {name}"
    if not (folder / name).is_file():
        raise SettingsError(f"{where}: there is no such file in {folder}", remedy="Mend the name, or remove the entry.")
    if not isinstance(label, dict) or not ("intent" in label or "said" in label):
        raise SettingsError(
            f'{where}: expected {{"intent": …, "slots": …}} or {{"said": …}}, found {label!r:.80}', remedy=_EXAMPLE
        )
    said = _words(label.get("said"), where)
    if "intent" not in label:
        return Case(folder / name, _reading(label["said"], automaton), said)
    if label["intent"] is None:
        return Case(folder / name, None, said)
    slots = label.get("slots") or {}
    if not isinstance(label["intent"], str) or not isinstance(slots, dict):
        raise SettingsError(
            f"{where}: expected a name in `intent` and an object in `slots`, found {label!r:.80}", remedy=_EXAMPLE
        )
    if wrong := [value for value in slots.values() if not isinstance(value, str | int | float)]:
        raise SettingsError(f"{where}: expected words and numbers in `slots`, found {wrong[0]!r:.80}", remedy=_EXAMPLE)
    return Case(folder / name, Meaning(label["intent"], _slots(slots)), said)


def _words(said: object, where: str) -> Phrase | None:
    if not isinstance(said, str | None):
        raise SettingsError(f"{where}: expected a sentence or null in `said`, found {said!r:.80}", remedy=_EXAMPLE)
    words = None if said is None else spell_out(said)
    if words is not None and len(words) > MOST_WORDS:
        raise SettingsError(f"{where}: expected at most {MOST_WORDS} words in `said`, found more", remedy=_SHORTER)
    return words


def _reading(said: str | None, automaton: Automaton) -> Meaning | None:
    if said is None:
        return None
    parses = automaton.parse(spell_out(said))
    if not parses:
        return Meaning("?", (("said", said),))  # the grammar lacks it: no interpretation can be right
    return Meaning(parses[0].intent, _slots({slot.name: slot.value for slot in parses[0].slots if slot.text}))


def _slots(slots: dict[str, Any]) -> tuple[tuple[str, Value], ...]:
    """Sort, and compare numbers as numbers: "21", 21 and 21.0 are the same."""
    return tuple(sorted((name, _comparable(value)) for name, value in slots.items()))


def _comparable(value: object) -> Value:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        return str(value).lower()
    return number if math.isfinite(number) else str(value).lower()  # "nan" is a name that equals itself
