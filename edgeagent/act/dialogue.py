"""What was said before, and what is open: confirmations and "which one?", with an expiry. Pure; time comes in.

The rules:
1. a guarded plan, and what was understood with a doubt, becomes a question; only a plain confirmation within the time
   carries it out, only once, and only if no rule of the house refuses it by then;
2. "which one?" is answered by an area or a name that was offered; what comes of it may have to be confirmed in turn,
   or be asked about again; an answer that was not offered leaves the question open, for no longer than before;
3. any other command, "never mind", and words that we do not know drop the open question: nothing is done for it;
   sound that is no speech we know (a cough, the television) does not;
4. of a sentence with several orders, what may be done is done, and what must be asked is asked, one after the other;
   who says no drops the rest of it;
5. an order for later is decided and asked about now, with what ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeagent.act.context import AMENDED_S, CORRECTED_S, ORDERED_S, Context, amended, elsewhere
from edgeagent.act.later import ending_of
from edgeagent.act.plan import ABOUT_BEFORE, STOP, Later, Plan, Planned, Several, TimerOrder
from edgeagent.act.safety import Decision, Ruling, decide, is_stop, worst
from edgeagent.act.targets import called, is_offered, narrowed
from edgeagent.act.timers import spoken_length
from edgeagent.act.undo import UNDO, LastDone, Values
from edgeagent.messages import Action, Answer, Command, Question, Rejection
from edgeagent.settings import ActingSettings

Planner = Callable[[Command], Planned]
Rulings = Callable[[Action], Ruling | None]

MOST_NAMED = 3
"""A confirmation names this many devices, and says how many more there are."""

_VERBS = {
    "power": {"on": "switch on", "off": "switch off"},
    "lock": {"locked": "lock", "unlocked": "unlock"},
    "opening": {"open": "open", "closed": "close", "stopped": "stop"},
    "run": {"running": "start", "stopped": "stop"},
    "activate": {"now": "start"},
    "acknowledge": {"now": "acknowledge"},
    "arming": {"disarmed": "disarm", "armed_home": "arm", "armed_away": "arm", "armed_night": "arm"},
}


@dataclass(frozen=True, slots=True)
class _Pending:
    question: Question
    command: Command
    planned: Plan | Later | TimerOrder | None
    expires_s: float
    rest: tuple[Command, ...] = ()


class Dialogue:
    """The one question that may be open, and what was spoken of before."""

    def __init__(
        self,
        settings: ActingSettings,
        clock: Callable[[], float],
        rulings: Rulings = lambda _: None,
        values: Values = lambda _: {},
    ) -> None:
        """Start with nothing open.

        `clock` gives seconds that only go forward, `rulings` what the rules of the house say of an action now, `values`
        what a device was last seen to be.
        """
        self._settings = settings
        self._clock = clock
        self._rulings = rulings
        self._values = values
        self._pending: _Pending | None = None
        self._last = LastDone(clock)
        self._context = Context(clock)

    @property
    def spoken_of(self) -> tuple[str, ...]:
        """Return the ids of the devices that "it" means now."""
        return self._context.devices

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
                return self._confirmed(command, pending, plan)
            case "deny":
                return Answer(command.utterance, "All right." if pending else "There is nothing to cancel.")
            case "choose":
                return self._chosen(command, pending, plan)
            case "correct" if pending is not None:
                return self._corrected_question(command, pending, plan)
            case intent if intent == STOP and pending is not None:
                return self._stopped(command, plan)
            case _:
                return self._one_after_the_other(command.parts, plan)

    def misunderstood(self, heard: Question | Rejection) -> None:
        """Drop what is open where something else was said: a later "yes" is not meant for it."""
        is_nobodys = isinstance(heard, Rejection) and heard.reason in {"no-words", "not-speech-we-know"}
        if not is_nobodys:
            self._pending = None

    def forget(self) -> None:
        """Drop what is open."""
        self._pending = None

    def allows(self, action: Action) -> Decision:
        """Return what is to happen with an action that was agreed on before, by what holds now."""
        return decide(action, self._settings, self._rulings(action))

    def _one_after_the_other(self, commands: tuple[Command, ...], plan: Planner) -> Planned:
        """Decide on every command; what is asked about stops those that follow until it is answered."""
        found: list[Planned] = []
        for number, command in enumerate(commands):
            planned = self._decided(command, _numbered(plan, number))
            found.append(planned)
            if isinstance(planned, Question):
                if self._pending is not None:
                    self._pending = replace(self._pending, rest=commands[number + 1 :])
                break
        return found[0] if len(found) == 1 else Several(tuple(found))

    def _decided(self, command: Command, plan: Planner) -> Planned:
        """Return what is to be done about a command that is no answer."""
        if command.intent in ABOUT_BEFORE:
            return self._about_before(command, plan)
        planned = self._guarded(command, plan(command))
        if isinstance(planned, Answer):
            self._context.speak_of(planned.about)
        return planned

    def _about_before(self, command: Command, plan: Planner) -> Planned:
        """Return what is to be done about the order before."""
        if command.intent == UNDO:
            back = self._last.undone(command)
            return back if isinstance(back, Rejection) else self._guarded(command, Plan(command, back))
        within_s = {"same": ORDERED_S, "correct": CORRECTED_S, "amend": AMENDED_S}[command.intent]
        before = self._context.last(within_s)
        if before is None:
            return Rejection(command.utterance, "nothing-meant", command.text, "nothing was ordered just now")
        if command.intent == "amend":
            return self._amended(command, *before)
        anew = elsewhere(*before, command)
        planned = plan(anew)
        if command.intent == "correct" and before[0].when is not None:
            return self._guarded(anew, planned, instead_of=before[0].utterance)
        if command.intent == "correct" and isinstance(planned, Plan):
            back = self._last.undone(command)
            undone = back if isinstance(back, tuple) else ()
            back_first = tuple(replace(one, id=f"{one.id}.back") for one in undone if not _is_again(one, planned))
            whole = Plan(anew, (*back_first, *planned.actions))
            done = self._guarded(anew, whole)
            if isinstance(done, Plan):  # "it" is what was meant, not what was put back
                self._context.order(anew, planned.actions)
            return done
        return self._guarded(anew, planned)

    def _amended(self, command: Command, order: Command, actions: tuple[Action, ...]) -> Planned:
        """Give an order that was just carried out a time: it ends after it, or it is taken back and done after it."""
        again = amended(order, command)
        uid = command.utterance
        anew = tuple(
            replace(one, id=f"{uid}.later{number}", utterance=uid) for number, one in enumerate(actions, start=1)
        )
        if order.when is not None:
            return self._guarded(again, Plan(again, anew), instead_of=order.utterance)
        if again.when is not None and again.when.lasts_s is not None:
            return self._guarded(again, Plan(again, anew), is_done=True)
        back = self._last.undone(command)
        if isinstance(back, Rejection):
            return back
        now = self._guarded(replace(again, when=None), Plan(replace(again, when=None), back))
        later = self._guarded(again, Plan(again, anew))
        return Several((now, later)) if isinstance(now, Plan) else now

    def _stopped(self, command: Command, plan: Planner) -> Planned:
        """Return what a stop does while a question is open: that is dropped at least."""
        done = self._one_after_the_other(command.parts, plan)
        is_only = isinstance(done, Rejection) and done.reason == "nothing-meant"
        return Answer(command.utterance, "All right.") if is_only else done

    def _confirmed(self, command: Command, pending: _Pending | None, plan: Planner) -> Planned:
        if pending is None or pending.question.kind != "confirm" or pending.planned is None:
            return Rejection(command.utterance, "nothing-to-confirm", command.text, "no question is open")
        meant = replace(pending.command, utterance=command.utterance)
        agreed = self._agreed(meant, pending.planned)
        if not pending.rest or isinstance(agreed, Rejection):
            return agreed
        rest = self._one_after_the_other(tuple(replace(one, utterance=command.utterance) for one in pending.rest), plan)
        return Several((agreed, *(rest.parts if isinstance(rest, Several) else (rest,))))

    def _agreed(self, meant: Command, planned: Plan | Later | TimerOrder) -> Planned:
        """Return what was asked about, now that the person has said yes; the rules have the last word."""
        if isinstance(planned, TimerOrder):
            return TimerOrder(meant)
        begins = planned.plan.actions if isinstance(planned, Later) else planned.actions
        ends = planned.ends if isinstance(planned, Later) else ()
        decisions = {action.id: self.allows(action) for action in (*begins, *ends)}
        if (refused := _refusal(meant, worst(decisions.values()))) is not None:
            return refused

        def confirmed(actions: tuple[Action, ...]) -> tuple[Action, ...]:
            return tuple(
                replace(one, utterance=meant.utterance, allowed_by=f"{decisions[one.id].because}; confirmed")
                for one in actions
            )

        plan = Plan(meant, confirmed(begins))
        self._context.order(meant, plan.actions or ends)
        return replace(planned, plan=plan, ends=confirmed(ends)) if isinstance(planned, Later) else plan

    def _chosen(self, command: Command, pending: _Pending | None, plan: Planner) -> Planned:
        answer = next((slot for slot in command.slots if slot.name in {"area", "name"}), None)
        if pending is None or pending.question.kind != "which" or answer is None:
            return Rejection(command.utterance, "nothing-to-confirm", command.text, "no question is open")
        if not is_offered(answer, pending.question, pending.command):
            self._pending = pending
            return Rejection(command.utterance, "no-such-device", command.text, pending.question.prompt.rstrip("?"))
        narrower = replace(narrowed(pending.command, answer), utterance=command.utterance, doubt="")
        rest = tuple(replace(one, utterance=command.utterance) for one in pending.rest)
        return self._one_after_the_other((narrower, *rest), plan)

    def _corrected_question(self, command: Command, pending: _Pending, plan: Planner) -> Planned:
        """Ask about, or do, what was meant instead of what is asked about: "no, the back door"."""
        if pending.question.kind == "which":
            return self._chosen(replace(command, intent="choose"), pending, plan)
        if isinstance(pending.planned, TimerOrder):
            return Answer(command.utterance, "All right.")
        actions = pending.planned.actions if isinstance(pending.planned, Plan) else ()
        return self._one_after_the_other((elsewhere(pending.command, actions, command),), plan)

    def _guarded(self, command: Command, planned: Planned, *, is_done: bool = False, instead_of: str = "") -> Planned:
        if isinstance(planned, Question):
            return self._ask(planned, command, None)
        if isinstance(planned, TimerOrder) and command.doubt:
            prompt = f"Shall I {command.intent.replace('_', ' the ')}? Say yes or no."
            return self._ask(_yes_or_no(command, prompt), command, planned)
        if not isinstance(planned, Plan):
            return planned  # a question is answered also where it was not quite sure: that does no harm
        timed = self._timed(planned, is_done=is_done)
        timed = replace(timed, instead_of=instead_of) if isinstance(timed, Later) else timed
        if isinstance(timed, Rejection):
            return timed
        begins, ends = (timed.plan.actions, timed.ends) if isinstance(timed, Later) else (timed.actions, ())
        decisions = [self.allows(action) for action in (*begins, *ends)]
        decision = worst(decisions)
        if (refused := _refusal(command, decision)) is not None:
            return refused
        if decision.risk == "free" and not command.doubt:
            because = {action.id: one.because for action, one in zip((*begins, *ends), decisions, strict=True)}
            plan = Plan(planned.command, tuple(replace(one, allowed_by=because[one.id]) for one in begins))
            self._context.order(planned.command, plan.actions or ends)
            marked = tuple(replace(one, allowed_by=because[one.id]) for one in ends)
            return replace(timed, plan=plan, ends=marked) if isinstance(timed, Later) else plan
        prompt = f"Shall I {_in_words(begins or ends)}{_timed_words(planned.command)}? Say yes or no."
        why = (*((command.doubt,) if command.doubt else ()), *((decision.because,) if decision.risk != "free" else ()))
        return self._ask(replace(_yes_or_no(planned.command, prompt), why=why), planned.command, timed)

    def _timed(self, planned: Plan, *, is_done: bool) -> Plan | Later | Rejection:
        """Return the plan with what ends it, where it is for later or for a while; a stop is neither."""
        command, when = planned.command, planned.command.when
        if when is None or all(is_stop(one.capability, one.value) for one in planned.actions):
            return planned
        if when.lasts_s is None:
            return Later(planned)
        before = self._last.before if is_done else self._values
        ends = [ending_of(action, before) for action in planned.actions]
        unending = next((end for end in ends if isinstance(end, str)), None)
        if unending is not None:
            return Rejection(command.utterance, "not-able", command.text, unending)
        begins = Plan(command, ()) if is_done else planned
        return Later(begins, tuple(end for end in ends if isinstance(end, Action)))

    def _ask(self, question: Question, command: Command, planned: Plan | Later | TimerOrder | None) -> Question:
        self._pending = _Pending(question, command, planned, self._clock() + self._settings.confirm_within_s)
        return question


def _numbered(plan: Planner, number: int) -> Planner:
    """Return a planner whose actions are told apart from those of the other commands of a sentence."""

    def planned(command: Command) -> Planned:
        found = plan(command)
        if not number or not isinstance(found, Plan):
            return found
        return Plan(found.command, tuple(replace(one, id=f"{one.id}+{number}") for one in found.actions))

    return planned


def _is_again(action: Action, planned: Plan) -> bool:
    """Tell whether a plan orders the same of the same device anyway."""
    return any((one.device.id, one.capability) == (action.device.id, action.capability) for one in planned.actions)


def _refusal(command: Command, decision: Decision) -> Rejection | None:
    if decision.risk != "never":
        return None
    if decision.rule:
        detail = decision.say or f"a rule forbids it: {decision.rule}"
        return Rejection(command.utterance, "not-allowed", command.text, detail, (decision.because,))
    detail = "its owner has ruled that out"
    return Rejection(command.utterance, "not-by-voice", command.text, detail, (decision.because,))


def _yes_or_no(command: Command, prompt: str) -> Question:
    return Question(command.utterance, "confirm", prompt, ("yes", "no"))


def _timed_words(command: Command) -> str:
    """Return an order's time as it is asked back."""
    when = command.when
    if when is None:
        return ""
    begins = f" in {spoken_length(when.delay_s)}" if when.delay_s is not None else ""
    begins = begins or (f" at {when.clock}" if when.clock is not None else "")
    return begins + (f" for {spoken_length(when.lasts_s)}" if when.lasts_s is not None else "")


def _in_words(actions: tuple[Action, ...]) -> str:
    """Return what is asked about: one phrase for all that are ordered the same."""
    alike: dict[tuple[str, object], list[Action]] = {}
    for action in actions:
        alike.setdefault((action.capability, action.value), []).append(action)
    return ", and ".join(_phrase(tuple(group)) for group in alike.values())


def _phrase(actions: tuple[Action, ...]) -> str:
    first = actions[0]
    names = " and ".join(f"the {called(action.device)}" for action in actions[:MOST_NAMED])
    if len(actions) > MOST_NAMED:
        names = f"{names} and {len(actions) - MOST_NAMED} more"
    verb = _VERBS.get(first.capability, {}).get(str(first.value))
    if verb is not None:
        return f"{verb} {names}"
    value = f"{first.value:g}" if isinstance(first.value, float) else first.value
    return f"set {names} to {value} {first.device.units.get(first.capability, '')}".rstrip()
