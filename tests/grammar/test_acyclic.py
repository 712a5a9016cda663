"""Finite sentences become the smallest automaton, and a file that the recognizer reads."""

from pathlib import Path

import pocketsphinx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.grammar.acyclic import Acyclic, minimal, phrases, write_fsg

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


@pytest.mark.parametrize("sentences", [["go forward", "go back", "stop"], ["stop"], ["turn on the light", "turn on"]])
def test_pocketsphinx_reads_the_file(tmp_path: Path, sentences: list[str]) -> None:
    path = tmp_path / "grammar.fsg"
    automaton = phrases(text.split() for text in sentences)
    write_fsg(automaton, path)
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    decoder.add_fsg("commands", decoder.read_fsg(str(path)))
    decoder.activate_search("commands")
    decoder.start_utt()
    decoder.process_raw(bytes(32_000))
    decoder.end_utt()
    lines = path.read_text("utf-8").splitlines()
    assert sum(line.startswith("TRANSITION") for line in lines) == sum(map(len, automaton.arcs)) + len(automaton.final)
