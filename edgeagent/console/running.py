"""A console's lifetimes: opens everything, runs everything in one TaskGroup, ends everything in reverse.

Rules:
    - Several consoles on one database all take messages and serve pages; the one that holds the lease conducts: it
      advances rollouts, publishes what is due, enforces revocations and removes what is old.
    - A console that is killed has forgotten nothing: what it was about to do is in the database.
"""

import asyncio
import contextlib
import fcntl
import gc
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgeagent import health
from edgeagent.bus import connect
from edgeagent.console.backup import in_use
from edgeagent.console.certificates import Broker
from edgeagent.console.conducting import ENFORCE_EVERY_S, PRUNE_EVERY_S, Conductor, enforce_all, prune_all
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.external_authority import signer_of
from edgeagent.console.news import News
from edgeagent.console.prometheus import Figures
from edgeagent.console.serving import LookAfter, serving
from edgeagent.console.settings import ConsoleSettings, WebSection
from edgeagent.console.tables import Fleet
from edgeagent.console.web.app import make_app
from edgeagent.console.worker import Worker
from edgeagent.duties import doing

log = logging.getLogger(__name__)

_COLLECT = 50_000, 20, 100
"""When the collector looks: rows of ten thousand devices are many objects, none of them in circles."""


async def run(settings: ConsoleSettings, ready: Callable[[str], None] = lambda _: None) -> None:
    """Be the console until the task is cancelled. `ready` is told where the pages are.

    Raise EdgeAgentError if the settings can never work, or another console has this one's name.
    """
    with _data_dir(settings), _listening(settings.web) as listener:
        database = Database(settings.database_url)
        with in_use(database.file) if database.file else contextlib.nullcontext():
            try:
                await asyncio.to_thread(_prepare, database, settings)
                await _be_the_console(settings, database, listener, ready)
            finally:
                database.close()


async def _be_the_console(
    settings: ConsoleSettings, database: Database, listener: socket.socket, ready: Callable[[str], None]
) -> None:
    news, figures = News(), Figures(database)
    own, signer = signer_of(settings.authority) if settings.authority else (None, None)
    link = settings.link
    client_id = f"console-{settings.console.name}"
    async with connect(link, client_id=client_id, reserved=link.receive_maximum, asks_always=True) as bus:
        worker = Worker(settings.console, bus, database, news, figures)
        worker.signer = signer
        app = make_app(database, settings, publisher_news=news, publish=worker.publish)
        app.state.figures = figures
        app.add_middleware(LookAfter, look=worker.look)
        conductor = Conductor(settings.console.name, database, worker, figures)
        duties = {
            "take": worker.take(),
            "send": worker.send(),
            "keep subscribed": worker.keep_subscribed(),
            "conduct": conductor.conduct(),
            "prune": conductor.every(PRUNE_EVERY_S, "prune", lambda: prune_all(database, settings.keep)),
        }
        if settings.authority is not None and own is not None:
            broker = Broker(link, settings.authority.crl, settings.authority.reload, settings.authority.revoke)
            duties["enforce"] = conductor.every(ENFORCE_EVERY_S, "enforce", lambda: enforce_all(database, own, broker))
        async with serving(app, settings.web, listener) as pages, doing(duties | {"pages": _until_ended(pages)}):
            health.notify("READY=1")
            where = _where(settings, listener)
            log.info("console ready", extra={"pages": where, "database": database.url.render_as_string()})
            ready(where)
            try:
                await asyncio.Event().wait()
            finally:
                await conductor.let_go()


def _prepare(database: Database, settings: ConsoleSettings) -> None:
    database.migrate()
    with database.session() as session:
        for fleet in settings.console.fleets:
            if session.get(Fleet, fleet) is None:
                session.add(Fleet(name=fleet, created=time.time()))


@contextmanager
def _data_dir(settings: ConsoleSettings) -> Iterator[None]:
    """Have the data folder, and be the only console with this name in it, while the block runs."""
    folder, name = settings.console.data_dir, settings.console.name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / f"console-{name}.lock").open("a")
    except OSError as error:
        raise ConsoleError(
            f"{folder}: cannot be used: {error.strerror or error}",
            remedy="Name a folder that can be written to: data_dir.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConsoleError(
                f"another console runs under the name {name!r} with {folder}",
                remedy="End it (systemctl stop edgeagent-console), or give this one another name in [console].",
            ) from error
        yield


@contextmanager
def _listening(web: WebSection) -> Iterator[socket.socket]:
    """Listen on the port of the pages while the block runs. Raise ConsoleError if it is in use."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        listener = socket.create_server((web.host, web.port), family=family, backlog=512)
    except OSError as error:
        raise ConsoleError(
            f"the pages cannot be served on {web.host}:{web.port}: {error.strerror or error}",
            remedy="Name another port or address in [web], or end what uses it.",
        ) from error
    # asyncio sets it only on sockets that name their protocol: without it an answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


async def _until_ended(serving: "asyncio.Task[None]") -> None:
    """Wait until the pages are served no more, and raise ConsoleError."""
    await asyncio.wait([serving])
    raise ConsoleError("the pages are served no more", remedy="Report this, with the log.")


def _where(settings: ConsoleSettings, listener: socket.socket) -> str:
    if settings.web.origin is not None:
        return settings.web.origin
    port = listener.getsockname()[1]
    return settings.model_copy(update={"web": settings.web.model_copy(update={"port": port})}).origin


def collect_seldom() -> None:
    """Have what is loaded by now left alone by the collector: looking through it would make one page in ten slow."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
