"""What only one console does at a time: rollouts advanced, revocations enforced, what is old removed.

Rules:
    - The one that holds the lease does it; one that is gone is followed when its lease has run out.
    - Nothing is judged before everything was heard that waited for this console, nor while it hears nothing.
    - What fails is told once, and tried again; it stops nothing else.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from edgeagent import health
from edgeagent.console import leases
from edgeagent.console.authority import Authority
from edgeagent.console.certificates import Broker, enforce, fresh, is_enforced, recall, revoked
from edgeagent.console.database import Database
from edgeagent.console.ingest import Effects
from edgeagent.console.prometheus import Figures
from edgeagent.console.retention import prune
from edgeagent.console.rollouts.engine import step
from edgeagent.console.settings import KeepSection
from edgeagent.console.silence import give_up_silent
from edgeagent.console.worker import Worker
from edgeagent.errors import EdgeAgentError

log = logging.getLogger(__name__)

CONDUCTOR = "conductor"
CONDUCT_EVERY_S = 1.0
ENFORCE_EVERY_S = 2.0
SILENCE_EVERY_S = 15.0
PRUNE_EVERY_S = 600.0
AGAIN_AFTER_S = 5.0
"""What has failed is tried again after this long."""


class Conductor:
    """Does what only one console may do at a time, while this one holds the lease."""

    def __init__(self, name: str, database: Database, worker: Worker, figures: Figures) -> None:
        """Hold nothing yet; one that was killed holds what it held, and has it again at once."""
        self._database = database
        self._worker = worker
        self._figures = figures
        self._silence_s = 0.0
        self._complaints: dict[str, str] = {}
        self._holder = f"{name}@{socket.gethostname()}"[:64]

    async def conduct(self) -> None:
        """Hold the lease, or wait for it; advance the rollouts while it is held."""
        while True:
            is_mine = bool(await self._tried("lease", self._hold))
            if is_mine != self._worker.is_conductor:
                log.info("conducting" if is_mine else "not conducting")
            self._worker.is_conductor = is_mine
            self._figures.is_conductor.set(is_mine)
            if is_mine:
                # A transaction of its own: what is due goes out also where a rollout cannot be advanced.
                if self._worker.is_caught_up:
                    await self._tried("rollouts", self._step)
                    await self._give_up_silent()
                self._worker.look()
            health.notify("WATCHDOG=1")
            await asyncio.sleep(CONDUCT_EVERY_S)

    async def every(self, seconds: float, what: str, do: Callable[[], object]) -> None:
        """Do something in a thread, again and again, while this console conducts; what fails is tried again."""
        while True:
            wait_s = seconds if self._worker.is_conductor else CONDUCT_EVERY_S
            if self._worker.is_conductor and await self._tried(what, do) is None:
                wait_s = min(seconds, AGAIN_AFTER_S)
            await asyncio.sleep(wait_s)

    async def let_go(self) -> None:
        """Give the lease back: another console need not wait for its end."""
        self._worker.is_conductor = False
        await self._tried("let go", self._give_back)

    async def _tried(self, what: str, do: Callable[[], object]) -> object:
        """Do something in a thread; return None where it failed."""
        try:
            found = await asyncio.to_thread(do)
        except Exception as error:  # noqa: BLE001  # what cannot be carried on must not stop what devices tell
            self._complain(what, error)
            return None
        self._complaints.pop(what, None)
        return found

    def _complain(self, what: str, error: Exception) -> None:
        self._figures.troubles.labels(what).inc()
        if self._complaints.get(what) == repr(error):
            return  # once, not every second of a long night
        self._complaints[what] = repr(error)
        is_known = isinstance(error, EdgeAgentError)
        remedy = error.remedy if isinstance(error, EdgeAgentError) else "Report this, with the log."
        more = {"problem": str(error), "remedy": remedy}
        log.warning("%s failed", what, extra=more, exc_info=None if is_known else error)

    def _hold(self) -> bool:
        with self._database.session() as session:
            return leases.hold(session, CONDUCTOR, self._holder, time.time())

    def _step(self) -> bool:
        with self._database.session() as session:
            step(session, time.time())
        return True

    async def _give_up_silent(self) -> None:
        listened_s, at_s = self._worker.listened_s, time.monotonic()
        if listened_s is None or at_s < self._silence_s:
            return
        self._silence_s = at_s + SILENCE_EVERY_S
        effects = await self._tried("silence", lambda: self._silent(listened_s))
        if isinstance(effects, Effects):
            self._worker.tell(effects)

    def _silent(self, listened_s: float) -> Effects:
        with self._database.session() as session:
            return give_up_silent(session, time.time(), listened_s)

    def _give_back(self) -> bool:
        with self._database.session() as session:
            leases.let_go(session, CONDUCTOR, self._holder)
        return True


def prune_all(database: Database, keep: KeepSection) -> bool:
    """Remove everything that is old."""
    removed = 1
    while removed:
        with database.session() as session:
            removed = prune(session, keep, time.time())
    return True


def enforce_all(database: Database, own: Authority, broker: Broker) -> bool:
    """Have the broker refuse every certificate that is revoked, where it does not yet."""
    now = time.time()
    with database.session() as session:
        recall(session, broker.crl, now)
        wanted = revoked(session, now)
        if is_enforced(wanted, broker.crl):
            return True
        devices = fresh(session, wanted, broker.crl)
    enforce(wanted, devices, own, broker, now)
    log.info("revocation enforced", extra={"devices": devices[:20], "certificates": len(wanted)})
    return True
