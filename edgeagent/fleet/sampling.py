"""What was counted and measured, told to the fleet every few minutes, and kept for it while it is away."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from edgeagent.errors import BusError
from edgeagent.fleet import wire
from edgeagent.fleet.clerk import Clerk
from edgeagent.fleet.gauges import gauges
from edgeagent.fleet.metrics import Counted
from edgeagent.fleet.outbox import Outbox
from edgeagent.fleet.telling import tell
from edgeagent.hear.quality import SoundQuality
from edgeagent.link import Bus
from edgeagent.messages import Message
from edgeagent.reports import Reports

FAREWELL_S = 1.0
AFTER_REFUSAL_S = 30.0


class Sampling:
    """Makes samples, and sees to it that the fleet gets them. `refused` counts messages that were none for us."""

    def __init__(self, reports: Reports, bus: Bus, clerk: Clerk, sound: SoundQuality, state: Path) -> None:
        """Begin to count."""
        self._reports, self._bus, self._clerk, self._sound, self._state = reports, bus, clerk, sound, state
        self.counted = Counted(time.monotonic)
        self.refused = 0
        self._has_waiting = asyncio.Event()
        if clerk.has_anything:
            self._has_waiting.set()

    def sample(self) -> wire.Sample:
        """Return what is counted and measured now."""
        measured = gauges(self._state)
        if self._sound.noise_floor_db is not None:
            measured["noise_floor_db"] = round(self._sound.noise_floor_db, 1)
        return self.counted.sample(self._reports.boot, time.time(), self._counters(), measured)

    async def keep(self, every_s: float) -> None:
        """Tell a sample every so many seconds, for ever."""
        while True:
            await asyncio.sleep(every_s)
            await self.tell()

    async def tell(self) -> None:
        """Tell a sample, or keep it while the fleet is away."""
        message = self._message(wire.written(self.sample()))
        if self._bus.is_connected and not self._has_waiting.is_set():
            await tell(self._bus, message)
        else:
            await self._clerk(partial(Outbox.keep_sample, body=message.payload))
            self._has_waiting.set()

    async def farewell(self) -> None:
        """Tell the last sample of this run."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.tell(), FAREWELL_S)

    async def send_waiting(self) -> None:
        """Send samples that have waited, the oldest first, for ever."""
        while True:
            await self._has_waiting.wait()
            await self._bus.until(connected=True)
            waiting = await self._clerk(lambda outbox: outbox.samples())
            if not waiting:
                self._has_waiting.clear()
            for seq, body in waiting:
                if not await self._is_sent(body):
                    await asyncio.sleep(AFTER_REFUSAL_S)
                    break
                await self._clerk(partial(Outbox.forget_sample, seq=seq))

    async def _is_sent(self, body: bytes) -> bool:
        with suppress(BusError):
            return await self._bus.deliver(self._message(body, is_acknowledged=True))
        return True  # what can never be sent is let go

    def _message(self, body: bytes, *, is_acknowledged: bool = False) -> Message:
        return Message(f"{self._reports.address.up}/metrics", body, qos=1 if is_acknowledged else 0)

    def _counters(self) -> Mapping[str, int]:
        bus, sound = self._bus, self._sound
        return {
            "frames": sound.frames,
            "clipped": sound.clipped,
            "overflows": sound.overflows,
            "fleet_connections": bus.counters.connections,
            "fleet_failures": bus.counters.failures,
            "fleet_refused": self.refused + bus.counters.malformed + bus.counters.contained,
            "fleet_dropped": bus.inbox.dropped + bus.inbox.oversize + bus.outbox.dropped + bus.counters.oversize,
        }
