"""Results of a spoken test set, or a model's answers, to a picture; needs the extra `evaluate` (matplotlib)."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edgeagent.errors import SettingsError
from edgeagent.evaluate.scores import BINS
from edgeagent.evaluate.speech import Result
from edgeagent.evaluate.summary import by_ratio, summary
from edgeagent.evaluate.text import Answered, is_right
from edgeagent.grammar.commands import read_yaml

LEAST_IN_A_BIN = 5
LEAST_SHOWN = 0.05
"""Of the longest bar: into a shorter part no number is written."""
_DARK = "#264653"
_VERDICTS = {"right": "#2a9d8f", "rejected": "#e9c46a", "wrong": "#e76f51"}
_PARTS = {"waiting": "#8ab17d", "recognising": _DARK, "understanding": "#e76f51"}
_PUBLISHED = ("#6a4c93", "#1982c4", "#8d99ae", "#bc6c25", "#d4a5a5")
_WITH_NOISE: list[Any] = [["verdicts", "noise", "noise"], ["times", "goes", "ends"]]
_CLEAN: list[Any] = [["verdicts", "times"], ["goes", "ends"]]


def draw(results: Sequence[Result], title: str, path: Path) -> None:
    """Write a PNG: verdicts, time to decision and where it goes, what ended the utterances; and accuracy in noise.

    Raise SettingsError if it cannot be written.
    """
    figures = summary(results)
    runs = {snr_db: summary(part) for snr_db, part in by_ratio(results).items()}
    in_noise = {snr_db: run["accuracy"] for snr_db, run in runs.items() if snr_db is not None}
    drawing = Figure(figsize=(15, 9) if in_noise else (12, 8), layout="constrained")  # pyplot looks for a screen
    panels = drawing.subplot_mosaic(_WITH_NOISE if in_noise else _CLEAN)
    if in_noise:
        _draw_noise(panels["noise"], in_noise)
    names = ["" if snr_db is None else f"{snr_db:g} dB" for snr_db in runs]
    counts = {verdict: [run[verdict] for run in runs.values()] for verdict in _VERDICTS}
    totals = {verdict: f"{verdict} {figures[verdict]}" for verdict in _VERDICTS}
    _draw_bars(panels["verdicts"], names, counts, _VERDICTS, totals)
    panels["verdicts"].set(title=f"{figures['accuracy']:.1%} of {figures['n']} right", xlabel="files")
    goes = {part: [run["where_time_goes"][f"{part}_ms"] or 0.0 for run in runs.values()] for part in _PARTS}
    medians = {part: f"{part} {figures['where_time_goes'][f'{part}_ms'] or 0.0:g} ms" for part in _PARTS}
    _draw_bars(panels["goes"], names, goes, _PARTS, medians)
    panels["goes"].set(title="where the time to decision goes", xlabel="ms after the last word (medians)")
    _draw_times(panels["times"], [1000 * one.took_s for result in results for one in result.decisions], figures)
    ends = sorted(figures["ended_by"].items())
    panels["ends"].bar([name for name, _ in ends], [count for _, count in ends], color=_DARK)
    panels["ends"].set(title="utterances ended by", ylabel="utterances")
    drawing.suptitle(f"{title}   (real-time factor {figures['rtf']:.3f})")
    try:
        drawing.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}", remedy="Name a file that can be written.") from error


def _draw_bars(
    panel: Any,
    names: Sequence[str],
    lengths: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
    labels: Mapping[str, str],
) -> None:
    """Draw one bar for each run, of parts one after the other; a number stands in a part where there is room."""
    begins = np.zeros(len(names))
    longest = max(map(sum, zip(*lengths.values(), strict=True)))
    for part, colour in colours.items():
        bars = panel.barh(range(len(names)), lengths[part], 0.6, left=begins, color=colour, label=labels[part])
        shown = [f"{length:g}" if length > LEAST_SHOWN * longest else "" for length in lengths[part]]
        panel.bar_label(bars, shown, label_type="center")
        begins = begins + np.array(lengths[part])
    panel.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.2, -0.8))
    panel.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False, handlelength=1, columnspacing=1
    )


def _draw_times(panel: Any, took_ms: Sequence[float], figures: Mapping[str, Any]) -> None:
    panel.hist(took_ms, bins=30, color=_DARK)
    if took_ms:
        for (name, ms), line in zip(figures["time_to_decision_ms"].items(), ("-", "--"), strict=True):
            panel.axvline(ms, color=_VERDICTS["wrong"], linestyle=line, label=f"{name} {ms:.0f} ms")
        panel.legend()
    panel.set(title="time to decision", xlabel="ms after the last word", ylabel="commands")


def _draw_noise(panel: Any, accuracy: Mapping[float, float]) -> None:
    published: Any = read_yaml((files("edgeagent.evaluate") / "published.yaml").read_text("utf-8"), "published.yaml")
    names = list(dict.fromkeys(engine["name"] for engine in published["engines"]))
    for engine in published["engines"]:
        colour = _PUBLISHED[names.index(engine["name"]) % len(_PUBLISHED)]
        style = "-" if engine["noise"] == "kitchen" else "--"
        label = f"{engine['name']}, {engine['noise']}"
        panel.plot(published["snr_db"], engine["accuracy"], style, color=colour, linewidth=1.2, marker=".", label=label)
    ratios = sorted(accuracy)
    shares = [accuracy[ratio] for ratio in ratios]
    panel.plot(ratios, shares, color="black", linewidth=2.5, marker="o", label="edgeagent, this run")
    panel.set(title="accuracy in noise", xlabel="signal-to-noise ratio, dB", ylabel="share right")
    panel.set_xticks(sorted({*published["snr_db"], *ratios}))
    panel.grid(visible=True, alpha=0.3)
    panel.legend(ncols=2)
    told = textwrap.fill(f"{published['caveat']} Source: {published['source']}.", 130)
    panel.annotate(told, (0, -0.14), xycoords="axes fraction", va="top", fontsize=8, color="#555555")


def draw_text(answered: Sequence[Answered], title: str, path: Path) -> None:
    """Write a PNG of a model's answers: reliability by exit, confidence of right and wrong, the worst confusions."""
    drawing = Figure(figsize=(14, 4), layout="constrained")
    reliability, sureness, confusions = drawing.subplots(1, 3, width_ratios=(3, 3, 3))
    count = len(answered[0].opinions)
    for number in range(count):
        chances = np.array([one.opinions[number].chance for one in answered])
        right = np.array([is_right(one.example, one.opinions[number]) for one in answered])
        bins = np.minimum((chances * BINS).astype(int), BINS - 1)
        used = [number for number in range(BINS) if (bins == number).sum() >= LEAST_IN_A_BIN]
        shares = [right[bins == number].mean() for number in used]
        reliability.plot(
            [chances[bins == number].mean() for number in used], shares, marker="o", label=f"exit {number + 1}"
        )
    reliability.plot([0, 1], [0, 1], color="#999999", linestyle=":")
    reliability.set(xlabel="confidence", ylabel="share right", title="reliability")
    reliability.legend()
    last = [(one.opinions[-1].chance, is_right(one.example, one.opinions[-1])) for one in answered]
    parts = [[chance for chance, is_so in last if is_so is wanted] for wanted in (True, False)]
    sureness.hist(parts, bins=25, stacked=True, color=["#2a9d8f", "#e76f51"], label=["right", "wrong"])
    sureness.set(xlabel="confidence at the last exit", title="right and wrong", yscale="log")
    sureness.legend()
    wrong = Counter(
        f"{one.example.label} → {one.opinions[-1].label.name}"
        for one in answered
        if not is_right(one.example, one.opinions[-1])
    ).most_common(12)
    confusions.barh([name for name, _ in wrong], [times for _, times in wrong], color="#264653")
    confusions.set(title="most frequent confusions")
    confusions.invert_yaxis()
    drawing.suptitle(title)
    try:
        drawing.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be written: {error}", remedy="Name a PNG file.") from error
