"""A fleet at a glance: one cell per device, in groups, as one picture that ten thousand cells leave small. Pure.

Conditions differ by shape as well as by colour: well a square, a warning a triangle, bad a full square without a gap,
offline a small dot.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from edgeagent.logs import printable

GREATEST_PITCH, LEAST_PITCH = 18, 4
GOAL_HEIGHT = 420
LABEL_HEIGHT = 18
GAP = 6
MOST_GROUPS = 24
_FIRST = ("bad", "warning", "offline", "well")
"""What needs somebody comes first."""
LONGEST_LABEL = 40
CONDITIONS = ("bad", "warn", "ok", "off")
COLOURS: Mapping[str, Mapping[str, str]] = {
    "light": {"ok": "#7cc4a4", "warn": "#c77700", "bad": "#c62f3b", "off": "#8a94a3", "text": "#56616f"},
    "dark": {"ok": "#2f7f63", "warn": "#f0a63a", "bad": "#ff6b74", "off": "#6d7887", "text": "#a3aebb"},
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A device in the picture."""

    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class Group:
    """Cells under one label."""

    label: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where groups lie: from the top, each with a label where there are several."""

    groups: Sequence[Group]
    width: int
    pitch: int
    tops: Sequence[int]
    """Of each group's first row of cells."""
    height: int

    @property
    def columns(self) -> int:
        """How many cells lie beside one another."""
        return max(1, self.width // self.pitch)


def grouped(cells: Sequence[tuple[str, Cell]]) -> list[Group]:
    """Return cells (label, cell) by their labels: what needs somebody, then the largest; the smallest ones together."""
    found: dict[str, list[Cell]] = {}
    for label, cell in cells:
        found.setdefault(label, []).append(cell)
    ordered = sorted(found.items(), key=_rank)
    groups = [Group(label, own) for label, own in ordered[:MOST_GROUPS]]
    if rest := ordered[MOST_GROUPS:]:
        groups.append(Group(f"{len(rest)} more", [cell for _, own in rest for cell in own]))
    return groups


def laid_out(groups: Sequence[Group], width: int) -> Layout:
    """Find the largest cells with which the picture has about the height that is wanted."""
    pitch = next((one for one in range(GREATEST_PITCH, LEAST_PITCH, -1) if _height(groups, width, one) <= GOAL_HEIGHT),
                 LEAST_PITCH)  # fmt: skip
    tops, top = [], 0
    for group in groups:
        top += LABEL_HEIGHT if len(groups) > 1 else 0
        tops.append(top)
        top += _rows(group, width, pitch) * pitch + GAP
    return Layout(groups, width, pitch, tops, max(top, 1))


def drawn(layout: Layout, theme: str) -> str:
    """Return the picture as SVG with colours of its own."""
    colours = COLOURS[theme]
    paths: dict[str, list[str]] = {condition: [] for condition in CONDITIONS}
    labels = []
    for group, top in zip(layout.groups, layout.tops, strict=True):
        if len(layout.groups) > 1:
            text = escape(f"{printable(group.label[:LONGEST_LABEL])} · {len(group.cells)}")
            labels.append(f'<text x="0" y="{top - 5}">{text}</text>')
        for index, cell in enumerate(group.cells):
            x, y = index % layout.columns * layout.pitch, top + index // layout.columns * layout.pitch
            paths[cell.condition].append(_shape(cell.condition, x, y, layout.pitch))
    drawn_paths = "".join(
        f'<path fill="{colours[condition]}" d="{"".join(path)}"/>' for condition, path in paths.items() if path
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width}" height="{layout.height}" '
        f'viewBox="0 0 {layout.width} {layout.height}">{drawn_paths}'
        f'<g fill="{colours["text"]}" font-family="system-ui,sans-serif" font-size="12">{"".join(labels)}</g></svg>'
    )


def at(layout: Layout, x: float, y: float) -> Cell | None:
    """Return the cell at a place of the picture."""
    for group, top in zip(layout.groups, layout.tops, strict=True):
        row, column = math.floor((y - top) / layout.pitch), math.floor(x / layout.pitch)
        if 0 <= row < _rows(group, layout.width, layout.pitch) and 0 <= column < layout.columns:
            index = row * layout.columns + column
            return group.cells[index] if index < len(group.cells) else None
    return None


def _rank(group: tuple[str, list[Cell]]) -> tuple[int, int, str]:
    label, cells = group
    return (_FIRST.index(label) if label in _FIRST else len(_FIRST), -len(cells), label)


def _rows(group: Group, width: int, pitch: int) -> int:
    return math.ceil(len(group.cells) / max(1, width // pitch))


def _height(groups: Sequence[Group], width: int, pitch: int) -> int:
    labels = LABEL_HEIGHT if len(groups) > 1 else 0
    return sum(_rows(group, width, pitch) * pitch + GAP + labels for group in groups)


def _shape(condition: str, x: int, y: int, pitch: int) -> str:
    side = pitch - (2 if pitch > 6 else 1)  # noqa: PLR2004  # a gap that can be seen
    match condition:
        case "bad":
            return f"M{x} {y}h{pitch}v{pitch}h-{pitch}z"
        case "warn":
            return f"M{x} {y + side}h{side}l-{side / 2:g}-{side}z"
        case "off":
            third = max(1, side // 3)
            return f"M{x + third} {y + third}h{third}v{third}h-{third}z"
    return f"M{x} {y}h{side}v{side}h-{side}z"
