"""What is under way and what has become of it: one SQLite file, on the disk before the act that it names.

Rules:
- every change is one transaction with `synchronous=FULL`; after a restart the log is written into the file and synced
  before anything is believed, for a sync that has failed once may have left a hole;
- a job that is known is never begun again: what became of it is told again;
- of two jobs for one family the newer wins, the owner's in any case; jobs for other families wait in their order;
- what the fleet must be told stays until it was acknowledged. Steps on the way are dropped first, ends last;
- a damaged file is set aside and begun anew: the releases and the floor stand elsewhere too.
"""

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgeagent import write_ahead
from edgeagent.errors import UpdateError
from edgeagent.update.course import Course, Job, Told, Wish, columns_of, course_of, refuse_bad
from edgeagent.update.on_disk import sync_folder
from edgeagent.update.states import ENDS, State

log = logging.getLogger(__name__)

MOST_WAITING = 8
"""Jobs that are not finished; another one is refused."""
MOST_HISTORY = 200
"""Finished jobs that are remembered, and would be told again."""
MOST_STEPS_TOLD = 64
MOST_ENDS_TOLD = 400
"""A week offline makes a few; the oldest go."""
_FORM = 1
_BUSY_S = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job TEXT NOT NULL, state TEXT NOT NULL,
  writes INTEGER NOT NULL, starts INTEGER NOT NULL, wish TEXT NOT NULL, notes TEXT NOT NULL, changed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS told (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, is_end INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS floors (family TEXT PRIMARY KEY, security INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS copies (name TEXT PRIMARY KEY, content BLOB NOT NULL);
"""


class Journal:
    """The journal of updates. Everything raises UpdateError "journal" if the file cannot be read or written."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin one; one that is damaged is set aside. Raise UpdateError."""
        self.path = path
        with _sqlite(path):
            try:
                self._database = _opened(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
                    raise
                log.warning("the journal is damaged", extra={"path": str(path), "problem": str(error)})
                _set_aside(path)
                self._database = _opened(path)
            self._inode = path.stat().st_ino

    def is_current(self) -> bool:
        """Tell whether the file is still the one that was opened; another process may have set it aside."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._database.close()

    def under_way(self, now: float | None = None) -> Course | None:
        """Return the job that is begun, else the one that goes first; None if all are finished.

        First goes what shall end, then what is due `now`, the owner's before the fleet's, then the oldest.
        """

        def place(course: Course) -> tuple[bool, bool, bool, bool]:
            is_due = now is None or course.is_due(now)
            return not course.is_begun, not course.wish, not is_due, not course.job.is_local

        return min(self._unfinished(), key=place, default=None)

    def course(self, job_id: str) -> Course | None:
        """Return what became of a job; None if it is not known, or no longer."""
        rows = self._rows("SELECT * FROM jobs WHERE id = ?", job_id)
        return rows[0] if rows else None

    def history(self, most: int = MOST_HISTORY) -> tuple[Course, ...]:
        """Return the last jobs, the newest first."""
        return tuple(self._rows("SELECT * FROM jobs ORDER BY seq DESC LIMIT ?", most))

    def accept(self, job: Job, now: float) -> Course:
        """Take a job, and return how far it has come. The same job again is told again, and nothing else.

        Raise UpdateError "bad-job", "too-many-jobs".
        """
        refuse_bad(job)
        with self._transaction():
            if (known := self.course(job.id)) is not None:
                self._tell(known)
                return known
            unfinished = self._unfinished()
            if len(unfinished) >= MOST_WAITING:
                remedy = "Wait, or cancel one: edgeagent update status."
                raise UpdateError(f"{len(unfinished)} jobs are not finished", code="too-many-jobs", remedy=remedy)
            rivals = [one for one in unfinished if one.job.family == job.family]
            is_beaten = any(_goes_before(one.job, job) for one in rivals)
            wish: Wish = "supersede" if is_beaten else ""
            taken = Course(job, "accepted", writes=1, wish=wish, changed=now)
            self._database.execute(
                "INSERT INTO jobs (id, job, state, writes, starts, wish, notes, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (job.id, json.dumps(asdict(job)), *columns_of(taken)),
            )
            if not wish:
                for one in rivals:
                    self._update(replace(one, wish=one.wish or "supersede"))
            self._tell(taken)
            return taken

    def wish(self, job_id: str, wish: Wish) -> Course | None:
        """Ask that a job ends; it does at its next step. Return None if it is not known."""
        with self._transaction():
            known = self.course(job_id)
            if known is None or known.is_ended:
                return known
            self._update(asked := replace(known, wish=wish))
            return asked

    def move(
        self, course: Course, state: State, *, now: float, notes: Mapping[str, Any] | None = None, security: int = 0
    ) -> Course:
        """Write down that a job is in another state. `security` raises the floor of its family in the same write."""
        found = {**course.notes, **(notes or {})}
        moved = replace(course, state=state, writes=course.writes + 1, notes=found, changed=now)
        with self._transaction():
            self._update(moved)
            self._tell(moved)
            if security:
                self._raise_floor(course.job.family, security)
            if moved.is_ended:
                ends = ", ".join(f"'{end}'" for end in sorted(ENDS))
                self._database.execute(
                    f"DELETE FROM jobs WHERE state IN ({ends}) AND seq <= (SELECT MAX(seq) FROM jobs) - ?",  # noqa: S608
                    (MOST_HISTORY,),
                )
        return self._again(moved)

    def note(
        self, course: Course, notes: Mapping[str, Any] | None = None, *, writes: int = 0, starts: int = 0
    ) -> Course:
        """Write down something about a job in the state that it is in; `writes` and `starts` are added."""
        noted = replace(
            course,
            writes=course.writes + writes,
            starts=course.starts + starts,
            notes={**course.notes, **(notes or {})},
        )
        with self._transaction():
            self._update(noted)
        return self._again(noted)

    def results(self, most: int = 50) -> tuple[Told, ...]:
        """Return what the fleet has not acknowledged, the oldest first."""
        with _sqlite(self.path):
            rows = self._database.execute("SELECT seq, is_end, body FROM told ORDER BY seq LIMIT ?", (most,)).fetchall()
            return tuple(Told(seq, bool(is_end), json.loads(body)) for seq, is_end, body in rows)

    def acknowledge(self, seq: int) -> None:
        """Forget what the fleet has acknowledged."""
        with self._transaction():
            self._database.execute("DELETE FROM told WHERE seq = ?", (seq,))

    def floors(self) -> dict[str, int]:
        """Return the highest count of security-relevant releases that was ever confirmed, by family."""
        with _sqlite(self.path):
            return dict(self._database.execute("SELECT family, security FROM floors").fetchall())

    def raise_floor(self, family: str, security: int) -> None:
        """Note that such a release is confirmed. A floor is never lowered."""
        with self._transaction():
            self._raise_floor(family, security)

    def copy(self, name: str) -> bytes | None:
        """Return a copy that is kept here of something that stands elsewhere too."""
        with _sqlite(self.path):
            row = self._database.execute("SELECT content FROM copies WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_copy(self, name: str, content: bytes) -> None:
        """Keep a copy."""
        with self._transaction():
            self._database.execute("INSERT OR REPLACE INTO copies VALUES (?, ?)", (name, content))

    def _raise_floor(self, family: str, security: int) -> None:
        self._database.execute(
            "INSERT INTO floors VALUES (?, ?)"
            " ON CONFLICT (family) DO UPDATE SET security = MAX(security, excluded.security)",
            (family, security),
        )

    def _unfinished(self) -> list[Course]:
        ends = ", ".join(f"'{end}'" for end in sorted(ENDS))
        return self._rows(f"SELECT * FROM jobs WHERE state NOT IN ({ends}) ORDER BY seq")  # noqa: S608  # our own words

    def _again(self, course: Course) -> Course:
        """Return a course with the wish that another process may have written since it was read."""
        (wish,) = self._database.execute("SELECT wish FROM jobs WHERE id = ?", (course.job.id,)).fetchone()
        return replace(course, wish=wish)

    def _rows(self, query: str, *values: object) -> list[Course]:
        with _sqlite(self.path):
            rows = self._database.execute(query, values).fetchall()
            return [course_of(row) for row in rows]

    def _update(self, course: Course) -> None:
        """Write a course. A wish is only ever set, so that none from another process is lost."""
        state, writes, starts, wish, notes, changed = columns_of(course)
        self._database.execute(
            "UPDATE jobs SET state = ?, writes = ?, starts = ?, wish = CASE WHEN ? = '' THEN wish ELSE ? END,"
            " notes = ?, changed = ? WHERE id = ?",
            (state, writes, starts, wish, wish, notes, changed, course.job.id),
        )

    def _tell(self, course: Course) -> None:
        job = course.job
        body = {
            "id": f"{job.id}:{course.writes}",
            "job": job.id,
            "family": job.family,
            "version": job.version,
            "state": course.state,
            "at": course.changed,
            **course.notes,
        }
        insert = "INSERT INTO told (job, is_end, body) VALUES (?, ?, ?)"
        self._database.execute(
            "DELETE FROM told WHERE job = ? AND json_extract(body, '$.id') = ?", (job.id, body["id"])
        )
        self._database.execute(insert, (job.id, course.is_ended, json.dumps(body)))
        for is_end, most in ((0, MOST_STEPS_TOLD), (1, MOST_ENDS_TOLD)):
            self._database.execute(
                "DELETE FROM told WHERE is_end = ? AND seq NOT IN"
                " (SELECT seq FROM told WHERE is_end = ? ORDER BY seq DESC LIMIT ?)",
                (is_end, is_end, most),
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _sqlite(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise


def _goes_before(rival: Job, job: Job) -> bool:
    """Tell whether another job for a family stands: the owner's before the fleet's, else the newer one."""
    if rival.is_local != job.is_local:
        return rival.is_local
    return rival.created > job.created


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        write_ahead.switch_on(database)
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _check(database)
        (form,) = database.execute("PRAGMA user_version").fetchone()
        if not form:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_FORM}; COMMIT;")
        for row in database.execute("SELECT * FROM jobs"):
            course_of(row)
    except (ValueError, TypeError) as error:
        database.close()
        raise sqlite3.DatabaseError(f"a job cannot be read: {error}") from error
    except BaseException:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection) -> None:
    verdict = database.execute("PRAGMA quick_check").fetchone()
    (form,) = database.execute("PRAGMA user_version").fetchone()
    if verdict != ("ok",) or form not in {0, _FORM}:
        raise sqlite3.DatabaseError(f"quick_check: {verdict}; form {form}, expected {_FORM}")


def _is_damage(error: sqlite3.OperationalError) -> bool:
    """Tell a file whose tables are wrong from a disk that does not do what it should, or a lock."""
    return str(error).startswith(("no such", "table ", "malformed", "near "))


def _set_aside(path: Path) -> None:
    # The log goes first: with a new file it would be taken for its own.
    for suffix in ("-wal", "-shm", ""):
        found = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):
            found.replace(path.with_name(f"{path.name}{suffix}.damaged"))
            sync_folder(path.parent)


@contextmanager
def _sqlite(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        text = str(error)
        code = "disk-full" if "full" in text else "read-only" if "readonly" in text else "journal"
        raise UpdateError(f"{path}: {text}", code=code, remedy="Look at the disk: edgeagent doctor.") from error
