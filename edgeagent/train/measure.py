"""A bundle on the validation sentences: how right, how sure and how fast each exit is, and what it mixes up."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeagent.evaluate.scores import BINS, calibration_error
from edgeagent.train.calibrate import chances
from edgeagent.train.corpus import Corpus, Encoded
from edgeagent.understand.model.bundle import Bundle
from edgeagent.understand.model.onnx_segments import OnnxSegments
from edgeagent.understand.model.segments import RawOffer

LEAST_IN_A_BIN = 5
MOST_CONFUSED = 16
NONE = "no command"
LOST_BY_LEAVING = 0.002
"""So much of the accuracy may be lost by leaving at the first exit."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What every exit computes for each sentence, and how many seconds had passed when it had."""

    offers: list[list[RawOffer]]
    took_s: NDArray[np.float64]  # [sentences, exits]

    def logits(self, number: int) -> NDArray[np.float32]:
        """Return the logits of the labels at an exit, counted from 0."""
        return np.array([one[number].labels for one in self.offers])


def offers(bundle: Bundle, encoded: Encoded) -> Offered:
    """Run a bundle on sentences."""
    segments = OnnxSegments(bundle)
    all_offers, times = [], []
    for ids, marks in zip(encoded.ids, encoded.marks, strict=True):
        began = time.perf_counter()
        offered = [segments.first(ids, marks)]
        took = [time.perf_counter() - began]
        while (hidden := offered[-1].hidden) is not None and len(offered) < len(bundle.manifest.exits):
            offered.append(segments.later(len(offered), hidden))
            took.append(time.perf_counter() - began)
        all_offers.append(offered)
        times.append(took)
    return Offered(all_offers, np.array(times))


def measured_exit(
    offered: Offered, number: int, temperature: float, corpus: Corpus, labels: NDArray[np.int64]
) -> dict[str, Any]:
    """Return how right, how sure and how fast an exit is. What is no command counts as one label in `decided`."""
    probability = chances(offered.logits(number), temperature)
    best, top = probability.argmax(1), probability.max(1)
    is_right = best == labels
    is_command = np.array([label.intent is not None for label in corpus.labels])
    decided, sure = _decided(probability, is_command)
    is_decided_right = decided == _collapsed(labels, is_command)
    micro = 1e6 * offered.took_s[:, number]
    return {
        "accuracy": float(is_right.mean()),
        "calibration_error": calibration_error(top, is_right),
        "decided": float(is_decided_right.mean()),
        "decided_calibration_error": calibration_error(sure, is_decided_right),
        "reliability": _reliability(sure, is_decided_right),
        "network_us": {"p50": float(np.median(micro)), "p99": float(np.quantile(micro, 0.99))},
    }


def policy(offered: Offered, labels: NDArray[np.int64], temperatures: Sequence[float]) -> list[dict[str, float]]:
    """Return for thresholds of the first exit which share leaves there, what is right in the end, and how fast."""
    first, last = (chances(offered.logits(at), temperatures[at]) for at in (0, -1))
    rows = []
    for threshold in np.linspace(0.3, 1.0, 36):
        early = first.max(1) >= threshold
        answers = np.where(early, first.argmax(1), last.argmax(1))
        took = np.where(early, offered.took_s[:, 0], offered.took_s[:, -1])
        rows.append(
            {
                "threshold": float(threshold),
                "leaves_early": float(early.mean()),
                "accuracy": float((answers == labels).mean()),
                "times_faster": float(offered.took_s[:, -1].mean() / took.mean()),
            }
        )
    return rows


def leave_at(rows: Sequence[dict[str, float]]) -> float:
    """Return the least threshold at which leaving early loses almost nothing."""
    whole = rows[-1]["accuracy"]
    return next((row["threshold"] for row in rows if row["accuracy"] >= whole - LOST_BY_LEAVING), 1.0)


def confusions(offered: Offered, corpus: Corpus, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return the labels that the last exit mixes up most, and how often each was taken for each: rows are right."""
    is_command = np.array([label.intent is not None for label in corpus.labels])
    right = _collapsed(labels, is_command)
    found = _collapsed(offered.logits(-1).argmax(1), is_command)
    wrong = Counter(int(one) for pair in zip(right, found, strict=True) if pair[0] != pair[1] for one in pair)
    worst = [one for one, _ in wrong.most_common(MOST_CONFUSED)]
    matrix = [[int(((right == row) & (found == column)).sum()) for column in worst] for row in worst]
    return {"labels": [NONE if one < 0 else corpus.labels[one].name for one in worst], "matrix": matrix}


def _decided(probability: NDArray[np.float32], is_command: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return what is decided, -1 for no command, and how sure it is: what is no command adds up."""
    commands = np.where(is_command, probability, 0.0)
    none = probability[:, ~is_command].sum(1)
    best = commands.argmax(1)
    is_none = none >= commands.max(1)
    return np.where(is_none, -1, best), np.where(is_none, none, commands.max(1))


def _collapsed(labels: NDArray[np.int64], is_command: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.where((labels >= 0) & is_command[np.maximum(labels, 0)], labels, -1)


def _reliability(sure: NDArray[Any], is_right: NDArray[np.bool_]) -> list[list[float]]:
    """Return for each bin with enough sentences the mean confidence, the share that is right, and the count."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    used = [number for number in range(BINS) if (bins == number).sum() >= LEAST_IN_A_BIN]
    return [
        [float(sure[bins == one].mean()), float(is_right[bins == one].mean()), float((bins == one).sum())]
        for one in used
    ]
