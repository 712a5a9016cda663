"""Settings that the fleet wants, tried by a new start, and kept or undone by whether it was reached with them."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from edgeagent.errors import PayloadError
from edgeagent.fleet import settings_wanted as rules
from edgeagent.fleet import wire
from edgeagent.fleet.settings_kept import KeptSettings
from edgeagent.fleet.settings_wanted import Kept
from edgeagent.fleet.telling import tell
from edgeagent.link import Bus
from edgeagent.topics import Address
from edgeagent.updating import NewStartError

log = logging.getLogger(__name__)

LOOK_S = 0.5
AGAIN_S = 3_600.0
"""After so long, a run that goes without what was kept makes room for a start that tries it again."""


class Settling:
    """How this device stands to the settings that are wanted, and whether it is to begin anew."""

    def __init__(
        self, kept: KeptSettings, bus: Bus, address: Address, undo_after_s: float, is_idle: Callable[[], bool]
    ) -> None:
        """Begin with what was put down. A new start waits until `is_idle`."""
        self._files, self._bus, self._address = kept, bus, address
        self._undo_after_s, self._is_idle = undo_after_s, is_idle
        self.wants_new_start = False
        """Set by who wants one for another reason."""
        self._is_vouched_for = False
        """Whether what is in trial was wanted over this link: links do not outlive a start."""
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def kept(self) -> Kept:
        """Return how things stand."""
        return self._files.kept

    @property
    def aside(self) -> str:
        """Return why this run goes without the settings that were kept, empty where it does not."""
        return self._files.aside

    async def changed(self) -> None:
        """Wait until things stand in another way. For one who waits."""
        await self._news.wait()
        self._news.clear()

    async def take(self, payload: bytes) -> None:
        """Take what the fleet wants, and tell it how we stand to that. Raise PayloadError for what is no wish."""
        if not payload:
            return  # the pointer was taken away: what was wanted stays
        try:
            wanted = wire.read(wire.Desired, payload, largest=wire.LARGEST_BYTES)
        except PayloadError as error:
            log.warning("settings refused", extra={"problem": str(error)})
            raise
        self._is_vouched_for = self._is_vouched_for or rules.is_own_wish(self.kept, wanted)
        await self._change(partial(self._files.desire, wanted, is_reached=self._bus.is_connected))

    async def keep(self) -> None:
        """Try, keep or undo settings, for ever.

        Raise NewStartError when others are to be in force than are, or somebody wants a new start.
        """
        began = reached_at = time.monotonic()
        while True:
            now = time.monotonic()
            is_elsewhere = rules.leads_elsewhere(self.kept, is_apart=self._files.settings.fleet.broker is not None)
            is_reached = self._bus.is_connected and (self._is_vouched_for or not is_elsewhere)
            reached_at = now if is_reached else reached_at
            if self.kept.standing == "trial":
                if now - began >= rules.trial_s(self._undo_after_s) and (is_reached or self.kept.starts):
                    await self._change(self._files.reach if is_reached else self._files.last)
                if rules.is_cut_off(self.kept, now - reached_at, self._undo_after_s, is_elsewhere=is_elsewhere):
                    await self._undo()
            if self._files.may_fit_later and now - began >= AGAIN_S:
                self.wants_new_start = True
            if (self._files.is_new_start_due or self.wants_new_start) and self._is_idle():
                log.info("a new start", extra={"standing": self.kept.standing, "version": self.kept.version})
                raise NewStartError
            await asyncio.sleep(LOOK_S)

    async def _undo(self) -> None:
        trouble = self._bus.trouble or ("a broker without its wish" if self._bus.is_connected else "no answer")
        why = f"the fleet was not reached with them for {self._undo_after_s:g} s: {trouble}"
        await self._change(partial(self._files.undo, why))

    async def _change(self, change: Callable[[], None]) -> None:
        """Have one thing change after the other, on the disk, and tell the fleet."""
        async with self._writing:
            await asyncio.to_thread(change)
        self._news.set()
        await tell(self._bus, wire.reported(self._address, self._files.report()))
