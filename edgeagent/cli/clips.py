"""`edgeagent evaluate clips`: every clip of the owner's, heard anew, and what would change."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from edgeagent.evaluate.clips import evaluate_clips
from edgeagent.logs import printable
from edgeagent.onlooking import house_on_bus
from edgeagent.settings import AgentSettings

_STYLES = {"worse": "red", "unreadable": "red", "better": "green", "changed": "yellow", "same": "dim"}


def show_changes(settings: AgentSettings, against: AgentSettings | None, *, is_json: bool) -> int:
    """Print what would change; return 1 if a clip would be understood worse than before, else 0."""
    house = asyncio.run(house_on_bus(settings))
    waiting = Console(stderr=True)
    with waiting.status("listening") as status:  # shown on a terminal alone
        figures = evaluate_clips(settings, house, against, lambda name: status.update(printable(name)))
    if is_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        _print(figures, Console(highlight=False, markup=False, emoji=False))
    return 1 if figures["worse"] else 0


def _print(figures: Mapping[str, Any], console: Console) -> None:
    if not figures["rows"]:
        console.print("No clip is kept, so nothing can be compared. Keep one: edgeagent record NAME")
        return
    names = "those on the bus" if figures["names"] == "bus" else f"those kept with the clips, {figures['trouble']}"
    console.print(printable(f"names: {names}"), style="dim", soft_wrap=True)
    for row in figures["rows"]:
        for line in _lines(row):
            console.print(printable(line), style=_STYLES[row["verdict"]], soft_wrap=True)
    console.print(
        f"{figures['n']} clips: {figures['same']} as before, {figures['better']} better, {figures['worse']} worse, "
        f"{figures['changed'] - figures['better'] - figures['worse']} otherwise; {figures['right']} right"
        + (f"; {figures['unreadable']} cannot be read" if figures["unreadable"] else ""),
        style="bold",
        soft_wrap=True,
    )


def _lines(row: Mapping[str, Any]) -> list[str]:
    head = f"{row['verdict']:10} {row['name']}"
    if row["verdict"] == "unreadable":
        return [f"{head}: {' '.join(row['why'])}"]
    wrong = "" if row["is_right"] or row["before"] == row["meant"] else f"   (meant: {row['meant']})"
    if row["verdict"] == "same":
        return [f"{head}: {row['now']}{wrong}"]
    reasons = [f"{'':10}   {reason}" for reason in row["why"]]
    return [f"{head}: {row['before']} → {row['now']}{wrong}", f'{"":10}   heard "{row["heard"]}"', *reasons]
