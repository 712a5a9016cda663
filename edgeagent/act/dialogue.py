"""What was asked and is still open: confirmations and "which one?", with an expiry. Pure; time comes in.

The rules:
1. a guarded plan, and what was understood with a doubt, becomes a question; only a plain confirmation within the time
   carries it out, and only once;
2. "which one?" is answered by an area or a name that was offered; what comes of it may have to be confirmed in turn,
   or be asked about again; an answer that was not offered leaves the question open, for no longer than before;
3. any other command, "never mind", and words that we do not know drop the open question: nothing is done for it;
   sound that is no speech we know (a cough, the television) does not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeagent.act.plan import Plan, Planned, TimerOrder
from edgeagent.act.safety import worst
from edgeagent.act.targets import called, is_offered, narrowed
from edgeagent.act.undo import UNDO, LastDone, Values
from edgeagent.messages import Action, Answer, Command, Question, Rejection
from edgeagent.settings import ActingSettings

Planner = Callable[[Command], Planned]

MOST_NAMED = 3
"""A confirmation names this many devices, and says how many more there are."""

_VERBS = {
    "power": {"on": "switch on", "off": "switch off"},
    "lock": {"locked": "lock", "unlocked": "unlock"},
    "opening": {"open": "open", "closed": "close", "stopped": "stop"},
    "run": {"running": "start", "stopped": "stop"},
    "activate": {"now": "start"},
    "acknowledge": {"now": "acknowledge"},
}


@dataclass(frozen=True, slots=True)
class _Pending:
    question: Question
    command: Command
    planned: Plan | TimerOrder | None
    expires_s: float


class Dialogue:
    """The one question that may be open."""

    def __init__(self, settings: ActingSettings, clock: Callable[[], float]) -> None:
        """Start with nothing open. `clock` gives seconds that only go forward."""
        self._settings = settings
        self._clock = clock
        self._pending: _Pending | None = None
        self._last = LastDone(clock)

    def note(self, plan: Plan, values: Values) -> None:
        """Take note of a plan that is about to be carried out: it may be undone. `values` are the devices' by id."""
        self._last.note(plan.actions, values)

    def next(self, command: Command, plan: Planner) -> Planned:
        """Return what to do about a command, given what is open."""
        pending, self._pending = self._pending, None
        if pending is not None and self._clock() > pending.expires_s:
            pending = None
        match command.intent:
            case "confirm":
                return self._confirmed(command, pending)
            case "deny":
                return Answer(command.utterance, "All right." if pending else "There is nothing to cancel.")
            case "choose":
                return self._chosen(command, pending, plan)
            case intent if intent == UNDO:
                back = self._last.undone(command)
                return back if isinstance(back, Rejection) else self._guarded(command, Plan(command, back))
            case _:
                return self._guarded(command, plan(command))

    def misunderstood(self, heard: Question | Rejection) -> None:
        """Drop what is open where something else was said: a later "yes" is not meant for it."""
        is_nobodys = isinstance(heard, Rejection) and heard.reason in {"no-words", "not-speech-we-know"}
        if not is_nobodys:
            self._pending = None

    def _confirmed(self, command: Command, pending: _Pending | None) -> Planned:
        if pending is None or pending.question.kind != "confirm":
            return Rejection(command.utterance, "nothing-to-confirm", command.text, "no question is open")
        meant = replace(pending.command, utterance=command.utterance)
        match pending.planned:
            case Plan(actions=actions):
                return Plan(meant, tuple(replace(action, utterance=command.utterance) for action in actions))
            case TimerOrder():
                return TimerOrder(meant)
        return Rejection(command.utterance, "nothing-to-confirm", command.text, "no question is open")

    def _chosen(self, command: Command, pending: _Pending | None, plan: Planner) -> Planned:
        answer = next((slot for slot in command.slots if slot.name in {"area", "name"}), None)
        if pending is None or pending.question.kind != "which" or answer is None:
            return Rejection(command.utterance, "nothing-to-confirm", command.text, "no question is open")
        if not is_offered(answer, pending.question, pending.command):
            self._pending = pending
            return Rejection(command.utterance, "no-such-device", command.text, pending.question.prompt.rstrip("?"))
        narrower = replace(narrowed(pending.command, answer), utterance=command.utterance, doubt="")
        return self._guarded(narrower, plan(narrower))

    def _guarded(self, command: Command, planned: Planned) -> Planned:
        if isinstance(planned, Question):
            return self._ask(planned, command, None)
        if isinstance(planned, TimerOrder) and command.doubt:
            prompt = f"Shall I {command.intent.replace('_', ' the ')}? Say yes or no."
            return self._ask(_yes_or_no(command, prompt), command, planned)
        if not isinstance(planned, Plan):
            return planned  # a question is answered also where it was not quite sure: that does no harm
        risk = worst(planned.actions, self._settings)
        if risk == "never":
            return Rejection(planned.command.utterance, "not-by-voice", command.text, "its owner has ruled that out")
        if risk == "free" and not command.doubt:
            return planned
        prompt = f"Shall I {_in_words(planned.actions)}? Say yes or no."
        return self._ask(_yes_or_no(planned.command, prompt), planned.command, planned)

    def _ask(self, question: Question, command: Command, planned: Plan | TimerOrder | None) -> Question:
        self._pending = _Pending(question, command, planned, self._clock() + self._settings.confirm_within_s)
        return question


def _yes_or_no(command: Command, prompt: str) -> Question:
    return Question(command.utterance, "confirm", prompt, ("yes", "no"))


def _in_words(actions: tuple[Action, ...]) -> str:
    first = actions[0]
    names = " and ".join(f"the {called(action.device)}" for action in actions[:MOST_NAMED])
    if len(actions) > MOST_NAMED:
        names = f"{names} and {len(actions) - MOST_NAMED} more"
    verb = _VERBS.get(first.capability, {}).get(str(first.value))
    if verb is not None:
        return f"{verb} {names}"
    value = f"{first.value:g}" if isinstance(first.value, float) else first.value
    return f"set {names} to {value} {first.device.units.get(first.capability, '')}".rstrip()
