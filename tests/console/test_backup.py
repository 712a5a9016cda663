"""Backups of the console's database: made while it is in use, read back, put back."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from edgeagent.console.backup import PUT_BACK, backup, check, in_use, restore
from edgeagent.console.database import Database
from edgeagent.console.errors import ConsoleError
from edgeagent.console.tables import EnrolmentToken, Fleet, Kept, Rollout


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/console.db")
    database.migrate()
    yield database
    database.close()


def keep(database: Database, name: str, value: str = "x") -> None:
    with database.session() as session:
        session.add(Kept(name=name, value=value))


def kept(database: Database, name: str) -> str | None:
    with database.reading() as session:
        found = session.get(Kept, name)
        return found.value if found else None


def test_what_was_backed_up_is_there_again_and_what_was_there_is_kept_beside(
    database: Database, tmp_path: Path
) -> None:
    keep(database, "old", "1")
    assert backup(database, tmp_path / "copy") == (tmp_path / "copy").stat().st_size
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    keep(database, "new", "2")
    database.close()
    before = restore(database, tmp_path / "copy")
    assert (kept(database, "old"), kept(database, "new")) == ("1", None)
    database.migrate()
    assert before is not None
    aside = Database(f"sqlite:///{before}")
    assert kept(aside, "new") == "2"
    aside.close()


def test_a_backup_made_in_the_middle_of_writing_is_of_one_moment(database: Database, tmp_path: Path) -> None:
    """Two values that are always written together are the same in the copy."""
    with database.session() as session:
        session.add_all([Kept(name="a", value="0"), Kept(name="b", value="0")])
        session.add_all(Kept(name=f"filler-{number}", value="x" * 2_000) for number in range(2_000))
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            with database.session() as session:
                for name in "ab":
                    session.get_one(Kept, name).value = str(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            backup(database, tmp_path / f"copy-{number}")
    finally:
        is_over.set()
        writer.join()
    for number in range(3):
        copy = Database(f"sqlite:///{tmp_path}/copy-{number}")
        assert kept(copy, "a") == kept(copy, "b")
        copy.close()


def test_nothing_is_put_back_while_a_console_runs(database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "copy")
    keep(database, "new")
    assert database.file
    with in_use(database.file), in_use(database.file):  # two of them
        with pytest.raises(ConsoleError, match="a console is running") as caught:
            restore(database, tmp_path / "copy")
        assert "systemctl stop" in caught.value.remedy
    assert kept(database, "new") == "x"


def test_no_console_starts_while_a_backup_is_put_back(database: Database) -> None:
    assert database.file
    with in_use(database.file, alone=True), pytest.raises(ConsoleError, match="being restored"), in_use(database.file):
        pass


def test_a_backup_that_is_damaged_or_none_is_refused_and_nothing_touched(database: Database, tmp_path: Path) -> None:
    keep(database, "new")
    copy = tmp_path / "copy"
    backup(database, copy)
    damaged = bytearray(copy.read_bytes())
    damaged[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    (tmp_path / "damaged").write_bytes(damaged)
    (tmp_path / "text").write_text("no database at all " * 100)
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    for name in ("damaged", "text", "other", "absent"):
        with pytest.raises(ConsoleError, match=name) as caught:
            restore(database, tmp_path / name)
        assert caught.value.remedy
    assert kept(database, "new") == "x"


def test_a_damaged_database_can_be_replaced_by_its_backup(database: Database, tmp_path: Path) -> None:
    keep(database, "old")
    backup(database, tmp_path / "copy")
    database.close()
    assert database.file
    database.file.write_bytes(b"nonsense" * 1_000)
    with pytest.raises(ConsoleError):
        database.migrate()
    database.close()
    before = restore(database, tmp_path / "copy")
    assert before is not None
    assert before.read_bytes().startswith(b"nonsense")
    assert kept(database, "old") == "x"


def test_no_backup_is_written_over_and_none_made_of_nothing(database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "copy")
    with pytest.raises(ConsoleError, match="exists already"):
        backup(database, tmp_path / "copy")
    with pytest.raises(ConsoleError, match="cannot be written"):
        backup(database, tmp_path / "nowhere" / "copy")
    nothing = Database(f"sqlite:///{tmp_path}/absent.db")
    with pytest.raises(ConsoleError, match="there is no database"):
        backup(nothing, tmp_path / "another")
    assert not (tmp_path / "absent.db").exists()
    nothing.close()


def test_a_backup_tells_its_revision(database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "copy")
    assert check(tmp_path / "copy") == "0001"
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Kept)) == 1


def test_what_may_have_been_stopped_or_used_since_the_backup_does_not_go_on_by_itself_a63(
    database: Database, tmp_path: Path
) -> None:
    with database.session() as session:
        session.add(Fleet(name="home", created=1.0))
        session.flush()
        more = {"fleet": "home", "plan": {}, "created": 1.0, "created_by": "anna"}
        session.add_all(Rollout(id=state, state=state, **more) for state in ("running", "draft", "done", "stopping"))
        secret = {"fleet": "home", "serial": "s", "device": "d", "created": 1.0, "created_by": "anna", "expires": 9e9}
        session.add(EnrolmentToken(id="open", hash="a", **secret))
        session.add(EnrolmentToken(id="used", hash="b", used=2.0, **secret))
    backup(database, tmp_path / "copy")
    database.close()
    restore(database, tmp_path / "copy")
    with database.reading() as session:
        assert {one.id: one.state for one in session.scalars(select(Rollout))} == {
            "running": "paused",
            "draft": "draft",
            "done": "done",
            "stopping": "stopping",
        }
        assert session.get_one(Rollout, "running").reason == PUT_BACK
        assert session.get_one(EnrolmentToken, "open").revoked is not None
        assert session.get_one(EnrolmentToken, "used").revoked is None
