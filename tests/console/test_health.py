"""How a device is, in plain words, from what it has told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.console.health import DAY_S, Facts, health
from edgeagent.console.voice_hours import BUCKETS, Counted, added, between, percentile_ms
from edgeagent.fleet.wire import HEALTH_BUCKETS_MS, Sample

NOW = 1_700_000_000.0
SLOW = tuple(100.0 if place == BUCKETS - 1 else 0.0 for place in range(BUCKETS))


@pytest.mark.parametrize(
    ("facts", "level", "reason"),
    [
        (Facts(), "ok", ""),
        (Facts(is_online=False, reason="stopped"), "ok", ""),
        (Facts(is_online=False, reason="lost"), "warn", "it is gone without a word"),
        (Facts(is_online=False, reason="battery empty"), "warn", "it is gone: battery empty"),
        (Facts(gauges={"temperature_c": 74.9}), "ok", ""),
        (Facts(gauges={"temperature_c": 78.0}), "warn", "it is 78 degrees hot"),
        (Facts(gauges={"temperature_c": 86.0}), "bad", "it is 86 degrees hot"),
        (Facts(gauges={"throttled": 1.0}), "warn", "it is slowed down by heat or a weak supply"),
        (Facts(gauges={"disk_free_mb": 150.0}), "warn", "150 MB of its disk are free"),
        (Facts(gauges={"disk_free_mb": 3.0}), "bad", "3 MB of its disk are free"),
        (Facts(gauges={"memory_free_mb": 20.0}), "warn", "20 MB of its memory are free"),
        (Facts(gauges={"noise_floor_db": 66.0}), "warn", "it is noisy around it: 66 dB"),
        (Facts(recent={"decisions": 4.0, "rejected": 4.0}), "ok", ""),
        (Facts(recent={"decisions": 20.0, "rejected": 19.0}), "warn", "95% of what it hears is rejected"),
        (Facts(recent={"decisions": 20.0, "repeated": 8.0}), "warn", "40% of what it hears is said again"),
        (
            Facts(recent={"decisions": 20.0, "ended_by_cap": 8.0}),
            "warn",
            "40% of what it hears is cut off by the length limit",
        ),
        (
            Facts(recent={"decisions": 20.0}, recent_ms=SLOW),
            "bad",
            "one decision of twenty takes longer than 1.5 s",
        ),
        (Facts(standing="undone", standing_problem="cut off"), "warn", "it has undone its settings: cut off"),
        (Facts(job_problem="no-room"), "warn", "its last job failed: no-room"),
        (Facts(certificate_until=NOW + 30 * DAY_S), "ok", ""),
        (Facts(certificate_until=NOW + 5 * DAY_S), "warn", "its certificate ends in 5 days and was not renewed"),
        (Facts(certificate_until=NOW - 1), "bad", "its certificate has ended"),
        (Facts(clock_ahead_s=-7_300.0), "warn", "its clock is 2 hours behind"),
        (Facts(clock_ahead_s=200.0), "warn", "its clock is 3 minutes ahead"),
        (
            Facts(gauges={"throttled": 1.0, "disk_free_mb": 1.0}),
            "bad",
            "1 MB of its disk are free; it is slowed down by heat or a weak supply",
        ),
    ],
)
def test_what_is_wrong_is_said_the_worst_first(facts: Facts, level: str, reason: str) -> None:
    how = health(facts, NOW)
    assert (how.level, how.reason) == (level, reason)


@given(
    st.dictionaries(
        st.sampled_from(["temperature_c", "throttled", "disk_free_mb", "memory_free_mb", "noise_floor_db"]), st.floats()
    ),
    st.dictionaries(st.sampled_from(["decisions", "rejected", "repeated", "ended_by_cap"]), st.floats(0, 1e15)),
    st.text(),
    st.floats(),
)
def test_whatever_is_told_there_is_an_answer_that_fits_its_column(
    gauges: dict[str, float], recent: dict[str, float], text: str, clock: float
) -> None:
    facts = Facts(is_online=False, reason=text, gauges=gauges, recent=recent, job_problem=text, clock_ahead_s=clock)
    how = health(facts, NOW)
    assert how.level in {"ok", "warn", "bad"}
    assert len(how.reason) <= 500
    assert (how.level == "ok") == (how.reason == "")


def test_percentiles_are_the_upper_bounds_of_their_buckets() -> None:
    assert percentile_ms([0] * BUCKETS, 0.95) is None
    assert percentile_ms([1] + [0] * (BUCKETS - 1), 0.95) == HEALTH_BUCKETS_MS[0]
    counts = [0] * BUCKETS
    counts[2], counts[5] = 95, 5
    assert percentile_ms(counts, 0.95) == HEALTH_BUCKETS_MS[2]
    assert percentile_ms(counts, 0.96) == HEALTH_BUCKETS_MS[5]
    assert percentile_ms([0] * (BUCKETS - 1) + [1], 0.5) == float("inf")


def sample(uptime_s: float, decisions: int, boot: str = "a") -> Sample:
    times = tuple(decisions if place == 3 else 0 for place in range(BUCKETS))
    return Sample(boot=boot, at=0.0, uptime_s=uptime_s, counters={"decisions": decisions}, decision_ms=times)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 50), min_size=1, max_size=8)),
        min_size=1,
        max_size=5,
        unique_by=lambda start: start[0],
    ),
    st.data(),
)
def test_whatever_is_lost_late_or_repeated_everything_is_counted_once(
    starts: list[tuple[str, list[int]]], data: st.DataObject
) -> None:
    """Of each start the last sample arrives; the others may be lost, and those that arrive may come again or late."""
    hour: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for boot, counts in starts:
        sent = [sample(60.0 * (number + 1), sum(counts[: number + 1]), boot) for number in range(len(counts))]
        come = [one for one in sent[:-1] if data.draw(st.booleans())] + [sent[-1]]
        come += [data.draw(st.sampled_from(sent)) for _ in range(data.draw(st.integers(0, 3)))]
        for one in come:
            counted = between(kept, one)
            if counted is not None:
                hour, kept = added(hour, counted, {}), dict(counted.kept)
    total = sum(sum(counts) for _, counts in starts)
    assert hour["decisions"] == total
    assert sum(hour["decision_ms"]) == total


def test_sums_have_bounds_whatever_is_told() -> None:
    counted = Counted({"decisions": 100_000, "rejected": 0, "repeated": 0, "ended_by_cap": 0}, (100_000,) * BUCKETS)
    full = {"decisions": 999_999_999, "decision_ms": [999_999_999] * 3}
    hour = added(full, counted, {"x": 1.0})
    assert hour["decisions"] == 1_000_000_000
    assert hour["decision_ms"][:4] == [1_000_000_000] * 3 + [100_000]
