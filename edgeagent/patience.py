"""How long a pause must be before what was said is taken for all of it. Pure.

- Nothing can follow: a breath; a quarter of a second where the last word may be the beginning of a longer one. A time
  ("for ten minutes") and another order ("and ...") are said without a pause, or they come too late.
- Something can, but would change nothing: as for a question, since the last word may be the beginning of another that
  sounds like it ("four" of "forty percent").
- Something can: by what is lost if it does (a question, an order, one that may open, unlock or start something).
- The sentence is not whole: longest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeagent.act.plan import can_be_later, stakes_of
from edgeagent.grammar.automaton import Automaton, Parse
from edgeagent.messages import EndedBy
from edgeagent.settings import HearingSettings
from edgeagent.understand.extended import is_tail
from edgeagent.understand.interpret import Interpreter

TAIL_S = 0.3
"""The recognizer hears no word for so long while "for ten minutes" or "and ..." begins: it must not end an order."""
POLITE = frozenset({"please", "a"})
"""Words that may follow a whole sentence and are not waited for: "please" says nothing, and "a bit" comes at once."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long it must be, and what ends the utterance then.

    `lasts_s` is silence by the speech detector. The recognizer alone must have heard no word for `wordless_s`: while a
    long word is being said, or one that it does not know, it hears none.
    """

    lasts_s: float
    means: EndedBy
    wordless_s: float


def pause_after(words: Sequence[str], interpreter: Interpreter, settings: HearingSettings) -> Pause:
    """Return the pause that ends an utterance of these words."""
    automaton = interpreter.automaton
    state = automaton.walk(words) if words else None
    if state is None and (timed := _timed(words, automaton)):
        wait_s = max(_wait_s(parse, settings) for parse in timed)
        return Pause(wait_s, "complete", wait_s)
    if state is None or not automaton.is_final(state):
        return Pause(settings.unfinished_s, "silence", math.inf)
    if automaton.follow(state) <= POLITE:
        is_piece = _is_piece_of_a_word(words, automaton)
        wait_s = settings.question_could_go_on_s if is_piece else settings.complete_s
        return Pause(wait_s, "complete", max(wait_s, TAIL_S) if _can_have_a_tail(words, automaton) else wait_s)
    parses = automaton.parse(words)
    wait_s = max((_wait_s(parse, settings) for parse in parses), default=settings.could_go_on_s)
    if parses and _is_settled(parses[0], state, interpreter):
        return Pause(min(wait_s, settings.question_could_go_on_s), "complete", max(wait_s, settings.could_go_on_s))
    return Pause(wait_s, "silence", wait_s)


def _timed(words: Sequence[str], automaton: Automaton) -> tuple[Parse, ...]:
    """Return what an order with a time means where both are whole: "turn on the fan for ten minutes"."""
    for place in range(1, len(words) - 1):
        if is_tail(words[place:]):
            parses = automaton.parse(words[:place])
            if parses and all(can_be_later(parse.intent) for parse in parses):
                return parses
    return ()


def _can_have_a_tail(words: Sequence[str], automaton: Automaton) -> bool:
    return any(can_be_later(parse.intent) for parse in automaton.parse(words))


def _is_settled(best: Parse, state: int, interpreter: Interpreter) -> bool:
    """Tell whether whatever can follow leaves what is done as it is.

    It says nothing new; or it says where the device is, and only one device is called so.
    """
    ahead = interpreter.automaton.ahead(state, POLITE)
    if ahead.meanings != {(best.intent, best.fixed)}:
        return False
    named = {slot.name: slot.value for slot in best.slots}
    return not ahead.slots or (
        ahead.slots <= {"area"} and "area" not in named and named.get("name") in interpreter.unique_names
    )


def _is_piece_of_a_word(words: Sequence[str], automaton: Automaton) -> bool:
    """Tell whether the last word may be the beginning of a longer one: "temp", while the lips are closed."""
    *before, last = words
    state = automaton.walk(before)
    return state is not None and any(other != last and other.startswith(last) for other in automaton.follow(state))


def _wait_s(parse: Parse, settings: HearingSettings) -> float:
    match stakes_of(parse.intent):
        case "nothing":
            return settings.question_could_go_on_s
        case "something":
            return settings.could_go_on_s
        case "much":
            return settings.guarded_could_go_on_s
