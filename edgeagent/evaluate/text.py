"""A model on labelled sentences: intents, slots and frames, what is out of scope, how calibrated, how fast, by exit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeagent.errors import SettingsError
from edgeagent.evaluate.scores import auroc, calibration_error, slot_scores
from edgeagent.train.examples import Example, read_jsonl
from edgeagent.understand.model.bundle import Bundle, Manifest, open_bundle
from edgeagent.understand.model.decode import Span
from edgeagent.understand.model.gazetteer import FEATURES
from edgeagent.understand.model.labels import OUT_OF_SCOPE
from edgeagent.understand.model.model import CommandModel, Opinion
from edgeagent.understanding import segments_of

LOST_POINTS = 0.01
"""Out-of-scope recall is told at a threshold that costs at most so much of the accuracy in scope."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A sentence with what each exit took it for, and after how many seconds."""

    example: Example
    opinions: tuple[Opinion, ...]
    took_s: tuple[float, ...]


def evaluate_text(folder: Path, file: Path, runtime: str = "onnx") -> tuple[dict[str, Any], list[Answered]]:
    """Return the figures of a model on a file of rows {"tokens" | "text", "tags"?, "intent"}, and each answer.

    Raise ModelError or SettingsError if one of them cannot be used.
    """
    bundle = open_bundle(folder)
    examples = list(read_jsonl(file))
    if not examples:
        raise SettingsError(f"{file}: holds no row", remedy='A row is {"text": "turn it off", "intent": "off"}.')
    answered = _answers(bundle, runtime, examples)
    figures = _figures(bundle.manifest, answered)
    figures["model"] = {"folder": str(folder), "name": bundle.manifest.name, "runtime": runtime, "bytes": _size(bundle)}
    float_folder = folder / "float"
    if float_folder.is_dir():
        exact = _figures(bundle.manifest, _answers(open_bundle(float_folder), "onnx", examples))
        figures["float"] = {name: exact[name] for name in ("intent_accuracy", "slot_f1", "frame_accuracy")}
    else:
        figures["float"] = None
    return figures, answered


def _answers(bundle: Bundle, runtime: str, examples: Sequence[Example]) -> list[Answered]:
    model = CommandModel(bundle, segments_of(bundle, runtime))
    answered = []
    for example in examples:
        marks = np.zeros((len(example.words), len(FEATURES)), np.uint8)
        opinions, took_s = [], []
        began = time.perf_counter()
        for opinion in model.opinions(example.words, marks):
            took_s.append(time.perf_counter() - began)
            opinions.append(opinion)
        answered.append(Answered(example, tuple(opinions), tuple(took_s)))
    return answered


def _figures(manifest: Manifest, answered: Sequence[Answered]) -> dict[str, Any]:
    count = len(manifest.exits)
    chosen = [_left_at(one, manifest) for one in answered]
    figures: dict[str, Any] = {"n": len(answered), **_scores(answered, chosen)}
    figures["out_of_scope"] = _strangers(answered)
    figures["exits"] = [
        {
            "exit": number + 1,
            "share": float(np.mean([one == number for one in chosen])),
            **_scores(answered, [number] * len(answered)),
            "calibration_error": _error(answered, number),
            "latency_us": _latency([one.took_s[number] for one in answered]),
        }
        for number in range(count)
    ]
    taken = np.mean([one.took_s[number] for one, number in zip(answered, chosen, strict=True)])
    figures["times_faster"] = float(np.mean([one.took_s[-1] for one in answered]) / taken)
    figures["calibration_error"] = _error(answered, count - 1)
    figures["latency_us"] = _latency([one.took_s[number] for one, number in zip(answered, chosen, strict=True)])
    return figures


def _left_at(one: Answered, manifest: Manifest) -> int:
    """Return the exit at which the policy leaves, counted from 0: the first that is sure of label and slots."""
    for number, opinion in enumerate(one.opinions[:-1]):
        entry = manifest.exits[number]
        if opinion.chance >= entry.leave and opinion.slot_chance >= entry.slot_sure:
            return number
    return len(one.opinions) - 1


def _scores(answered: Sequence[Answered], chosen: Sequence[int]) -> dict[str, float | None]:
    inside = [
        (one, one.opinions[number]) for one, number in zip(answered, chosen, strict=True) if not _is_stranger(one)
    ]
    if not inside:
        return {"intent_accuracy": None, "slot_f1": None, "frame_accuracy": None}
    right = [is_right(one.example, opinion) for one, opinion in inside]
    tagged = [(one, opinion) for one, opinion in inside if one.example.tags is not None]
    scores = slot_scores([(_spans(one.example), opinion.spans) for one, opinion in tagged]) if tagged else None
    frames = [
        is_right(one.example, opinion) and set(_spans(one.example)) == set(opinion.spans) for one, opinion in tagged
    ]
    return {
        "intent_accuracy": float(np.mean(right)),
        "slot_f1": scores,
        "frame_accuracy": float(np.mean(frames)) if frames else None,
    }


def is_right(example: Example, opinion: Opinion) -> bool:
    """Tell whether the label or the intent is the right one."""
    return example.label in {opinion.label.name, opinion.label.intent}


def _is_stranger(one: Answered) -> bool:
    return one.example.label == OUT_OF_SCOPE


def _spans(example: Example) -> tuple[Span, ...]:
    spans: list[Span] = []
    tags = example.tags or ()
    for place, tag in enumerate(tags):
        if tag.startswith("B-") or (tag.startswith("I-") and (not place or tags[place - 1][2:] != tag[2:])):
            spans.append(Span(tag[2:], place, place + 1))
        elif tag.startswith("I-"):
            spans[-1] = Span(spans[-1].slot, spans[-1].start, place + 1)
    return tuple(spans)


def _strangers(answered: Sequence[Answered]) -> dict[str, float] | None:
    """Return how well sentences out of scope are told from the others; None where there are none."""
    inside = [one.opinions[-1] for one in answered if not _is_stranger(one)]
    outside = [one.opinions[-1] for one in answered if _is_stranger(one)]
    if not inside or not outside:
        return None
    right = [is_right(one.example, one.opinions[-1]) for one in answered if not _is_stranger(one)]
    scores = np.array([_belonging(opinion) for opinion in inside])
    strange = np.array([_belonging(opinion) for opinion in outside])
    accuracy = float(np.mean(right))
    best = 0.0
    for threshold in np.unique(np.concatenate([scores, strange])):
        kept = float(np.mean(np.array(right) & (scores >= threshold)))
        if accuracy - kept <= LOST_POINTS:
            best = float(np.mean(strange < threshold))
    return {
        "n": len(outside),
        "recall": float(np.mean([opinion.label.intent is None for opinion in outside])),
        "recall_at_1_point": best,
        "auroc": auroc(scores, strange),
    }


def _belonging(opinion: Opinion) -> float:
    """Return how much a sentence belongs to what the model knows: its sureness, and its likeness to what it learned."""
    return opinion.command_chance * opinion.chance + max(0.0, opinion.likeness)


def _error(answered: Sequence[Answered], number: int) -> float:
    known = [one for one in answered if not _is_stranger(one)]
    chances = np.array([one.opinions[number].chance for one in known])
    right = np.array([is_right(one.example, one.opinions[number]) for one in known])
    return calibration_error(chances, right) if known else float("nan")


def _latency(seconds: Sequence[float]) -> dict[str, float]:
    micro = 1e6 * np.array(seconds)
    return {"p50": round(float(np.median(micro)), 1), "p99": round(float(np.quantile(micro, 0.99)), 1)}


def _size(bundle: Bundle) -> int:
    return sum(bundle.manifest.files[one.onnx].bytes for one in bundle.manifest.exits)
