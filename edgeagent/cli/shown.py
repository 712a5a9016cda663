"""Figures on the terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from edgeagent.logs import printable


class Silent:
    """Tells nothing: nobody is looking."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, status: str) -> None:
        """Tell nothing."""


def show(figures: Mapping[str, Any], *, is_json: bool, tables: Sequence[str]) -> None:
    """Print figures: as JSON, or line by line, with those named in `tables` as tables, mistakes last."""
    if is_json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    console = Console(highlight=False)
    for name, value in figures.items():
        if name not in tables and not isinstance(value, list):
            console.print(f"{name.replace('_', ' ')}: {_said(value)}", markup=False)
    for name in tables:
        rows = figures.get(name) or []
        table = Table(title=name, box=None, header_style="bold", pad_edge=False, title_justify="left")
        for column in rows[0] if rows else ():
            table.add_column(column.replace("_", " "), justify="left" if column == "perturbation" else "right")
        for row in rows:
            table.add_row(*(_said(value) for value in row.values()))
        console.print(table)
    for name in ("mistakes", "obeyed_sentences", "heard"):
        for one in figures.get(name) or ():
            console.print(printable(f"{name.split('_')[0]}: {_said(one)}"), markup=False)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    return str(value)
