"""Minimal deterministic automata of finitely many sentences: numbers' words, and what recognizers search."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acyclic:
    """A deterministic automaton without cycles; state 0 is the start. `arcs[state]` maps a word to the next state."""

    arcs: tuple[Mapping[str, int], ...]
    final: frozenset[int]


def phrases(sentences: Iterable[Sequence[str]]) -> Acyclic:
    """Return the minimal automaton of these word sequences."""
    arcs: list[dict[str, int]] = [{}]
    final = set()
    for words in sentences:
        state = 0
        for word in words:
            if word not in arcs[state]:
                arcs[state][word] = len(arcs)
                arcs.append({})
            state = arcs[state][word]
        final.add(state)
    return minimal(arcs, final)


def minimal(arcs: Sequence[Mapping[str, int]], final: Iterable[int]) -> Acyclic:
    """Merge the states after which the same can follow. Takes a deterministic automaton without cycles, start 0."""
    ends = frozenset(final)
    classes: dict[int, int] = {}
    known: dict[tuple[bool, frozenset[tuple[str, int]]], int] = {}
    for state in _children_first(arcs):
        key = (state in ends, frozenset((word, classes[after]) for word, after in arcs[state].items()))
        classes[state] = known.setdefault(key, len(known))
    last = len(known) - 1  # the start was classed last and, having no equal before it, has the highest number
    kept = sorted(known.values(), reverse=True)
    by_class = {number: key for key, number in known.items()}
    return Acyclic(
        tuple({word: last - after for word, after in sorted(by_class[number][1])} for number in kept),
        frozenset(last - number for number in kept if by_class[number][0]),
    )


def _children_first(arcs: Sequence[Mapping[str, int]]) -> Iterable[int]:
    done: set[int] = set()
    stack: list[tuple[int, bool]] = [(0, False)]
    while stack:
        state, is_opened = stack.pop()
        if is_opened:
            yield state
        elif state not in done:
            done.add(state)
            stack.append((state, True))
            stack.extend((after, False) for after in arcs[state].values() if after not in done)
