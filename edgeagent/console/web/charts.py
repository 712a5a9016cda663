"""Numbers over time to SVG that the page's style sheet colours, each with a title, a description and its numbers. Pure.

A chart has no styles of its own: classes `s1`, `s2`, … are its series. Who cannot see it opens the table under it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 180
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 22
_DAY_S = 86_400
_STEPS = (1, 2, 2.5, 5, 10)
_ABOUT_TICKS = 4


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn as one line or as bars: a value for each time of the chart, None where there is none."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over the same times (seconds since 1970). `least_top`, the least span, keeps noise from looking large."""

    title: str
    times: Sequence[float]
    series: Sequence[Series]
    unit: str = ""
    least_top: float = 1.0
    is_bars: bool = False
    is_from_zero: bool = True
    key: str = "chart"
    """An id that is unique on the page."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value is not None for series in self.series for value in series.values)


def drawn(chart: Chart) -> Markup:
    """Return a chart as SVG."""
    low, ticks = _scale(chart)
    high = ticks[-1]

    def across(index: int) -> float:
        room = WIDTH - LEFT - RIGHT
        return LEFT + room * ((index + 0.5) / len(chart.times) if chart.times else 0)

    def up(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))

    parts = [_grid(ticks, up), _days(chart.times, across)]
    for number, series in enumerate(chart.series, start=1):
        parts.append(_bars(series, number, across, up, low) if chart.is_bars else _line(series, number, across, up))
    return Markup(  # noqa: S704  # numbers and escaped texts
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{escape(chart.key)}-t '
        f'{escape(chart.key)}-d"><title id="{escape(chart.key)}-t">{escape(chart.title)}</title>'
        f'<desc id="{escape(chart.key)}-d">{escape(described(chart))}</desc>{"".join(parts)}</svg>'
    )


def described(chart: Chart) -> str:
    """Return a chart in words: its least, its most and its last number, per series."""
    told = []
    for series in chart.series:
        known = [value for value in series.values if value is not None]
        if known:
            last, least, most = (short(one) for one in (known[-1], min(known), max(known)))
            told.append(f"{series.name}: last {last}, from {least} to {most} {chart.unit}".rstrip())
    return "; ".join(told) or "nothing was counted"


def rows(chart: Chart, most: int = 100) -> list[tuple[float, list[str]]]:
    """Return the chart's numbers, the newest first: a time, and a text per series."""
    found = [
        (at, ["–" if series.values[index] is None else short(series.values[index]) for series in chart.series])  # noqa: RUF001
        for index, at in enumerate(chart.times)
        if any(series.values[index] is not None for series in chart.series)
    ]
    return found[::-1][:most]


def short(value: float | None) -> str:
    """Return a number as people write it."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.1f}"  # noqa: PLR2004


def _scale(chart: Chart) -> tuple[float, list[float]]:
    """Return where the axis begins, and its ticks: round numbers around what is drawn."""
    known = [value for series in chart.series for value in series.values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    if chart.is_from_zero:
        low, high = min(0.0, low), max(low + chart.least_top, high)
    elif high - low < chart.least_top:
        low, high = (low + high - chart.least_top) / 2, (low + high + chart.least_top) / 2
    raw = (high - low) / _ABOUT_TICKS
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in _STEPS if factor * power >= raw)
    start = math.floor(low / step + 1e-9)
    count = max(1, math.ceil(high / step - 1e-9) - start)
    return start * step, [round((start + index) * step, 9) for index in range(count + 1)]


def _grid(ticks: Sequence[float], up: Callable[[float], float]) -> str:
    return "".join(
        f'<path class="grid" d="M{LEFT} {up(tick):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{up(tick) + 3.5:.1f}" text-anchor="end">{short(tick)}</text>'
        for tick in ticks
    )


def _days(times: Sequence[float], across: Callable[[int], float]) -> str:
    """Return where days begin, or hours where it is about less than two days."""
    if not times:
        return ""
    step_s = _DAY_S if times[-1] - times[0] > 2 * _DAY_S else _DAY_S / 4
    parts = []
    for index, at in enumerate(times):
        if index and at // step_s != times[index - 1] // step_s:
            when = datetime.fromtimestamp(at, UTC)
            label = f"{when.day} {when:%b}" if step_s == _DAY_S else f"{when:%H:%M}"
            parts.append(
                f'<path class="grid" d="M{across(index):.1f} {HEIGHT - BOTTOM}v4"/>'
                f'<text x="{across(index):.1f}" y="{HEIGHT - 5}" text-anchor="middle">{label}</text>'
            )
    return "".join(parts)


def _line(series: Series, number: int, across: Callable[[int], float], up: Callable[[float], float]) -> str:
    path, points, before = [], [], False
    for index, value in enumerate(series.values):
        if value is None:
            before = False
            continue
        path.append(f"{'L' if before else 'M'}{across(index):.1f} {up(value):.1f}")
        is_alone = not before and (index + 1 == len(series.values) or series.values[index + 1] is None)
        if is_alone:
            points.append(f'<circle class="s{number}" cx="{across(index):.1f}" cy="{up(value):.1f}" r="2"/>')
        before = True
    return f'<path class="line s{number}" d="{"".join(path)}"/>{"".join(points)}' if path else ""


def _bars(series: Series, number: int, across: Callable[[int], float], up: Callable[[float], float], low: float) -> str:
    if not series.values:
        return ""
    wide = max(0.6, 0.75 * (WIDTH - LEFT - RIGHT) / len(series.values))
    base = up(max(low, 0.0))
    path = "".join(
        f"M{across(index) - wide / 2:.1f} {base:.1f}V{up(value):.1f}h{wide:.1f}V{base:.1f}z"
        for index, value in enumerate(series.values)
        if value
    )
    return f'<path class="bar s{number}" d="{path}"/>' if path else ""
