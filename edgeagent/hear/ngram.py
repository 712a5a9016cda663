"""Sentences to a language model of word triples, in ARPA's text format, with Witten and Bell's smoothing. Pure.

What follows a pair of words often is likely after it; what never did is as likely as after the last word alone, weighed
by how many different words followed the pair (Witten and Bell, 1991).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

BEGIN, END = "<s>", "</s>"
ORDER = 3
_NEVER = -99.0
Gram = tuple[str, ...]


def arpa(sentences: Iterable[Sequence[str]]) -> str:
    """Return the model of the sentences; each counts as often as it stands there."""
    counts = _counts(sentences)
    followed: list[dict[Gram, int]] = [{} for _ in range(ORDER)]
    totals: list[Counter[Gram]] = [Counter() for _ in range(ORDER)]
    for order in range(ORDER):
        kinds: defaultdict[Gram, int] = defaultdict(int)
        for gram, count in counts[order].items():
            kinds[gram[:-1]] += 1
            totals[order][gram[:-1]] += count
        followed[order] = dict(kinds)
    chances: list[dict[Gram, float]] = []
    words = len(counts[0])
    for order in range(ORDER):
        found = {}
        for gram, count in counts[order].items():
            before = gram[:-1]
            kinds_after, total = followed[order][before], totals[order][before]
            shorter = chances[order - 1][gram[1:]] if order else 1.0 / words
            found[gram] = (count + kinds_after * shorter) / (total + kinds_after)
        chances.append(found)
    return _text(chances, followed, totals)


def words_of(model: str) -> frozenset[str]:
    """Return the words of a model in ARPA's format, without the marks of beginning and end; none of another text."""
    _, _, grams = model.partition("\\1-grams:")
    words = (line.split("\t")[1] for line in grams.partition("\\2-grams:")[0].splitlines() if "\t" in line)
    return frozenset(words) - {BEGIN, END}


def _counts(sentences: Iterable[Sequence[str]]) -> list[Counter[Gram]]:
    counts: list[Counter[Gram]] = [Counter() for _ in range(ORDER)]
    for sentence in sentences:
        words = (BEGIN, *sentence, END)
        for order in range(ORDER):
            counts[order].update(
                words[at : at + order + 1] for at in range(0 if order else 1, len(words) - order)
            )  # nothing leads to the beginning
    return counts


def _text(
    chances: Sequence[dict[Gram, float]], followed: Sequence[dict[Gram, int]], totals: Sequence[Counter[Gram]]
) -> str:
    lines = ["\\data\\"]
    lines += [f"ngram {order + 1}={len(found) + (order == 0)}" for order, found in enumerate(chances)]
    for order, found in enumerate(chances):
        lines += ["", f"\\{order + 1}-grams:"]
        if order == 0:
            lines.append(_line(_NEVER, (BEGIN,), _weight((BEGIN,), 1, followed, totals)))
        for gram, chance in sorted(found.items()):
            lines.append(_line(math.log10(chance), gram, _weight(gram, order + 1, followed, totals)))
    return "\n".join((*lines, "", "\\end\\", ""))


def _weight(
    gram: Gram, order: int, followed: Sequence[dict[Gram, int]], totals: Sequence[Counter[Gram]]
) -> float | None:
    """Return the logarithm of what is left for what never followed; None where nothing longer is counted."""
    if order == ORDER:
        return None
    kinds = followed[order].get(gram, 0)
    return math.log10(kinds / (totals[order][gram] + kinds)) if kinds else 0.0


def _line(log_chance: float, gram: Gram, log_weight: float | None) -> str:
    line = f"{log_chance:.4f}\t{' '.join(gram)}"
    return line if log_weight is None else f"{line}\t{log_weight:.4f}"
