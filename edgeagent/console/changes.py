"""What a device says to what changes in its row, and what is noted beside it. Pure: rows come in as they are.

Rules:
    - What is retained is told again to whoever asks: a repetition changes nothing, and is no sign of life.
    - A start of the device has a name (`boot`), and begins with a birth or a state; what comes late of an earlier start
      changes nothing, a last will least. Samples of another start may have waited: they are counted, and begin none.
    - Within a start, states are numbered; a last will has the number 0 and counts for the start that it names.
    - Times are by the console's clock; the device's own is compared with it, never believed. What may have waited for
      us can only look late: it shows a clock that is ahead, and none that is behind.
    - Who was given up because nothing was heard is there again with whatever is heard of its current start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeagent.console.health import Facts, health
from edgeagent.console.heard import Heard, clean
from edgeagent.console.voice_hours import Counted, between
from edgeagent.fleet.wire import Birth, Reported, Sample, State

MOST_RELEASES = 50
MOST_CAPABILITIES = 64
BOOTS_KEPT = 5
SILENT = "nothing heard"
"""How the reason begins for which a device was given up without its last will."""
CLOCKS_AGREE_S = 120.0
LATE_DAYS = 8
"""How long a sample may have waited and still be counted in the hour in which it was taken."""
HOUR_S = 3_600.0
EVENTS_KEPT = 16
"""Numbers of events by which one that comes again is known, or is older: a broker repeats what was under way."""
LARGEST_NUMBER = 1 << 53
CLOCK_STEP_S = 2.0
"""A clock that differs by less from what it was has not moved."""


@dataclass(slots=True)
class Known:
    """A device's row, what has changed in it, and what goes into other tables."""

    row: Mapping[str, Any]
    changed: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    counted: list[tuple[int, Counted, Mapping[str, float]]] = field(default_factory=list)
    """With the hour in which they count."""
    releases: Mapping[str, str] | None = None
    is_born: bool = False
    has_begun: bool = False
    """Whether another start of it has begun."""
    desired_at_least: int = 0
    """The highest version of its settings that it has told of."""

    def __getitem__(self, name: str) -> Any:
        return self.changed[name] if name in self.changed else self.row[name]

    def set(self, **values: Any) -> None:
        """Note columns that have another value now."""
        for name, value in values.items():
            if self[name] != value:
                self.changed[name] = value

    @property
    def id(self) -> int:
        """Return the key of its row."""
        return int(self.row["id"])


def note(known: Known, what: Heard, now: float, *, is_live: bool = True) -> bool:
    """Note what a device says; return False where it comes from an earlier start of it.

    `is_live`: nothing waits for this console, so that what comes was said just now.
    """
    if not what.retained or known["seen"] is None:
        known.set(seen=now)
    if not _noted(known, what, now, is_live=is_live and not what.retained):
        return False
    if not what.retained and not known["online"] and known["reason"].startswith(SILENT):
        _comes_back(known, what, now)
    return True


def _noted(known: Known, what: Heard, now: float, *, is_live: bool) -> bool:
    match what.said:
        case Birth() as said:
            return _born(known, said, now, is_retained=what.retained)
        case State() as said:
            return _stands(known, said, now, is_live=is_live, is_retained=what.retained)
        case Reported() as said:
            _reports(known, said)
        case Sample() as said:
            _counts(known, said, now)
        case Mapping() as said:
            _tells(known, what.tail, said)
    return True


def _comes_back(known: Known, what: Heard, now: float) -> None:
    boot = what.said.get("boot") if isinstance(what.said, Mapping) else getattr(what.said, "boot", known["boot"])
    is_gone = isinstance(what.said, State) and not what.said.online
    if boot == known["boot"] and not is_gone:
        known.set(online=True, online_since=now, reason="")
        known.events.append(("online", {"reason": "it was heard again"}))


def judge(known: Known, now: float) -> None:
    """Set how the device is, by all that is known of it now."""
    counters = known["counters"]
    facts = Facts(
        is_online=known["online"],
        reason=known["reason"],
        gauges=known["gauges"],
        recent=counters.get("recent", {}),
        recent_ms=tuple(counters.get("recent_ms", ())),
        standing=known["standing"],
        standing_problem=known["standing_problem"],
        job_problem=known["job_problem"],
        certificate_until=known["certificate_until"],
        clock_ahead_s=known["clock_ahead_s"],
    )
    how = health(facts, now)
    known.set(health=how.level, health_reason=how.reason)


def _born(known: Known, said: Birth, now: float, *, is_retained: bool) -> bool:
    is_new = said.boot != known["boot"]
    if is_new and not _begins(known, said.boot):
        return False
    if is_new or not is_retained or known["born"] is None:
        known.set(born=now)
        known.is_born = True
    releases = {cut(family, 64): cut(version, 64) for family, version in sorted(said.releases.items())[:MOST_RELEASES]}
    if releases != known["releases"]:
        known.releases = releases
    known.set(
        version=cut(said.version, 100),
        capabilities=[cut(one, 100) for one in said.capabilities[:MOST_CAPABILITIES]],
        releases=releases,
        board=cut(said.board, 100),
        hardware=cut(said.hardware, 500),
        system=cut(said.system, 500),
        job_seen=cut(said.job, 64),
        desired_seen=said.desired,
        certificate_until=said.certificate_until,
    )
    known.desired_at_least = max(known.desired_at_least, said.desired)
    if said.area:
        known.set(area=cut(said.area, 200))
    if said.serial and not known["serial"]:
        known.set(serial=cut(said.serial, 64))
    return True


def _stands(known: Known, said: State, now: float, *, is_live: bool, is_retained: bool) -> bool:
    is_will = not said.online and said.seq == 0
    if said.boot != known["boot"]:
        if not _begins(known, said.boot):
            return False
    elif said.seq <= known["seq"] and not is_will:
        return True  # told again
    if not is_will:
        known.set(seq=said.seq, muted=said.muted)
    if said.at is not None and not is_retained:
        _compare_clocks(known, said.at, now, is_live=is_live)
    reason = cut(said.reason, 500)
    if said.online != known["online"]:
        known.set(online=said.online, online_since=now if said.online else None)
        known.events.append(("online" if said.online else "offline", {"reason": reason} if reason else {}))
    known.set(reason=reason)
    return True


def _reports(known: Known, said: Reported) -> None:
    known.desired_at_least = max(known.desired_at_least, said.version)
    is_news = (said.version, said.standing) != (known["reported_version"], known["standing"])
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in said.settings.items()}
    problem = cut(said.problem, 500)
    known.set(
        reported_version=said.version,
        standing=said.standing,
        standing_problem=problem,
        reported=settings,
    )
    if is_news and said.standing != "none":
        body = {"version": said.version, "standing": said.standing}
        known.events.append(("settings", body | ({"problem": problem} if problem else {})))


def _counts(known: Known, said: Sample, now: float) -> None:
    is_current = said.boot == known["boot"] or not known["boot"]
    if not is_current and now - said.uptime_s < known["created"]:
        return  # it began before we knew the device: how much of it was counted elsewhere is not known
    gauges = {key: value for key, value in said.gauges.items() if _is_name(key)}
    counted = between(known["counters"], said, is_current=is_current)
    if counted is None:
        return
    known.set(counters=dict(counted.kept))  # its time says nothing of the clock: it may have waited
    if is_current:
        known.set(gauges=gauges)
    known.counted.append((_hour(known, said, now), counted, gauges))


def _hour(known: Known, said: Sample, now: float) -> int:
    """Return the hour in which a sample was taken, by our clock; the hour of now where that cannot be known."""
    ahead = known["clock_ahead_s"]
    age_s = now - said.at
    is_sure = ahead is not None and abs(ahead) <= CLOCKS_AGREE_S and 0 <= age_s <= LATE_DAYS * 86_400
    return int((said.at if is_sure else now) // HOUR_S)


def _tells(known: Known, kind: str, said: Mapping[str, Any]) -> None:
    number = said.get("seq")
    if said.get("boot") == known["boot"] and isinstance(number, int):
        seen = [int(one) for one in known["events_seen"].split()]
        number = max(0, min(number, LARGEST_NUMBER))
        if number in seen or (len(seen) == EVENTS_KEPT and number < min(seen)):
            return
        known.set(events_seen=" ".join(map(str, [number, *seen][:EVENTS_KEPT])))
    known.events.append((kind, {key: value for key, value in said.items() if key not in {"v", "boot", "seq"}}))


def _begins(known: Known, boot: str) -> bool:
    """Note another start of the device; return False where it is an earlier one."""
    before = known["boots_before"].split()
    if boot in before:
        return False
    if known["boot"]:
        before = [known["boot"], *before][:BOOTS_KEPT]
    known.has_begun = True
    known.set(boot=boot, boots_before=" ".join(before), seq=0, events_seen="")
    return True


def _compare_clocks(known: Known, at: float, now: float, *, is_live: bool) -> None:
    was, ahead = known["clock_ahead_s"], round(at - now, 1)
    if not is_live and ahead < (-CLOCK_STEP_S if was is None else was):
        return
    if was is None or abs(ahead - was) >= CLOCK_STEP_S:
        known.set(clock_ahead_s=ahead)


def _is_name(key: str) -> bool:
    return 0 < len(key) <= 64 and key.isascii() and key.replace("_", "").isalnum()  # noqa: PLR2004  # as filters take


def cut(text: str, most: int) -> str:
    """Return a text that fits a column."""
    return str(clean(text))[:most]
