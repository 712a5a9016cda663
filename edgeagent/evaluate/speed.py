"""How long a typed sentence takes to its interpretation, beside hassil on the same sentences in the same run."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgeagent.evaluate.judging import Judge
from edgeagent.evaluate.peer import Hassil
from edgeagent.evaluate.perturb import filler
from edgeagent.messages import Interpretation
from edgeagent.understand.model.gazetteer import Gazetteer
from edgeagent.understand.model.model import CommandModel
from edgeagent.understand.text import typed

_PARAPHRASED = (
    "kill the lights in the kitchen", "could we have some light in the bedroom", "get the radio going in the kitchen",
    "it is way too dark in the living room", "crank the thermostat up to twenty two", "fire up the coffee machine",
    "make the reading lamp a touch brighter", "bring the bedroom blinds down", "let the vacuum clean the hallway",
    "what is the bathroom humidity like", "knock the floor lamp down to thirty percent", "secure the front door",
)  # fmt: skip
_STRANGE = (
    "she turned off the light and went to bed", "what is the capital of france", "remind me to call my mother tomorrow",
    "don't touch the thermostat", "should i open the window before it rains", "play some jazz by miles davis",
)  # fmt: skip


def speed(model: CommandModel | None, count: int) -> dict[str, Any]:
    """Return rows of times in microseconds: our path by sort of sentence and exit, hassil's, and the ratio."""
    judge = Judge("home", model)
    peer = Hassil(judge.home)
    random_ = random.Random(1)
    plain = [judge.interpreter.automaton.generate(random_) for _ in range(count)]
    sorts: dict[str, Sequence[str]] = {
        "grammar": [" ".join(words) for words in plain],
        "filler": [" ".join(filler(words, random_)) for words in plain],
        "paraphrased": _PARAPHRASED,
        "no command": _STRANGE,
    }

    def interpret(text: str) -> Interpretation:
        return judge.interpreter.interpret(typed("u", text))

    rows = []
    for name, sentences in sorts.items():
        ours = _times(interpret, sentences)
        theirs = _times(peer, sentences[:60])
        rows.append(
            {
                "sentences": name,
                "n": len(sentences),
                "p50_us": ours[0],
                "p99_us": ours[1],
                "cpu_us": _cpu_time(interpret, sentences),
                "hassil_p50_us": theirs[0],
                "hassil_p99_us": theirs[1],
                "times_faster": round(theirs[0] / ours[0], 1),
            }
        )
    figures: dict[str, Any] = {"rows": rows}
    if model is not None:
        figures["model_us"] = _model_times(judge, model)
    return figures


def _model_times(judge: Judge, model: CommandModel) -> dict[str, dict[str, float]]:
    mark = Gazetteer(judge.home.lists)
    sentences = [text.split() for text in (*_PARAPHRASED, *_STRANGE)]
    taken: dict[str, list[float]] = {}
    for words in sentences * 20:
        began = time.perf_counter()
        for opinion in model.opinions(words, mark(words)):
            taken.setdefault(f"exit {opinion.exit}", []).append(time.perf_counter() - began)
    return {name: {"p50": _micro(some, 0.5), "p99": _micro(some, 0.99)} for name, some in taken.items()}


def _times(run: Callable[[str], object], sentences: Sequence[str]) -> tuple[float, float]:
    for text in sentences[:5]:
        run(text)
    taken = []
    for text in sentences:
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            run(text)
            best = min(best, time.perf_counter() - began)
        taken.append(best)
    return _micro(taken, 0.5), _micro(taken, 0.99)


def _cpu_time(run: Callable[[str], object], sentences: Sequence[str]) -> float:
    """Return the processor's time for a sentence, in microseconds, over all of them."""
    began = time.process_time()
    for text in sentences:
        run(text)
    return round(1e6 * (time.process_time() - began) / len(sentences), 1)


def _micro(seconds: Sequence[float], share: float) -> float:
    return round(1e6 * float(np.quantile(seconds, share)), 1)
