"""What becomes of a sentence in a house: obeyed, asked about or refused, and what exactly is done."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import Any, Literal

from edgeagent.act.plan import Plan, TimerOrder, plan
from edgeagent.act.safety import decide, worst
from edgeagent.evaluate.household import Household, household
from edgeagent.grammar import commands
from edgeagent.messages import Answer, Command, Interpretation, Question, Rejection, Slot, Value, When
from edgeagent.settings import ActingSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.text import typed
from edgeagent.understanding import interpreter_of

Place = Literal["home", "plant"]
Kind = Literal["obeyed", "asked", "refused"]
_NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_FREE = ActingSettings()
ANSWERS = frozenset({"confirm", "deny", "choose"})
_NOT_COMPARED = {"name", "area", "kind", "scope", "state"}
"""Of a question or a timer: what follows from the rest, or changes only how the answer begins."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a sentence. `meaning` is equal for sentences that do the same; None where nothing is done."""

    kind: Kind
    meaning: Hashable
    interpretation: Interpretation
    is_guarded: bool = False


class Judge:
    """A house with what understands in it."""

    def __init__(self, place: Place, model: CommandModel | None, unsure_below: float = 0.0) -> None:
        """Furnish the place that ships for evaluation. What is heard less surely is refused."""
        with as_file(files("edgeagent.evaluate") / "places" / f"{place}.yaml") as path:
            self.home: Household = household(path)
        self.place = place
        self.commands = commands.built_in(("home", "plant"))
        kinds = {device.kind for device in self.home.all_devices()}
        self.interpreter: Interpreter = interpreter_of(
            self.commands,
            self.home.lists,
            kinds,
            model,
            unsure_below=unsure_below,
            unique_names=self.home.collected.unique,
        )

    def __call__(self, text: str) -> Outcome:
        """Return what becomes of a typed sentence."""
        return self.outcome(self.interpreter.interpret(typed("u1", text)))

    def outcome(self, found: Interpretation) -> Outcome:
        """Return what becomes of an interpretation."""
        if not isinstance(found, Command):
            return Outcome("asked" if isinstance(found, Question) else "refused", None, found)
        if found.then or found.when is not None:
            return self._extended(found)
        if found.intent in ANSWERS:  # no question is open: nothing is done
            return Outcome("refused", found.intent, found)
        planned = plan(found, self.home, None, lambda: _NOON)
        match planned:
            case Plan():
                meaning = frozenset((one.device.id, one.capability, one.value) for one in planned.actions)
                is_guarded = worst(decide(action, _FREE) for action in planned.actions).risk == "guarded"
                return Outcome("asked" if found.doubt else "obeyed", meaning, found, is_guarded)
            case Question():
                return Outcome("asked", None, found)
            case TimerOrder():
                return Outcome("asked" if found.doubt else "obeyed", self._told(found), found)
            case Answer():
                return Outcome("obeyed", self._told(found), found)
            case Rejection() if found.intent in {"get_state", "get_value", "adjust_brightness", "adjust_volume"}:
                # Nobody has told anything in this house: the question was understood all the same.
                return Outcome("asked" if found.doubt else "obeyed", self._told(found), found)
            case _:
                return Outcome("refused", None, found)

    def expected(self, row: Mapping[str, Any]) -> Outcome:
        """Return what becomes of a sentence that is understood as it should be: `intent`, `slots`, `then`, `when`."""
        first, *others = (_command(one) for one in (row, *row.get("then", ())))
        return self.outcome(replace(first, then=tuple(others)))

    def _extended(self, found: Command) -> Outcome:
        """Return what becomes of several orders, or of one for later: all of them, or none."""
        alone = [(replace(part, when=None), part.when) for part in found.parts]
        outcomes = [self.outcome(part) for part, _ in alone]
        kinds = {outcome.kind for outcome in outcomes}
        kind: Kind = "refused" if "refused" in kinds else "asked" if "asked" in kinds else "obeyed"
        meaning = None
        if all(outcome.meaning is not None for outcome in outcomes):
            whens = [when and (when.delay_s, when.clock, when.days, when.lasts_s) for _, when in alone]
            meaning = tuple(zip((outcome.meaning for outcome in outcomes), whens, strict=True))
        return Outcome(kind, meaning, found, any(outcome.is_guarded for outcome in outcomes))

    def _told(self, command: Command) -> Hashable:
        """Return what a question or a timer is about: the devices and areas that are meant, however they are called."""
        area = command.slot("area")
        name = command.slot("name")
        about = (
            frozenset(one.id for one in self.home.named(str(name), None if area is None else str(area)))
            if name
            else area
        )
        rest = frozenset((slot.name, slot.value) for slot in command.slots if slot.name not in _NOT_COMPARED)
        # Of a device that is named, its state and its reading are told in the same words.
        asks = "tell" if name and command.intent in {"get_state", "get_value"} else command.intent
        return asks, about, rest


def _command(row: Mapping[str, Any]) -> Command:
    slots: Mapping[str, Value] = row.get("slots", {})
    listed = ((name, value if isinstance(value, list) else [value]) for name, value in slots.items())
    said = tuple(Slot(name, value, str(value)) for name, values in listed for value in values)
    when = row.get("when")
    return Command("u1", row["intent"], said, "", 0, 1.0, when=None if when is None else When(**when))
