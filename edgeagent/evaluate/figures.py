"""Results of a spoken test set to a picture; needs the extra `evaluate` (matplotlib)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from edgeagent.errors import SettingsError
from edgeagent.evaluate.speech import Result, summary

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
