"""Logits on validation sentences to temperatures and thresholds: how sure is sure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_TEMPERATURES = np.exp(np.linspace(np.log(0.2), np.log(5), 81))
_LEAST_CHANCE = 1e-12
_THRESHOLDS = np.round(np.concatenate([np.linspace(0.3, 0.95, 66), np.linspace(0.955, 0.999, 45)]), 3)
LEAST_SURE = 0.9
"""Less sure than this nothing is obeyed, however right it was on the validation sentences."""
MOST_WRONG = {"free": 0.03, "guarded": 0.004}
MOST_STRANGERS = {"free": 0.012, "guarded": 0.001}
"""Shares: of what is obeyed, so much may be another label; of what is no command, so much may be obeyed.

By the model's word alone: the evidence that its answers are weighed against stops most of these. On the development
set least confidences of 0.98, 0.93, 0.88 and 0.80 obeyed 220, 225, 230 and 232 of 337 commands, and 1, 2, 2 and 3
of 180
sentences that are none.
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """Logits of an exit with the right labels; `commands` tells which labels are commands."""

    logits: Floats
    labels: NDArray[np.int64]
    commands: NDArray[np.bool_]


def temperature_of(judged: Judged) -> float:
    """Return the temperature with the least negative log likelihood of what is decided."""
    losses = [_loss(judged, temperature) for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def chances(logits: Floats, temperature: float) -> Floats:
    """Return probabilities, row by row."""
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    result: Floats = powers / powers.sum(1, keepdims=True)
    return result


def threshold_of(judged: Judged, temperature: float, risk: str) -> float:
    """Return the least confidence at which what is obeyed is right often enough, and strangers are let alone."""
    probability = chances(judged.logits, temperature)
    best = probability.argmax(1)
    top = probability.max(1)
    taken = judged.commands[best]
    known = judged.labels >= 0
    is_command = known & judged.commands[np.maximum(judged.labels, 0)]
    for threshold in _THRESHOLDS[_THRESHOLDS >= LEAST_SURE]:
        obeyed = taken & (top >= threshold)
        wrong = obeyed & is_command & (best != judged.labels)
        strangers = obeyed & ~is_command
        share_wrong = wrong.sum() / max(1, (obeyed & is_command).sum())
        share_strange = strangers.sum() / max(1, (~is_command).sum())
        if share_wrong <= MOST_WRONG[risk] and share_strange <= MOST_STRANGERS[risk]:
            return float(threshold)
    return 0.999


def _loss(judged: Judged, temperature: float) -> float:
    """Return the negative log likelihood of what is decided: which command, or that it is none at all."""
    known = judged.labels >= 0
    scaled = judged.logits[known] / temperature
    shifted = scaled - scaled.max(1, keepdims=True)
    powers = np.exp(shifted)
    labels = judged.labels[known]
    own = powers[np.arange(len(labels)), labels]
    none = powers[:, ~judged.commands].sum(1)
    right = np.where(judged.commands[labels], own, none) / powers.sum(1)
    return float(-np.log(np.maximum(right, _LEAST_CHANCE)).mean())
