"""Devices of which nothing is heard: given up after a while, and back with the first word."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from console.telling import birth, event, incoming, sample, state, will
from sqlalchemy import select

from edgeagent.console.database import Database
from edgeagent.console.ingest import ingest
from edgeagent.console.silence import LEAST_S, give_up_silent
from edgeagent.console.tables import Device, Event, Fleet
from edgeagent.fleet import wire
from edgeagent.messages import Message
from edgeagent.topics import Address

NOW = 1_700_000_000.0
LONG_S = 10 * LEAST_S


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        session.add(Device(fleet="home", name="kitchen", created=1.0))
    hear(database, birth("kitchen"), state("kitchen"))
    yield database
    database.close()


def hear(database: Database, *messages: Message, now: float = NOW, retained: bool = False) -> None:
    with database.session() as session:
        ingest(session, [incoming(one, retained=retained) for one in messages], now)


def kitchen(database: Database) -> Device:
    with database.reading() as session:
        return session.scalars(select(Device)).one()


def is_given_up(database: Database, now: float, listened_s: float = LONG_S) -> bool:
    with database.session() as session:
        return bool(give_up_silent(session, now, listened_s).changed)


def test_a_device_of_which_nothing_is_heard_is_given_up_and_that_is_told_once(database: Database) -> None:
    assert not is_given_up(database, NOW + LEAST_S)
    assert is_given_up(database, NOW + LEAST_S + 60)
    assert not is_given_up(database, NOW + LEAST_S + 120)
    row = kitchen(database)
    assert (row.online, row.online_since, row.reason) == (False, None, "nothing heard for 21 minutes")
    assert (row.health, row.health_reason) == ("warn", "it is gone: nothing heard for 21 minutes")
    with database.reading() as session:
        assert [one.kind for one in session.scalars(select(Event).order_by(Event.id))] == ["online", "offline"]


def test_what_the_console_did_not_hear_itself_says_nothing(database: Database) -> None:
    assert not is_given_up(database, NOW + LONG_S, LEAST_S - 1)
    assert is_given_up(database, NOW + LONG_S, LEAST_S)


def test_a_device_that_sends_samples_seldom_is_waited_for_longer(database: Database) -> None:
    seldom = wire.Reported(version=0, standing="none", settings={"fleet.sample_every_s": 3_600.0})
    hear(database, wire.reported(Address("home", "kitchen"), seldom))
    assert not is_given_up(database, NOW + 3 * 3_600)
    assert not is_given_up(database, NOW + 4 * 3_600, 3_600)
    assert is_given_up(database, NOW + 3 * 3_600 + 1)


@pytest.mark.parametrize(
    "message",
    [
        sample("kitchen", 60.0),
        event("kitchen", "command", b'{"boot":"boot-1","seq":1}'),
        state("kitchen"),
        birth("kitchen"),
        state("kitchen", "boot-2"),
    ],
)
def test_it_is_back_with_whatever_is_heard_of_it(database: Database, message: Message) -> None:
    is_given_up(database, NOW + LONG_S)
    hear(database, message, now=NOW + LONG_S + 1)
    row = kitchen(database)
    assert (row.online, row.online_since, row.reason, row.health) == (True, NOW + LONG_S + 1, "", "ok")


def test_neither_what_is_retained_nor_an_earlier_start_nor_a_last_will_brings_it_back(database: Database) -> None:
    is_given_up(database, NOW + LONG_S)
    hear(database, birth("kitchen"), state("kitchen"), retained=True)
    hear(database, sample("kitchen", 60.0, "boot-0"), event("kitchen", "command", b'{"boot":"boot-0","seq":1}'))
    hear(database, will("kitchen"))
    assert not kitchen(database).online


def test_who_has_told_that_it_goes_is_not_brought_back_by_what_comes_late(database: Database) -> None:
    hear(database, state("kitchen", seq=2, online=False, reason="stopped"), sample("kitchen", 60.0))
    assert not is_given_up(database, NOW + LONG_S)
    assert (kitchen(database).online, kitchen(database).reason) == (False, "stopped")
