"""What a console has answered, on a terminal or as JSON; and which console and fleet is asked."""

import json as json_
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeagent.cli.fleet_calls import FLEET, Calls, quoted
from edgeagent.errors import SettingsError
from edgeagent.logs import printable

PAGE = 500
MOST_PAGES = 400
NOT_DONE = 3
"""Exit code where a job or a rollout has ended otherwise than it should."""
WIDE = 1_000
"""Columns of a table that goes into a pipe: nothing is cut there."""
GOOD = ("done", "confirmed")
WATCH_EVERY_S = 1.0
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def asked(context: typer.Context) -> tuple[Calls, str]:
    """Return the console, and where the fleet's part of its API begins. Raise SettingsError if no fleet is meant."""
    console, fleet = context.obj()
    if not fleet:
        known = [one["name"] for one in console.get("/fleets")]
        if len(known) != 1:
            names = ", ".join(known[:20]) or "none that you may see"
            raise SettingsError(f"which fleet? There are: {names}", remedy=f"Name it: --fleet NAME, or {FLEET}.")
        fleet = known[0]
    return console, f"/fleets/{quoted(fleet)}"


def at(start: str, device: str) -> str:
    """Return where a device's part of the API begins."""
    return f"{start}/devices/{quoted(device)}"


def everything(console: Calls, path: str, **query: object) -> list[dict[str, Any]]:
    """Return all pages of a list."""
    found: list[dict[str, Any]] = []
    for page in range(1, MOST_PAGES + 1):
        answer = console.get(path, **query, page=page, size=PAGE)
        found += answer["items"]
        if page >= answer["pages"]:
            break
    return found


def show(answer: Any, is_json: bool, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:  # noqa: FBT001
    """Print an answer: as JSON, or rows of a table."""
    if is_json:
        sys.stdout.write(json_.dumps(answer) + "\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(columns))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_said(value)) for value in row))
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table)


def show_settings(answer: Mapping[str, Any], *, is_json: bool) -> None:
    """Print settings that are wanted beside those that there are."""
    keys = sorted({*answer["desired"], *answer["reported"]})
    rows = [(key, answer["desired"].get(key, ""), answer["reported"].get(key, "")) for key in keys]
    show(answer, is_json, ("setting", "wanted", "as it is"), rows)
    if not is_json:
        versions = f"version {answer['desired_version']} is wanted, it has {answer['reported_version']}"
        problem = f": {answer['standing_problem']}" if answer["standing_problem"] else ""
        say(f"{versions} ({answer['standing']}){problem}")


def show_job(answer: Mapping[str, Any], *, is_json: bool) -> None:
    """Print a job, and what came of it."""
    rows = [(name, answer[name]) for name in ("id", "kind", "state", "reason") if answer[name]]
    result = answer["result"]
    lines = result.get("lines") if isinstance(result, dict) else None
    if result and not isinstance(lines, list):
        rows.append(("result", result))
    show(answer, is_json, ("", ""), rows)
    for line in lines if isinstance(lines, list) and not is_json else ():
        say(str(line))


def ask_for(  # what is asked, and how it is shown
    context: typer.Context, device: str, kind: str, options: Mapping[str, Any], *, wait: bool, is_json: bool
) -> None:
    """Ask a device for a job; wait for its end where that is wanted."""
    console, start = asked(context)
    job = console.post(f"{at(start, device)}/jobs", {"kind": kind, "options": dict(options)})
    while wait and job["ended"] is None:
        time.sleep(WATCH_EVERY_S)
        job = console.get(f"{at(start, device)}/jobs/{quoted(job['id'])}")
    show_job(job, is_json=is_json)
    raise typer.Exit(NOT_DONE if wait and job["state"] not in GOOD else 0)


def ago(when: float | None) -> str:
    """Return how long ago something was."""
    if when is None:
        return "never"
    past = time.time() - when
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if abs(past) >= unit:
            return f"{past / unit:.0f} {name} ago" if past > 0 else f"in {-past / unit:.0f} {name}"
    return "now"


TIMES = frozenset({"seen", "retired", "online_since", "certificate_until"})
"""What of a device is in seconds since 1970."""


def shown_as(name: str, value: Any) -> Any:
    """Return a value as people read it: times in the zone of this machine, and how long ago that is."""
    if name not in TIMES or not isinstance(value, int | float):
        return value
    when = datetime.fromtimestamp(min(max(value, 0), 1e11), UTC).astimezone()
    return f"{when:%Y-%m-%d %H:%M:%S %Z} ({ago(value)})"


def value_of(text: str) -> Any:
    """Return a setting's value as it was typed: JSON, else the text itself."""
    try:
        return json_.loads(text)
    except ValueError:
        return text


def tags_of(tags: Mapping[str, str]) -> str:
    """Return tags in one line."""
    return " ".join(f"{key}={value}" if value else key for key, value in tags.items())


def say(text: str) -> None:
    """Print a line, whatever is in it."""
    sys.stdout.write(printable(text) + "\n")


def _said(value: Any) -> str:
    if isinstance(value, str):
        return printable(value)
    return printable(json_.dumps(value, ensure_ascii=False)) if value is not None else ""
