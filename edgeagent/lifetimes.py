"""The daemon's lifetimes: opens everything, runs everything in one TaskGroup, ends everything in reverse."""

import asyncio
import fcntl
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeagent import health, memory, releases
from edgeagent.agent import Agent, Parts, Source
from edgeagent.bell import answer_rings
from edgeagent.bridges.services import Services, serve_wyoming
from edgeagent.bus import connect
from edgeagent.duties import doing
from edgeagent.errors import BusError, ModelError, SettingsError
from edgeagent.fleet.member import Member, house_reports
from edgeagent.fleet.settings_kept import KeptSettings
from edgeagent.fleet.side import FleetSide
from edgeagent.fleet.telling import down_for_good
from edgeagent.link import Bus
from edgeagent.listening import Listening
from edgeagent.muting import is_muted
from edgeagent.releases import InUse, count_start
from edgeagent.reports import Reports
from edgeagent.settings import AgentSettings, BrokerSettings
from edgeagent.updating import NewStartError

if TYPE_CHECKING:
    from edgeagent.board.onboard import OnBoard
    from edgeagent.sparkplug_link import SparkplugLink

log = logging.getLogger(__name__)

LOCK = "agent.lock"
"""In the state folder: two agents would obey everything twice."""


@asynccontextmanager
async def opened(
    settings: AgentSettings, parts: Parts, reports: Reports | None = None, member: Member | None = None
) -> AsyncIterator[Agent]:
    """Open the agent's obeying side while the block runs: bus, devices, grammar. It need not be connected yet.

    With `reports` it is the device itself on the bus, and a `member` of its fleet; without, an onlooker under a name
    of its own whose session is not kept. Raise EdgeAgentError if the settings can never work.
    """
    if reports is None:
        onlooker = settings.broker.model_copy(update={"session_expiry_s": 0})
        link = connect(onlooker, client_id=f"{settings.device.id}-{uuid.uuid4().hex[:8]}")
    else:
        greetings = reports.greetings if member is None or member.broker is not None else member.greetings
        link = connect(settings.broker, client_id=settings.device.id, will=reports.will, greetings=greetings)
    async with link as bus, _fleet(member, bus) as fleet, _plant(settings, is_onlooker=reports is None) as plant:
        joined = None if member is None else partial(FleetSide, member, fleet, parts.sound)
        agent = Agent(settings, bus, parts, reports, plant, joined)
        keeping_log: AbstractAsyncContextManager[None] = nullcontext()
        if agent.fleet is not None:
            keeping_log = agent.fleet.keeping_log()
        is_orderly = False
        try:
            async with keeping_log, doing(_duties(agent)):
                try:
                    yield agent
                finally:
                    await agent.notes.flush()
                    if agent.fleet is not None:
                        await agent.fleet.farewell()
                    if reports is not None:
                        await bus.publish(reports.state(online=False, reason="stopped"))
            is_orderly = True
        except BaseException as error:
            is_orderly = _is_asked_for(error)
            raise
        finally:
            agent.close(is_orderly=is_orderly)


def _duties(agent: Agent) -> dict[str, Coroutine[Any, Any, None]]:
    """Return what is to be done for ever on the obeying side."""
    duties: dict[str, Coroutine[Any, Any, None]] = {
        "observe": agent.observe(),
        "observe plant": agent.observe_plant(),
        "keep grammar": agent.keep_grammar(),
        "obey orders": agent.obey_orders(),
        "obey urgent orders": agent.orders.obey_urgent(),
        "send events": agent.send_events(),
        "agenda": agent.carry_out_due(),
        "watch lessons": agent.watch_lessons(),
        "notes": agent.notes.keep(),
    }
    if agent.control is not None:
        duties |= {
            "greet": agent.control.greet(agent.bus),
            "announce itself": agent.control.announce(),
            "watch itself": agent.control.watch(),
            "obey wishes": agent.control.obey(),
        }
    if agent.fleet is not None:
        duties |= agent.fleet.duties()
    return duties


def _is_asked_for(error: BaseException) -> bool:
    """Tell an end that somebody wanted from one by an error."""
    wanted = (asyncio.CancelledError, NewStartError)
    return error.split(wanted)[1] is None if isinstance(error, BaseExceptionGroup) else isinstance(error, wanted)


@asynccontextmanager
async def _fleet(member: Member | None, house: Bus) -> AsyncIterator[Bus]:
    """Give the link on which the fleet is met: one of its own where it has a broker of its own.

    Where that can never be one, the house is served all the same, and the link stays down.
    """
    if member is None or member.broker is None:
        yield house
        return
    will, greetings = member.reports.will, member.greetings
    async with AsyncExitStack() as stack:
        link = connect(member.broker, client_id=member.client_id, will=will, greetings=greetings)
        try:
            bus = await stack.enter_async_context(link)
        except BusError as error:
            log.error("the fleet cannot be met", extra={"problem": str(error), "remedy": error.remedy})  # noqa: TRY400
            bus = down_for_good(member.broker, member.client_id, f"{error}. {error.remedy}")
        yield bus


def _plant(settings: AgentSettings, *, is_onlooker: bool) -> "AbstractAsyncContextManager[SparkplugLink | None]":
    """Return the link to a plant that speaks Sparkplug; what it needs is loaded only where it is spoken."""
    if settings.sparkplug.host_id is None:
        return nullcontext(None)
    from edgeagent.sparkplug_link import sparkplug

    called = f"{settings.device.id}-{uuid.uuid4().hex[:8]}" if is_onlooker else settings.device.id
    client_id = f"{called}-sparkplug"
    return sparkplug(settings.sparkplug, settings.broker, client_id=client_id, is_onlooker=is_onlooker)


def _on_board(settings: AgentSettings, parts: Parts) -> "AbstractAsyncContextManager[OnBoard | None]":
    """Return the board's lamps and button; what they need is loaded only where there are any."""
    if not settings.board.is_used:
        return nullcontext(None)
    from edgeagent.board.onboard import on_board

    return on_board(settings, parts.muted)


async def run(settings: AgentSettings, made: Callable[[AgentSettings], tuple[Parts, Source]]) -> bool:
    """Be the device until the source ends or the task is cancelled: listen and obey, and tell the fleet.

    `made` gives what the user of the agent chooses, by the settings that are in force. Return whether the program is
    to be started anew, because another release has become current, or the fleet has changed settings.
    """
    try:
        settings.device.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{settings.device.state_dir}: cannot be made: {error.strerror or error}",
            remedy="Name a folder that can be written to: [device] state_dir.",
        ) from error
    with alone(settings.device.state_dir):
        count_start(settings)
        kept = KeptSettings(settings)
        in_force = kept.start() if settings.fleet.enabled else settings
        wants_new_start = False
        try:
            try:
                await _with_releases(in_force, kept, made)
            except* (SettingsError, ModelError) as group:
                if in_force is settings:
                    raise
                was_in_trial = kept.is_in_trial
                await asyncio.to_thread(kept.undo, str(_first(group)))
                if not was_in_trial:  # it may be none of their fault: they stay, and the next start tries them again
                    await _with_releases(settings, kept, made)
                wants_new_start = was_in_trial
        except* NewStartError:
            wants_new_start = True
        return wants_new_start


async def _with_releases(
    settings: AgentSettings, kept: KeptSettings, made: Callable[[AgentSettings], tuple[Parts, Source]]
) -> None:
    """Be the device with the releases that are current, or with what ships where they cannot be opened."""
    in_use = releases.in_use(settings)
    parts, source = made(settings)
    if is_muted(settings.device.state_dir):
        parts.muted.set()
    try:
        await _be_the_device(in_use, kept, parts, source)
    except* (SettingsError, ModelError) as group:
        if not in_use.versions:
            raise
        log.error("a release cannot be opened, what ships is", extra={"problem": str(group.exceptions[0])})  # noqa: TRY400
        await _be_the_device(releases.without(settings, in_use), kept, parts, source)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Be the only agent with this state folder while the block runs. Raise SettingsError if there is another.

    On a disk that cannot be written to, an agent that hears is better than none.
    """
    try:
        file = (state / LOCK).open("w")
    except OSError as error:
        log.warning("the state folder cannot be locked", extra={"problem": str(error)})
        yield
        return
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(
                f"{state}: another edgeagent is running with it",
                remedy="End it (systemctl stop edgeagent), or use another [device] state_dir.",
            ) from error
        yield


async def _be_the_device(in_use: InUse, kept: KeptSettings, parts: Parts, listening_source: Source) -> None:
    settings, muted = in_use.settings, parts.muted.is_set()
    member = Member(in_use, kept, muted=muted)
    reports = house_reports(member, settings, muted=muted)
    async with (
        _on_board(settings, parts) as board,
        reachable_broker(settings) as reachable,
        opened(reachable, parts if board is None else board.shown_by(parts), reports, member) as agent,
    ):
        listening, _ = await asyncio.gather(
            asyncio.to_thread(Listening, settings, lambda: agent.interpreter, parts.deaf, parts.bell, parts.sound),
            agent.settle(),
        )
        agent.listening = listening
        duties = {
            "watchdog": health.feed_watchdog(lambda: listening.heard_at),
            "free speech": agent.keep_free_speech(listening),
            "bell": answer_rings(settings.device.state_dir, agent.rung),
            "wyoming": serve_wyoming(
                settings,
                lambda: agent.interpreter,
                Services(agent.understood, agent.answered, agent.only_one_named, agent.keep_free_speech),
            ),
        }
        if agent.fleet is not None:
            duties |= agent.fleet.late_duties()
        if board is not None:
            duties |= board.duties(agent.rung, lambda: agent.bus.is_connected)
        async with doing(duties):
            health.notify("READY=1")
            await asyncio.to_thread(memory.give_back)
            log.info("ready", extra={"devices": len(agent.devices.all_devices()), "broker": agent.bus.is_connected})
            await agent.hear(listening, listening_source)


@asynccontextmanager
async def reachable_broker(settings: AgentSettings) -> AsyncIterator[AgentSettings]:
    """Give settings whose broker has a host: our own broker, started for the block, where none is named."""
    if settings.broker.host is not None:
        yield settings
        return
    from edgeagent.broker import embedded_broker

    own = settings.broker
    async with embedded_broker(own.embedded_host, own.embedded_port) as port:
        log.info("own broker", extra={"host": own.embedded_host, "port": port})
        yield with_broker(settings, "127.0.0.1", port)


def with_broker(settings: AgentSettings, host: str, port: int) -> AgentSettings:
    """Return the settings with another broker."""
    broker: BrokerSettings = settings.broker.model_copy(update={"host": host, "port": port})
    return settings.model_copy(update={"broker": broker})


def running_broker(settings: AgentSettings) -> AgentSettings:
    """Return settings that reach the broker that is running, the daemon's own where none is named."""
    own = settings.broker
    return settings if own.host is not None else with_broker(settings, "127.0.0.1", own.embedded_port)
