"""What one console does at a time goes on whatever part of it fails, and is told once."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO, eventually, free_port, mosquitto, run
from console.running_console import BROKER, working
from sqlalchemy import select
from sqlalchemy.orm import Session

from edgeagent.console.conducting import Conductor
from edgeagent.console.database import Database
from edgeagent.console.jobs import ask
from edgeagent.console.leases import hold, holder_of
from edgeagent.console.prometheus import Figures
from edgeagent.console.tables import Device, Fleet, Job
from edgeagent.duties import doing

pytestmark = pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        session.add(Device(fleet="home", name="kitchen", created=1.0, online=True))
    yield database
    database.close()


def sent(database: Database, job_id: str) -> float | None:
    with database.reading() as session:
        return session.scalar(select(Job.sent).where(Job.id == job_id))


def conductor(database: Database) -> str:
    with database.reading() as session:
        return holder_of(session, "conductor", time.time())


def test_jobs_go_out_although_a_rollout_cannot_be_advanced_and_that_is_told_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.connection() as connection:
        connection.exec_driver_sql("ALTER TABLE rollouts RENAME TO gone")

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port) as worker:
                worker.is_conductor = False
                figures = Figures(database)
                conducting = Conductor("1", database, worker, figures)
                async with doing({"conduct": conducting.conduct()}):
                    await eventually(lambda: worker.is_conductor)
                    with database.session() as session:
                        kitchen = session.scalars(select(Device)).one()
                        job_id = ask(session, kitchen, "restart", {}, by="anna", now=time.time()).id
                    await eventually(lambda: sent(database, job_id) is not None)
                    text = figures.rendered
                    await eventually(lambda: b'troubles_total{kind="rollouts"} 2.0' in text(), within_s=10)
                await conducting.let_go()
                assert not worker.is_conductor
                assert conductor(database) == ""

    with caplog.at_level(logging.WARNING):
        run(test())
    assert len([record for record in caplog.records if "rollouts failed" in record.getMessage()]) == 1


def test_no_rollout_goes_on_while_this_console_hears_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.connection() as connection:
        connection.exec_driver_sql("ALTER TABLE rollouts RENAME TO gone")  # whoever looks at them fails

    async def test() -> None:
        looked_at = Counting(str(database.url))
        async with working(database, free_port()) as worker:
            conducting = Conductor("1", looked_at, worker, Figures(database))
            async with doing({"conduct": conducting.conduct()}):
                await eventually(lambda: looked_at.sessions >= 4, within_s=10)
                assert worker.is_conductor
                assert not worker.is_caught_up
        looked_at.close()

    with caplog.at_level(logging.WARNING):
        run(test())
    assert not [record for record in caplog.records if "rollouts failed" in record.getMessage()]


class Counting(Database):
    """A database that counts how often it is written to."""

    sessions = 0

    @contextmanager
    def session(self) -> Iterator[Session]:
        self.sessions += 1
        with super().session() as session:
            yield session


def test_who_does_not_hold_the_lease_publishes_nothing(database: Database) -> None:
    with database.session() as session:
        assert hold(session, "conductor", "another", time.time())
        kitchen = session.scalars(select(Device)).one()
        job_id = ask(session, kitchen, "restart", {}, by="anna", now=time.time()).id

    async def test() -> None:
        with mosquitto(BROKER) as broker:
            async with working(database, broker.port) as worker:
                worker.is_conductor = False
                tries = threading.Event()
                looked_at = Counting(str(database.url))
                conducting = Conductor("1", looked_at, worker, Figures(database))
                duties = {"conduct": conducting.conduct(), "other": conducting.every(0.01, "other", tries.set)}
                async with doing(duties):
                    await eventually(lambda: looked_at.sessions >= 3)
                    assert not worker.is_conductor
                    assert sent(database, job_id) is None
                    assert not tries.is_set()
                looked_at.close()

    run(test())
