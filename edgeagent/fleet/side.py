"""The device's side of its fleet, in the daemon: settings and jobs in; births, samples, events and results out.

Rules:
    - Listening never waits for the fleet, and never ends because of it, whether it is there or not.
    - Whatever comes is measured, read strictly, and put down before it is acknowledged; what is none is counted.
    - The agent begins anew for the fleet only while nobody is being served.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cached_property, partial
from typing import Any, Protocol

from edgeagent import jobs, topics, voice_health
from edgeagent.errors import PayloadError
from edgeagent.fleet import log_lines, wire
from edgeagent.fleet.clerk import Clerk
from edgeagent.fleet.errands import Errands, Shown
from edgeagent.fleet.member import Member
from edgeagent.fleet.outbox import Outbox
from edgeagent.fleet.sampling import Sampling
from edgeagent.fleet.settling import Settling
from edgeagent.fleet.telling import reject, tell
from edgeagent.fleet.working import Work
from edgeagent.hear.quality import SoundQuality
from edgeagent.inbox import Received
from edgeagent.link import Bus
from edgeagent.messages import Message, Step
from edgeagent.orders import Orders
from edgeagent.updating import Updating

log = logging.getLogger(__name__)

WAITING_EVENTS = 100
WAITING_S = 10.0
"""After a connection, for which what comes may have waited on the broker."""


class Host(Shown, Protocol):
    """Whom the fleet's side serves: the agent."""

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody is being served."""

    @property
    def orders(self) -> Orders:
        """Return who takes orders."""


class FleetSide:
    """What is told to the fleet, and done for it."""

    def __init__(self, member: Member, bus: Bus, sound: SoundQuality, host: Host) -> None:
        """Begin with what is on the disk. `bus` is the link on which the fleet is met."""
        self._member, self._bus, self._host = member, bus, host
        self._settings, self._reports, self._address = member.settings.fleet, member.reports, member.reports.address
        state = member.settings.device.state_dir
        self.health = voice_health.VoiceHealth(state / voice_health.HEALTH, member.in_use.names, time.monotonic)
        self.updating = Updating(member.in_use, bus, self._address, self.health, lambda: host.is_idle)
        undo_after_s = self._settings.undo_after_s
        self._settling = Settling(member.kept, bus, self._address, undo_after_s, lambda: host.is_idle)
        self._clerk = Clerk(state)
        self._sampling = Sampling(member.reports, bus, self._clerk, sound, state)
        self._errands = Errands(member, self._clerk, self._settling, self._sampling, self.updating)
        self._renewing = member.renewing(bus)
        self._work = Work(self._clerk, self._errands.chores(host), self._errands.clean)
        self._events: asyncio.Queue[Message] = asyncio.Queue(WAITING_EVENTS)
        self._desired = wire.down(self._address).removesuffix("#") + "desired"

    @property
    def is_apart(self) -> bool:
        """Tell whether the fleet is met on a broker of its own."""
        return self._member.broker is not None

    @cached_property
    def filters(self) -> tuple[str, ...]:
        """Return what is to be heard from the bus, beside orders."""
        ours = (self._address.job, self._desired) if self._settings.enabled else ()
        certificate = () if self._renewing is None else (self._renewing.topic(self._address),)
        return tuple(dict.fromkeys((*ours, *certificate, *self.updating.filters)))

    def duties(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Return what is to be done for ever, from the opening on."""
        duties: dict[str, Coroutine[Any, Any, None]] = {"tell of updates": self.updating.tell()}
        if self.is_apart:
            duties |= {"hear the fleet": self._observe(), "events for the fleet": self._send_events()}
        if self._renewing is not None:
            duties["renew the certificate"] = self._renewing.keep_renewed()
        if self._settings.enabled:
            duties |= {
                "jobs of the fleet": self._work.keep(),
                "results for the fleet": self._work.tell(self._bus, self._address),
                "samples": self._sampling.keep(self._settings.sample_every_s),
                "samples that wait": self._sampling.send_waiting(),
            }
        return duties

    def late_duties(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Return what is to be done for ever once the device listens. They may raise NewStartError."""
        duties = {"updates": self.updating.keep()}
        return duties | {"settings of the fleet": self._settling.keep()} if self._settings.enabled else duties

    def keeping_log(self) -> AbstractAsyncContextManager[None]:
        """Keep what is logged while the block runs."""
        return log_lines.kept(self._errands.lines)

    async def take(self, received: Received) -> bool:
        """Take what came for the fleet's side. Return False for anything else. Never raises for what came."""
        if received.topic not in self.filters:
            return False
        await self._contained(received)
        return True

    def note(self, step: Step) -> None:
        """Count a step, and tell it where the fleet has a link of its own."""
        self.health.note(step)
        self._sampling.counted.note(step)
        self._errands.said.note(step)
        message = self._reports.event(step) if self.is_apart else None
        if message is not None:
            self._send(message)

    def mute(self, *, on: bool) -> None:
        """Tell the fleet that the microphone is closed, or open, where it has a link of its own."""
        if self.is_apart:
            self._send(self._reports.state(online=True, muted=on))

    async def tell_sample(self) -> None:
        """Tell what is counted and measured now, or keep it until the fleet is back."""
        await self._sampling.tell()

    async def farewell(self) -> None:
        """Tell the last of this run, and that it is over."""
        if self._settings.enabled:
            await self._sampling.farewell()
        if self.is_apart:
            await tell(self._bus, self._reports.state(online=False, reason="stopped"))

    def close(self, *, is_orderly: bool) -> None:
        """Put down what is counted, once nothing happens any more; `is_orderly`: no error has ended it."""
        self.updating.close()
        self.health.save(is_over=is_orderly)
        self._clerk.close()

    def _send(self, message: Message) -> None:
        if not self._events.full():
            self._events.put_nowait(message)

    async def _send_events(self) -> None:
        while True:
            await tell(self._bus, await self._events.get())

    async def _observe(self) -> None:
        """Take what comes over the fleet's own link, for ever."""
        self._bus.subscribe(self._address.orders, *self.filters)
        async for received in self._bus.received():
            await self._contained(received)

    async def _contained(self, received: Received) -> None:
        try:
            is_taken = await self._take(received)
        except PayloadError:
            is_taken = True
            self._sampling.refused += 1
        except Exception:  # the boundary: who sends what breaks us ends nothing
            log.exception("message of the fleet not taken", extra={"topic": received.topic})
            is_taken = True
            self._sampling.refused += 1
        if is_taken:
            received.acknowledge()

    async def _take(self, received: Received) -> bool:
        """Take a message; return whether it is to be acknowledged here. Raise PayloadError for what is none of ours."""
        if self._renewing is not None and await self._renewing.take(received):
            return False
        if self.is_apart and topics.matches(self._address.orders, received.topic):
            await self._host.orders.take(received, self._address)
            return False
        if received.topic == self._desired:
            await self._settling.take(received.payload)
            return True
        if received.topic == self._address.job and await self._is_ours(received):
            return True
        if await self.updating.take(received):
            if received.topic == self._address.job and self.updating.seen:
                await self._see(self.updating.seen)
            return False
        raise PayloadError(f"{received.topic}: nothing of ours")

    async def _see(self, job_id: str) -> None:
        """Have the next birth say that this is the last job that has come, also after a start."""
        if self._settings.enabled and self._member.job != job_id:
            self._member.job = job_id
            await self._clerk(partial(Outbox.see, job_id=job_id))

    async def _is_ours(self, received: Received) -> bool:
        """Take a job; return False for one of the updates. Raise PayloadError for what is none."""
        if not self._settings.enabled:
            return False
        try:
            asked = jobs.fleet_job_of(received.payload)
        except PayloadError as error:
            log.warning("job refused", extra={"problem": str(error)})
            await reject(self._bus, self._address, jobs.name_of(received.payload), "bad-job", str(error))
            raise
        match asked:
            case wire.FleetJob():
                # What was sent before the connection comes with the mark, or at once.
                is_live = not received.retained and self._member.met_s > WAITING_S
                await self._work.take(asked, is_live=is_live)
                self._member.job = asked.id
                return True
            case jobs.CancelJob() if await self._work.cancel(asked.id):
                await self._see(asked.id)
                return True
        return False
