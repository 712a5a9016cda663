"""What was measured while a model was made, as a picture; needs the extra `evaluate` (matplotlib)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def draw(measured: Mapping[str, Any], path: Path) -> None:
    """Write a PNG: loss and accuracy by epoch, and what leaves early at which threshold."""
    epochs = measured["epochs"]
    numbers = [one["number"] for one in epochs]
    drawing = Figure(figsize=(14, 4), layout="constrained")  # without pyplot, which would look for a screen
    losses, rights, shares = drawing.subplots(1, 3)
    losses.plot(numbers, [one["loss"] for one in epochs], color="#264653")
    losses.set(title="loss", xlabel="epoch", yscale="log")
    for exit_ in range(len(epochs[0]["right"]) if epochs else 0):
        rights.plot(numbers, [one["right"][exit_] for one in epochs], label=f"exit {exit_ + 1}")
    rights.set(title="validation sentences with the right label, in floats", xlabel="epoch")
    rights.legend()
    curve = measured["policy"]
    shares.plot([one["threshold"] for one in curve], [one["leaves_early"] for one in curve], label="leave at exit 1")
    shares.plot([one["threshold"] for one in curve], [one["accuracy"] for one in curve], label="right in the end")
    shares.set(title="by the threshold of exit 1, in eight bits", xlabel="threshold")
    shares.legend()
    drawing.suptitle(f"{measured['sentences']} validation sentences, seed {measured['seed']}")
    drawing.savefig(path, dpi=110)
