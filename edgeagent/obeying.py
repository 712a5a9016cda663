"""An interpretation to outcomes: planned, decided, asked about, put off or carried out, and told. In the event loop.

An order for a while is written down with its end before it begins: whatever happens in between, it ends.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import datetime

from edgeagent.act.acknowledgements import Expectations
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order
from edgeagent.act.dialogue import Dialogue
from edgeagent.act.household import Household
from edgeagent.act.later import LONGEST_S, due_at, told_of
from edgeagent.act.later import Planned as Entry
from edgeagent.act.perform import Link, perform
from edgeagent.act.plan import EMERGENCY_STOP, PLANS, STOP, Later, Plan, Planned, Several, TimerOrder, plan, stakes_of
from edgeagent.act.storm import Storm, safe_actions
from edgeagent.agenda import Agenda, is_same
from edgeagent.answer.sentences import of_outcomes, of_question, of_rejection
from edgeagent.answer.voice import Voice
from edgeagent.errors import SettingsError
from edgeagent.messages import (
    Action,
    Answer,
    Command,
    Interpretation,
    Message,
    Outcome,
    Published,
    Question,
    Rejection,
    Report,
)
from edgeagent.settings import ActingSettings

TRY_AGAIN_S = 60.0
"""An end that could not be done, since its device was away, is tried again after this."""
ENDS_WITHIN_S = 24 * 3600.0
_UNCOUNTED = frozenset({EMERGENCY_STOP, STOP, "stop_machine", "stop_moving", "confirm", "deny", "choose"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What obeying needs: the devices, the link to them, what was asked before, what is due later, the voices.

    `agenda` is None for who will not be here when something is due.
    """

    devices: Devices
    expectations: Expectations
    link: Link
    dialogue: Dialogue
    household: Household
    storm: Storm
    agenda: Agenda | None
    voices: tuple[Voice, ...]
    settings: ActingSettings
    here: str | None
    report: Report
    is_dry_run: bool = False


async def obey(interpretation: Interpretation, around: Surroundings) -> tuple[Outcome, ...]:
    """Do what was understood, or ask, or say why not. Return what came of every action."""
    if not isinstance(interpretation, Command):
        around.dialogue.misunderstood(interpretation)
        return await _do(interpretation, around)
    for part in interpretation.parts:
        around.report(part)
    counted = [one for one in interpretation.parts if _is_counted(one)]
    verdicts = [around.storm.order() for _ in counted]
    if "storm" in verdicts:
        around.dialogue.forget()
        return await _make_safe(interpretation, around)
    if "too-many" in verdicts:
        around.dialogue.forget()
        detail = f"more than {around.settings.orders_per_minute} orders in a minute"
        busy = await _do(Rejection(interpretation.utterance, "busy", interpretation.text, detail), around)
        left = tuple(one for one in interpretation.parts if not _is_counted(one))
        if not left:
            return busy
        interpretation = replace(left[0], then=left[1:])

    def plan_alone(one: Command) -> Planned:
        return plan(one, around.devices, around.here, _now, around.dialogue.spoken_of)

    return await _do(around.dialogue.next(interpretation, plan_alone), around)


def _is_counted(command: Command) -> bool:
    return command.intent not in _UNCOUNTED and stakes_of(command.intent) != "nothing"


async def carry_out_due(around: Surroundings) -> None:
    """Do what is due now: say which timers are up, and carry out what was planned."""
    if around.agenda is None:
        return
    timers = around.agenda.timers.due(time.monotonic())
    due, missed = around.agenda.schedule.due(time.time())
    if timers or due or missed:
        await _keep(around.agenda, around)
    for timer in timers:
        await say(Answer(f"timer {timer.number}", f"Your {timer.called} is up."), around)
    for entry in missed:
        told = told_of(entry, _now())
        await say(Answer(f"p{entry.number}", f"Missed: {told}; nothing was done.", is_trouble=True), around)
    for entry in due:
        is_over = await _carry_out(entry, around)
        if entry.is_end:
            await _end(entry, around.agenda, around, is_over=is_over)


async def _end(entry: Entry, agenda: Agenda, around: Surroundings, *, is_over: bool) -> None:
    """Forget an end that was done; have one that could not be done tried again, for a day."""
    if is_over or time.time() - entry.due_s > ENDS_WITHIN_S:
        agenda.schedule.remove([entry])
        await _keep(agenda, around)
    else:
        agenda.schedule.postpone(entry, time.time() + TRY_AGAIN_S)


async def _carry_out(entry: Entry, around: Surroundings) -> bool:
    """Do what was planned, to the devices that are still what they were, as far as the rules allow it now.

    Return whether there is nothing left to do. What is tried again is not complained about again.
    """
    uid = f"p{entry.number}"
    command = Command(uid, "planned", (), entry.text, 0, 1.0)
    around.report(command)
    actions = tuple(replace(_as_now(action, around.devices), utterance=uid) for action in entry.actions)
    refused: list[Outcome] = []
    for action in actions:
        decision = around.dialogue.allows(action)
        if decision.risk == "never":
            refused.append(Outcome(action, "failed", 0.0, f"is left alone: {decision.because}"))
    left = tuple(one for one in actions if all(one is not outcome.action for outcome in refused))
    for outcome in refused:
        around.report(outcome)
    if refused:
        await say(of_outcomes(uid, refused), around)
    if not left:
        return True
    quiet = replace(around, voices=()) if entry.next_s is not None else around
    outcomes = await _perform_all(Plan(command, left), quiet)
    return all(outcome.status == "done" for outcome in outcomes)


async def _do(planned: Planned, around: Surroundings) -> tuple[Outcome, ...]:
    match planned:
        case Several(parts=parts):
            outcomes: tuple[Outcome, ...] = ()
            for part in parts:
                outcomes += await _do(part, around)
            return outcomes
        case Plan():
            around.dialogue.note(planned, around.devices.values)
            return await _perform_all(planned, around)
        case Later():
            return await _put_off(planned, around)
        case TimerOrder(command=command):
            await _tell(await _kept(command, around), around)
        case _:
            await _tell(planned, around)
    return ()


async def _kept(command: Command, around: Surroundings) -> Rejection | Answer:
    """Do what is wanted of timers or plans."""
    agenda = around.agenda
    if agenda is None:
        return _nobody_there(command)
    if command.intent in PLANS:
        answer: Rejection | Answer = agenda.schedule.obey(command, _now())
    else:
        answer = agenda.timers.obey(command, time.monotonic())
    await _keep(agenda, around)
    return answer


def _nobody_there(command: Command) -> Rejection:
    detail = "timers and plans are kept by the daemon: speak to it"
    return Rejection(command.utterance, "not-able", command.text, detail)


async def _keep(agenda: Agenda, around: Surroundings) -> None:
    try:
        await agenda.keep()
    except SettingsError as error:  # it is kept as long as the daemon runs
        await say(Answer("agenda", f"I cannot write that down: {error}.", is_trouble=True), around)


async def _put_off(later: Later, around: Surroundings) -> tuple[Outcome, ...]:
    """Plan what is for later; do now what is for a while, with its end planned before."""
    command, agenda = later.plan.command, around.agenda
    when = command.when
    if agenda is None or when is None:
        await _tell(_nobody_there(command), around)
        return ()
    now = _now()
    begins_s = due_at(when, now)
    is_now = when.delay_s is None and when.clock is None
    ends_s = begins_s + (when.lasts_s or 0.0)
    if ends_s - now.timestamp() > LONGEST_S:
        detail = "nothing is planned for later than in a week"
        await _tell(Rejection(command.utterance, "out-of-range", command.text, detail), around)
        return ()
    if around.is_dry_run:
        return await _perform_all(Plan(command, (*later.plan.actions, *later.ends)), around)
    if later.instead_of:
        agenda.schedule.remove(agenda.schedule.of_utterance(later.instead_of))
    entries: list[Entry] = []
    for actions, due_s, is_end in ((() if is_now else later.plan.actions, begins_s, False), (later.ends, ends_s, True)):
        entry = agenda.schedule.add(actions, due_s, command.text, is_end=is_end) if actions else None
        if isinstance(entry, str):
            agenda.schedule.remove(entries)  # what cannot end does not begin
            await _tell(Rejection(command.utterance, "not-able", command.text, entry), around)
            return ()
        entries += [] if entry is None else [entry]
    await _keep(agenda, around)
    outcomes: tuple[Outcome, ...] = ()
    if is_now and later.plan.actions:
        around.dialogue.note(later.plan, around.devices.values)
        sent: list[Action] = []
        outcomes = await _perform_all(later.plan, around, sent)
        if not sent:  # one that only answered late has begun, and must end
            agenda.schedule.remove(entries)
            await _keep(agenda, around)
            return outcomes
    await say(Answer(command.utterance, " ".join(f"{told_of(entry, now)}." for entry in entries)), around)
    return outcomes


async def _make_safe(command: Command, around: Surroundings) -> tuple[Outcome, ...]:
    actions = safe_actions(around.devices, around.household.safe_states, command.utterance)
    text = f"Too many orders. {'I make everything safe.' if actions else 'I do nothing for a minute.'}"
    await say(Answer(command.utterance, text, is_trouble=True), around)
    return await _perform_all(Plan(command, actions), around) if actions else ()


async def _perform_all(planned: Plan, around: Surroundings, sent: list[Action] | None = None) -> tuple[Outcome, ...]:
    """Carry out a plan; add to `sent` what went out on the bus, whatever came of it."""

    def published(action: Action, message: Message) -> None:
        if sent is not None:
            sent.append(action)
        around.report(Published(action, message))

    if around.is_dry_run:
        for action in planned.actions:
            entity = around.devices.entity(action.device.id)
            order = entity.order(action.capability, action.value) if entity else None
            for message in order.messages if isinstance(order, Order) else ():
                published(action, message)
        return ()
    outcomes = await asyncio.gather(
        *(
            perform(action, around.devices, around.expectations, around.link, around.settings, published)
            for action in planned.actions
        )
    )
    for outcome in outcomes:
        around.report(outcome)
    await say(of_outcomes(planned.command.utterance, outcomes), around)
    return tuple(outcomes)


def _as_now(action: Action, devices: Devices) -> Action:
    """Return an action with the device as it is known now, if it is still the same one."""
    entity = devices.entity(action.device.id)
    known = None if entity is None else entity.device
    return replace(action, device=known) if known is not None and is_same(action.device, known) else action


def _now() -> datetime:
    return datetime.now().astimezone()


async def _tell(planned: Question | Rejection | Answer, around: Surroundings) -> None:
    match planned:
        case Question():
            around.report(planned)
            await say(of_question(planned), around)
        case Rejection():
            around.report(planned)
            if (answer := of_rejection(planned)) is not None:
                await say(answer, around)
        case Answer():
            await say(planned, around)


async def say(answer: Answer, around: Surroundings) -> None:
    """Tell the person, in every way there is."""
    around.report(answer)
    for voice in around.voices:
        await voice.say(answer)
