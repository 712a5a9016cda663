"""Few sentences of an automaton in which every pair of words that may follow one another does so. Pure.

For recognizers whose grammar is estimated from phrases as a bigram model: they learn nothing from further sentences.
"""

from collections import deque

from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.spoken import Phrase

_START, _END = "<s>", "</s>"


def covering(sentences: Acyclic) -> tuple[Phrase, ...]:
    """Return sentences that cover every pair, and every word with which a sentence begins or ends.

    What leads to no end, since its words were taken out, is left out.
    """
    before = _shortest_before(sentences)
    after = _shortest_after(sentences)
    covered: set[tuple[str, str]] = set()
    chosen: list[Phrase] = []

    def cover(pair: tuple[str, str], phrase: Phrase) -> None:
        if pair not in covered:
            covered.update(zip((_START, *phrase), (*phrase, _END), strict=True))
            chosen.append(phrase)

    for word, reached in sentences.arcs[0].items():
        if reached in after:
            cover((_START, word), (word, *after[reached]))
    for state, lead_in in before.items():
        for word, reached in sentences.arcs[state].items():
            lead = (*lead_in, word)
            for following, beyond in sentences.arcs[reached].items():
                if beyond in after:
                    cover((word, following), (*lead, following, *after[beyond]))
            if reached in sentences.final:
                cover((word, _END), lead)
    return tuple(chosen)


def _shortest_before(sentences: Acyclic) -> dict[int, Phrase]:
    """Return by state the fewest words that lead to it from the beginning."""
    found: dict[int, Phrase] = {0: ()}
    waiting = deque((0,))
    while waiting:
        state = waiting.popleft()
        for word, reached in sentences.arcs[state].items():
            if reached not in found:
                found[reached] = (*found[state], word)
                waiting.append(reached)
    return found


def _shortest_after(sentences: Acyclic) -> dict[int, Phrase]:
    """Return by state the fewest words that lead from it to an end."""
    leading: dict[int, list[tuple[int, str]]] = {}
    for state, arcs in enumerate(sentences.arcs):
        for word, reached in arcs.items():
            leading.setdefault(reached, []).append((state, word))
    found: dict[int, Phrase] = dict.fromkeys(sentences.final, ())
    waiting = deque(sorted(sentences.final))
    while waiting:
        state = waiting.popleft()
        for earlier, word in leading.get(state, ()):
            if earlier not in found:
                found[earlier] = (word, *found[state])
                waiting.append(earlier)
    return found
