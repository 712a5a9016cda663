"""Charts and the picture of a fleet: what they show, what they say in words, and that their colours can be read."""

import random
import re
import time
import xml.etree.ElementTree as ET
from importlib.resources import files

import pytest

from edgeagent.console.rollouts.nouns import Counts
from edgeagent.console.tables import HealthHour
from edgeagent.console.web import charts, device_map, health_view
from edgeagent.console.web.charts import Chart, Series
from edgeagent.console.web.device_map import Cell, Group
from edgeagent.console.web.qr import code
from edgeagent.console.web.rollout_view import BAR_WIDTH, bar
from edgeagent.fleet.wire import HEALTH_BUCKETS_MS

SVG = "{http://www.w3.org/2000/svg}"
CSS = (files("edgeagent.console.web") / "static" / "console.css").read_text()


def chart(*values: float | None, title: str = "Title") -> Chart:
    return Chart(title, [3_600.0 * hour for hour in range(len(values))], [Series("one", values)], unit="ms")


def drawn(one: Chart) -> ET.Element:
    return ET.fromstring(f"<g>{charts.drawn(one)}</g>")[0]  # noqa: S314  # our own


def test_a_chart_says_in_words_what_it_shows() -> None:
    picture = drawn(chart(3, None, 12.5, 7))
    words = {one.tag: one.text for one in picture if one.tag in {"title", "desc"}}
    assert words == {"title": "Title", "desc": "one: last 7, from 3 to 12.5 ms"}
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "chart-t chart-d"


def test_what_is_not_known_is_a_gap_and_one_alone_a_point() -> None:
    picture = drawn(chart(1, 2, None, 4, None))
    line = next(one for one in picture if "line" in (one.get("class") or ""))
    assert (line.get("d") or "").count("M") == 2
    assert len([one for one in picture if one.tag == "circle"]) == 1


def test_every_point_lies_inside_the_picture() -> None:
    draw = random.Random(1)  # noqa: S311  # a sample
    for _ in range(50):
        values = [draw.choice([None, draw.uniform(-1e4, 1e4), 0.0, draw.random()]) for _ in range(30)]
        for is_bars in (False, True):
            one = chart(*values)
            picture = charts.drawn(
                Chart(one.title, one.times, one.series, is_bars=is_bars, is_from_zero=draw.random() < 0.5)
            )
            for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", picture):
                assert 0 <= float(x) <= charts.WIDTH
                assert -1 <= float(y) <= charts.HEIGHT + 1


def test_a_title_from_outside_is_text() -> None:
    assert "<script" not in charts.drawn(chart(1, title="<script>"))


def test_the_numbers_are_there_as_rows_the_newest_first() -> None:
    assert charts.rows(chart(3, None, 12.5)) == [(7_200.0, ["12.5"]), (0.0, ["3"])]


def test_nothing_is_drawn_of_nothing() -> None:
    assert chart(None, None).is_empty
    assert "nothing was counted" in charts.drawn(chart(None, None))


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_decision_time_lies_in_its_bucket(share: float) -> None:
    draw = random.Random(2)  # noqa: S311  # a sample
    times = sorted(draw.uniform(0, 4_000) for _ in range(500))
    counts = [0] * (len(HEALTH_BUCKETS_MS) + 1)
    for ms in times:
        counts[next((i for i, top in enumerate(HEALTH_BUCKETS_MS) if ms <= top), len(HEALTH_BUCKETS_MS))] += 1
    exact = times[int(share * len(times))]
    found = health_view.quantile(counts, share)
    assert found is not None
    low = max((top for top in HEALTH_BUCKETS_MS if top <= exact), default=0)
    high = next(top for top in HEALTH_BUCKETS_MS if top >= exact)
    assert low - 1 <= found <= high + 1


def test_few_decisions_give_no_shares() -> None:
    now = time.time()
    hours = [HealthHour(device=1, hour=int(now // 3600), decisions=2, rejected=1, repeated=0, ended_by_cap=0,
                        decision_ms=[2], gauges={})]  # fmt: skip
    assert [one.title for one in health_view.charts(hours, 24, now)] == ["Sentences per hour"]


def test_long_spans_are_shown_by_several_hours_together() -> None:
    now = time.time()
    hours = [HealthHour(device=1, hour=int(now // 3600) - back, decisions=10, rejected=1, repeated=0, ended_by_cap=0,
                        decision_ms=[5, 5], gauges={"temperature_c": 50.0}) for back in range(700)]  # fmt: skip
    found = {one.key: one for one in health_view.charts(hours, 720, now)}
    assert found["c-count"].title == "Sentences per 9 hours"
    assert len(found["c-count"].times) <= health_view.MOST_POINTS
    assert found["c-count"].series[0].values[-2] == 90
    assert found["c-shares"].series[0].values[-2] == 10


def groups(*sizes: int) -> list[Group]:
    draw = random.Random(3)  # noqa: S311  # a sample
    return [
        Group(
            f"group {number}", [Cell(f"{number}-{index}", draw.choice(device_map.CONDITIONS)) for index in range(size)]
        )
        for number, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("sizes", [(1,), (10_000,), (5, 4_000, 1, 900), (1,) * 24])
@pytest.mark.parametrize("width", [330, 1120])
def test_who_points_at_a_cell_gets_its_device(sizes: tuple[int, ...], width: int) -> None:
    layout = device_map.laid_out(groups(*sizes), width)
    for group, top in zip(layout.groups, layout.tops, strict=True):
        for index in {0, len(group.cells) // 2, len(group.cells) - 1}:
            x = (index % layout.columns + 0.5) * layout.pitch
            y = top + (index // layout.columns + 0.5) * layout.pitch
            assert device_map.at(layout, x, y) == group.cells[index]
    assert device_map.at(layout, width + 50, 5) is None
    assert device_map.at(layout, 5, layout.height + 50) is None
    assert device_map.at(layout, -5, -5) is None


def test_ten_thousand_cells_make_a_small_picture_that_is_well_formed() -> None:
    layout = device_map.laid_out(groups(9_000, 1_000), 1120)
    picture = device_map.drawn(layout, "dark")
    assert len(picture) < 250_000
    root = ET.fromstring(picture)  # noqa: S314  # our own
    assert len(root.findall(f"{SVG}path")) == len(device_map.CONDITIONS)
    assert 200 < layout.height < 700


def test_conditions_differ_by_shape() -> None:
    shapes = {
        device_map.drawn(device_map.laid_out([Group("", [Cell("a", condition)])], 100), "light").split(' d="')[1][:30]
        for condition in device_map.CONDITIONS
    }
    assert len(shapes) == len(device_map.CONDITIONS)


def test_what_needs_somebody_comes_first_and_small_groups_go_together() -> None:
    cells = [("well", Cell("a", "ok"))] * 5 + [("bad", Cell("b", "bad"))] + [("warning", Cell("c", "warn"))]
    assert [group.label for group in device_map.grouped(cells)] == ["bad", "warning", "well"]
    many = [(f"area {number}", Cell(str(number), "ok")) for number in range(100)]
    found = device_map.grouped(many)
    assert len(found) == device_map.MOST_GROUPS + 1
    assert sum(len(group.cells) for group in found) == 100


def test_a_bar_is_as_long_as_what_it_counts() -> None:
    picture = bar(Counts(succeeded=3, failed=1, pending=4), "Wave 1")
    lengths = dict(re.findall(r'class="p-(\w+)" d="M[\d.]+ 0h([\d.]+)v', picture))
    assert {part: round(8 * float(length) / BAR_WIDTH) for part, length in lengths.items()} == {
        "succeeded": 3,
        "failed": 1,
        "pending": 4,
    }
    assert "Wave 1: 3 succeeded, 1 failed, 4 to come" in picture


def test_a_qr_code_holds_what_it_was_made_of() -> None:
    picture = code("ABCD-EFGH", "the token of <kit>")
    side = int(re.findall(r'viewBox="-4 -4 (\d+) ', picture)[0])
    dark = sum(int(length) for length in re.findall(r"h(\d+)v1h-", picture))
    assert side == 21 + 8
    assert 150 < dark < 300  # of 441 modules, about half
    assert "&lt;kit&gt;" in picture


def palettes() -> dict[str, dict[str, str]]:
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", CSS.partition("}")[0]))
    dark = dict(
        re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", CSS.partition(':root[data-theme="dark"] {')[2].partition("}")[0])
    )
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    plain = colour[1:] if len(colour) == 7 else "".join(letter * 2 for letter in colour[1:])
    parts = [int(plain[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


TEXTS = """text/back text/card muted/back muted/card accent/card accent/back on-accent/accent accent/accent-soft
text/hover muted/off-soft text/accent-soft muted/field ok/ok-soft warn/warn-soft bad/bad-soft off/off-soft
work/work-soft bad/card"""
SHAPES = "field-line/card focus/card s1/card s2/card s3/card cell-warn/card cell-bad/card cell-off/card"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_and_every_shape_be_seen(theme: str) -> None:
    colours = palettes()[theme]
    for pairs, least in ((TEXTS, 4.5), (SHAPES, 3.0)):
        for pair in pairs.split():
            one, _, other = pair.partition("/")
            assert contrast(colours[one], colours[other]) >= least, (theme, pair)


def test_dark_by_choice_and_dark_by_the_system_are_the_same() -> None:
    by_system = CSS.partition(':root[data-theme="system"] {')[2].partition("}")[0].split()
    by_choice = CSS.partition(':root[data-theme="dark"] {')[2].partition("}")[0].split()
    assert by_system == by_choice


def test_the_pictures_colours_are_the_pages() -> None:
    for theme, colours in palettes().items():
        for condition in device_map.CONDITIONS:
            assert device_map.COLOURS[theme][condition] == colours[f"cell-{condition}"]
