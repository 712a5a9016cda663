"""The obeying side: devices, names and grammar kept up to date from the bus, and what comes of what was understood."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from edgeagent import free_speech, health, memory, topics
from edgeagent.act.acknowledgements import Expectations
from edgeagent.act.devices import Devices
from edgeagent.act.dialects.all import dialects_of
from edgeagent.act.dialects.own_devices import own_devices
from edgeagent.act.dialogue import Dialogue
from edgeagent.act.household import NOTHING_SAID, load
from edgeagent.act.names import Names
from edgeagent.act.remembered import RememberedOrders
from edgeagent.act.rules import Circumstances, ruling
from edgeagent.act.safety import Ruling
from edgeagent.act.storm import Storm
from edgeagent.act.vocabulary import lists_of
from edgeagent.agenda import AGENDA, Agenda
from edgeagent.answer.patterns import Pattern, pattern_of
from edgeagent.audit import AUDIT, Trail
from edgeagent.bell import BELL, Wish
from edgeagent.bridges.control import Control
from edgeagent.bridges.homeassistant import Condition, InHomeAssistant
from edgeagent.bridges.services import Answered
from edgeagent.errors import BusError, EdgeAgentError, ModelError
from edgeagent.grammar import commands
from edgeagent.idleness import Idleness
from edgeagent.link import Bus
from edgeagent.listening import Listening
from edgeagent.messages import (
    Action,
    Answer,
    Command,
    Device,
    Interpretation,
    Kind,
    Message,
    Outcome,
    Rejection,
    Step,
    Woken,
)
from edgeagent.muting import keep_muted
from edgeagent.notes import Notes
from edgeagent.obeying import Surroundings, carry_out_due, obey, say
from edgeagent.orders import Orders, is_urgent
from edgeagent.parts import Parts, Source
from edgeagent.pipeline import Heard
from edgeagent.recognizers import wordings_of
from edgeagent.reports import Reports
from edgeagent.routed import Routed
from edgeagent.settings import AgentSettings
from edgeagent.threads import running
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.taught import load_taught, version_of
from edgeagent.understand.text import typed
from edgeagent.understanding import interpreter_of, load_model

if TYPE_CHECKING:
    from edgeagent.fleet.side import FleetSide
    from edgeagent.sparkplug_link import SparkplugLink

log = logging.getLogger(__name__)

__all__ = ["TAUGHT", "Agent", "Parts", "Source"]

QUIET_S = 0.3
"""Announcements come in a burst: when none has come for this long, the names are compiled."""
SETTLE_MOST_S = 3.0
PLANT_SETTLES_S = 8.0
ORDERS_SETTLE_MOST_S = 15.0
"""After this long, what has been announced by then must do; orders are looked at once, and do not last much longer."""
TAUGHT = "taught"
LOOK_AT_LESSONS_S = 2.0
LOOK_AT_NAMES_S = 1.0
LOOK_AT_AGENDA_S = 0.2
DUE_SOON_S = 30.0
"""A new start takes seconds, on a small board many."""
WAITING_EVENTS = 100
"""Reports that wait to be handed to the bus; it has an outbox of its own, so they hardly wait."""


class Agent:
    """The obeying side, kept up to date from the bus: devices, names, grammar, what was asked and is expected."""

    def __init__(
        self,
        settings: AgentSettings,
        bus: Bus,
        parts: Parts,
        reports: Reports | None,
        plant: "SparkplugLink | None" = None,
        joined: "Callable[[Agent], FleetSide] | None" = None,
    ) -> None:
        """Start with no device. `joined` makes its side of a fleet.

        Without `reports` it is an onlooker, here for a sentence or two: it tells the fleet nothing, takes no orders
        from the bus, and keeps no timers. Raise SettingsError if a command file is wrong.
        """
        self.settings = settings
        self.bus = bus
        path = settings.acting.house_file
        household = NOTHING_SAID if path is None else load(path)
        self.devices = Devices(dialects_of(settings), most=settings.acting.max_devices, household=household)
        for path in settings.acting.device_files:
            self.devices.announce(own_devices(path))
        self._own = [commands.load(path) for path in settings.acting.command_files]
        self._model = load_model(settings.understanding)
        self._unsure_below, self._cutoff = settings.hearing.unsure_below, settings.waking.cutoff
        self.listening: Listening | None = None
        self._taught_folder = settings.device.state_dir / TAUGHT
        self.interpreter = self._compile(*self._names_and_kinds())
        self._compiled = self.devices.version
        self._changed = asyncio.Event()
        self._reports = reports
        self._parts = parts
        self._plant = plant
        self.orders = Orders(RememberedOrders(settings.device.state_dir / "orders.json"), self)
        self._events: asyncio.Queue[Message] = asyncio.Queue(WAITING_EVENTS)
        self._typed = 0
        trail = Trail(settings.device.state_dir / AUDIT) if settings.acting.audit and not parts.is_dry_run else None
        self.notes = Notes(trail)
        self._idleness = Idleness(time.monotonic, settings.acting.confirm_within_s)

        def rulings(action: Action) -> Ruling | None:
            now = datetime.now().astimezone()
            return ruling(action, household.rules, Circumstances(self.devices, settings.device.area, now))

        self._around = Surroundings(
            self.devices,
            Expectations(),
            Routed(bus, plant),
            Dialogue(settings.acting, time.monotonic, rulings, self.devices.values),
            household,
            Storm(settings.acting.orders_per_minute, time.monotonic),
            None if reports is None else Agenda(settings.device.state_dir / AGENDA),
            parts.voices,
            settings.acting,
            settings.device.area,
            self._tell,
            is_dry_run=parts.is_dry_run,
        )

        self.control = None if reports is None else self._controlled(settings, reports.address)
        self.fleet = None if joined is None else joined(self)

    def _controlled(self, settings: AgentSettings, address: topics.Address) -> Control:
        manifest = None if self._model is None else self._model.manifest
        named = ("", "") if manifest is None else (manifest.name, manifest.version)
        return Control(settings, InHomeAssistant(settings, address, *named), self, self._send)

    def rung(self, wish: Wish) -> None:
        """Do what somebody on the same machine wants of the ear."""
        match wish:
            case "listen":
                self._parts.bell.ring(BELL)
            case "mute" | "unmute":
                self.mute(on=wish == "mute")
            case "yes" | "no":
                self.orders.answer("bell", is_yes=wish == "yes")
            case "update":
                if self.fleet is not None:
                    self.fleet.updating.look()

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody is being served: nothing said lately, nothing waited for, being spoken, or due soon."""
        around = self._around
        is_due = around.agenda is not None and around.agenda.is_due_within(DUE_SOON_S)
        return self._idleness.is_idle and not around.expectations and not self._parts.deaf.is_set() and not is_due

    async def observe(self) -> None:
        """Apply what comes from the bus, for ever."""
        self.bus.subscribe(*self.devices.filters, *self.devices.topics)
        if self._reports is not None:
            self.bus.subscribe(self._reports.address.orders)
        if self.control is not None:
            self.bus.subscribe(*self.control.filters)
        if self.fleet is not None and not self.fleet.is_apart:
            self.bus.subscribe(*self.fleet.filters)
        async for received in self.bus.received():
            if self._reports is not None and topics.matches(self._reports.address.orders, received.topic):
                await self.orders.take(received, self._reports.address)
                continue
            if self.fleet is not None and not self.fleet.is_apart and await self.fleet.take(received):
                continue
            if self.control is not None:  # a device may tell its presence on a topic that is also ours
                self.control.take(received)
            version = self.devices.version
            for observation in self.devices.receive(received.topic, received.payload, time.monotonic()):
                self._around.expectations.observe(observation)
            received.acknowledge()
            if self.devices.version != version:
                self.bus.subscribe(*self.devices.topics)
                self._changed.set()
            if asks := self.devices.asks():
                await self._ask(asks)

    async def observe_plant(self) -> None:
        """Apply what a plant that speaks Sparkplug says, for ever; return at once where there is none."""
        if self._plant is not None:
            await self._plant.observe(self.devices, self._around.expectations.observe, self._changed.set)

    async def _ask(self, questions: Iterable[Message]) -> None:
        """Have devices tell their states; an onlooker hears what the daemon has asked."""
        if self._reports is None:
            return
        for question in questions:
            try:
                await self.bus.publish(question)
            except BusError as error:  # asked again when the device comes back
                log.warning("a device cannot be asked", extra={"topic": question.topic, "problem": str(error)})

    async def keep_grammar(self) -> None:
        """Compile the names anew a moment after they have changed, for ever."""
        while True:
            await self._changed.wait()
            while self._changed.is_set():
                self._changed.clear()
                await asyncio.sleep(QUIET_S)
            version = self.devices.version
            try:
                self.interpreter = await asyncio.to_thread(self._compile, *self._names_and_kinds())
            except EdgeAgentError as error:  # the grammar that was good goes on
                log.error("names cannot be compiled", extra={"problem": str(error), "remedy": error.remedy})  # noqa: TRY400
            self._compiled = version
            await asyncio.to_thread(memory.give_back)
            log.info("grammar compiled", extra={"devices": len(self.devices.all_devices())})

    async def keep_free_speech(self, listening: Listening) -> None:
        """Keep what is recognized beyond the grammar on the present names and pronunciations, for ever."""
        learned = None
        while True:
            present = (self.interpreter, listening.pronounced)
            if present != learned and listening.wants_free_speech:
                learned = present
                try:
                    model = await free_speech.made_beside(wordings_of(self.interpreter))
                    if model is not None:
                        await asyncio.to_thread(listening.use_free_speech, model)
                except (ModelError, OSError) as error:  # the grammar goes on alone
                    log.error("free speech is not recognized", extra={"problem": str(error)})  # noqa: TRY400
            await asyncio.sleep(LOOK_AT_NAMES_S)

    async def watch_lessons(self) -> None:
        """Have the grammar compiled anew when something was taught or taken back, for ever."""
        while True:
            await asyncio.sleep(LOOK_AT_LESSONS_S)
            if version_of(self._taught_folder) != self._taught_version:
                self._changed.set()

    async def send_events(self) -> None:
        """Hand reports to the bus, for ever."""
        while True:
            message = await self._events.get()
            try:
                await self.bus.publish(message)
            except BusError as error:
                log.warning("report cannot be sent", extra={"topic": message.topic, "problem": str(error)})

    async def carry_out_due(self) -> None:
        """Do what is due, for ever; return at once where nothing is kept."""
        if self._around.agenda is not None:
            await self.settle()  # what was due while nobody was here is for devices that are not known yet
        while self._around.agenda is not None:
            await carry_out_due(self._around)
            await asyncio.sleep(LOOK_AT_AGENDA_S)

    def close(self, *, is_orderly: bool) -> None:
        """Put down what is counted, once nothing happens any more; `is_orderly`: no error has ended it."""
        if self.fleet is not None:
            self.fleet.close(is_orderly=is_orderly)

    async def obey_orders(self) -> None:
        """Carry out orders from the bus, for ever; those that were waiting for us wait until the devices are known."""
        await self.bus.until(connected=True)
        await self.settle(ORDERS_SETTLE_MOST_S)  # each is looked at once, and refused if its device is not known yet
        await self.orders.obey()

    async def settle(self, most_s: float = SETTLE_MOST_S) -> None:
        """Wait until the devices that are there have announced themselves and can be understood.

        It takes a while at most, and again a while from when the broker is there.
        """
        began = quiet_since = time.monotonic()
        version, was_connected = self.devices.version, False
        if self._plant is not None:
            most_s = max(most_s, PLANT_SETTLES_S)
        while (now := time.monotonic()) - began < most_s:
            if self.bus.is_connected and not was_connected:
                began, was_connected = now, True
            if self.devices.version != version or not self.bus.is_answered:
                quiet_since, version = now, self.devices.version
            is_quiet = now - quiet_since > 2 * QUIET_S and self._compiled == version
            if self.bus.is_connected and is_quiet and self._is_plant_known():
                return
            await asyncio.sleep(QUIET_S / 8)

    def _is_plant_known(self) -> bool:
        """Tell whether a plant, where there is to be one, has said what it is; it does so when it next speaks."""
        return self._plant is None or any(device.dialect == "sparkplug" for device in self.devices.all_devices())

    def mute(self, *, on: bool) -> None:
        """Have the microphone closed, or opened again, and tell the fleet."""
        (self._parts.muted.set if on else self._parts.muted.clear)()
        if self._reports is not None:
            keep_muted(self.settings.device.state_dir, on=on)
        log.info("muted" if on else "listening again")
        self.sign("muted" if on else "idle")
        if self._reports is not None:
            self._send(self._reports.state(online=True, muted=on))
        if self.fleet is not None:
            self.fleet.mute(on=on)

    def listen(self, by: str) -> None:
        """Listen to what is said next, as after a wake word."""
        self._parts.bell.ring(by)

    def stop_listening(self) -> None:
        """Listen to nobody before the next call."""
        self._parts.bell.hush()

    def use_threshold(self, unsure_below: float) -> None:
        """Have transcripts that are less sure refused, from the next sentence on, until the daemon ends."""
        self._unsure_below = unsure_below
        self._changed.set()

    def use_cutoff(self, cutoff: float) -> None:
        """Have wake words count from this probability on, until the daemon ends."""
        self._cutoff = cutoff
        if self.listening is not None:
            self.listening.use_cutoff(cutoff)

    def understand(self, text: str) -> Interpretation:
        """Return what a typed sentence means, without doing anything."""
        return self.interpreter.interpret(typed("query", text))

    def understood(self, text: str) -> tuple[Command, ...]:
        """Return the commands that a typed sentence means, without doing anything; none where it means none."""
        found = self.understand(text)
        return found.parts if isinstance(found, Command) else ()

    def only_one_named(self, name: str) -> Device | None:
        """Return the device that is called so, if it is the only one."""
        found = self.devices.named(name)
        return found[0] if len(found) == 1 else None

    async def answered(self, text: str) -> Answered:
        """Do what a typed sentence asks for, and return the answer instead of saying it."""
        steps: list[Step] = []

        def report(step: Step) -> None:
            steps.append(step)
            self._tell(step)

        self._typed += 1
        transcript = typed(f"t{self._typed}", text)
        self._tell(transcript)
        await obey(self.interpreter.interpret(transcript), replace(self._around, voices=(), report=report))
        answers = [one for one in steps if isinstance(one, Answer)]
        failed = any(isinstance(one, Rejection) for one in steps) or any(one.is_trouble for one in answers)
        return Answered(" ".join(one.text for one in answers), is_done=not failed)

    async def say(self, text: str) -> None:
        """Tell the person something."""
        await say(Answer("bus", text), self._around)

    def condition(self) -> Condition:
        """Return how this device is."""
        ear = self.listening
        hears = ear is None or self._parts.muted.is_set() or time.monotonic() - ear.heard_at < health.LISTENING_WITHIN_S
        return Condition(len(self.devices.all_devices()), self._unsure_below, self._cutoff, hears)

    async def obey(self, interpretation: Interpretation) -> tuple[Outcome, ...]:
        """Do what was understood."""
        return await obey(interpretation, self._around)

    async def obey_text(self, text: str) -> tuple[Outcome, ...]:
        """Do what a typed sentence asks for."""
        self._typed += 1
        transcript = typed(f"t{self._typed}", text)
        self._tell(transcript)
        return await self.obey(self.interpreter.interpret(transcript))

    async def hear(self, listening: Listening, source: Source) -> None:
        """Listen to a source to its end, and do what is said; one utterance after the other."""

        def too_busy(heard: Heard) -> None:
            found = heard.interpretation
            is_for_us = not isinstance(found, Rejection)
            self._tell(Rejection(heard.transcript.utterance, "busy", heard.transcript.text) if is_for_us else found)

        def at_once(heard: Heard) -> bool:
            if not is_urgent(heard.interpretation):
                return False
            self._tell(heard.transcript)
            self.orders.hurry(heard.interpretation)
            return True

        loop = asyncio.get_running_loop()

        def report(step: Step) -> None:
            self._parts.report(step)
            self._idleness.note(step)
            if isinstance(step, Woken):
                loop.call_soon_threadsafe(self._show, step)

        def produce(stop: threading.Event) -> Iterator[Heard]:
            return listening.hear(source(stop), report)

        async with running(produce, name="listen", overflow=too_busy, express=at_once) as all_heard:
            async for heard in all_heard:
                self._tell(heard.transcript)
                await self.obey(heard.interpretation)

    def _names_and_kinds(self) -> tuple[Names, frozenset[Kind]]:
        return self.devices.names(), frozenset(device.kind for device in self.devices.all_devices())

    def _compile(self, names: Names, kinds: frozenset[Kind]) -> Interpreter:
        everything = commands.merge([commands.built_in(self.settings.acting.commands), *self._own])
        self._taught_version = version_of(self._taught_folder)
        taught = load_taught(self._taught_folder)
        return interpreter_of(
            everything,
            lists_of(names),
            kinds,
            self._model,
            unsure_below=self._unsure_below,
            taught=taught,
            unique_names=names.unique,
        )

    def _tell(self, step: Step) -> None:
        self._parts.report(step)
        self._idleness.note(step)
        self.notes.note(step)
        if self.fleet is not None:
            self.fleet.note(step)
        message = None if self._reports is None else self._reports.event(step)
        if message is not None:
            self._send(message)
        self._show(step)

    def _show(self, step: Step) -> None:
        """Show what belongs to a step, and tell it to Home Assistant."""
        if (pattern := pattern_of(step)) is not None:
            self.sign(pattern)
        if self.control is not None:
            self.control.tell(step)

    def sign(self, pattern: Pattern) -> None:
        """Show a pattern; while the microphone is closed, "idle" is shown as that."""
        shown: Pattern = "muted" if pattern == "idle" and self._parts.muted.is_set() else pattern
        for sign in self._parts.signs:
            sign.show(shown)

    def _send(self, message: Message) -> None:
        if not self._events.full():
            self._events.put_nowait(message)
