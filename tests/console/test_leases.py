"""Leases: one console at a time, the next one when that is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeagent.console.database import Database
from edgeagent.console.leases import LASTS_S, hold, holder_of, let_go


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    yield database
    database.close()


def held(database: Database, holder: str, now: float, name: str = "conductor") -> bool:
    with database.session() as session:
        return hold(session, name, holder, now)


def test_one_holds_it_as_long_as_it_says_so(database: Database) -> None:
    assert held(database, "a", 100.0)
    for now in range(101, 200):
        assert not held(database, "b", now)
        assert held(database, "a", now)


def test_who_is_gone_is_followed_once_the_lease_has_run_out(database: Database) -> None:
    assert held(database, "a", 100.0)
    assert not held(database, "b", 100.0 + LASTS_S)
    assert held(database, "b", 100.5 + LASTS_S)
    assert not held(database, "a", 101.0 + LASTS_S)


def test_a_clock_that_is_put_back_by_hours_holds_nobody_up(database: Database) -> None:
    assert held(database, "a", 100_000.0)
    assert held(database, "b", 50_000.0)
    assert not held(database, "a", 50_001.0)


def test_who_gives_it_back_is_followed_at_once(database: Database) -> None:
    assert held(database, "a", 100.0)
    with database.session() as session:
        let_go(session, "conductor", "b")  # not its own
        assert holder_of(session, "conductor", 101.0) == "a"
        let_go(session, "conductor", "a")
        assert holder_of(session, "conductor", 101.0) == ""
    assert held(database, "b", 101.0)


def test_leases_of_different_names_do_not_meet(database: Database) -> None:
    assert held(database, "a", 100.0)
    assert held(database, "b", 100.0, "cleaner")
