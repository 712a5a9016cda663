"""The console's database: transactions, revisions of its tables, and what happens when it cannot be used."""

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from console.postgres import HAS_POSTGRES, WHY_NOT, postgres
from sqlalchemy import event, insert, select

from edgeagent.console.database import Database
from edgeagent.console.errors import AwayError, ConsoleError
from edgeagent.console.migrating import SCRIPTS, migrate
from edgeagent.console.tables import Device, Fleet, Kept, Table

LATER = '''
"""A revision that this program does not have."""
import sqlalchemy as sa
from alembic import op
revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("fleets") as fleets:
        fleets.add_column(sa.Column("color", sa.String(20), nullable=False, server_default="grey"))
        fleets.alter_column("title", new_column_name="label")
'''


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    yield database
    database.close()


def fleet(name: str) -> Fleet:
    return Fleet(name=name, created=1.0)


def differences(database: Database) -> list[Any]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Table.metadata))


def test_the_revisions_lead_to_the_tables_as_they_are_declared(database: Database) -> None:
    assert differences(database) == []


def test_a_database_that_is_up_to_date_is_not_written(database: Database) -> None:
    assert database.file
    before = database.file.read_bytes()
    database.migrate()
    assert database.file.read_bytes() == before


def newer_program(tmp_path: Path) -> Path:
    """The revisions of a program to come."""
    folder = tmp_path / "newer"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "later.py").write_text(LATER)
    return folder


def test_an_older_database_is_copied_and_brought_up_to_date_with_what_it_holds(
    database: Database, tmp_path: Path
) -> None:
    with database.session() as session:
        session.add(fleet("home"))
        session.flush()
        session.add(Device(fleet="home", name="kitchen", created=1.0))
    migrate(database, newer_program(tmp_path))
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT name, color FROM fleets").one() == ("home", "grey")
        # A table that is made anew takes nothing along that refers to it.
        assert connection.exec_driver_sql("SELECT name FROM devices").scalar() == "kitchen"
    assert (tmp_path / "console.db.before-0001").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(tmp_path / "console.db.before-0001") as copy:
        assert copy.execute("SELECT name FROM fleets").fetchall() == [("home",)]
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    copy.close()


def test_a_newer_database_is_refused_and_not_touched(database: Database, tmp_path: Path) -> None:
    migrate(database, newer_program(tmp_path))
    with database.session() as session:
        session.get_one(Kept, "migrated-by").value = "9.0"
    database.close()
    assert database.file
    before = database.file.read_bytes()
    with pytest.raises(ConsoleError, match=r"revision 0002, made by edgeagent 9\.0.*up to revision 0001") as caught:
        database.migrate()
    assert "Install edgeagent 9.0 or newer" in caught.value.remedy
    assert database.file.read_bytes() == before


def test_a_migration_that_fails_leaves_everything_as_it_was(database: Database, tmp_path: Path) -> None:
    folder = newer_program(tmp_path)
    (folder / "versions" / "later.py").write_text(LATER + '    op.drop_table("nowhere")\n')
    with pytest.raises(ConsoleError):
        migrate(database, folder)
    assert differences(database) == []
    with database.session() as session:
        session.add(fleet("still-works"))


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    database = Database(f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(ConsoleError, match="not the console's: recipes"):
        database.migrate()
    database.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear console, " * 1000)
    database = Database(f"sqlite:///{tmp_path}/letter.db")
    with pytest.raises(ConsoleError, match="not a database") as caught:
        database.migrate()
    assert "restore" in caught.value.remedy
    database.close()


@pytest.mark.parametrize("url", ["", "mysql://host/name", "sqlite", "postgresql+nodriver://host/name", "http://x/y"])
def test_an_address_of_no_such_database_is_refused(url: str) -> None:
    with pytest.raises(ConsoleError, match="address") as caught:
        Database(url)
    assert "sqlite:///path" in caught.value.remedy


def test_two_consoles_that_start_at_once_migrate_one_after_the_other(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path}/console.db") for _ in range(4)]
    problems: list[BaseException] = []

    def begin(database: Database) -> None:
        try:
            database.migrate()
        except BaseException as error:  # noqa: BLE001  # told below
            problems.append(error)

    threads = [threading.Thread(target=begin, args=(one,)) for one in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert differences(databases[0]) == []
    for one in databases:
        one.close()


def test_a_block_that_raises_has_written_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.session() as session:
            session.add(fleet("home"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with database.reading() as session:
        assert session.scalars(select(Fleet)).all() == []


def test_who_reads_cannot_write(database: Database) -> None:
    with pytest.raises(ConsoleError), database.reading() as session:
        session.execute(insert(Fleet).values(name="home", created=1.0))
    with database.session() as session:  # on the same connection
        session.add(fleet("home"))


def test_who_reads_waits_for_no_writer_and_sees_one_moment(database: Database) -> None:
    with database.session() as writing:
        writing.add(fleet("home"))
        writing.flush()
        with database.reading() as reading:
            assert reading.scalars(select(Fleet)).all() == []


def test_writers_in_many_threads_lose_nothing(database: Database) -> None:
    with database.session() as session:
        session.add(Kept(name="count", value="0"))

    def count() -> None:
        for _ in range(25):
            with database.session() as session:
                kept = session.get_one(Kept, "count")
                kept.value = str(int(kept.value) + 1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.get_one(Kept, "count").value == "200"


def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(ConsoleError), database.session() as session:
        session.add(Device(fleet="nowhere", name="x", created=1.0))


def test_a_full_disk_is_told_and_works_again_once_there_is_room_a86(tmp_path: Path) -> None:
    most = [1 << 30]
    database = Database(f"sqlite:///{tmp_path}/console.db")

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={most[0]}").close()

    event.listen(database.engine, "checkout", limit)
    database.migrate()
    most[0] = 1  # SQLite takes the number of pages that there are
    with pytest.raises(AwayError, match="full") as caught, database.session() as session:
        session.add_all(Kept(name=f"{number}", value="x" * 4000) for number in range(2_000))
    assert "Make room" in caught.value.remedy
    with database.reading() as session:
        assert session.scalar(select(Kept).where(Kept.name == "1")) is None
    most[0] = 1 << 30
    with database.session() as session:
        session.add(Kept(name="after", value="works"))
    database.close()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("a disk can be mounted here by nobody, or not by us")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_somebody_else_has_filled_is_told_and_nothing_is_damaged_a86(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        database = Database(f"sqlite:///{disk}/console.db")
        database.migrate()
        with (disk / "film").open("wb") as film, suppress(OSError):
            film.write(bytes(4 << 20))
        with pytest.raises(AwayError, match="full") as caught:
            _fill(database)
        assert "Make room" in caught.value.remedy
        with database.reading() as session:
            assert session.scalar(select(Fleet)) is None
        (disk / "film").unlink()
        with database.session() as session:
            session.add(fleet("home"))
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        database.close()


def _fill(database: Database) -> None:
    for number in range(1_000):
        with database.session() as session:
            session.add(Kept(name=f"{number}", value="x" * 4_000))


def test_a_database_that_cannot_be_written_says_so_a86(database: Database) -> None:
    read_only = Database(f"sqlite:///file:{database.file}?mode=ro&uri=true")
    with pytest.raises(AwayError, match="readonly") as caught, read_only.session() as session:
        session.add(fleet("home"))
    assert "write" in caught.value.remedy
    read_only.close()
    with database.session() as session:
        session.add(fleet("home"))


def test_a_folder_that_is_gone_says_so_a86(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/console.db")
    with pytest.raises(AwayError, match="unable to open"):
        database.migrate()
    (tmp_path / "nowhere").mkdir()
    database.migrate()
    database.close()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_POSTGRES, reason=WHY_NOT)
def test_postgresql_has_the_same_tables_and_is_told_away_and_back_again_a86() -> None:
    with postgres() as cluster:
        database, other = Database(cluster.url), Database(cluster.url)
        threads = [threading.Thread(target=one.migrate) for one in (database, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert differences(database) == []
        with database.session() as session:
            session.add(fleet("home"))
        with pytest.raises(ConsoleError), database.reading() as session:
            session.execute(insert(Fleet).values(name="x", created=1.0))
        cluster.stop()
        with pytest.raises(AwayError, match="cannot be reached") as caught, database.session() as session:
            session.get(Fleet, "home")
        assert "postgresql" in caught.value.remedy
        cluster.start()
        with database.session() as session:
            assert session.get_one(Fleet, "home").created == 1.0
        database.close()
        other.close()


def test_nobody_else_can_read_the_database_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        database = Database(f"sqlite:///{tmp_path}/console.db")
        database.migrate()
        with database.session() as session:
            session.add(Fleet(name="private", created=1.0))
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("console.db*")}
        database.close()
    finally:
        os.umask(before)
    assert modes == {"console.db": 0o600, "console.db-wal": 0o600, "console.db-shm": 0o600}
