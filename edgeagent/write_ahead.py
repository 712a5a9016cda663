"""SQLite's write-ahead log, switched on so that two who begin a file at once wait for one another."""

import sqlite3
import time

_AGAIN_S = 0.02


def switch_on(connection: sqlite3.Connection) -> None:
    """Put the file into WAL, waiting for other writers as long as the connection's `timeout` says.

    SQLite itself does not wait here: where somebody writes to a file that is not in WAL yet, it refuses at once.
    Raise sqlite3.OperationalError where the file stays locked, or cannot be written.
    """
    (wait_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    until = time.monotonic() + wait_ms / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= until:
                raise
            time.sleep(_AGAIN_S)
        else:
            return
