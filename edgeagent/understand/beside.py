"""The order in a sentence that holds more than the order: an aside, or remarks in it."""

from collections.abc import Sequence
from dataclasses import replace

from edgeagent.grammar.automaton import Automaton
from edgeagent.messages import Command, Transcript
from edgeagent.understand.asides import Core, are_remarks, cores, endings, halves
from edgeagent.understand.evidence import GUARDED, Verdict, puts_off, speaks_against, weigh
from edgeagent.understand.model.model import Opinion
from edgeagent.understand.readings import Tolerance, command_of, parsed, told

SURELY_ORDERED = 0.9
"""So sure must the model be that the whole sentence is an order."""
CERTAIN = 0.97
"""So sure it must be of which order for strange words to be taken for remarks."""
AN_ORDER = 0.5
NEVER_BESIDE = GUARDED | {"open", "set_mode"}
"""What may be guarded is asked about where anything else was said."""


def order_beside(
    automaton: Automaton, transcript: Transcript, words: Sequence[str], tolerance: Tolerance,
    opinion: Opinion, verdict: Verdict, why: list[str],
) -> Command | None:  # fmt: skip
    """Return the order that stands beside an aside, where nothing in the whole sentence speaks against it."""
    if opinion.command_chance < SURELY_ORDERED or opinion.label.intent in NEVER_BESIDE or speaks_against(words):
        return None
    if verdict.is_changed or puts_off(tuple(words), opinion.label) is not None:
        return None
    if any(_is_order(before, tolerance) and _is_order(after, tolerance) for before, after in halves(words)):
        why.append("it may be two orders in one")
        return None
    covered = {place for span in opinion.spans for place in range(span.start, span.end)}
    if verdict.is_only_strange and opinion.chance >= CERTAIN and are_remarks(words, verdict.strange, covered):
        left_out = " ".join(words[place] for place in verdict.strange)
        return replace(
            command_of(transcript, opinion, verdict, [*why, f'"{left_out}" was taken for a remark']), doubt=""
        )
    for core in cores(words, verdict.strange, covered) if verdict.strange else ():
        found = _order(automaton, transcript, words[core.start : core.end], tolerance, opinion.label.intent)
        if found is not None:
            return _set_beside(found, core, why)
    for core in endings(words, covered):
        parses = automaton.parse(words[core.start :])
        if parses and parses[0].intent == opinion.label.intent:
            ending = parsed(transcript, parses, ("the grammar has the rest",))
            return _set_beside(ending, core, why) if isinstance(ending, Command) else None
    return None


def _order(
    automaton: Automaton, transcript: Transcript, words: Sequence[str], tolerance: Tolerance, intent: str | None
) -> Command | None:
    """Return what a part of a sentence asks for, if it is of that intent and leaves no doubt."""
    parses = automaton.parse(words)
    if parses and parses[0].intent == intent:
        found = parsed(transcript, parses, ("the grammar has the rest",))
        return found if isinstance(found, Command) else None
    for opinion in tolerance.opinions(words):
        verdict = weigh(opinion, words, tolerance.values, tolerance.model.manifest)
        if opinion.label.intent == intent and not verdict.refusal and not verdict.doubts:
            return command_of(transcript, opinion, verdict, [told(opinion, verdict)])
    return None


def _is_order(words: Sequence[str], tolerance: Tolerance) -> bool:
    opinion = next(tolerance.opinions(words))
    return opinion.label.intent is not None and opinion.chance >= AN_ORDER


def _set_beside(command: Command, core: Core, why: Sequence[str]) -> Command:
    return replace(command, why=(*why, f'"{" ".join(core.left_out)}" was left out as an aside', *command.why))
