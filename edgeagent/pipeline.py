"""The flow of one utterance: perceive() turns sound into interpretations, obey() turns those into outcomes.

perceive() runs on the listening thread and never touches asyncio; obey() runs in the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edgeagent.act.acknowledgements import Expectations
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.dialect import Order
from edgeagent.act.dialogue import Dialogue
from edgeagent.act.perform import Link, perform
from edgeagent.act.plan import Plan, Planned, TimerOrder, plan
from edgeagent.act.timers import Timers
from edgeagent.answer.sentences import of_outcomes, of_question, of_rejection
from edgeagent.answer.voice import Voice
from edgeagent.hear.before import Before
from edgeagent.hear.endpointing import IsSpeech, Utterance, utterances
from edgeagent.hear.recognizer import Recognizer
from edgeagent.messages import (
    Action,
    Answer,
    Command,
    Frame,
    Interpretation,
    Message,
    Outcome,
    Published,
    Question,
    Rejection,
    Report,
    Transcript,
)
from edgeagent.patience import pause_after
from edgeagent.settings import ActingSettings, HearingSettings
from edgeagent.understand.interpret import Interpreter

_MAYBE_SAID_FREELY = frozenset({"no-words", "not-a-command", "not-speech-we-know"})

HARDLY_HEARD = 0.25
"""The confidence of a word below which a sentence is doubted. Of 74 commands in free wordings, spoken by flite, 55 are
done and 3 done wrong (`edgeagent evaluate heard tests/data/natural/*.jsonl -n 80 --seed 2`); without it 8 were wrong.
"""
FREELY_SURE = 0.7
"""The least confidence of what is heard freely: it has no grammar to bear it out. The right ones measured 0.73 and
more, and two thirds of what was asked about in talk that was for somebody else, less."""
WEIGHTY = 4
"""Letters; shorter words are swallowed, and hardly ever decide."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A final transcript and what it was taken for."""

    transcript: Transcript
    interpretation: Interpretation


def perceive(
    frames: Iterable[Frame],
    is_speech: IsSpeech,
    recognizer: Recognizer,
    prepared: Callable[[], Interpreter],
    settings: HearingSettings,
    report: Report = lambda _: None,
) -> Iterator[Heard]:
    """Yield what is said in the frames.

    `prepared` gives the interpreter for the next utterance, for whose grammar the recognizer is ready. `report` gets
    every partial transcript whose words differ from the one before.
    """
    before = Before()
    for utterance in utterances(frames, is_speech, settings):
        interpreter = prepared()
        said = ""
        for transcript in recognizer.transcribe(utterance):
            if transcript.is_final:
                heard = _understood(transcript, utterance, recognizer, interpreter)
                if objection := before.objection(transcript):
                    heard = Heard(transcript, _refused(transcript, objection))
                before.note(transcript, is_order=isinstance(heard.interpretation, Command))
                yield heard
                break
            if transcript.text != said:
                said = transcript.text
                report(transcript)
            _be_patient(utterance, transcript, interpreter, settings)


def _understood(
    transcript: Transcript, utterance: Utterance, recognizer: Recognizer, interpreter: Interpreter
) -> Heard:
    """Return what was said. What is no sentence of the grammar, or hardly one, is recognized again, freely.

    A sentence with a word that the sound hardly bears out stands if it means the same freely; else whichever is borne
    out better is taken, and if only the grammar has one, it is asked about: "every light in the house" is heard as "in
    the office" by a grammar that has no such sentence.
    """
    found = interpreter.interpret(transcript)
    weak = _weak_word(transcript) if isinstance(found, Command) else None
    if weak is None and not (isinstance(found, Rejection) and found.reason in _MAYBE_SAID_FREELY):
        return Heard(transcript, found)
    ways = recognizer.freely(utterance)
    otherwise = _freely(ways, interpreter)
    if otherwise is not None and isinstance(found, Rejection):
        return otherwise
    if weak is None or not isinstance(found, Command) or not ways:
        return Heard(transcript, found)
    if otherwise is not None and isinstance(otherwise.interpretation, Command):
        if _mean_the_same(found, otherwise.interpretation):
            return Heard(transcript, found)
        if otherwise.transcript.confidence > transcript.confidence:
            return otherwise
    return Heard(transcript, _doubted(found, f'"{weak}" was hardly heard'))


def _freely(ways: Sequence[Transcript], interpreter: Interpreter) -> Heard | None:
    """Return what was heard freely, if it is sure and understood; asked about if it may have been another order.

    Only the likeliest way is ever obeyed: to obey the next one where that is not understood measured no gain, and more
    was done that nobody wanted.
    """
    best, *others = ways or (None,)
    if best is None or best.confidence < FREELY_SURE:
        return None
    found = interpreter.interpret(best)
    if isinstance(found, Rejection):
        return None
    rivals = (interpreter.interpret(other) for other in others if other.confidence >= FREELY_SURE)
    rival = next((one for one in rivals if isinstance(one, Command) and _differs(one, found)), None)
    if isinstance(found, Command) and rival is not None:
        found = _doubted(found, f'it may have been "{rival.text}"')
    return Heard(best, found)


def _doubted(command: Command, why: str) -> Command:
    return command if command.doubt else replace(command, doubt=why, why=(*command.why, why))


def _differs(rival: Command, found: Interpretation) -> bool:
    return isinstance(found, Command) and not _mean_the_same(rival, found)


def _weak_word(transcript: Transcript) -> str | None:
    """Return a word of weight that the sound hardly bears out."""
    weak = (word.text for word in transcript.words if len(word.text) >= WEIGHTY and word.confidence < HARDLY_HEARD)
    return next(weak, None)


def _mean_the_same(one: Command, other: Command) -> bool:
    return one.intent == other.intent and {(slot.name, slot.value) for slot in one.slots} == {
        (slot.name, slot.value) for slot in other.slots
    }


def _refused(transcript: Transcript, objection: str) -> Rejection:
    return Rejection(transcript.utterance, "not-speech-we-know", transcript.text, objection)


def _be_patient(utterance: Utterance, partial: Transcript, interpreter: Interpreter, settings: HearingSettings) -> None:
    """Set how long a pause the words so far are worth, and end the utterance where the pause has been that long.

    The recognizer's own silence after the last word counts as much as the detector's: in noise it is the better one.
    """
    pause = pause_after([word.text for word in partial.words], interpreter, settings)
    utterance.patience_s, utterance.pause_means = pause.lasts_s, pause.means
    if partial.words and partial.heard_s - partial.words[-1].end_s >= pause.wordless_s:
        utterance.end(pause.means)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What obeying needs: the devices, the link to them, what was asked before, the timers, the voices.

    `timers` is None for who will not be here when they are due.
    """

    devices: Devices
    expectations: Expectations
    link: Link
    dialogue: Dialogue
    timers: Timers | None
    voices: tuple[Voice, ...]
    settings: ActingSettings
    here: str | None
    report: Report
    is_dry_run: bool = False


async def obey(interpretation: Interpretation, around: Surroundings) -> tuple[Outcome, ...]:
    """Do what was understood, or ask, or say why not. Return what came of every action."""
    planned: Planned
    if isinstance(interpretation, Command):
        around.report(interpretation)
        planned = _plan(interpretation, around)
    else:
        planned = interpretation
        around.dialogue.misunderstood(interpretation)
    match planned:
        case Plan():
            return await _perform_all(planned, around)
        case TimerOrder(command=command):
            await _tell(_timed(command, around.timers), around)
        case _:
            await _tell(planned, around)
    return ()


def _timed(command: Command, timers: Timers | None) -> Rejection | Answer:
    if timers is None:
        return Rejection(command.utterance, "not-able", command.text, "timers are kept by the daemon: speak to it")
    return timers.obey(command, time.monotonic())


def _plan(command: Command, around: Surroundings) -> Planned:
    def plan_alone(one: Command) -> Planned:
        return plan(one, around.devices, around.here, lambda: datetime.now().astimezone())

    return around.dialogue.next(command, plan_alone)


async def _perform_all(planned: Plan, around: Surroundings) -> tuple[Outcome, ...]:
    def published(action: Action, message: Message) -> None:
        around.report(Published(action, message))

    if around.is_dry_run:
        for action in planned.actions:
            entity = around.devices.entity(action.device.id)
            order = entity.order(action.capability, action.value) if entity else None
            for message in order.messages if isinstance(order, Order) else ():
                published(action, message)
        return ()
    around.dialogue.note(planned, around.devices.values)
    outcomes = await asyncio.gather(
        *(
            perform(action, around.devices, around.expectations, around.link, around.settings.deadline_s, published)
            for action in planned.actions
        )
    )
    for outcome in outcomes:
        around.report(outcome)
    await say(of_outcomes(planned.command.utterance, outcomes), around)
    return tuple(outcomes)


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
