"""Finite sentences become the smallest automaton."""

from hypothesis import given
from hypothesis import strategies as st

from edgeagent.grammar.acyclic import Acyclic, minimal, phrases

SENTENCES = st.frozensets(st.lists(st.sampled_from("ab"), max_size=5).map(tuple), max_size=12)


def language(automaton: Acyclic, state: int = 0) -> set[tuple[str, ...]]:
    here = {()} if state in automaton.final else set()
    return here | {
        (word, *rest) for word, after in automaton.arcs[state].items() for rest in language(automaton, after)
    }


@given(SENTENCES)
def test_it_holds_just_these_sentences(sentences: frozenset[tuple[str, ...]]) -> None:
    assert language(phrases(sentences)) == sentences


@given(SENTENCES)
def test_no_two_states_go_on_alike(sentences: frozenset[tuple[str, ...]]) -> None:
    automaton = phrases(sentences)
    ways = [frozenset(language(automaton, state)) for state in range(len(automaton.arcs))]
    assert len(set(ways)) == len(ways)
    assert len(minimal(automaton.arcs, automaton.final).arcs) == len(automaton.arcs)
