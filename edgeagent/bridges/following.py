"""Steps to what became of each command: accepted, asked about, refused, finished; for those who tell others. Pure.

Rules:
- a command counts as accepted when something is done or answered for it, and not when it is asked about first;
- "yes" and "the one in the kitchen" are not commands of their own: what is accepted is what was asked about, and what
  followed it in its sentence;
- the commands of one sentence are told together, and settled one after the other;
- what the device says in a question or a refusal may repeat what was said, so only other answers are handed on.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from edgeagent.messages import Answer, Command, Outcome, Published, Question, Rejection, Step

MOST_OPEN = 16
"""Sentences whose end is not known yet; the oldest is forgotten. A device does one or two at a time."""
MOST_PARTS = 16
_ANSWERS_A_QUESTION = frozenset({"confirm", "choose"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command is being carried out, or has been answered."""

    command: Command


@dataclass(frozen=True, slots=True)
class Finished:
    """The person has been told what came of a command; no outcomes where it was only answered.

    `is_last` where nothing of its sentence is left.
    """

    command: Command
    outcomes: tuple[Outcome, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """Something must be answered first; `command` is what would be done then, where that is known."""

    question: Question
    command: Command | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is done; `command` is what was understood, if anything was. `is_last` as in `Finished`."""

    rejection: Rejection
    command: Command | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The person was told something, by none of their words."""

    answer: Answer


Happening = Accepted | Finished | Asked | Refused | Answered


@dataclass(slots=True)
class _Part:
    command: Command
    is_accepted: bool = False
    outcomes: list[Outcome] = field(default_factory=list)


class Following:
    """Follows the steps of all utterances, told one after the other in the order in which they happen."""

    def __init__(self) -> None:
        """Begin with nothing open."""
        self._open: dict[str, deque[_Part]] = {}
        self._asked: Command | None = None
        self._after_asked: tuple[Command, ...] = ()
        self._unsaid: deque[str] = deque(maxlen=MOST_OPEN)

    def __call__(self, step: Step) -> tuple[Happening, ...]:
        """Return what has become clear with this step."""
        match step:
            case Command():
                self._begin(step)
                return ()
            case Question():
                return (self._question(step),)
            case Rejection():
                return (self._refused(step),)
            case Published(action=action):
                return self._accepted(action.utterance)
            case Outcome(action=action):
                accepted = self._accepted(action.utterance)
                if (parts := self._open.get(action.utterance)) is not None:
                    parts[0].outcomes.append(step)
                return accepted
            case Answer():
                return self._answered(step)
        return ()

    def _begin(self, command: Command) -> None:
        parts = self._open.setdefault(command.utterance, deque(maxlen=MOST_PARTS))
        parts.append(_Part(replace(command, then=())))
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]

    def _question(self, question: Question) -> Asked:
        self._unsaid.append(question.utterance)
        parts = self._open.pop(question.utterance, deque[_Part]())
        command = parts.popleft().command if parts else None
        if command is None or command.intent not in _ANSWERS_A_QUESTION or self._asked is None:
            self._after_asked = tuple(part.command for part in parts)
            self._asked = command
        else:
            self._asked = self._meant(command, self._asked)
        return Asked(question, self._asked)

    def _refused(self, rejection: Rejection) -> Refused:
        self._unsaid.append(rejection.utterance)
        part = self._settled(rejection.utterance)
        return Refused(rejection, None if part is None else part.command, rejection.utterance not in self._open)

    def _accepted(self, utterance: str) -> tuple[Happening, ...]:
        parts = self._open.get(utterance)
        if parts is None or parts[0].is_accepted:
            return ()
        part = parts[0]
        part.is_accepted = True
        if part.command.intent in _ANSWERS_A_QUESTION and self._asked is not None:
            part.command = self._meant(part.command, self._asked)
            parts.extend(_Part(replace(command, utterance=utterance)) for command in self._after_asked)
        self._asked, self._after_asked = None, ()
        return (Accepted(part.command),)

    def _answered(self, answer: Answer) -> tuple[Happening, ...]:
        if answer.utterance in self._unsaid:
            self._unsaid.remove(answer.utterance)
            return ()
        accepted = self._accepted(answer.utterance)
        part = self._settled(answer.utterance)
        if part is None:
            return (Answered(answer),)
        finished = Finished(part.command, tuple(part.outcomes), answer.utterance not in self._open)
        return (*accepted, Answered(answer), finished)

    def _settled(self, utterance: str) -> _Part | None:
        parts = self._open.get(utterance)
        if parts is None:
            return None
        part = parts.popleft()
        if not parts:
            del self._open[utterance]
        return part

    def _meant(self, answer: Command, asked: Command) -> Command:
        """Return what was asked about, with what the answer adds."""
        added = {slot.name for slot in answer.slots}
        kept = tuple(slot for slot in asked.slots if slot.name not in added)
        return replace(asked, utterance=answer.utterance, slots=(*kept, *answer.slots), doubt="")
