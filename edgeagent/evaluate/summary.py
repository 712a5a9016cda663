"""Results of a spoken test set to its figures: accuracy, times, word errors, what failed; by signal-to-noise ratio."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeagent.edits import edits
from edgeagent.evaluate.speech import Result
from edgeagent.pipeline import Heard


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Return the figures of a test set, ready for JSON; of several ratios, each one's and all together."""
    figures = _figures(results)
    parts = by_ratio(results)
    if len(parts) > 1:
        rows = [{"snr_db": snr_db, **_figures(part)} for snr_db, part in parts.items()]
        figures |= {"mean_accuracy": round(sum(row["accuracy"] for row in rows) / len(rows), 4), "snr": rows}
    failures = [
        ({"snr_db": result.snr_db} if len(parts) > 1 else {}) | _failure(result)
        for result in results
        if result.verdict != "right"
    ]
    return {**figures, "failures": failures}


def by_ratio(results: Sequence[Result]) -> dict[float | None, list[Result]]:
    """Return the results by signal-to-noise ratio, in the order in which they were played."""
    parts: dict[float | None, list[Result]] = {}
    for result in results:
        parts.setdefault(result.snr_db, []).append(result)
    return parts


def _figures(results: Sequence[Result]) -> dict[str, Any]:
    verdicts = Counter(result.verdict for result in results)
    decisions = [decision for result in results for decision in result.decisions]
    took_s = [decision.took_s for decision in decisions]
    sound_s = sum(result.sound_s for result in results)
    refusable = [result for result in results if result.case.expected is None]
    return {
        "n": len(results),
        "right": verdicts["right"],
        "wrong": verdicts["wrong"],
        "rejected": verdicts["rejected"],
        "accuracy": round(verdicts["right"] / len(results), 4) if results else 0.0,
        "rtf": round(sum(result.work_s for result in results) / sound_s, 4) if sound_s else 0.0,
        "time_to_decision_ms": {f"p{q}": _percentile_ms(took_s, q) for q in (50, 95)},
        "where_time_goes": {
            "waiting_ms": _percentile_ms([decision.waiting_s for decision in decisions], 50),
            "recognising_ms": _percentile_ms([decision.recognising_s for decision in decisions], 50),
            "understanding_ms": _percentile_ms([decision.understanding_s for decision in decisions], 50),
        },
        "ended_by": dict(Counter(str(one.transcript.ended_by) for result in results for one in result.heard)),
        "false_accepts": {"n": len(refusable), "accepted": sum(bool(result.got) for result in refusable)},
        "premature": {
            "n": len(decisions),
            "early": sum(len(result.premature) for result in results),
            "wrong": sum(one.meaning != result.case.expected for result in results for one in result.premature),
        },
        "word_error_rate": _word_error_rate(results),
    }


def _word_error_rate(results: Sequence[Result]) -> float | None:
    pairs = [(result.case.said, result.words) for result in results if result.case.said is not None]
    words = sum(len(said) for said, _ in pairs)
    return round(sum(edits(said, heard) for said, heard in pairs) / words, 4) if words else None


def _failure(result: Result) -> dict[str, Any]:
    return {
        "file": result.case.path.name,
        "expected": result.case.expected.as_json() if result.case.expected else None,
        "got": [meaning.as_json() for meaning in result.got] or None,
        "heard": " / ".join(_line(one) for one in result.heard),
    }


def _line(one: Heard) -> str:
    return f"{one.transcript.text} ({one.transcript.confidence:.2f}, {one.transcript.ended_by})"


def _percentile_ms(seconds: Sequence[float], q: int) -> float | None:
    return round(1000 * float(np.percentile(seconds, q)), 1) if seconds else None
