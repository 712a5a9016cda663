"""What the console's database says, read beside the running console, and compared with what the devices say."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeagent.fleet.wire import ENDS, UNDONE


@dataclass(frozen=True, slots=True)
class Registry:
    """The database of a console that runs, or is away."""

    path: Path

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30)) as database:
            yield database

    def rows(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._reading() as database:
            return database.execute(question, values).fetchall()

    def number(self, question: str, *values: Any) -> int:
        return int(self.rows(question, *values)[0][0])

    @property
    def online(self) -> int:
        return self.number("SELECT count(*) FROM devices WHERE online")

    def rollout(self, rollout: str) -> tuple[str, int]:
        """Return its state, and its wave."""
        state, wave = self.rows("SELECT state, wave FROM rollouts WHERE id = ?", rollout)[0]
        return str(state), int(wave)

    def states(self, rollout: str) -> Mapping[str, int]:
        """Return how many of its jobs stand where."""
        return dict(self.rows("SELECT state, count(*) FROM jobs WHERE rollout = ? GROUP BY state", rollout))

    def open_jobs(self) -> int:
        """Return how many were sent and have not ended."""
        return self.number("SELECT count(*) FROM jobs WHERE ended IS NULL AND state != 'pending'")

    def size(self) -> int:
        """Return how many bytes the database has on the disk, with what is still in its journal."""
        return sum(file.stat().st_size for file in self.path.parent.glob(f"{self.path.name}*"))

    def bytes_per_row(self) -> Mapping[str, float]:
        """Return what a row costs in each of the larger tables, with its indexes."""
        found: dict[str, float] = {}
        size = (
            "SELECT sum(pgsize) FROM dbstat WHERE name = :table OR name IN"
            " (SELECT name FROM sqlite_master WHERE tbl_name = :table AND type = 'index')"
        )
        with self._reading() as database:
            for table in ("devices", "jobs", "events", "health_hours"):
                rows = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # ours
                used = database.execute(size, {"table": table}).fetchone()[0] or 0
                found[table] = used / rows if rows else 0.0
        return found


@dataclass
class Verdict:
    """What is not as it should be: `lost` what was told and is not there, `twice` what was done more than once."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    jobs: int = 0
    """That were compared."""


def compared(registry: Registry, devices: Sequence[Mapping[str, Any]]) -> Verdict:
    """Compare at rest: every job, every pointer, every device."""
    verdict = Verdict()
    told = {name: device for device in devices if (name := device["name"])}
    _compare_devices(registry, told, verdict)
    _compare_jobs(registry, told, verdict)
    return verdict


def _compare_devices(registry: Registry, told: Mapping[str, Mapping[str, Any]], verdict: Verdict) -> None:
    question = "SELECT name, online, boot, desired_version, reported_version, releases, counters FROM devices"
    rows = registry.rows(question)
    verdict.lost += [f"{name}: unknown to the console" for name in told.keys() - {row[0] for row in rows}]
    for name, online, boot, desired, reported, releases, counters in rows:
        device = told.get(name)
        if device is None:
            verdict.lost.append(f"{name}: nobody has made it")
            continue
        for what, ours, theirs in (
            ("online", bool(online), device["online"]),
            ("boot", boot, device["boot"]),
            ("settings wanted", desired, device["desired"]),
            ("settings reported", reported, device["desired"]),
            ("releases", json.loads(releases), device["releases"]),
        ):
            if ours != theirs:
                verdict.lost.append(f"{name}: {what} is {theirs!r}, the console says {ours!r}")
        counted = json.loads(counters)
        if counted.get("boot") == device["boot"]:
            ahead = counted.get("counters", {}).get("decisions", 0) - device["counters"]["decisions"]
            if ahead > 0:
                verdict.twice.append(f"{name}: {ahead} decisions more than it has made")


def _compare_jobs(registry: Registry, told: Mapping[str, Mapping[str, Any]], verdict: Verdict) -> None:
    question = "SELECT jobs.id, devices.name, state, step FROM jobs JOIN devices ON devices.id = jobs.device"
    rows = {job: (name, state, step) for job, name, state, step in registry.rows(question)}
    for device in told.values():
        for job, theirs in device["jobs"].items():
            verdict.jobs += 1
            if theirs["executions"] > 1:
                verdict.twice.append(f"{device['name']}: {job} done {theirs['executions']} times")
            if job not in rows:
                verdict.lost.append(f"{device['name']}: {job} is unknown to the console")
                continue
            name, state, step = rows[job]
            # What the console has ended itself, as superseded or cancelled, takes no more steps; the end is the same.
            is_same = (name, state) == (device["name"], theirs["state"]) and (step == theirs["step"] or state in UNDONE)
            if not is_same:
                found = f"the console says {state} ({step}) of {name}"
                verdict.lost.append(f"{device['name']}: {job} is {theirs['state']} ({theirs['step']}), {found}")
    for job, (name, state, step) in rows.items():
        if step > 0 and state in ENDS and job not in told[name]["jobs"]:
            verdict.lost.append(f"{name}: {job} is {state} to the console, and it has never had it")


def simulated(progress: Mapping[str, Any], version: str) -> Counter[str]:
    """Return how many devices stand where with their job for a version, as they say."""
    found: Counter[str] = Counter()
    for name, count in progress.get("jobs", {}).items():
        asked, _, state = name.partition(" ")
        if asked == version:
            found[state] += count
    return found
