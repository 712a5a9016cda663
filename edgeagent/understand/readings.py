"""What a grammar's parse or a model's opinion makes of a transcript: commands and rejections with their reasons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeagent.grammar.automaton import Parse
from edgeagent.messages import Command, Interpretation, Rejection, Transcript
from edgeagent.understand.evidence import Verdict
from edgeagent.understand.head import Head
from edgeagent.understand.model.gazetteer import Gazetteer
from edgeagent.understand.model.model import CommandModel, Opinion
from edgeagent.understand.model.values import Values


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What understands beyond the grammar: a model, the names of this house for it, and which labels can be meant.

    `names` are the names as they are spoken, by the place in a phrase that they may take.
    """

    model: CommandModel
    gazetteer: Gazetteer
    values: Values
    possible: NDArray[np.bool_]
    head: Head | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def opinions(self, words: Sequence[str]) -> Iterator[Opinion]:
        """Yield what each exit takes the words for, of what can be meant in this house."""
        return self.model.opinions(words, self.gazetteer(words), self.possible)


def parsed(transcript: Transcript, parses: Sequence[Parse], why: tuple[str, ...]) -> Interpretation:
    """Return the command of a sentence of the grammar, or that it could as well be another."""
    # What is a sentence of its own is no answer to "which one?": a scene's name, a sensor's.
    best, *others = [one for one in parses if one.intent != "choose"] or parses
    rivals = (other.intent for other in others if other.explains == best.explains)
    rival = next((intent for intent in rivals if intent != best.intent), None)
    uid, text = transcript.utterance, transcript.text
    if rival is not None:
        return Rejection(uid, "unsure", text, f"it could mean {best.intent} or {rival}", why)
    return Command(uid, best.intent, best.slots, text, 0, transcript.confidence, why=why)


def command_of(transcript: Transcript, opinion: Opinion, verdict: Verdict, why: Sequence[str]) -> Command:
    """Return the command that a model takes a sentence for, with what is doubtful about it."""
    return Command(
        transcript.utterance,
        opinion.label.intent or "",
        verdict.slots,
        transcript.text,
        opinion.exit,
        min(opinion.chance, transcript.confidence),
        "; ".join(verdict.doubts),
        tuple(why),
    )


def told(opinion: Opinion, verdict: Verdict) -> str:
    """Return an opinion and what speaks against it, in words."""
    slots = ", ".join(f"{slot.name}={slot.value}" for slot in verdict.slots)
    against = verdict.refusal or "; ".join(verdict.doubts) or "nothing speaks against it"
    return f"exit {opinion.exit}: {opinion.label.name} {opinion.chance:.0%} ({slots}): {against}"
