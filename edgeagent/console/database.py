"""The console's database: SQLite in a file, or PostgreSQL; transactions as blocks, and errors that say what to do.

Rules:
    - A block is one transaction: committed at its end, rolled back where it raises.
    - Who writes says so (`session`), and on SQLite has the file for itself meanwhile; who reads (`reading`) waits for
      nobody, and cannot write.
    - SQLite is in WAL with `synchronous=NORMAL`: a killed program loses nothing. A power cut may lose the last moments;
      devices and their pointers are asked again.
    - A database that is newer than this program is not touched; an older one is copied, then brought up to date.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from edgeagent import write_ahead
from edgeagent.console.errors import AwayError, ConsoleError

log = logging.getLogger(__name__)

BUSY_S = 10.0
"""How long a writer waits for another one."""
MOST_CONNECTIONS = 40
"""To the database at once; web pages come in as many threads."""
_READS = "console_reads"


class Database:
    """A database, by its address: `sqlite:///path` or `postgresql+psycopg://user@host/name`.

    `sqlite:///path?timeout=5` waits for so many seconds where another program holds the file.
    """

    def __init__(self, url: str) -> None:
        """Nothing is opened yet. Raise ConsoleError where this is no address of such a database."""
        try:
            self.url = make_url(url)
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            self.engine = _sqlite(url) if self.is_sqlite else _postgresql(url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConsoleError(
                f"the database's address cannot be used: {error}",
                remedy="Write sqlite:///path or postgresql+psycopg://user@host/name; for the latter,"
                " pip install 'edgeagent[postgres]'.",
            ) from error
        self._reading = self.engine.execution_options(**{_READS: True})
        self._turn = threading.Lock() if self.is_sqlite else None

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Read and write in one transaction. Raise AwayError where the database cannot be used, else ConsoleError."""
        with self._my_turn(), _told(), Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read in one transaction, as things stand at its start; nothing can be written. Raise as `session`."""
        with _told(), Session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Write in one transaction without any objects: for statements. Raise as `session`."""
        with self._my_turn(), _told(), self.engine.begin() as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the tables up to date. Raise ConsoleError if they are newer than this program, or not a console's."""
        from edgeagent.console.migrating import migrate  # noqa: PLC0415  # alembic is slow to load, and seldom needed

        migrate(self)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        # Beside SQLite's own lock, which is polled: who polls may starve behind a stream of messages.
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_S):
            raise AwayError(f"the database was in use for {BUSY_S:.0f} s", remedy="Try again.")
        try:
            yield
        finally:
            self._turn.release()


def _sqlite(url: str) -> Engine:
    waits = {} if "timeout" in make_url(url).query else {"timeout": BUSY_S}
    engine = create_engine(
        url, pool_size=10, max_overflow=MOST_CONNECTIONS - 10, pool_timeout=BUSY_S, connect_args=waits
    )
    event.listen(engine, "do_connect", _make_private)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=MOST_CONNECTIONS - 10,
        pool_timeout=BUSY_S,
        connect_args={"connect_timeout": 5},
    )
    if engine.dialect.name != "postgresql":
        raise ArgumentError(f"{engine.dialect.name} is neither sqlite nor postgresql")
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _make_private(_dialect: object, _record: object, arguments: list[Any], _more: object) -> None:
    """Make a file that is not there yet: others may not read it, nor what SQLite makes beside it."""
    if arguments and (path := str(arguments[0])) != ":memory:" and not path.startswith("file:"):
        with suppress(OSError):  # SQLite says it better
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say so, not where Python's module thinks
    write_ahead.switch_on(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=67108864"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # Who reads first and writes then would be refused if another had written in between: a writer says so at once.
    is_reading = bool(connection.get_execution_options().get(_READS))
    connection.exec_driver_sql(f"PRAGMA query_only={int(is_reading)}")
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_READS):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the database's driver raises into ConsoleError."""
    try:
        yield
    except PoolTimeoutError as error:
        raise AwayError("all connections to the database are in use", remedy="Try again.") from error
    except DBAPIError as error:
        raise trouble(error) from error


def trouble(error: DBAPIError) -> ConsoleError:
    """Return what an error of the database's driver means, and what to do."""
    problem = str(error.orig).strip().partition("\n")[0][:300]
    for words, remedy in _REMEDIES.items():
        if any(word in problem.lower() for word in words):
            return AwayError(f"the database: {problem}", remedy=remedy)
    if error.connection_invalidated or (
        isinstance(error, OperationalError) and not isinstance(error.orig, sqlite3.Error)
    ):
        return AwayError(
            f"the database cannot be reached: {problem}",
            remedy="See that it runs and lets the console in (systemctl status postgresql; url in [database]).",
        )
    return ConsoleError(f"the database refuses: {problem}", remedy="Report this, with the log.")


_REMEDIES = {
    ("is full", "no space left"): "Make room on the disk of the database; the console goes on by itself then.",
    ("readonly", "read-only"): "Let the console's user write to the database's file and folder, or mount it writable.",
    ("locked", "busy"): "Another program holds the database: end it (a copy in progress, a second tool), or try again.",
    ("unable to open", "disk i/o"): "See that the folder of the database exists, is writable, and its disk is well.",
    (
        "not a database",
        "malformed",
    ): "The file is damaged or none of ours: restore a backup (edgeagent console restore).",
}
"""What to do, by words in what SQLite or PostgreSQL say."""
