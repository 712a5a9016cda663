"""The database's tables brought up to date, one revision after another, all of them or none."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from edgeagent import __version__
from edgeagent.console.errors import AwayError, ConsoleError

if TYPE_CHECKING:
    from edgeagent.console.database import Database

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).parent / "migrations"
MIGRATED_BY = "migrated-by"
"""In the table `kept`: the program that changed the tables last."""
_ADVISORY_LOCK = 0x6561_636F
"""Any number: two consoles that start at once on PostgreSQL migrate one after the other."""


def migrate(database: "Database", folder: Path = SCRIPTS) -> None:
    """Bring the tables up to date. Raise ConsoleError if they are newer than this program, or not a console's.

    `folder` has the revisions, those of this program where none is named.
    """
    scripts = ScriptDirectory(str(folder))
    head = str(scripts.get_current_head())
    with _alone(database) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found == head:
            return
        _check(connection, found, head, scripts)
        if found is not None and database.file is not None:
            _copy(database.file, found)
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(text("DELETE FROM kept WHERE name = :name"), {"name": MIGRATED_BY})
        connection.execute(
            text("INSERT INTO kept (name, value) VALUES (:name, :value)"), {"name": MIGRATED_BY, "value": __version__}
        )
    log.info("database migrated", extra={"from": found or "nothing", "to": head})


def _check(connection: Connection, found: str | None, head: str, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        by = connection.execute(text("SELECT value FROM kept WHERE name = :name"), {"name": MIGRATED_BY}).scalar()
        raise ConsoleError(
            f"the database has tables of revision {found}, made by edgeagent {by or 'unknown'};"
            f" this is edgeagent {__version__}, which knows them up to revision {head}",
            remedy=f"Install edgeagent {by or 'of then'} or newer, or restore a backup from before"
            " (edgeagent console restore). Nothing was changed.",
        )
    if found is None and (tables := inspect(connection).get_table_names()):
        raise ConsoleError(
            f"the database has tables that are not the console's: {', '.join(sorted(tables)[:5])}",
            remedy="Name an empty database, or a new file, in [database].",
        )


@contextlib.contextmanager
def _alone(database: "Database") -> Iterator[Connection]:
    """Give a connection in a transaction in which nobody else writes; foreign keys are checked at its end."""
    if not database.is_sqlite:
        with database.connection() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            yield connection
        return
    # A table that is made anew is dropped first, and would take what refers to it along.
    with _unbound(database) as connection:
        yield connection
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise ConsoleError(f"a migration would leave {broken[0]} without what it refers to", remedy="Report this.")


@contextlib.contextmanager
def _unbound(database: "Database") -> Iterator[Connection]:
    from edgeagent.console.database import trouble  # noqa: PLC0415  # that module loads this one when it is needed

    try:
        with database.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)  # noqa: S101  # for the type alone
            raw.execute("PRAGMA foreign_keys=OFF").close()
            try:
                with connection.begin():
                    yield connection
            finally:
                raw.execute("PRAGMA foreign_keys=ON").close()
    except DBAPIError as error:
        raise trouble(error) from error


def _copy(file: Path, revision: str) -> None:
    """Keep the database as it is beside itself. Raise ConsoleError where that cannot be."""
    copy = file.with_name(f"{file.name}.before-{revision}")
    copy.touch(mode=0o600)  # it holds hashes of passwords
    # Not `with`, which commits and does not close.
    source, target = sqlite3.connect(file), sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.Error as error:
        raise AwayError(
            f"{copy}: the database cannot be copied before it is changed: {error}",
            remedy="Make room for a copy beside it. Nothing was changed.",
        ) from error
    finally:
        target.close()
        source.close()
    log.info("database copied", extra={"copy": str(copy)})
