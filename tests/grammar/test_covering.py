"""Few sentences teach a bigram model all that the automaton has, and nothing else."""

import random
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.acyclic import Acyclic, phrases
from edgeagent.grammar.automaton import compile_commands
from edgeagent.grammar.covering import covering

DEVICES = Path(__file__).parents[1] / "data" / "home_devices.yaml"
BEGIN, END = "<s>", "</s>"


def pairs_of(sentences: set[tuple[str, ...]]) -> set[tuple[str, str]]:
    return {pair for words in sentences for pair in pairwise((BEGIN, *words, END))}


def is_in(automaton: Acyclic, words: tuple[str, ...]) -> bool:
    state = 0
    for word in words:
        if word not in automaton.arcs[state]:
            return False
        state = automaton.arcs[state][word]
    return state in automaton.final


@given(st.sets(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5).map(tuple), min_size=1, max_size=12))
def test_every_pair_is_covered_by_sentences_of_the_automaton(sentences: set[tuple[str, ...]]) -> None:
    automaton = phrases(sentences)
    chosen = covering(automaton)
    assert all(is_in(automaton, words) for words in chosen)
    assert pairs_of(set(chosen)) == pairs_of(sentences)


def test_what_leads_to_no_end_is_left_out() -> None:
    automaton = phrases([("turn", "on"), ("turn", "off", "xylophone")])
    without = Acyclic(
        tuple({word: after for word, after in arcs.items() if word != "xylophone"} for arcs in automaton.arcs),
        automaton.final,
    )
    assert covering(without) == (("turn", "on"),)


def test_what_the_built_in_grammar_says_is_covered() -> None:
    automaton = compile_commands(commands.built_in(["home"]).with_names(names_of(DEVICES)))
    found = pairs_of(set(covering(automaton.flat())))
    draw = random.Random(1)  # noqa: S311  # a sample
    assert all(pair in found for _ in range(500) for pair in pairwise((BEGIN, *automaton.generate(draw), END)))
