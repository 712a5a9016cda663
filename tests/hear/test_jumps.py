"""The sentences with jumps are the same sentences: after every state comes what came before, a jump away at most."""

from collections.abc import Callable

import pytest
from homes import known
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.vocabulary import lists_of
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.grammar.automaton import compile_commands
from edgeagent.hear.jumps import Jumping, with_jumps, without_jumps
from edgeagent.simulate.house import small_house

SENTENCES = st.frozensets(st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple), max_size=60)


def house() -> Acyclic:
    named = commands.built_in(("home",)).with_names(dict(lists_of(known(small_house()).names())))
    return compile_commands(named).flat()


def wide(states: int, words: int) -> Acyclic:
    """As many states that all go on with the same words, each reached by a word of its own and able to end."""
    arcs = [{f"s{state}": state for state in range(1, states + 1)}]
    arcs += [{f"w{word}": states + 1 for word in range(words)} for _ in range(states)]
    return Acyclic((*arcs, {}), frozenset({states + 1, *range(1, states + 1)}))


def unfolded(graph: Jumping) -> Acyclic:
    """Take the jumps out again."""
    arcs: list[dict[str, int]] = [{} for _ in range(graph.end)]
    added: dict[int, dict[str, int]] = {}
    for state, word, after in graph.arcs:
        going = arcs[state] if state < graph.end else added.setdefault(state, {})
        assert word not in going
        going[word] = after
    for state, after in graph.jumps:
        if after != graph.end:
            assert not arcs[state].keys() & added[after].keys()
            arcs[state] |= added[after]
    return Acyclic(tuple(arcs), frozenset(state for state, after in graph.jumps if after == graph.end))


@pytest.mark.parametrize("make", [with_jumps, without_jumps])
@pytest.mark.parametrize("sentences", [house(), wide(30, 12), Acyclic(({},), frozenset({0}))])
def test_a_grammar_is_the_same(sentences: Acyclic, make: Callable[[Acyclic], Jumping]) -> None:
    assert unfolded(make(sentences)) == sentences


@given(SENTENCES)
def test_any_sentences_are_the_same(sentences: frozenset[tuple[str, ...]]) -> None:
    automaton = phrases(sentences)
    assert unfolded(with_jumps(automaton)) == automaton


@pytest.mark.parametrize("sentences", [house(), wide(30, 12)])
def test_no_jump_leads_to_another_one(sentences: Acyclic) -> None:
    jumps = with_jumps(sentences).jumps
    assert not {after for _, after in jumps} & {state for state, _ in jumps}


def test_the_arcs_of_a_house_are_far_fewer() -> None:
    graph, plain = with_jumps(house()), without_jumps(house())
    assert len(graph.arcs) < 0.55 * len(plain.arcs)
    assert len(graph.jumps) < 0.25 * len(plain.arcs)


def test_what_saves_nothing_is_left_alone() -> None:
    graph, plain = with_jumps(wide(2, 2)), without_jumps(wide(2, 2))
    assert (sorted(graph.arcs), graph.jumps) == (sorted(plain.arcs), plain.jumps)
