"""Transcripts to commands, questions and rejections, by exits: the grammar's parse first, then the model's segments.

The rules, in their order:
1. more words than a command can have: rejected, before anything else runs;
2. exit 0: a sentence of the grammar, its sound sure enough: a command. Two readings that explain as many words but mean
   different intents: rejected as unsure, with both;
3. exits 1..n: each segment of the command model in turn, as soon as one is as sure as its threshold asks;
4. nothing: rejected, saying whether the words or the sound were at fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeagent.grammar.automaton import Automaton, Parse
from edgeagent.grammar.spoken import MOST_WORDS
from edgeagent.messages import Command, Interpretation, Rejection, Slot, Transcript
from edgeagent.understand.text import UNREADABLE


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a segment of the command model takes the words for; confidence is calibrated, in 0..1."""

    intent: str
    slots: tuple[Slot, ...]
    confidence: float


class Segment(Protocol):
    """One segment of the command model: it goes on where the one before stopped, and offers an exit."""

    def __call__(self, words: Sequence[str], before: Prediction | None) -> Prediction:
        """Return what the words are taken for at this depth."""
        ...


@dataclass(frozen=True, slots=True)
class Exit:
    """A segment, and how sure it must be for its prediction to count."""

    segment: Segment
    sure: float


class Interpreter:
    """Understands transcripts by one grammar and the exits of a command model (none until a model is installed)."""

    def __init__(self, automaton: Automaton, *, unsure_below: float, exits: Sequence[Exit] = ()) -> None:
        """Keep the parts. `unsure_below` is the least confidence of a transcript."""
        self.automaton = automaton
        self._unsure_below = unsure_below
        self._exits = tuple(exits)

    def interpret(self, transcript: Transcript) -> Interpretation:
        """Return what the transcript asks for, or why nothing is done."""
        uid, text = transcript.utterance, transcript.text
        if len(transcript.words) > MOST_WORDS:
            return Rejection(uid, "too-long", text[:200], f"more than {MOST_WORDS} words")
        words = [word.text for word in transcript.words]
        if not words:
            was_typed = transcript.ended_by == "text"
            return Rejection(uid, "not-a-command" if was_typed else "no-words", "", "no words that can be read")
        if words[0] == UNREADABLE:
            return Rejection(uid, "not-a-command", text, "it holds letters or signs that cannot be read")
        if transcript.confidence < self._unsure_below:
            detail = f"the sound bears it out by {transcript.confidence:.2f}, {self._unsure_below:.2f} is needed"
            return Rejection(uid, "not-speech-we-know", text, detail)
        parses = self.automaton.parse(words)
        if parses:
            return self._exit_0(transcript, parses)
        return self._later_exits(transcript, words)

    def _exit_0(self, transcript: Transcript, parses: Sequence[Parse]) -> Interpretation:
        best, *others = parses
        rivals = (other.intent for other in others if other.explains == best.explains)
        rival = next((intent for intent in rivals if intent != best.intent), None)
        if rival is not None:
            return Rejection(transcript.utterance, "unsure", transcript.text, f"it could mean {best.intent} or {rival}")
        return Command(transcript.utterance, best.intent, best.slots, transcript.text, 0, transcript.confidence)

    def _later_exits(self, transcript: Transcript, words: Sequence[str]) -> Interpretation:
        prediction: Prediction | None = None
        for depth, one in enumerate(self._exits, start=1):
            prediction = one.segment(words, prediction)
            if prediction.confidence >= one.sure:
                uid, text = transcript.utterance, transcript.text
                return Command(uid, prediction.intent, prediction.slots, text, depth, prediction.confidence)
        detail = self._unexplained(words)
        return Rejection(transcript.utterance, "not-a-command", transcript.text, detail)

    def _unexplained(self, words: Sequence[str]) -> str:
        for count in range(1, len(words) + 1):
            state = self.automaton.walk(words[:count])
            if state is None:
                known = " ".join(words[: count - 1])
                return f'"{words[count - 1]}" does not go on after "{known}"' if known else f'none begins "{words[0]}"'
        return "the sentence stops in the middle"
