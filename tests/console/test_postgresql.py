"""The console on a real PostgreSQL: the same as on SQLite, with several consoles at once, and when it goes away."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import HAS_MOSQUITTO, eventually, mosquitto, run, settings
from console.postgres import HAS_POSTGRES, WHY_NOT, Postgres, postgres
from console.running_console import BROKER, working
from console.telling import birth, event, incoming, progress, sample, state
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, select

from edgeagent.bus import connect
from edgeagent.console.authority import Authority
from edgeagent.console.backup import backup, restore
from edgeagent.console.database import Database
from edgeagent.console.enrolment import enrol, new_token, renew
from edgeagent.console.errors import ConsoleError
from edgeagent.console.filters import compiled
from edgeagent.console.ingest import Incoming, ingest
from edgeagent.console.jobs import ask, due_messages, published
from edgeagent.console.leases import hold
from edgeagent.console.prometheus import Figures
from edgeagent.console.retention import prune
from edgeagent.console.settings import KeepSection
from edgeagent.console.tables import Device, EnrolmentToken, Event, Fleet, HealthHour, Job, Tag
from edgeagent.fleet import wire
from edgeagent.fleet.identity_keys import make_key, request
from edgeagent.messages import Message
from edgeagent.topics import Address

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_POSTGRES, reason=WHY_NOT)]
NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(cluster: Postgres) -> Iterator[Database]:
    database = Database(cluster.url)
    with database.connection() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    database.migrate()
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
    yield database
    database.close()


def hear(database: Database, *messages: Message | Incoming, now: float = NOW) -> None:
    batch = [one if isinstance(one, Incoming) else incoming(one) for one in messages]
    with database.session() as session:
        ingest(session, batch, now, adopt=True)


def test_what_devices_tell_fits_whatever_they_tell(database: Database) -> None:
    most, text = 1 << 53, "\u00e4" * 500
    hear(
        database,
        birth("kitchen", "b" * 64, version=text, board=text, serial=text, releases={text: "\u00e4" * 70, "f": "1.2"}),
        state("kitchen", "b" * 64, most, reason=text, at=1e11),
        wire.reported(Address("home", "kitchen"), wire.Reported(version=most, standing="applied", problem=text)),
        Incoming("ea/1/home/d/kitchen/up/event/fault", b'{"message": "\\u0000\\ud800", "seq": 99999999999999999999}'),
    )
    for uptime in range(1, 40):
        hear(database, sample("kitchen", uptime * 60.0, "b" * 64, decisions=most // 50 * uptime, rejected=uptime))
    with database.reading() as session:
        row = session.scalars(select(Device)).one()
        assert (row.seq, row.reported_version) == (most, most)
        assert session.scalars(select(HealthHour.rejected)).all() == [39]
        assert session.scalar(select(func.count()).select_from(Event)) == 3


def test_jobs_and_pointers(database: Database) -> None:
    hear(database, birth("kitchen"), state("kitchen"))
    with database.session() as session:
        kitchen = session.scalars(select(Device)).one()
        job_id = ask(session, kitchen, "logs", {"lines": 5}, by="anna", now=NOW).id
    with database.session() as session:
        dues = due_messages(session, NOW + 1)
        assert [due.job for due in dues] == [job_id]
        published(session, dues, NOW + 1)
    hear(database, progress("kitchen", job_id, 1, "done", result={"lines": ["x"]}), now=NOW + 2)
    with database.reading() as session:
        assert session.get_one(Job, job_id).result == {"lines": ["x"]}
    with database.session() as session:
        session.get_one(Job, job_id).due = None
        assert prune(session, KeepSection(), NOW + 200 * 86_400) > 0
    with database.reading() as session:
        assert session.get(Job, job_id) is None


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("name:KIT* and area:*", True),
        ("version>=0.6 and not version>0.6.0", True),
        ("release:f>=1.1 and tag:floor=2", True),
        ("gauge:temperature_c>70 or gauge:nothing<3", True),
        ("not gauge:nothing<3 and seen<1d and online", True),
        ('name:"k_t%"', False),
        ("health:bad or muted or seen>1w", False),
    ],
)
def test_filters_mean_the_same(database: Database, text: str, is_found: bool) -> None:  # noqa: FBT001
    hear(database, birth("kitchen", releases={"f": "1.10"}), state("kitchen"))
    hear(database, sample("kitchen", 60, at=NOW, gauges={"temperature_c": 71.0}))
    with database.session() as session:
        session.add(Tag(device=session.scalars(select(Device.id)).one(), key="floor", value="2"))
    with database.reading() as session:
        found = session.scalars(select(Device.name).where(compiled(text, now=NOW))).all()
    assert found == (["kitchen"] if is_found else [])


def test_several_consoles_that_hear_the_same_write_it_once(database: Database) -> None:
    told = [one for number in range(200) for one in (birth(f"d{number}"), state(f"d{number}"))]
    told += [event(f"d{number}", "fault", b'{"boot": "boot-1", "seq": 5}') for number in range(200)]
    told += [sample(f"d{number}", 60, decisions=5) for number in range(200)]
    problems: list[BaseException] = []

    def console(is_backward: bool) -> None:  # noqa: FBT001
        mine = Database(database.url.render_as_string(hide_password=False))
        try:
            for start in range(0, len(told), 100):
                batch = told[start : start + 100]
                hear(mine, *(reversed(batch) if is_backward and start >= 400 else batch))
        except BaseException as error:  # noqa: BLE001  # told below
            problems.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=console, args=(number % 2 == 1,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Device).where(Device.online)) == 200
        assert session.scalar(select(func.count()).select_from(Event).where(Event.kind == "fault")) == 200
        assert session.scalar(select(func.sum(HealthHour.decisions))) == 1_000


def test_a_lease_goes_by_the_databases_clock_however_far_the_consoles_are_apart(database: Database) -> None:
    with database.session() as session:
        assert hold(session, "conductor", "one", now=0.0)
        assert not hold(session, "conductor", "two", now=1e11)
        assert hold(session, "conductor", "one", now=1e11)


def test_figures_tell_the_size_and_the_devices(database: Database) -> None:
    hear(database, birth("kitchen"), state("kitchen"))
    text = Figures(database).rendered().decode()
    assert 'edgeagent_console_devices{fleet="home",health="ok",state="online"} 1.0' in text
    assert "edgeagent_console_database_bytes" in text


def test_two_fleets_that_make_a_token_for_one_name_at_once_do_not_both_get_it(database: Database) -> None:
    with database.session() as session:
        session.add(Fleet(name="plant", created=1.0))
    both, made, refused = threading.Barrier(2), [], []

    def make(fleet: str) -> None:
        wanted: dict[str, Any] = {"fleet": fleet, "serial": "S", "device": "kitchen", "tags": {}, "by": "eva"}
        try:
            with database.session() as session:
                session.execute(select(1))
                both.wait()
                made.append(new_token(session, **wanted, now=NOW, lasts_s=60.0)[0].fleet)
        except ConsoleError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=make, args=(fleet,)) for fleet in ("home", "plant")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(made), len(refused)) == (1, 1)


def test_a_token_that_another_fleet_makes_in_between_stands(database: Database) -> None:
    wanted: dict[str, Any] = {"serial": "S", "device": "kitchen", "tags": {}, "by": "eva", "now": NOW, "lasts_s": 60.0}
    with database.session() as session:
        session.add(Fleet(name="plant", created=1.0))
    statements: list[str] = []

    def another(*about: Any) -> None:
        statements.append(about[2])
        if [one for one in statements if one.startswith("UPDATE enrolment_tokens")] == [about[2]]:
            with database.session() as session:
                new_token(session, fleet="plant", **wanted)

    sqlalchemy_event.listen(database.engine, "before_cursor_execute", another)
    try:
        with pytest.raises(ConsoleError, match="at the same moment"), database.session() as session:
            new_token(session, fleet="home", **wanted)
    finally:
        sqlalchemy_event.remove(database.engine, "before_cursor_execute", another)
    with database.reading() as session:
        tokens = session.scalars(select(EnrolmentToken)).all()
        assert [(token.fleet, token.revoked) for token in tokens] == [("plant", None)]


def test_devices_are_enrolled_and_renewed(database: Database, tmp_path: Path) -> None:
    authority = Authority.init(tmp_path / "a", "tests", NOW)
    with database.session() as session:
        _, secret = new_token(
            session, fleet="home", serial="S", device="kitchen", tags={"floor": "2"}, by="eva", now=NOW, lasts_s=60.0
        )
    asked = wire.EnrolRequest(serial="S", token=secret, csr=request(make_key("file"), "x"))
    enrolled = enrol(database, authority, "home", asked, NOW, nonce="n")
    assert enrolled is not None
    assert (enrolled.device, enrolled.problem) == ("kitchen", "")
    wish = wire.RenewRequest(nonce="r", csr=request(make_key("file"), "x"))
    answers = [renew(database, authority, "home", "kitchen", wish, NOW + number) for number in range(2)]
    assert answers[0] is not None
    assert answers[0].certificate
    assert answers[0] == answers[1]


def test_backups_are_made_by_its_own_tools_which_are_named_without_the_password(cluster: Postgres) -> None:
    database = Database(cluster.url.replace("console@", "console:secret@"))
    for what in (backup, restore):
        with pytest.raises(ConsoleError) as caught:
            what(database, Path("backup"))
        assert "pg_" in caught.value.remedy
        assert f"console@127.0.0.1:{cluster.port}/postgres" in caught.value.remedy
        assert "secret" not in caught.value.remedy
    database.close()


@pytest.mark.skipif(not HAS_MOSQUITTO, reason="mosquitto is not installed")
def test_while_it_is_away_messages_wait_and_are_written_when_it_is_back_a86(
    database: Database, cluster: Postgres
) -> None:
    async def test() -> None:
        with mosquitto(BROKER) as broker:
            devices = connect(settings(broker.port), client_id="devices")
            async with devices as bus, working(database, broker.port):
                assert await bus.deliver(birth("first"))
                await eventually(lambda: _count(database) == 1)
                await asyncio.to_thread(cluster.stop)
                for number in range(50):
                    assert await bus.deliver(birth(f"d{number}"))
                await asyncio.to_thread(cluster.start)
                await eventually(lambda: _count(database) == 51, within_s=20)

    run(test(), within_s=60)


def _count(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Device)) or 0
