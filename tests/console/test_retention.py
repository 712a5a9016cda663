"""What is old goes, a portion at a time; what is a record stays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from edgeagent.console.database import Database
from edgeagent.console.retention import DAY_S, PORTION, prune
from edgeagent.console.settings import KeepSection
from edgeagent.console.tables import Audited, Device, Event, Fleet, HealthHour, Job, Rollout, User
from edgeagent.console.tables import Session as LogIn

NOW = 1_700_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        session.add(Device(id=1, fleet="home", name="kitchen", created=1.0))
        session.add(Rollout(id="r", fleet="home", plan={}, state="done", created=1.0, created_by="anna"))
        session.add(User(name="anna", created=1.0))
    yield database
    database.close()


def clean(database: Database) -> list[int]:
    """Prune until there is nothing more; return how many went at a time."""
    portions = []
    while True:
        with database.session() as session:
            portions.append(prune(session, KeepSection(), NOW))
        if not portions[-1]:
            return portions


def count(database: Database, table: Any) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def job(job_id: str, days_ago: float | None, **more: Any) -> Job:
    ended = None if days_ago is None else NOW - days_ago * DAY_S
    state = "sent" if days_ago is None else "done"
    return Job(
        id=job_id,
        device=1,
        kind="logs",
        body={},
        state=state,
        created=1.0,
        ended=ended,
        result={"lines": ["x"]},
        **more,
    )


def test_what_is_older_than_the_owner_wants_goes_and_nothing_else(database: Database) -> None:
    with database.session() as session:
        for days in (1, 29, 31, 400):
            at = NOW - days * DAY_S
            session.add(Event(device=1, at=at, kind="fault", body={"days": days}))
            session.add(HealthHour(device=1, hour=int(at // 3_600), decisions=days))
            session.add(Audited(at=at, user="anna", action="x", detail={"days": days}))
            session.add(LogIn(hash=str(days), user="anna", csrf="", created=at, used=at, expires=at + 30 * DAY_S))
    clean(database)
    with database.reading() as session:
        assert [event.body["days"] for event in session.scalars(select(Event))] == [1, 29]
        assert sorted(hour.decisions for hour in session.scalars(select(HealthHour))) == [1, 29]
        assert [audited.detail["days"] for audited in session.scalars(select(Audited))] == [1, 29, 31]
        assert {one.hash for one in session.scalars(select(LogIn))} == {"1", "29"}


def test_jobs_of_rollouts_stay_without_their_results_and_those_of_operators_go(database: Database) -> None:
    with database.session() as session:
        session.add_all([job("open", None), job("new", 10), job("old", 100), job("rolled", 100, rollout="r")])
        session.add(job("on-the-broker", 100, due=NOW))
    clean(database)
    with database.reading() as session:
        left = {one.id: one.result for one in session.scalars(select(Job))}
    assert left == {"open": {"lines": ["x"]}, "new": {"lines": ["x"]}, "rolled": {}, "on-the-broker": {}}


def test_much_goes_in_portions_so_that_nobody_waits_for_long(database: Database) -> None:
    with database.session() as session:
        rows = [{"device": 1, "at": 1.0, "kind": "fault", "body": {}} for _ in range(2 * PORTION + 5)]
        session.execute(insert(Event), rows)
    assert clean(database) == [PORTION, PORTION, 5, 0]
    assert count(database, Event) == 0
