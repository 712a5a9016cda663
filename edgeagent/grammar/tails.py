"""What may follow an order in the same breath, as recognizers search it: a time, or a word that joins something to it.

A recognizer that does not know of them would squeeze "for ten minutes" into a word that it knows. Of what follows
"and" it hears no more than that word: what was said then is recognized again, freely.
"""

from collections.abc import Mapping
from functools import lru_cache

from edgeagent.grammar import spoken
from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.automaton import Automaton
from edgeagent.grammar.commands import CommandSet, Template, expression
from edgeagent.grammar.network import Network

JOINTS = frozenset({"and"})
"""Words after which more was said than can be heard here."""
_NOTHING = Acyclic(({},), frozenset({0}))
_DAY = "[today|tonight|tomorrow|this evening]"
_TAILS = {
    "for": spoken.DURATION,
    "in": spoken.DURATION,
    "at": f"{spoken.CLOCK} {_DAY}",
    "tomorrow": f"at {spoken.CLOCK}",
}


@lru_cache(maxsize=1)
def tails() -> Mapping[str, Acyclic]:
    """Return what may follow an order, by its first word."""
    return {**{word: _words(rest) for word, rest in _TAILS.items()}, **dict.fromkeys(sorted(JOINTS), _NOTHING)}


def _words(template: str) -> Acyclic:
    only = CommandSet((Template("tail", expression(template, "built in"), {}, "built in"),), {}, {})
    return Automaton(Network(only)).flat()
