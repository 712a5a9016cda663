"""`edgeagent log`: what was ordered, by which words, how surely, and what came of it."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from edgeagent.act.names import key_of
from edgeagent.audit import AUDIT, check, entries_of
from edgeagent.errors import SettingsError
from edgeagent.logs import printable
from edgeagent.settings import AgentSettings

SHOWN = 100
BROKEN = 1
_AGE = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are shown: since when, of which device, of which step."""

    since: datetime | None = None
    device: str | None = None
    step: str | None = None


def since_of(text: str, now: datetime) -> datetime:
    """Return a time: an age as in 90s, 15m, 2h, 7d, or a date or time of day in ISO 8601. Raise SettingsError."""
    if (age := _AGE.fullmatch(text.strip())) is not None:
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        told = datetime.fromisoformat(text.strip())
    except ValueError as error:
        remedy = "As in 15m, 2h, 7d, 2026-11-21 or 2026-11-21T18:00."
        raise SettingsError(f"--since: {text!r:.40} is no time", remedy=remedy) from error
    return told if told.tzinfo is not None else told.astimezone()


def show_log(settings: AgentSettings, wanted: Wanted, *, is_json: bool) -> int:
    """Print the entries that are wanted, the newest last; return the exit code."""
    found = list(_chosen(settings, wanted))
    if is_json:
        for entry in found:
            sys.stdout.write(json.dumps(entry) + "\n")
        return 0
    console = Console(highlight=False, markup=False, emoji=False)
    if not found:
        console.print("Nothing was ordered, as far as the log tells.")
        return 0
    for entry in found[-SHOWN:]:
        sure = f"  {entry['confidence']:.0%} sure" if isinstance(entry.get("confidence"), float) else ""
        line = f"{_clock(entry)}  {entry.get('step', '')!s:<11} {_told(entry)}{sure}"
        console.print(printable(line), soft_wrap=True)
    if len(found) > SHOWN:
        console.print(f"… and {len(found) - SHOWN} before; --json has them all")
    return 0


def check_log(settings: AgentSettings, *, is_json: bool) -> int:
    """Print whether the log is as it was written; return 0, or 1 if it is not."""
    result = check(settings.device.state_dir / AUDIT)
    told = {"entries": result.entries, "from_the_start": result.is_from_the_start, "problems": list(result.problems)}
    if is_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        console = Console(highlight=False, markup=False, emoji=False)
        begins = "from the first on" if result.is_from_the_start else "the oldest are gone, as they should be"
        console.print(f"{result.entries} entries, {begins}: {'whole' if not result.problems else 'NOT whole'}")
        for problem in result.problems:
            console.print(printable(problem), style="red")
    return BROKEN if result.problems else 0


def _chosen(settings: AgentSettings, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    """Yield the entries. A device's are all of the utterances in which something was done with it."""
    entries = list(entries_of(settings.device.state_dir / AUDIT))
    if wanted.device is not None:
        key = key_of(wanted.device)
        of_device = {
            (entry.get("run"), entry.get("utterance"))
            for entry in entries
            if key == key_of(str(entry.get("device", "")))
        }
        entries = [one for one in entries if (one.get("run"), one.get("utterance")) in of_device]
    for entry in entries:
        if wanted.since is not None and (at := _at(entry)) is not None and at < wanted.since:
            continue
        if wanted.step is None or entry.get("step") == wanted.step:
            yield entry


def _at(entry: Mapping[str, Any]) -> datetime | None:
    try:
        told = datetime.fromisoformat(str(entry.get("at")))
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _clock(entry: Mapping[str, Any]) -> str:
    at = _at(entry)
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _told(entry: Mapping[str, Any]) -> str:
    match entry.get("step"):
        case "understood":
            slots = entry.get("slots")
            told = ", ".join(f"{name} {value}" for name, value in slots.items()) if isinstance(slots, dict) else ""
            doubt = f" (in doubt: {entry['doubt']})" if entry.get("doubt") else ""
            return f'"{entry.get("text")}": {entry.get("intent")} {told}{doubt}'.rstrip()
        case "rejected":
            return f'"{entry.get("text")}": {entry.get("reason")} {entry.get("detail") or ""}'.rstrip()
        case "question":
            return f"{entry.get('kind')}: {', '.join(map(str, entry.get('choices') or ()))}"
        case "published":
            allowed = f"  ({entry['allowed_by']})" if entry.get("allowed_by") else ""
            return f"{entry.get('topic')} {entry.get('payload')}{allowed}"
        case "done" | "failed":
            reason = f": {entry['reason']}" if entry.get("reason") else ""
            return f"{entry.get('device')}: {entry.get('capability')} {entry.get('value')}{reason}"
    return json.dumps({key: value for key, value in entry.items() if key not in {"before", "hash"}})


def show_summary(settings: AgentSettings, *, is_json: bool) -> int:
    """Print of each device how often it was ordered, how often that failed, and how long it took to say so."""
    took: dict[str, list[float]] = {}
    failed: Counter[str] = Counter()
    for entry in entries_of(settings.device.state_dir / AUDIT):
        device, ms = str(entry.get("device", "")), entry.get("took_ms")
        if entry.get("step") == "failed":
            failed[device] += 1
        elif entry.get("step") == "done" and isinstance(ms, int | float):
            took.setdefault(device, []).append(float(ms))
    rows = [
        {"device": device, "done": len(times), "failed": failed[device], **_latencies(times)}
        for device in sorted({*took, *failed})
        for times in [sorted(took.get(device, []))]
    ]
    if is_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("device", "done", "failed", "median ms", "95 % within ms"):
        table.add_column(title, justify="left" if title == "device" else "right")
    for row in rows:
        cells = (row["done"], row["failed"], row["p50_ms"], row["p95_ms"])
        table.add_row(printable(str(row["device"])), *("" if cell is None else f"{cell:g}" for cell in cells))
    Console(highlight=False, markup=False, emoji=False).print(table)
    return 0


def _latencies(times: Sequence[float]) -> dict[str, float | None]:
    if not times:
        return {"p50_ms": None, "p95_ms": None}
    return {"p50_ms": times[len(times) // 2], "p95_ms": times[min(len(times) - 1, round(0.95 * len(times)))]}
