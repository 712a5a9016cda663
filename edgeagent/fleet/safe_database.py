"""A SQLite file that never stands in the way: damaged, it is begun anew; where the disk fails, memory stands in.

Rules:
    - Every change is one transaction with `synchronous=FULL`: it is on the disk when the call returns.
    - A damaged file is set aside, with a line in the log. What a disk refuses for another reason goes on in memory,
      with what could be read until then, and `is_durable` is False from there on.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from edgeagent import write_ahead

log = logging.getLogger(__name__)

_FORM = 1
_BUSY_S = 5.0
_TRIES = 3

T = TypeVar("T")


class SafeDatabase:
    """The file. For one thread."""

    def __init__(self, path: Path, tables: str, check: Callable[[sqlite3.Connection], None]) -> None:
        """Open the file, or begin one with these tables; `check` raises ValueError if it holds nothing of ours."""
        self._path, self._tables, self._check = path, tables, check
        self.is_durable = True
        self._database = self._opened()

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._database.close()

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement gives. Raise sqlite3.Error."""
        return self._database.execute(statement, values).fetchall()

    def safely(self, work: Callable[[], T]) -> T:
        """Do something in one transaction; where the file fails, do it in a new one, or in memory."""
        for _ in range(_TRIES):
            try:
                return self._in_transaction(work)
            except (sqlite3.Error, OSError, ValueError) as error:
                self._replace(error)
        return self._in_transaction(work)

    def _in_transaction(self, work: Callable[[], T]) -> T:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            found = work()
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        return found

    def _replace(self, error: Exception) -> None:
        if self.is_durable and _is_damage(error):
            self.close()
            self._set_aside(error)
            self._database = self._opened()
            return
        log.error("a database goes on in memory", extra={"path": str(self._path), "problem": str(error)})
        before, self._database = self._database, self._memory()
        if self.is_durable:
            with suppress(sqlite3.Error):  # what can be read goes on being known
                before.backup(self._database)
        with suppress(sqlite3.Error):
            before.close()
        self.is_durable = False

    def _opened(self) -> sqlite3.Connection:
        try:
            try:
                return self._file()
            except (sqlite3.Error, ValueError) as error:
                if not _is_damage(error):
                    raise
                self._set_aside(error)
                return self._file()
        except (sqlite3.Error, OSError, ValueError) as error:
            log.error(  # noqa: TRY400
                "a database cannot be opened, memory stands in", extra={"path": str(self._path), "problem": str(error)}
            )
        self.is_durable = False
        return self._memory()

    def _file(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            write_ahead.switch_on(database)
            database.execute("PRAGMA synchronous=FULL")
            verdict = database.execute("PRAGMA quick_check").fetchone()
            (form,) = database.execute("PRAGMA user_version").fetchone()
            if not form:
                database.executescript(f"BEGIN IMMEDIATE; {self._tables} PRAGMA user_version = {_FORM}; COMMIT;")
            _refuse(verdict, form)
            self._check(database)
            self._path.chmod(0o600)
        except BaseException:
            database.close()
            raise
        return database

    def _memory(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        database.executescript(self._tables)
        return database

    def _set_aside(self, error: Exception) -> None:
        log.warning("a database is damaged", extra={"path": str(self._path), "problem": str(error)})
        # The log goes first: with a new file it would be taken for its own.
        for suffix in ("-wal", "-shm", ""):
            found = self._path.with_name(self._path.name + suffix)
            with suppress(OSError):
                found.replace(self._path.with_name(f"{self._path.name}{suffix}.damaged"))


def _refuse(verdict: tuple[str, ...], form: int) -> None:
    if verdict != ("ok",) or form not in {0, _FORM}:
        raise sqlite3.DatabaseError(f"quick_check: {verdict}; form {form}, expected {_FORM}")


def _is_damage(error: Exception) -> bool:
    """Tell a file that holds what it should not from a disk that does not do what it should, or a lock."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(("no such", "table ", "malformed", "near "))
    return isinstance(error, sqlite3.DatabaseError | ValueError)
