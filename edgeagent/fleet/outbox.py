"""Jobs of the fleet and what it has not yet heard, on the disk before anything is acknowledged.

Rules:
    - What became of jobs is kept until the fleet has it, whatever happens; steps on the way are dropped first.
    - Samples are kept within bounds while the fleet is away: the oldest go, and are counted.
    - Where nothing can be kept (`is_durable`), what must not be done twice is not done at all.
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeagent.fleet.jobs_here import Doing, State, restarted, stepped, taken
from edgeagent.fleet.safe_database import SafeDatabase
from edgeagent.fleet.wire import ENDS, FleetJob, written

OUTBOX = "fleet/fleet.db"
MOST_JOBS = 100
"""Jobs that are remembered, and would be told again."""
MOST_WHOLE = 3
"""Of those, with what came of them: the last ones."""
MOST_TOLD = 500
MOST_WHOLE_TOLD = 16
"""Of what waits to be told, with what came of it: a bundle has up to 200 KiB."""
MOST_SAMPLES = 2_500
"""A week of one in five minutes, and a little more."""
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job TEXT NOT NULL, state TEXT NOT NULL,
  step INTEGER NOT NULL, changed REAL NOT NULL, code TEXT NOT NULL, problem TEXT NOT NULL, result TEXT,
  is_ended INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS told (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, is_end INTEGER NOT NULL, body BLOB NOT NULL,
  short BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS samples (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS dropped (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seen (one INTEGER PRIMARY KEY CHECK (one = 1), job TEXT NOT NULL);
"""
_ALL = "SELECT job, state, step, changed, code, problem, result FROM jobs"


@dataclass(frozen=True, slots=True)
class Told:
    """Something for the fleet. `seq` is what is acknowledged; `short` is for a broker that does not take all of it."""

    seq: int
    job: str
    body: bytes
    short: bytes


class Outbox:
    """The jobs and what is to be told. For one thread; nothing here raises for what the disk does."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin one."""
        self._database = SafeDatabase(path, _TABLES, _check)
        self._rows, self._safely = self._database.rows, self._database.safely
        self.close = self._database.close

    @property
    def is_durable(self) -> bool:
        """Tell whether what is put down outlives this run."""
        return self._database.is_durable

    def begin(self, now: float) -> Doing | None:
        """Return the job that is open at the start of the agent; one that was interrupted is ended."""

        def work() -> Doing | None:
            found = self._open_job()
            changed = None if found is None else restarted(found, now)
            if changed is not None and changed != found:
                self._put(changed)
            return None if changed is None or changed.is_ended else changed

        return self._safely(work)

    def accept(self, job: FleetJob, now: float, *, is_live: bool = True) -> Doing:
        """Take a job, and return how it stands; one that is known is told again, and nothing else.

        `is_live`: it came when it was sent, and has not waited on the broker.
        """

        def work() -> Doing:
            self._see(job.id)
            if (known := self._job(job.id)) is not None:
                self._tell(known)
                return known
            changes = taken(job, self._open_job(), now, is_live=is_live)
            for one in changes:
                self._put(one)
            return changes[-1]

        return self._safely(work)

    def step(
        self, job_id: str, state: State, now: float, *, code: str = "", problem: str = "", result: Any = None
    ) -> Doing | None:
        """Take a job one step on, unless it has ended; return how it stands, None if it is not known.

        Raise ValueError or TypeError if `result` is no JSON.
        """
        json.dumps(result, allow_nan=False)  # here, where it is not taken for a damaged file

        def work() -> Doing | None:
            found = self._job(job_id)
            if found is None or found.is_ended:
                return found
            changed = stepped(found, state, now, code=code, problem=problem, result=result)
            self._put(changed)
            return changed

        return self._safely(work)

    def job(self, job_id: str) -> Doing | None:
        """Return how a job stands; None if it is not known, or no longer."""
        return self._safely(lambda: self._job(job_id))

    def open_job(self) -> Doing | None:
        """Return the job that is not ended."""
        return self._safely(self._open_job)

    def see(self, job_id: str) -> None:
        """Remember which job the pointer named last, of whatever kind."""
        self._safely(lambda: self._see(job_id))

    def last(self) -> str:
        """Return the id of the job that the pointer named last."""
        rows = self._safely(lambda: self._rows("SELECT job FROM seen"))
        return str(rows[0][0]) if rows else ""

    def results(self, most: int = 20) -> Sequence[Told]:
        """Return what waits to be told, the oldest first."""
        rows = self._safely(lambda: self._rows("SELECT seq, job, body, short FROM told ORDER BY seq LIMIT ?", most))
        return [Told(*row) for row in rows]

    def acknowledge(self, seq: int) -> None:
        """Forget what the fleet has heard."""
        self._safely(lambda: self._rows("DELETE FROM told WHERE seq = ?", seq))

    def keep_sample(self, body: bytes) -> None:
        """Keep a sample until the fleet is back."""

        def work() -> None:
            self._rows("INSERT INTO samples (body) VALUES (?)", body)
            ((count,),) = self._rows("SELECT count(*) FROM samples")
            if count > MOST_SAMPLES:
                oldest = "DELETE FROM samples WHERE seq IN (SELECT seq FROM samples ORDER BY seq LIMIT ?)"
                self._rows(oldest, count - MOST_SAMPLES)
                self._rows(
                    "INSERT INTO dropped VALUES ('samples', ?)"
                    " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
                    count - MOST_SAMPLES,
                )

        self._safely(work)

    def samples(self, most: int = 50) -> Sequence[tuple[int, bytes]]:
        """Return samples that wait, the oldest first."""
        rows = self._safely(lambda: self._rows("SELECT seq, body FROM samples ORDER BY seq LIMIT ?", most))
        return [(seq, body) for seq, body in rows]

    def forget_sample(self, seq: int) -> None:
        """Forget a sample that the fleet has."""
        self._safely(lambda: self._rows("DELETE FROM samples WHERE seq = ?", seq))

    def dropped(self) -> int:
        """Return how many samples were dropped, ever."""
        rows = self._safely(lambda: self._rows("SELECT count FROM dropped WHERE name = 'samples'"))
        return int(rows[0][0]) if rows else 0

    def _see(self, job_id: str) -> None:
        self._rows("INSERT OR REPLACE INTO seen VALUES (1, ?)", job_id)

    def _job(self, job_id: str) -> Doing | None:
        rows = self._rows(_ALL + " WHERE id = ?", job_id)
        return _doing(rows[0]) if rows else None

    def _open_job(self) -> Doing | None:
        rows = self._rows(_ALL + " WHERE is_ended = 0 ORDER BY seq DESC LIMIT 1")
        return _doing(rows[0]) if rows else None

    def _put(self, doing: Doing) -> None:
        """Write how a job stands, and that it is to be told."""
        result = None if doing.result is None else json.dumps(doing.result)
        self._rows(
            "INSERT INTO jobs (id, job, state, step, changed, code, problem, result, is_ended)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
            " step = excluded.step, changed = excluded.changed, code = excluded.code, problem = excluded.problem,"
            " result = excluded.result, is_ended = excluded.is_ended",
            *(doing.job.id, doing.job.model_dump_json(), doing.state, doing.step, doing.changed, doing.code),
            *(doing.problem, result, doing.state in ENDS),
        )
        self._tell(doing)
        if doing.is_ended:
            old = "UPDATE jobs SET result = NULL WHERE seq NOT IN (SELECT seq FROM jobs ORDER BY seq DESC LIMIT ?)"
            self._rows(old, MOST_WHOLE)
            older = "DELETE FROM jobs WHERE seq NOT IN (SELECT seq FROM jobs ORDER BY seq DESC LIMIT ?)"
            self._rows(older, MOST_JOBS)

    def _tell(self, doing: Doing) -> None:
        body, short = written(doing.progress()), written(doing.progress(is_short=True))
        self._rows(
            "INSERT INTO told (job, is_end, body, short) VALUES (?, ?, ?, ?)",
            *(doing.job.id, doing.is_ended, body, short),
        )
        old = "UPDATE told SET body = short WHERE seq NOT IN (SELECT seq FROM told ORDER BY seq DESC LIMIT ?)"
        self._rows(old, MOST_WHOLE_TOLD)
        ((count,),) = self._rows("SELECT count(*) FROM told")
        if count > MOST_TOLD:
            older = "DELETE FROM told WHERE seq IN (SELECT seq FROM told ORDER BY is_end, seq LIMIT ?)"
            self._rows(older, count - MOST_TOLD)


def last_job(state: Path) -> str:
    """Return the id of the last job that has come to the device with this state folder, empty where none has."""
    path = state / OUTBOX
    if not os.path.exists(path):  # noqa: PTH110  # it never raises
        return ""
    outbox = Outbox(path)
    try:
        return outbox.last()
    finally:
        outbox.close()


def _check(database: sqlite3.Connection) -> None:
    for row in database.execute(_ALL):
        _doing(row)


def _doing(row: tuple[Any, ...]) -> Doing:
    """Return what a row holds. Raise ValueError if it is nothing of ours."""
    job, state, step, changed, code, problem, result = row
    found = None if result is None else json.loads(result)
    return Doing(FleetJob.model_validate_json(job), state, step, changed, code, problem, found)
