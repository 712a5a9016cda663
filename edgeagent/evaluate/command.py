"""`edgeagent evaluate speech`: load, play, print."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from edgeagent.errors import EdgeAgentError
from edgeagent.evaluate.cases import load_cases
from edgeagent.evaluate.household import Household, household
from edgeagent.evaluate.noise import load_noise
from edgeagent.evaluate.speech import Listener, Result, judge
from edgeagent.evaluate.summary import summary
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear.pocketsphinx import speech_detector
from edgeagent.logs import printable
from edgeagent.recognizers import recognizer_of, searched
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter

SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be evaluated, as the command line says it; without `noise`, `snr_db` counts for nothing."""

    folder: Path
    commands: Path | None
    devices: Path | None
    noise: Path | None
    snr_db: tuple[float, ...]
    seed: int
    plot: Path | None


def evaluate(settings: AgentSettings, order: Order, *, is_json: bool) -> int:
    """Play the folder's files and print the figures; return 0 however good they are."""
    draw = _drawing() if order.plot else None
    listener = _listener(settings, order)
    cases = load_cases(order.folder, listener.interpreter.automaton)
    console = Console(stderr=True)
    noises = load_noise(order.noise, order.snr_db, order.seed) if order.noise else (None,)
    plays = [(case, noise) for noise in noises for case in cases]
    shown = track(plays, description="listening", console=console, disable=not console.is_terminal)
    results = [judge(case, listener, noise) for case, noise in shown]
    figures = summary(results)
    if draw is not None and order.plot is not None:
        noise = f" in {order.noise.name}" if order.noise else ""
        draw(results, f"{order.folder}{noise}, {settings.hearing.recognizer}", order.plot)
    if is_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        _print(figures, Console(highlight=False))
    return 0


def _listener(settings: AgentSettings, order: Order) -> Listener:
    chosen = commands.load(order.commands) if order.commands else commands.built_in(settings.acting.commands)
    home = household(order.devices) if order.devices else Household([])
    if order.devices or not order.commands:
        chosen = chosen.with_names(home.lists)
    unsure_below, unique_names = settings.hearing.unsure_below, home.collected.unique
    interpreter = Interpreter(compile_commands(chosen), unsure_below=unsure_below, unique_names=unique_names)
    return Listener(
        recognizer_of(settings, searched(interpreter)),
        interpreter,
        lambda: speech_detector(settings.hearing.vad_mode),
        settings.hearing,
    )


def _drawing() -> Callable[[Sequence[Result], str, Path], None]:
    try:
        from edgeagent.evaluate.figures import draw  # noqa: PLC0415  # matplotlib is in an extra
    except ImportError as error:
        raise EdgeAgentError(f"no figures: {error}", remedy="pip install 'edgeagent[evaluate]'") from error
    return draw


def _print(figures: Mapping[str, Any], console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in _lines(figures).items():
        table.add_row(name, text, style="bold" if name == "right" else "")
    console.print(table)
    if "snr" in figures:
        console.print("", _by_ratio(figures["snr"]))
    for failure in figures["failures"][:SHOWN_FAILURES]:
        expected = "nothing" if failure["expected"] is None else _short(failure["expected"])
        got = "; ".join(_short(one) for one in failure["got"] or ()) or "nothing"
        file = f"{failure['file']} at {failure['snr_db']:g} dB" if "snr_db" in failure else failure["file"]
        lines = (file, f"  expected {expected}", f"  got      {got}", f"  heard    {failure['heard']}")
        console.print("", *map(printable, lines), sep="\n", markup=False)
    left = len(figures["failures"]) - SHOWN_FAILURES
    if left > 0:
        console.print(f"\n… and {left} more; --json has them all")


def _lines(figures: Mapping[str, Any]) -> dict[str, str]:
    times, goes = figures["time_to_decision_ms"], figures["where_time_goes"]
    accepts, premature = figures["false_accepts"], figures["premature"]
    lines = {
        "right": f"{figures['right']} of {figures['n']} ({figures['accuracy']:.1%})",
        "wrong": f"{figures['wrong']} (something else would have been done)",
        "rejected": f"{figures['rejected']} (nothing would have been done)",
    }
    if accepts["n"]:
        lines["false accepts"] = f"{accepts['accepted']} of {accepts['n']} at which nothing may be done"
    if premature["n"]:
        early = f"{premature['early']} of {premature['n']} commands, {premature['wrong']} of them wrong"
        goes_to = ", ".join(f"{name.removesuffix('_ms')} {ms} ms" for name, ms in goes.items())
        lines |= {
            "decided too early": early,
            "time to decision": f"median {times['p50']} ms, 95 % within {times['p95']} ms of the last word's end",
            "where time goes": f"{goes_to} (medians)",
        }
    else:
        lines["time to decision"] = "nothing was decided"
    if figures["word_error_rate"] is not None:
        lines["word error rate"] = f"{figures['word_error_rate']:.1%}"
    lines["ended by"] = ", ".join(f"{name} {count}" for name, count in figures["ended_by"].items())
    lines["real-time factor"] = f"{figures['rtf']:.3f}"
    return lines


def _by_ratio(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("SNR, dB", "right", "wrong", "rejected", "accuracy", "median, ms", "95 %, ms", "word errors"):
        table.add_column(column, justify="right")
    for row in rows:
        counts = (row[name] for name in ("right", "wrong", "rejected"))
        times = (row["time_to_decision_ms"][name] for name in ("p50", "p95"))
        errors = "" if row["word_error_rate"] is None else f"{row['word_error_rate']:.1%}"
        cells = (f"{row['snr_db']:g}", *counts, f"{row['accuracy']:.1%}", *times, errors)
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    return table


def _short(meaning: Mapping[str, Any]) -> str:
    return f"{meaning['intent']} " + " ".join(f"{name}={value}" for name, value in meaning["slots"].items())
