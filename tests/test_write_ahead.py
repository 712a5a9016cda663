import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgeagent import write_ahead


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who has just begun the file, and is in the middle of writing to it."""
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("CREATE TABLE x (y)")
        writer.execute("BEGIN IMMEDIATE")
        yield writer


def mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_sqlite_itself_does_not_wait_for_a_writer(writer: sqlite3.Connection, tmp_path: Path) -> None:
    """Else write_ahead.py could go."""
    assert mode(writer) == "delete"
    with (
        closing(sqlite3.connect(tmp_path / "x.db", timeout=60)) as second,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        second.execute("PRAGMA journal_mode=WAL")


def test_who_comes_second_waits_until_the_first_has_written(writer: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db", timeout=60)) as second:
        threading.Timer(0.3, writer.execute, ["COMMIT"]).start()
        write_ahead.switch_on(second)
        assert mode(second) == "wal"


def test_who_waits_in_vain_is_told_so(writer: sqlite3.Connection, tmp_path: Path) -> None:
    assert writer.in_transaction
    with (
        closing(sqlite3.connect(tmp_path / "x.db", timeout=0.1)) as second,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        write_ahead.switch_on(second)


def test_what_is_no_lock_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    with (
        closing(sqlite3.connect(tmp_path / "x.db", timeout=3600)) as connection,
        pytest.raises(sqlite3.DatabaseError, match="not a database"),
    ):
        write_ahead.switch_on(connection)
