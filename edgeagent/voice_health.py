"""How voice control goes, counted for each release that is in use, and kept over restarts.

Rules:
- what was typed says nothing of hearing, and is not counted, nor is what was refused of it;
- the same words again within seconds: the first time was not enough;
- a run that did not end in order, on a machine that has not been switched off since, has crashed;
- times are kept in steps of a tenth, so that months take no more room than a day.
"""

import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edgeagent.files import write_durably
from edgeagent.messages import Rejection, Step, Transcript
from edgeagent.update.probation import Figures

log = logging.getLogger(__name__)

HEALTH = "voice-health.json"
REPEATED_WITHIN_S = 12.0
MOST_RELEASES = 24
STEP = 1.1
"""Each bucket of times is so much wider than the one before."""
MOST_BUCKETS = 120
_PERCENTILE = 0.95
_LARGEST_BYTES = 1 << 20
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Counts:
    """What was counted under one release. `times` are decisions by bucket; `observed_s` is time in service."""

    observed_s: float = 0.0
    starts: int = 0
    crashes: int = 0
    decisions: int = 0
    rejected: int = 0
    repeated: int = 0
    ended_by_cap: int = 0
    times: dict[int, int] = field(default_factory=dict)
    is_fleet_reachable: bool | None = None
    unreachable_s: float = 0.0

    def figures(self) -> Figures:
        """Return what a release is judged by."""
        return Figures(
            observed_s=round(self.observed_s, 1),
            starts=self.starts,
            crashes=self.crashes,
            decisions=self.decisions,
            p95_ms=self._p95_ms(),
            rejected=self.rejected,
            repeated=self.repeated,
            ended_by_cap=self.ended_by_cap,
            is_fleet_reachable=self.is_fleet_reachable,
            unreachable_s=round(self.unreachable_s, 1),
        )

    def _p95_ms(self) -> float:
        wanted, found = _PERCENTILE * sum(self.times.values()), 0
        for bucket in sorted(self.times):
            found += self.times[bucket]
            if found >= wanted:
                return round(STEP**bucket, 1)
        return 0.0


class VoiceHealth:
    """Counts what happens under the releases that are in use; `named` tells how they are called."""

    def __init__(self, path: Path, releases: Iterable[str], clock: Callable[[], float]) -> None:
        """Begin a run, and see how the one before has ended. `clock` goes only forward, in seconds."""
        self._path, self._clock = path, clock
        self._all = read(path)
        self._used = tuple(releases)
        self._since = clock()
        self._last: tuple[str, float] | None = None
        self._spoken: str | None = None
        self._reached: float | None = None
        for name in _running(path):
            if name in self._all:
                self._all[name].crashes += 1
        for name in self._used:
            self._all.setdefault(name, Counts()).starts += 1

    def note(self, step: Step) -> None:
        """Count a step."""
        if isinstance(step, Rejection) and step.utterance == self._spoken:
            self._spoken = None
            self._add(rejected=1)
        if not isinstance(step, Transcript) or step.ended_by in {None, "text"} or not step.words:
            return
        now, said = self._clock(), step.text
        is_repeated = self._last is not None and self._last[0] == said and now - self._last[1] < REPEATED_WITHIN_S
        self._last, self._spoken = (said, now), step.utterance
        self._add(decisions=1, repeated=int(is_repeated), ended_by_cap=int(step.ended_by == "cap"))
        bucket = _bucket((step.heard_s - step.words[-1].end_s) * 1_000)
        for name in self._used:
            times = self._all[name].times
            times[bucket] = times.get(bucket, 0) + 1

    def reach(self, *, is_fleet_reachable: bool) -> None:
        """Note whether the broker is in reach now; call it every few seconds. Never having been is none's fault yet."""
        now = self._clock()
        if is_fleet_reachable or self._reached is None:
            self._reached = now
        for name in self._used:
            counts = self._all[name]
            counts.is_fleet_reachable = is_fleet_reachable
            counts.unreachable_s = now - self._reached

    def save(self, *, is_over: bool = False) -> None:
        """Write it down; `is_over`: the run ends in order. Where it cannot be written, that is logged."""
        self.write(self.told(is_over=is_over))

    def told(self, *, is_over: bool = False) -> bytes:
        """Return what is to be written; call it where `note` is called."""
        now = self._clock()
        for name in self._used:
            self._all[name].observed_s += now - self._since
        self._since = now
        kept = dict(list(self._all.items())[-MOST_RELEASES:]) | {name: self._all[name] for name in self._used}
        body = {
            "running": {} if is_over else {"boot": _boot(), "releases": list(self._used)},
            "releases": {name: _as_json(counts) for name, counts in kept.items()},
        }
        return json.dumps(body).encode()

    def write(self, content: bytes) -> None:
        """Write what was told, from any thread. Where it cannot be written, that is logged."""
        try:
            write_durably(self._path, content, mode=0o644)
        except OSError as error:
            log.warning("voice health cannot be kept", extra={"path": str(self._path), "problem": str(error)})

    def _add(self, **more: int) -> None:
        for name in self._used:
            counts = self._all[name]
            for key, count in more.items():
                setattr(counts, key, getattr(counts, key) + count)


def named(family: str, release: str | None, since: int = 0) -> str:
    """Return how a release is called here; None is the one that ships.

    `since` is another number each time that it becomes current: what it did in an earlier service is not counted again.
    """
    return f"{family}:{release or ''}@{since}"


def figures_of(path: Path, family: str, release: str | None) -> Figures:
    """Return the figures of a release in its last service; of one that is not known, none."""
    wanted = named(family, release).partition("@")[0]
    found = [counts for name, counts in read(path).items() if name.partition("@")[0] == wanted]
    return (found[-1] if found else Counts()).figures()


def read(path: Path) -> dict[str, Counts]:
    """Return what was counted; what is damaged counts as nothing, for it is only counts."""
    found = _body(path).get("releases")
    return {} if not isinstance(found, dict) else {name: _counts(one) for name, one in found.items()}


def _body(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        found = json.loads(file.read(_LARGEST_BYTES))
        return found if isinstance(found, dict) else {}
    return {}


def _running(path: Path) -> tuple[str, ...]:
    """Return the releases of a run that has ended without a word since this machine was switched on."""
    running = _body(path).get("running")
    if not isinstance(running, dict) or running.get("boot") != _boot():
        return ()
    names = running.get("releases")
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _counts(one: object) -> Counts:
    if not isinstance(one, dict):
        return Counts()
    numbers = {key: one[key] for key in _NUMBERS if isinstance(one.get(key), int | float) and one[key] >= 0}
    times = one.get("times")
    pairs = times.items() if isinstance(times, dict) else ()
    buckets = {int(key): int(count) for key, count in pairs if str(key).isdecimal() and isinstance(count, int)}
    reach = one.get("is_fleet_reachable")
    return replace(Counts(**numbers), times=buckets, is_fleet_reachable=reach if isinstance(reach, bool) else None)


_NUMBERS = tuple(one.name for one in fields(Counts) if one.type in {"int", "float", int, float})


def _as_json(counts: Counts) -> dict[str, Any]:
    return {one.name: getattr(counts, one.name) for one in fields(Counts)}


def _bucket(milliseconds: float) -> int:
    return min(MOST_BUCKETS, max(0, math.ceil(math.log(max(1.0, milliseconds), STEP))))


def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return str(os.getppid())
