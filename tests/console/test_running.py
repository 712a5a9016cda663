"""The console as a program: killed, started again, ended, twice at once; nothing is lost and nothing done twice."""

import asyncio
import json
import sqlite3
import time
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run, settings
from console.running_console import BROKER, RunningConsole, running_console
from console.telling import birth, event, progress, state
from sqlalchemy import func, select

from edgeagent.bus import Bus, connect
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.leases import holder_of
from edgeagent.console.running import run as run_console
from edgeagent.console.tables import Device, Event, Fleet, Job
from edgeagent.messages import Message

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
DEVICES, JOBS = 20, 40


def opened(console: RunningConsole) -> Database:
    return Database(console.settings.database_url)


def prepare(folder: Path) -> Database:
    """A database with devices that have jobs under way."""
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        for number in range(DEVICES):
            device = Device(fleet="home", name=f"d{number}", created=1.0)
            session.add(device)
            session.flush()
            session.add_all(
                Job(id=f"j-{number}-{one}", device=device.id, kind="restart", body={}, state="sent", created=1.0)
                for one in range(JOBS)
            )
    return database


def stream() -> list[Message]:
    """What the devices tell of their jobs, each in its order, all at the same time."""
    told = []
    for one in range(JOBS):
        for step, what in enumerate(("accepted", "working", "done"), start=1):
            for number in range(DEVICES):
                job = f"j-{number}-{one}"
                told.append(progress(f"d{number}", job, step, what, result={"n": one} if what == "done" else {}))
        fault = json.dumps({"boot": "boot-1", "seq": one + 2, "n": one}).encode()
        told += [event(f"d{number}", "fault", fault) for number in range(DEVICES)]
    return told


async def tell(bus: Bus, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 40):
        assert all(await asyncio.gather(*(bus.deliver(one) for one in messages[start : start + 40])))


def ended(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Job).where(Job.ended.is_not(None))) or 0


@pytest.mark.slow
def test_a_console_that_is_killed_again_and_again_in_a_stream_of_results_has_each_of_them_once(tmp_path: Path) -> None:
    database = prepare(tmp_path / "data")

    async def test() -> None:
        with mosquitto(BROKER) as broker, running_console(tmp_path / "data", broker.port) as console:
            async with connect(settings(broker.port, outbox=10_000), client_id="devices") as bus:
                await tell(bus, [birth(f"d{number}") for number in range(DEVICES)])
                told = stream()
                for part in (told[:1_000], told[1_000:2_000], told[2_000:]):
                    with closing(sqlite3.connect(tmp_path / "data" / "console.db", isolation_level=None)) as other:
                        # What comes now is taken from the broker, and cannot be written before the end.
                        other.execute("BEGIN IMMEDIATE")
                        await tell(bus, part[:500])
                        console.kill()
                    await asyncio.to_thread(console.start)
                    before = ended(database)
                    telling = asyncio.create_task(tell(bus, part[500:]))
                    await eventually(lambda before=before: ended(database) > before, within_s=60)  # type: ignore[misc]
                    console.kill()  # while it writes
                    await telling
                    await asyncio.to_thread(console.start)
                await eventually(lambda: ended(database) == DEVICES * JOBS, within_s=60)
                await eventually(lambda: _events(database) == DEVICES * JOBS, within_s=60)

    run(test(), within_s=110)
    with database.reading() as session:
        for job in session.scalars(select(Job)):
            assert (job.state, job.step, job.result) == ("done", 3, {"n": int(job.id.rpartition("-")[2])})
        told = session.execute(select(Event.device, Event.body).where(Event.kind == "fault")).all()
    assert len({(device, body["n"]) for device, body in told}) == len(told)
    database.close()


def _events(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Event).where(Event.kind == "fault")) or 0


def conductor(database: Database) -> str:
    with database.reading() as session:
        return holder_of(session, "conductor", time.time())


@pytest.mark.slow
def test_two_consoles_on_one_database_both_work_and_one_conducts_and_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    async def test() -> None:
        with mosquitto(BROKER) as broker, running_console(folder, broker.port, name="a") as one:
            database = opened(one)
            await eventually(lambda: conductor(database) != "")
            first = conductor(database)
            with running_console(folder, broker.port, name="b") as two:
                async with connect(settings(broker.port), client_id="devices") as bus:
                    both = [
                        birth("kitchen"),
                        state("kitchen"),
                        event("kitchen", "fault", b'{"boot": "boot-1", "seq": 3}'),
                    ]
                    await tell(bus, both)
                    await eventually(lambda: _events(database) >= 1)
                    for console in (one, two):
                        with urllib.request.urlopen(f"http://127.0.0.1:{console.web_port}/login") as page:  # noqa: ASYNC210
                            assert page.status == 200
                    assert conductor(database) == first
                    one.kill()
                    await tell(bus, [state("kitchen", seq=4, muted=True)])
                    await eventually(lambda: _muted(database))
                    # The lease of who was killed runs out, and the other takes it.
                    await eventually(lambda: conductor(database) not in {"", first}, within_s=30)
                    assert _events(database) == 1
                    assert two.end() == 0
                    assert conductor(database) == ""  # who ends in order gives it back
            database.close()

    run(test(), within_s=90)


def _muted(database: Database) -> bool:
    with database.reading() as session:
        return bool(session.scalar(select(Device.muted)))


def test_two_consoles_of_one_name_are_told_apart_and_a_port_in_use_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker, running_console(tmp_path, broker.port) as console:
            with pytest.raises(ConsoleError, match="another console runs under the name '1'"):
                await run_console(console.settings)
            other = console.settings.model_copy(
                update={"console": console.settings.console.model_copy(update={"name": "2"})}
            )
            with pytest.raises(ConsoleError, match="pages cannot be served") as caught:
                await run_console(other)
            assert "[web]" in caught.value.remedy
            assert console.end() == 0
            assert "Traceback" not in console.log.read_text()

    run(test(), within_s=60)


def test_a_console_whose_database_is_held_by_another_program_goes_on_afterwards_a86(tmp_path: Path) -> None:
    async def test() -> None:
        more = f'[database]\nurl = "sqlite:///{tmp_path}/console.db?timeout=0.2"'
        with mosquitto(BROKER) as broker, running_console(tmp_path, broker.port, more=more) as console:
            database = opened(console)
            async with connect(settings(broker.port), client_id="devices") as bus:
                with closing(sqlite3.connect(tmp_path / "console.db", isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    await tell(bus, [birth("kitchen"), state("kitchen")])
                    await eventually(lambda: "database away" in console.log.read_text(), within_s=20)
                    other.execute("ROLLBACK")
                await eventually(lambda: _online(database) == 1, within_s=20)
            database.close()
            assert console.end() == 0

    run(test(), within_s=60)


def test_a_console_starts_without_its_broker_and_hears_the_fleet_once_that_is_there(tmp_path: Path) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            broker.stop()
            with running_console(tmp_path, broker.port) as console:
                with urllib.request.urlopen(f"http://127.0.0.1:{console.web_port}/login") as page:  # noqa: ASYNC210
                    assert page.status == 200
                broker.start()
                database = opened(console)
                async with connect(settings(broker.port), client_id="devices") as bus:
                    await tell(bus, [birth("kitchen"), state("kitchen")])
                    await eventually(lambda: _online(database) == 1, within_s=20)
                database.close()
                assert console.end() == 0

    run(test(), within_s=60)


def _online(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Device).where(Device.online)) or 0
