"""Templates are laid out as words: pieces are joined, spaces divide, and dead ends are gone."""

from edgeagent.grammar.commands import CommandSet, Template, expression
from edgeagent.grammar.layout import ROOT
from edgeagent.grammar.network import Network


def network(*templates: str) -> Network:
    chosen = tuple(Template("a", expression(text, text), {}, text) for text in templates)
    return Network(CommandSet(chosen, {}, {}))


def said(network: Network, node: int = ROOT) -> set[str]:
    here = {""} if node in network.accepting else set()
    for word, arcs in network.arcs(node).items():
        here |= {f"{word} {rest}".strip() for _, after in arcs for rest in said(network, after)}
    return here


def test_pieces_within_a_word_are_joined() -> None:
    assert said(network("[un]lock(s|[ed])")) == {"lock", "unlock", "locks", "unlocks", "locked", "unlocked"}


def test_spaces_at_the_edges_do_not_matter() -> None:
    assert said(network("[please ]stop[ now]")) == {"stop", "please stop", "stop now", "please stop now"}
    assert said(network("stop [now] [please]")) == {"stop", "stop now", "stop please", "stop now please"}


def test_case_does_not_matter() -> None:
    assert said(network("Turn ON")) == {"turn on"}


def test_a_sentence_of_nothing_is_no_sentence() -> None:
    assert said(network("[stop]")) == {"stop"}
    assert said(network("(|)")) == set()
