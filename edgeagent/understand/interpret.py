"""Transcripts to commands, questions and rejections, by exits: the grammar's parse first, then the model's segments.

The rules, in their order:
1. more words than a command can have: rejected, before anything else runs;
2. exit 0: a sentence of the grammar, its sound sure enough: a command. Two readings that explain as many words but mean
   different intents: rejected as unsure, with both;
3. a command that is called off in the same breath is none;
4. exit 0 again, after what says nothing was taken away (repair.py): fillers, politeness, doubled words, corrections;
5. several orders in one, an order with a time or with an exception (extended.py);
6. exits 1..n: each segment of the command model in turn, as soon as the evidence leaves no doubt (evidence.py);
   the last one may leave doubts, and then the person is asked;
7. an order beside an aside, or with remarks in it (beside.py): obeyed where these can change nothing about it;
8. a sentence one word away from the grammar (nearest.py): obeyed where the word decides nothing, else asked about;
9. nothing: rejected, saying whether the words or the sound were at fault.
A number that was hardly heard, and that has a neighbour which sounds like it, is asked about at every exit.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from edgeagent.grammar.automaton import Automaton
from edgeagent.grammar.spoken import MOST_WORDS, Phrase, spell_out
from edgeagent.messages import Command, Interpretation, Rejection, RejectionReason, Transcript, Word
from edgeagent.understand.asides import LEAST_ORDER
from edgeagent.understand.beside import order_beside
from edgeagent.understand.evidence import GUARDED, Verdict, speaks_against, weigh
from edgeagent.understand.extended import extended, with_text
from edgeagent.understand.head import Head
from edgeagent.understand.model.model import Opinion
from edgeagent.understand.nearest import nearest
from edgeagent.understand.readings import Tolerance, command_of, parsed, told
from edgeagent.understand.repair import has_correction, is_taken_back, repairs
from edgeagent.understand.taught import PREFIX, Taught, intent_of
from edgeagent.understand.text import UNREADABLE, typed

NEAR_NUMBERS = frozenset(
    f"{stem}{end}" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine") for end in ("teen", "ty")
) | {"forty"}
"""Numbers that are easily taken for one another: fifteen and fifty."""
NUMBER_HEARD = 0.3
"""Below this confidence such a number is asked about."""
_ANSWERS = frozenset({"confirm", "deny", "choose"})
"""Answers to a question are said in full, or they are none."""
EVEN, VERY_SURE = 0.5, 0.9
SURELY_NONE = 0.7
"""So sure that it is no command, the model need not be followed by a look for what is one word away."""
MOST_NEAR = 3
"""More meanings one word away than this is no near miss but a piece of many sentences."""


class Interpreter:
    """Understands transcripts by one grammar and, where there is one, a command model."""

    def __init__(
        self,
        automaton: Automaton,
        *,
        unsure_below: float,
        tolerance: Tolerance | None = None,
        taught: Taught | None = None,
        unique_names: Collection[str] = (),
    ) -> None:
        """Keep the parts. `unsure_below` is the least confidence of a transcript; a unique name is one device's."""
        self.unique_names = frozenset(unique_names)
        self._taught = taught or Taught()
        self.automaton = automaton
        self._unsure_below = unsure_below
        self.tolerance = tolerance

    def lesson_of(self, transcript: Transcript) -> int | None:
        """Return the number of the taught lesson that a sentence is, counted from 0; None if it is none."""
        found = self._understood(transcript, tuple(word.text for word in transcript.words))
        is_lesson = isinstance(found, Command) and self._taught.means(found.intent) is not None
        return int(found.intent.removeprefix(PREFIX)) if isinstance(found, Command) and is_lesson else None

    def interpret(self, transcript: Transcript) -> Interpretation:
        """Return what the transcript asks for, or why nothing is done."""
        uid, text = transcript.utterance, transcript.text
        if len(transcript.words) > MOST_WORDS:
            return Rejection(uid, "too-long", text[:200], f"more than {MOST_WORDS} words")
        words = tuple(word.text for word in transcript.words)
        if not words:
            was_typed = transcript.ended_by == "text"
            return Rejection(uid, "not-a-command" if was_typed else "no-words", "", "no words that can be read")
        if words[0] == UNREADABLE:
            return Rejection(uid, "not-a-command", text, "it holds letters or signs that cannot be read")
        if transcript.confidence < self._unsure_below:
            detail = f"the sound bears it out by {transcript.confidence:.2f}, {self._unsure_below:.2f} is needed"
            return Rejection(uid, "not-speech-we-know", text, detail)
        found = self._translated(self._understood(transcript, words), transcript)
        return _careful(found, transcript) if isinstance(found, Command) else found

    def _understood(self, transcript: Transcript, words: Sequence[str]) -> Interpretation:
        if parses := self.automaton.parse(words):
            return parsed(transcript, parses, ("the grammar has this sentence",))
        unexplained = self._unexplained(words)
        why = [f"the grammar: {unexplained}"]
        if is_taken_back(words):
            why.append("it was called off in the same breath")
            return Rejection(transcript.utterance, "not-a-command", transcript.text, why[-1], tuple(why))
        for repair in repairs(words):
            parses = self.automaton.parse(repair.words)
            is_answer = bool(parses) and parses[0].intent in _ANSWERS
            if parses and not (is_answer and (repair.is_correction or "and" in words)):
                return parsed(transcript, parses, (*why, *repair.notes, f'the grammar has "{" ".join(repair.words)}"'))
        if (whole := self._extended(transcript, words, why)) is not None:
            return whole
        if self.tolerance is None:
            return Rejection(transcript.utterance, "not-a-command", transcript.text, unexplained, tuple(why))
        if has_correction(words):
            return self._corrected(transcript, words, self.tolerance, why)
        return self._tolerant(transcript, words, self.tolerance, why)

    def _extended(self, transcript: Transcript, words: Sequence[str], why: Sequence[str]) -> Command | None:
        """Return what a sentence asks for that holds more than one order, or a time, or an exception."""
        if has_correction(words):
            return None

        def understand(part: Phrase) -> Command | None:
            return self._of_the_grammar(transcript, part)

        found = extended(words, understand)
        if found is None and transcript.ended_by == "text":
            found = with_text(words, understand)
        return None if found is None else replace(found, why=(*why, *found.why))

    def _of_the_grammar(self, transcript: Transcript, words: Phrase) -> Command | None:
        """Return the order that these words are by the grammar, with what says nothing left out."""
        repaired = (repair for repair in repairs(words) if not repair.is_correction)
        for said, notes in ((words, ()), *((repair.words, repair.notes) for repair in repaired)):
            if parses := self.automaton.parse(said):
                spoken = replace(transcript, words=tuple(Word(word, 0.0, 0.0) for word in words))
                found = parsed(spoken, parses, (*notes, f'the grammar has "{" ".join(said)}"'))
                return found if isinstance(found, Command) else None
        return None

    def _translated(self, found: Interpretation, transcript: Transcript) -> Interpretation:
        """Put what was taught into the words that it means."""
        means = self._taught.means(found.intent) if isinstance(found, Command) else None
        if means is None or not isinstance(found, Command):
            return found
        why = (*found.why, f'it was taught that this means "{means}"')
        inner = self._understood(replace(transcript, words=typed("", means).words), spell_out(means))
        if not isinstance(inner, Command) or self._taught.means(inner.intent) is not None:
            detail = f'"{means}", which it means, is not understood'
            return Rejection(transcript.utterance, "not-able", transcript.text, detail, why)
        sure = min(found.confidence, inner.confidence)
        is_dear = found.exit > 0 and inner.intent in GUARDED
        doubt = found.doubt or inner.doubt or (f'it is only like what was taught for "{means}"' if is_dear else "")
        return replace(inner, text=transcript.text, confidence=sure, exit=found.exit, doubt=doubt, why=why)

    def _corrected(
        self, transcript: Transcript, words: Sequence[str], tolerance: Tolerance, why: list[str]
    ) -> Interpretation:
        """Take what the model understands without a doubt when what was corrected is left out."""
        for repair in repairs(words):
            if not repair.is_correction or len(repair.words) < LEAST_ORDER or speaks_against(words) is not None:
                continue
            for opinion in tolerance.opinions(repair.words):
                verdict = weigh(opinion, repair.words, tolerance.values, tolerance.model.manifest)
                if not verdict.refusal and not verdict.doubts:
                    return command_of(transcript, opinion, verdict, [*why, *repair.notes, told(opinion, verdict)])
        why.append("it was corrected in a way that leaves open what is meant")
        return Rejection(transcript.utterance, "not-a-command", transcript.text, why[-1], tuple(why))

    def _tolerant(
        self, transcript: Transcript, words: Sequence[str], tolerance: Tolerance, why: list[str]
    ) -> Interpretation:
        opinion: Opinion | None = None
        verdict = Verdict((), "", ())
        for opinion in tolerance.opinions(words):
            if (lesson := self._lesson(transcript, words, opinion, tolerance.head, why)) is not None:
                return lesson
            verdict = weigh(opinion, words, tolerance.values, tolerance.model.manifest)
            why.append(told(opinion, verdict))
            if not verdict.refusal and not verdict.doubts:
                return command_of(transcript, opinion, verdict, why)
            entry = tolerance.model.manifest.exits[opinion.exit - 1]
            if opinion.chance >= entry.leave and opinion.slot_chance >= entry.slot_sure:
                break  # deeper exits would only say so again
        if opinion is not None:
            order = order_beside(self.automaton, transcript, words, tolerance, opinion, verdict, why)
            if order is not None:
                return order
        offered = None if opinion is None or verdict.refusal else command_of(transcript, opinion, verdict, why)
        near = self._near(transcript, words, opinion, why)
        if near is not None and (offered is None or offered.intent == near.intent):
            return near
        if offered is not None:
            return offered
        reason: RejectionReason = (
            "no-such-device" if verdict.reason == "no-such-device" and _is_sure(opinion) else "not-a-command"
        )
        return Rejection(transcript.utterance, reason, transcript.text, verdict.refusal, tuple(why))

    def _lesson(
        self, transcript: Transcript, words: Sequence[str], opinion: Opinion, head: Head | None, why: list[str]
    ) -> Command | None:
        """Return the lesson that a sentence is like, where the model itself does not take it for a command."""
        guess = head.guess(opinion.features) if head is not None and opinion.exit == 1 else None
        is_ours = opinion.label.intent is not None and opinion.chance >= EVEN
        if guess is None or is_ours or speaks_against(words) is not None:
            return None
        why.append(f"exit 1: like lesson {guess.lesson + 1}, by {guess.score:.2f}, {guess.needed:.2f} is needed")
        doubt = "" if guess.is_sure else why[-1]
        uid, chance = transcript.utterance, min(1.0, max(0.0, guess.score))
        return Command(uid, intent_of(guess.lesson), (), transcript.text, 1, chance, doubt, tuple(why))

    def _near(
        self, transcript: Transcript, words: Sequence[str], opinion: Opinion | None, why: list[str]
    ) -> Command | None:
        """Return what a sentence one word away asks for, unless the model or a word says that this is no command."""
        if speaks_against(words) is not None:
            return None
        found = [one for one in nearest(self.automaton, words) if one.parse.intent not in _ANSWERS]
        is_refused = opinion is not None and opinion.label.intent is None and opinion.chance >= SURELY_NONE
        if not found or is_refused:
            return None
        best = found[0]
        why.append(f'one word away is "{" ".join(best.words)}" ("{best.word}" {_DIFFERS[best.kind]})')
        agrees = opinion is not None and opinion.label.intent == best.parse.intent
        is_only = len({one.parse.meaning for one in found if one.is_small}) == 1 and best.is_small
        is_only = is_only or len(found) == 1
        if len(found) > MOST_NEAR and not is_only:
            return None
        sure = is_only and best.is_harmless and agrees
        doubt = "" if sure and best.parse.intent not in GUARDED else f'it may mean "{" ".join(best.words)}"'
        if not agrees and best.kind == "added":
            return None
        uid, text = transcript.utterance, transcript.text
        chance = opinion.chance if opinion is not None and agrees else EVEN
        return Command(uid, best.parse.intent, best.parse.slots, text, 0, chance, doubt, tuple(why))

    def _unexplained(self, words: Sequence[str]) -> str:
        for count in range(1, len(words) + 1):
            state = self.automaton.walk(words[:count])
            if state is None:
                known = " ".join(words[: count - 1])
                return f'"{words[count - 1]}" does not go on after "{known}"' if known else f'none begins "{words[0]}"'
        return "the sentence stops in the middle"


_DIFFERS = {"lost": "was not said", "added": "was said besides", "alike": "was heard as another word"}


def _careful(command: Command, transcript: Transcript) -> Command:
    """Ask about a number that was hardly heard and has a neighbour that sounds like it."""
    doubtful = next(
        (word.text for word in transcript.words if word.text in NEAR_NUMBERS and word.confidence < NUMBER_HEARD), None
    )
    if doubtful is None or command.doubt:
        return command
    told = f'"{doubtful}" was hardly heard, and another number sounds like it'
    return replace(command, doubt=told, why=(*command.why, told))


def _is_sure(opinion: Opinion | None) -> bool:
    return opinion is not None and opinion.chance >= VERY_SURE
