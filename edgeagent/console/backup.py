"""The console's database copied while it is in use, looked at, and put back.

Rules:
    - A copy counts once it was read back, is undamaged, and is a console's database.
    - What was decided after a backup was made is not in it: rollouts that went on then wait for a person, and no
      secret of then enrols anybody (A63).
    - Nothing is put back while a console runs with the database, and what was there before is kept beside it.
    - PostgreSQL has its own tools, which do this better: they are named.
"""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL

from edgeagent.console.database import Database
from edgeagent.console.errors import AwayError, ConsoleError

PUT_BACK = "The database was put back: see what has become of it since the backup, and resume it, or abort it."
_BESIDE = ("-wal", "-shm")


def backup(database: Database, target: Path) -> int:
    """Copy the database to a file while it is in use; return its size. Raise ConsoleError if that does not work."""
    file = _file(database, f"pg_dump --format=custom --file={target} {_named(database)}")
    if not file.exists():
        raise ConsoleError(f"{file}: there is no database", remedy="Look at [database] and data_dir in the settings.")
    if target.exists():
        raise ConsoleError(f"{target}: exists already", remedy="Name another file: no backup is written over.")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)  # it holds hashes of passwords
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy, pages=1_000, sleep=0.01)
            copy.execute("PRAGMA journal_mode=DELETE").close()
        check(part)
        _write_through(part)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise AwayError(
            f"{target}: cannot be written: {error}", remedy="Make room there, or name another file."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def check(file: Path) -> str:
    """Return the revision of the tables in a backup. Raise ConsoleError if it is damaged, or no console's database."""
    remedy = "Take another backup."
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as copy:
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise ConsoleError(f"{file}: is damaged: {found}", remedy=remedy)
            row = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise ConsoleError(f"{file}: is no database of a console: {error}", remedy=remedy) from error
    if row is None:
        raise ConsoleError(f"{file}: is no database of a console", remedy=remedy)
    return str(row[0])


def restore(database: Database, source: Path) -> Path | None:
    """Put a backup in the database's place; return where what was there is now. Raise ConsoleError.

    A backup of an older program is brought up to date when the console starts; one of a newer program is refused then.
    """
    file = _file(database, f"pg_restore --clean --if-exists --dbname={_named(database)} {source}")
    check(source)
    with in_use(file, alone=True):
        part = file.with_name(f".{file.name}.part")
        try:
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            shutil.copyfile(source, part)
            _make_careful(part)
            _write_through(part)
            before = _set_aside(file)
            part.replace(file)
        except OSError as error:
            raise AwayError(f"{file}: cannot be written: {error}", remedy="Make room there, and try again.") from error
        finally:
            part.unlink(missing_ok=True)
    return before


def _make_careful(file: Path) -> None:
    """Have nothing go on by itself that may have been stopped, or used, since the backup was made."""
    try:
        with closing(sqlite3.connect(file)) as database, database:
            database.execute(
                "UPDATE rollouts SET state = 'paused', reason = ?, revision = revision + 1 WHERE state = 'running'",
                (PUT_BACK,),
            )
            database.execute(
                "UPDATE enrolment_tokens SET revoked = ? WHERE used IS NULL AND revoked IS NULL", (time.time(),)
            )
    except sqlite3.Error as error:
        raise ConsoleError(f"{file}: cannot be changed: {error}", remedy="Take another backup.") from error


@contextmanager
def in_use(file: Path, *, alone: bool = False) -> Iterator[None]:
    """Use a database's file while the block runs, with other consoles or alone. Raise ConsoleError if it cannot be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            remedy = (
                "End it first: systemctl stop edgeagent-console." if alone else "Wait until the restoring has ended."
            )
            who = "a console is running" if alone else "it is being restored"
            raise ConsoleError(f"{file}: {who}", remedy=remedy) from error
        yield


def _file(database: Database, command: str) -> Path:
    if database.file is None:
        raise ConsoleError("the database is PostgreSQL, which has tools of its own for this", remedy=f"Use: {command}")
    return database.file


def _named(database: Database) -> str:
    """Return how PostgreSQL's tools are told which database; they ask for the password themselves (A87)."""
    url = database.url
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database)
    return f"'{plain.render_as_string()}'"


def _set_aside(file: Path) -> Path | None:
    if not file.exists():
        return None
    before = file.with_name(f"{file.name}.before-restore-{time.strftime('%Y%m%dT%H%M%S')}")
    # Its journal goes with it: it belongs to it, and must not be taken for the new one's.
    for ending in (*_BESIDE, ""):
        with suppress(FileNotFoundError):
            file.with_name(file.name + ending).replace(before.with_name(before.name + ending))
    return before


def _write_through(path: Path) -> None:
    for one in (path, path.parent):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
