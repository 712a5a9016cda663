"""What a console needs, looked at one by one, and what is wrong with it, with what to do."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from edgeagent.bus import connect
from edgeagent.console import leases
from edgeagent.console.backup import check
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.external_authority import signer_of
from edgeagent.console.settings import ConsoleSettings
from edgeagent.console.tables import Device, User
from edgeagent.errors import EdgeAgentError
from edgeagent.fleet.identity_probe import ask

BROKER_WITHIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_well: bool
    found: str
    remedy: str = ""

    def as_row(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


async def findings(settings: ConsoleSettings) -> list[Finding]:
    """Look at everything."""
    return [
        await asyncio.to_thread(_looked, "database", lambda: _database(settings)),
        await asyncio.to_thread(_looked, "authority", lambda: _authority(settings)),
        await asyncio.to_thread(_looked, "repositories", lambda: _repositories(settings)),
        await _broker(settings),
    ]


def _looked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, is_well=True, found=look())
    except EdgeAgentError as error:
        return Finding(what, is_well=False, found=str(error), remedy=error.remedy)


def _database(settings: ConsoleSettings) -> str:
    database = Database(settings.database_url)
    if database.file is not None:
        if not database.file.exists():
            raise ConsoleError(f"{database.file}: is not there yet", remedy="`edgeagent console run` makes it.")
        check(database.file)
    with closing(database), database.reading() as session:
        devices = session.scalar(select(func.count()).select_from(Device)) or 0
        users = session.scalar(select(func.count()).select_from(User).where(User.disabled.is_(False))) or 0
        conductor = leases.holder_of(session, "conductor", time.time())
    if not users:
        raise ConsoleError("nobody can log in", remedy="`edgeagent console user add NAME --role admin` adds somebody.")
    return f"{devices} devices, {users} users, {'a console conducts' if conductor else 'no console conducts'}"


def _authority(settings: ConsoleSettings) -> str:
    if settings.authority is None:
        return "none: devices are enrolled elsewhere, or taken in as they come"
    own, _ = signer_of(settings.authority)
    days = (own.ends - time.time()) / 86_400
    return f"its root ends in {days:.0f} days"


def _repositories(settings: ConsoleSettings) -> str:
    folders = settings.console.repositories
    for folder in folders:
        if not (folder / "metadata").is_dir():
            raise ConsoleError(f"{folder}: is no repository", remedy="`edgeagent release init` makes one.")
    return ", ".join(map(str, folders)) or "none: rollouts of settings only"


async def _broker(settings: ConsoleSettings) -> Finding:
    link = settings.link.model_copy(update={"session_expiry_s": 0})
    where = f"{link.host}:{link.port}"
    try:
        if link.tls is not None:
            # By certificate it would have the name of the console that runs, and end its session: it only knocks.
            if await asyncio.to_thread(ask, link) == "accepted":
                return Finding("broker", is_well=True, found=f"{where} takes our certificate")
            return Finding("broker", is_well=False, found=f"{where} refuses our certificate", remedy=_REFUSED)
        async with connect(link, client_id=f"console-check-{secrets.token_hex(4)}") as bus:
            with suppress(TimeoutError):
                async with asyncio.timeout(BROKER_WITHIN_S):
                    await bus.until(connected=True)
            if bus.is_connected:
                return Finding("broker", is_well=True, found=f"{where} answers, MQTT {bus.protocol}")
            return Finding("broker", is_well=False, found=f"{where} is not reached", remedy=bus.trouble or "")
    except EdgeAgentError as error:
        return Finding("broker", is_well=False, found=str(error), remedy=error.remedy)


_REFUSED = "Take a certificate of its authority: `edgeagent console broker renew` makes one."
