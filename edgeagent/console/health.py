"""How a device is: ok, warn or bad, and why, in plain words; from what it has told. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgeagent.console.voice_hours import percentile_ms

Level = Literal["ok", "warn", "bad"]
DAY_S = 86_400.0

HOT_C, VERY_HOT_C = 75.0, 85.0
"""A Raspberry Pi throttles from 80 degrees on, and more from 85."""
LITTLE_MEMORY_MB, LITTLE_DISK_MB, NO_DISK_MB = 50.0, 200.0, 20.0
ENOUGH_DECISIONS = 5.0
"""Recent ones, before their share says anything."""
MANY_REJECTED = 0.9
"""Who listens always rejects most of what is said in a room."""
MANY_REPEATED = 0.3
MANY_CAPPED = 0.3
SLOW_MS, VERY_SLOW_MS = 1_500.0, 3_000.0
NOISY_DB = 60.0
CLOCK_OFF_S = 120.0
CERTIFICATE_SOON_DAYS = 20.0
"""It is renewed 30 days before its end: here that has failed for days."""
_ORDERLY = {"", "stopped", "restart", "update"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a device. `recent` are counts of the last samples, `recent_ms` their decision times."""

    is_online: bool = True
    reason: str = ""
    gauges: Mapping[str, float] = field(default_factory=dict)
    recent: Mapping[str, float] = field(default_factory=dict)
    recent_ms: tuple[float, ...] = ()
    standing: str = "none"
    standing_problem: str = ""
    job_problem: str = ""
    certificate_until: float | None = None
    clock_ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The worst that there is, and everything that is not well, the worst first."""

    level: Level
    reason: str


def health(facts: Facts, now: float) -> Health:
    """Return how a device is; `now` in seconds since 1970."""
    found = list(_complaints(facts, now))
    if not found:
        return Health("ok", "")
    found.sort(key=lambda complaint: complaint[0] != "bad")
    return Health(found[0][0], "; ".join(text for _, text in found)[:500])


def _complaints(facts: Facts, now: float) -> Iterator[tuple[Level, str]]:
    if not facts.is_online and facts.reason not in _ORDERLY:
        yield "warn", "it is gone without a word" if facts.reason == "lost" else f"it is gone: {facts.reason[:100]}"
    yield from _of_certificate(facts, now)
    if facts.job_problem:
        yield "warn", f"its last job failed: {facts.job_problem[:200]}"
    if facts.standing in {"refused", "undone"}:
        yield "warn", f"it has {facts.standing} its settings: {facts.standing_problem[:150] or 'no reason given'}"
    if facts.clock_ahead_s is not None and abs(facts.clock_ahead_s) > CLOCK_OFF_S:
        way = "ahead" if facts.clock_ahead_s > 0 else "behind"
        yield "warn", f"its clock is {_span(abs(facts.clock_ahead_s))} {way}"
    yield from _of_gauges(facts.gauges)
    yield from _of_voice(facts)


def _of_certificate(facts: Facts, now: float) -> Iterator[tuple[Level, str]]:
    if facts.certificate_until is None:
        return
    left_days = (facts.certificate_until - now) / DAY_S
    if left_days <= 0:
        yield "bad", "its certificate has ended"
    elif left_days < CERTIFICATE_SOON_DAYS:
        yield "warn", f"its certificate ends in {left_days:.0f} days and was not renewed"


def _of_gauges(gauges: Mapping[str, float]) -> Iterator[tuple[Level, str]]:
    heat = gauges.get("temperature_c")
    if heat is not None and heat >= HOT_C:
        yield ("bad" if heat >= VERY_HOT_C else "warn"), f"it is {heat:.0f} degrees hot"
    if gauges.get("throttled", 0) >= 1:
        yield "warn", "it is slowed down by heat or a weak supply"
    disk = gauges.get("disk_free_mb")
    if disk is not None and disk < LITTLE_DISK_MB:
        yield ("bad" if disk < NO_DISK_MB else "warn"), f"{disk:.0f} MB of its disk are free"
    memory = gauges.get("memory_free_mb")
    if memory is not None and memory < LITTLE_MEMORY_MB:
        yield "warn", f"{memory:.0f} MB of its memory are free"
    noise = gauges.get("noise_floor_db")
    if noise is not None and noise >= NOISY_DB:
        yield "warn", f"it is noisy around it: {noise:.0f} dB"


def _of_voice(facts: Facts) -> Iterator[tuple[Level, str]]:
    decisions = facts.recent.get("decisions", 0.0)
    if decisions < ENOUGH_DECISIONS:
        return
    rejected = min(1.0, facts.recent.get("rejected", 0.0) / decisions)
    if rejected >= MANY_REJECTED:
        yield "warn", f"{rejected:.0%} of what it hears is rejected"
    repeated = min(1.0, facts.recent.get("repeated", 0.0) / decisions)
    if repeated >= MANY_REPEATED:
        yield "warn", f"{repeated:.0%} of what it hears is said again"
    capped = min(1.0, facts.recent.get("ended_by_cap", 0.0) / decisions)
    if capped >= MANY_CAPPED:
        yield "warn", f"{capped:.0%} of what it hears is cut off by the length limit"
    slow = percentile_ms(list(facts.recent_ms), 0.95)
    if slow is not None and slow > SLOW_MS:
        yield ("bad" if slow > VERY_SLOW_MS else "warn"), "one decision of twenty takes longer than 1.5 s"


def _span(seconds: float) -> str:
    for unit, size in (("days", DAY_S), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
