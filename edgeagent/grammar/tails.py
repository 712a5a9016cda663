"""What may follow an order in the same breath, as recognizers search it: a time, or a word that joins something to it.

A recognizer that does not know of them would squeeze "for ten minutes" into a word that it knows. Of what follows
"and" it hears no more than that word: what was said then is recognized again, freely.
"""

from collections.abc import Mapping
from functools import lru_cache

from edgeagent.grammar.acyclic import Acyclic
from edgeagent.grammar.automaton import Automaton
from edgeagent.grammar.commands import CommandSet, Template, expression
from edgeagent.grammar.network import Network

JOINTS = frozenset({"and"})
"""Words after which more was said than can be heard here."""
_NOTHING = Acyclic(({},), frozenset({0}))
_DURATION = (
    "((one|an) hour|{2..12:n} hours|(one|a) minute|{2..60:n} minutes|{5..59:n} seconds"
    "|half an hour|[a] quarter of an hour|[one|an] hour and a half)"
)
_CLOCK = (
    "({1..12:h} [thirty|fifteen|forty five|o'clock] [a m|p m]|{1..11:h} in the morning"
    "|(half past|quarter past|quarter to) {1..12:h}|noon|midnight)"
)
"""What people say of a time; typed and freely heard ones may be any that `spoken` can read."""
_TAILS = {"for": _DURATION, "in": _DURATION, "at": f"{_CLOCK} [tonight|tomorrow]", "tomorrow": f"at {_CLOCK}"}


@lru_cache(maxsize=1)
def tails() -> Mapping[str, Acyclic]:
    """Return what may follow an order, by its first word."""
    return {**{word: _words(rest) for word, rest in _TAILS.items()}, **dict.fromkeys(sorted(JOINTS), _NOTHING)}


def _words(template: str) -> Acyclic:
    only = CommandSet((Template("tail", expression(template, "built in"), {}, "built in"),), {}, {})
    return Automaton(Network(only)).flat()
