"""What was measured while a model was made, as a picture; needs the extra `evaluate` (matplotlib)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_DARK, _RIGHT, _WRONG = "#264653", "#2a9d8f", "#e76f51"


def draw(measured: Mapping[str, Any], path: Path) -> None:
    """Write a PNG: learning curves, reliability, time by exit, what leaves early, and what is mixed up."""
    drawing = Figure(figsize=(17, 10), layout="constrained")  # without pyplot, which would look for a screen
    (losses, rights, reliability), (shares, times, mixed) = drawing.subplots(2, 3)
    _learning(losses, rights, measured["epochs"])
    for number, one in enumerate(measured["exits"], start=1):
        points = one["reliability"]
        error = one["decided_calibration_error"]
        reliability.plot(
            [point[0] for point in points], [point[1] for point in points], marker="o",
            label=f"exit {number}: error {error:.1%}",
        )  # fmt: skip
    reliability.plot([0, 1], [0, 1], color="#999999", linestyle=":")
    reliability.set(title="reliability of what is decided", xlabel="confidence", ylabel="share right")
    reliability.legend()
    _leaving(shares, measured["policy"])
    names = [f"exit {number}" for number in range(1, len(measured["exits"]) + 1)]
    for place, quantile in enumerate(("p50", "p99")):
        values = [one["network_us"][quantile] for one in measured["exits"]]
        times.bar([row + 0.4 * place for row in range(len(names))], values, 0.38, label=quantile)
    times.set(
        title="the network alone, microseconds", xticks=[row + 0.2 for row in range(len(names))], xticklabels=names
    )
    times.legend()
    _confusions(mixed, measured["confusions"])
    drawing.suptitle(f"{measured['sentences']} validation sentences, seed {measured['seed']}")
    drawing.savefig(path, dpi=90)


def _learning(losses: Axes, rights: Axes, epochs: list[Mapping[str, Any]]) -> None:
    numbers = [one["number"] for one in epochs]
    losses.plot(numbers, [one["loss"] for one in epochs], color=_DARK)
    losses.set(title="loss", xlabel="epoch", yscale="log")
    for number in range(len(epochs[0]["right"]) if epochs else 0):
        rights.plot(numbers, [one["right"][number] for one in epochs], label=f"exit {number + 1}")
    rights.set(title="validation sentences with the right label, in floats", xlabel="epoch")
    rights.legend()


def _leaving(shares: Axes, policy: list[Mapping[str, float]]) -> None:
    thresholds = [one["threshold"] for one in policy]
    shares.plot(thresholds, [one["leaves_early"] for one in policy], label="leave at exit 1", color=_WRONG)
    shares.plot(thresholds, [one["accuracy"] for one in policy], label="right in the end", color=_RIGHT)
    shares.set(title="by the threshold of exit 1, in eight bits", xlabel="threshold", ylim=(0, 1.02))
    faster = shares.twinx()
    faster.plot(thresholds, [one["times_faster"] for one in policy], color=_DARK, linestyle=":")
    faster.set(ylabel="times faster than always to the end (dotted)")
    shares.legend(loc="lower left")


def _confusions(mixed: Axes, confusions: Mapping[str, Any]) -> None:
    labels, matrix = confusions["labels"], confusions["matrix"]
    if not labels:
        mixed.set(title="nothing was mixed up")
        return
    size = range(len(labels))
    wrong = [[0 if row == column else matrix[row][column] for column in size] for row in size]
    mixed.imshow(wrong, cmap="Oranges")
    for row in size:
        for column in size:
            if matrix[row][column]:
                mixed.text(column, row, str(matrix[row][column]), ha="center", va="center", fontsize=7)
    mixed.set(title="most mixed up: rows are right, columns found", xticks=size, yticks=size, yticklabels=labels)
    mixed.set_xticks(size, labels, rotation=60, ha="right", fontsize=8)
