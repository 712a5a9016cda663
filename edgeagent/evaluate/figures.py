"""Results of a spoken test set to a picture; needs the extra `evaluate` (matplotlib)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from edgeagent.errors import SettingsError
from edgeagent.evaluate.scores import BINS
from edgeagent.evaluate.speech import Result, summary
from edgeagent.evaluate.text import Answered, is_right

LEAST_IN_A_BIN = 5
_COLOURS = {"right": "#2a9d8f", "rejected": "#e9c46a", "wrong": "#e76f51"}


def draw(results: Sequence[Result], title: str, path: Path) -> None:
    """Write a PNG: verdicts, times to decision, what ended the utterances. Raise SettingsError if it cannot be."""
    figures = summary(results)
    drawing = Figure(figsize=(13, 4))  # without pyplot, which would look for a screen
    verdicts, times, ends = drawing.subplots(1, 3, width_ratios=(2, 3, 2))
    for row, (name, colour) in enumerate(_COLOURS.items()):
        count = figures[name]
        verdicts.barh(row, count, color=colour)
        verdicts.text(count, row, f" {count}", va="center")
    share = f"{figures['accuracy']:.1%} of {figures['n']} right"
    verdicts.set(yticks=range(3), yticklabels=list(_COLOURS), title=share)
    verdicts.margins(x=0.15)
    waited = [1000 * seconds for result in results for seconds in result.decision_s]
    times.hist(waited, bins=30, color="#264653")
    median = figures["time_to_decision_ms"]["p50"]
    if median is not None:
        times.axvline(median, color="#e76f51", label=f"median {median:.0f} ms")
        times.legend()
    times.set(title="time to decision", xlabel="ms after the last word", ylabel="commands")
    counts = Counter(by for result in results for by in result.ended_by)
    names = sorted(counts)
    ends.bar(names, [counts[name] for name in names], color="#264653")
    ends.set(title="utterances ended by")
    drawing.suptitle(f"{title}   (real-time factor {figures['rtf']:.3f})")
    drawing.tight_layout()
    try:
        drawing.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}", remedy="Name a file that can be written.") from error


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
