"""Sentences with what should become of them, in a home and a plant: obeyed, asked about, refused, and what is done.

A row is {"text", "place": "home" | "plant", "expect": "act" | "ask" | "refuse", "intent", "slots"}. Devices are
compared, not labels: "the kitchen light" is right by its name as well as by its area and kind.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from edgeagent.errors import SettingsError
from edgeagent.evaluate.judging import ANSWERS, Judge, Outcome, Place
from edgeagent.understand.model.model import CommandModel

VERDICTS = ("right", "asked-right", "asked-which", "asked-wrong", "refused", "wrong")
_ROW = 'A row is {"text": "kill the lights", "place": "home", "expect": "act", "intent": "turn_off", "slots": {...}}.'


def understanding(model: CommandModel | None, folder: Path) -> dict[str, Any]:
    """Judge every JSON-lines file of a folder. Raise SettingsError naming file and line if a row is wrong."""
    judges = {place: Judge(place, model) for place in get_args(Place)}
    rows = []
    mistakes: list[dict[str, str]] = []
    exits: Counter[str] = Counter()
    by_intent: dict[str, Counter[str]] = {}
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise SettingsError(f"{folder}: holds no .jsonl file", remedy=_ROW)
    for file in files:
        counts: dict[tuple[str, str], Counter[str]] = {}
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            row = row_of(line, f"{file}:{number}")
            outcome = judges[row["place"]](row["text"])
            verdict = verdict_of(judges[row["place"]], row, outcome)
            counts.setdefault((row["place"], row["expect"]), Counter())[verdict] += 1
            if row["expect"] != "refuse":
                by_intent.setdefault(row["intent"], Counter())[verdict] += 1
            exits[str(getattr(outcome.interpretation, "exit", "none"))] += 1
            if verdict == "wrong":
                mistakes.append(
                    {"text": row["text"], "why": " / ".join(getattr(outcome.interpretation, "why", ())[-2:])}
                )
        for (place, expect), found in sorted(counts.items()):
            told = {"file": file.stem, "place": place, "expect": expect, "n": found.total()}
            rows.append(told | {name: found[name] for name in VERDICTS})
    intents = [
        {"intent": intent, "n": found.total(), **{name: found[name] for name in VERDICTS}}
        for intent, found in sorted(by_intent.items())
    ]
    figures = {"rows": rows, "intents": intents, "decided_at_exit": dict(sorted(exits.items()))}
    return {**figures, "mistakes": mistakes}


def verdict_of(judge: Judge, row: Mapping[str, Any], outcome: Outcome) -> str:
    """Return which of the verdicts an outcome deserves."""
    if row["expect"] == "refuse":
        return {"obeyed": "wrong", "asked": "asked-wrong", "refused": "right"}[outcome.kind]
    expected = judge.expected(row)
    is_same = outcome.meaning is not None and outcome.meaning == expected.meaning
    if is_same and row["intent"] in ANSWERS:
        return "right"
    match outcome.kind:
        case "refused":
            return "refused"
        case "asked" if is_same:
            return "asked-right"
        case "asked":
            # Both are asked which of several devices is meant, or something else is offered.
            return "asked-which" if outcome.meaning is None else "asked-wrong"
        case "obeyed":
            return "right" if is_same else "wrong"


def row_of(line: str, where: str) -> dict[str, Any]:
    """Return a row of a file. Raise SettingsError naming the place, `where`, if it is wrong."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SettingsError(f"{where}: not JSON: {error}", remedy=_ROW) from error
    is_whole = isinstance(row, dict) and {"text", "place", "expect"} <= set(row)
    if not is_whole or row["place"] not in get_args(Place) or row["expect"] not in {"act", "ask", "refuse"}:
        raise SettingsError(f"{where}: expected text, place and expect", remedy=_ROW)
    if row["expect"] != "refuse" and not isinstance(row.get("intent"), str):
        raise SettingsError(f"{where}: expected an intent", remedy=_ROW)
    return {"slots": {}, **row}
