"""What a device counted by the hour to charts that a person understands. Pure."""

from collections.abc import Callable, Mapping, Sequence

from edgeagent.console.tables import HealthHour
from edgeagent.console.web.charts import Chart, Series
from edgeagent.fleet.wire import HEALTH_BUCKETS_MS

HOUR_S = 3600
SPANS: Mapping[str, int] = {"24 h": 24, "7 d": 168, "30 d": 720}
"""Hours that are shown, by what it is called."""
MOST_POINTS = 84
"""Longer spans are shown by several hours together: a line of more points is a thicket."""
LEAST_DECISIONS = 3
"""Fewer decisions give no share and no decision time."""


def charts(rows: Sequence[HealthHour], hours: int, now: float) -> list[Chart]:
    """Return the charts of the last so many hours."""
    together = max(1, -(-hours // MOST_POINTS))
    last = int(now // HOUR_S) // together
    slots: dict[int, list[HealthHour]] = {}
    for row in rows:
        slots.setdefault(row.hour // together, []).append(row)
    places = range(last - hours // together + 1, last + 1)
    times = [place * together * HOUR_S for place in places]

    def each(value: Callable[[list[HealthHour]], float | None]) -> list[float | None]:
        return [value(slots[place]) if place in slots else None for place in places]

    def gauge(key: str) -> Series:
        return Series(_GAUGES[key][0], each(lambda hour: _gauge(hour, key)))

    per = "hour" if together == 1 else f"{together} hours"
    made = [
        Chart(f"Sentences per {per}", times, [Series("sentences", each(_decisions))], is_bars=True, key="c-count"),
        Chart(
            "Not understood",
            times,
            [
                Series("rejected", each(lambda hour: _share(hour, "rejected"))),
                Series("repeated", each(lambda hour: _share(hour, "repeated"))),
                Series("cut off", each(lambda hour: _share(hour, "ended_by_cap"))),
            ],
            unit="%",
            least_top=10,
            key="c-shares",
        ),
        Chart(
            "Time to decide",
            times,
            [
                Series("half within", each(lambda hour: _quantile(hour, 0.5))),
                Series("95 % within", each(lambda hour: _quantile(hour, 0.95))),
            ],
            unit="ms",
            least_top=100,
            key="c-time",
        ),
        *(
            Chart(title, times, [gauge(key)], unit=unit, least_top=top, key=f"c-{key}", is_from_zero=False)
            for key, (title, unit, top) in _GAUGES.items()
        ),
    ]
    return [chart for chart in made if not chart.is_empty]


_GAUGES: Mapping[str, tuple[str, str, float]] = {
    "noise_floor_db": ("Noise in the room", "dB", 10),
    "temperature_c": ("Temperature", "°C", 20),
    "memory_used_mb": ("Memory used", "MB", 40),
    "disk_free_mb": ("Free on disk", "MB", 100),
}
"""What is measured: title, unit, and the least span of its axis."""


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the time in ms within which a share of the decisions came, between the buckets' bounds."""
    total, seen, low = sum(counts), 0, 0.0
    if total < LEAST_DECISIONS:
        return None
    for count, high in zip(counts, HEALTH_BUCKETS_MS, strict=False):
        if count and seen + count >= share * total:
            return low + (high - low) * (share * total - seen) / count
        seen, low = seen + count, float(high)
    return float(HEALTH_BUCKETS_MS[-1])


def _quantile(hours: Sequence[HealthHour], share: float) -> float | None:
    lists = [hour.decision_ms for hour in hours if hour.decision_ms]
    return quantile([sum(column) for column in zip(*lists, strict=False)], share) if lists else None


def _decisions(hours: Sequence[HealthHour]) -> float | None:
    return float(sum(hour.decisions for hour in hours))


def _share(hours: Sequence[HealthHour], field: str) -> float | None:
    total = sum(hour.decisions for hour in hours)
    return None if total < LEAST_DECISIONS else 100 * sum(getattr(hour, field) for hour in hours) / total


def _gauge(hours: Sequence[HealthHour], key: str) -> float | None:
    known = [hour.gauges[key] for hour in hours if isinstance(hour.gauges.get(key), int | float)]
    return sum(known) / len(known) if known else None
