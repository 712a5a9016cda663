"""What stands before or after an order and is none of it: "the baby's asleep so take the bedside lamp down". Pure.

A part of a sentence is an aside only if it can change nothing about the order: it is a beginning or an end of at least
two words, it says nothing of when or on what condition, names no number and no place, and leaves no half phrase behind.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.understand.wordlists import words_in

LEAST_ORDER, LEAST_ASIDE = 2, 2
MOST_CORES = 4
_BINDS = words_in("""
when whenever while if unless until till once after before later tonight tomorrow today morning afternoon evening
midnight noon o'clock minute minutes hour hours second seconds day days week every always never except but only without
not other others else both half
second thoughts thought changed mind forget maybe perhaps yet check first leave instead rather cancel wait hold hang
tonight overnight soon before minus barring bar besides excluding apart save scrap strike disregard undo oops wrong
slightly little tad bit ajar partially partly partway briefly
provided providing assuming during moment below above under
monday tuesday wednesday thursday friday saturday sunday sunset sunrise
""")
"""Words by which a part of a sentence says when, how far or on what condition, or takes the order back."""
_PLACES = words_in("in at inside for of on into")
_ARTICLES = words_in("the a an my our your his her their this that these those")
_LEADS_ON = _ARTICLES | _PLACES | words_in("on off up down out over away to about with from by than as like near")
"""An order beside an aside does not begin with these: "wipe the dust | off the lamp" is one phrase."""
_LEADS_TO_VERB = words_in("you to please and so then let's lets just i we they don't not can could would will go")
_NAMED = words_in("""
timer timers alarm alarms light lights lamp lamps fan heater door doors valve line machine pump percent degrees mode
""")
"""What stands before these may be a name or a number that was not understood: "the *coop* timer"."""
_JOINS = words_in("and or then but")
_HALF = _ARTICLES | words_in("in at of to for with from by and or")
"""A phrase does not end with these."""


@dataclass(frozen=True, slots=True)
class Core:
    """The order in a sentence: its words from `start` to before `end`; what is around it is left out."""

    start: int
    end: int
    left_out: tuple[str, ...]


def cores(words: Sequence[str], strange: Collection[int], covered: Collection[int]) -> list[Core]:
    """Return what may be the order when the `strange` places are in asides, the longest first.

    All `covered` places, which say names and values, are in it.
    """
    if any(word in _BINDS or word in NUMBER_WORDS for place, word in enumerate(words) if place not in covered):
        return []
    edges = [-1, *sorted(strange), len(words)]
    found = [
        _core(words, before + 1, after)
        for before, after in pairwise(edges)
        if after - before > LEAST_ORDER and all(before < place < after for place in covered)
    ]
    # A core that begins with a name may have lost a word of it: "basement light on".
    usable = [
        one
        for one in found
        if one.end - one.start >= LEAST_ORDER
        and not (one.start and (one.start in covered or words[one.start] in _LEADS_ON))
        and _are_asides(words, one, strange)
    ]
    return sorted(usable, key=lambda one: one.start - one.end)[:MOST_CORES]


def halves(words: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Yield what stands before and after each "and": there may be two orders in a sentence."""
    for place, word in enumerate(words):
        if word in _JOINS and place >= LEAST_ORDER and len(words) - place > LEAST_ORDER:
            yield words[:place], words[place + 1 :]


def are_remarks(words: Sequence[str], strange: Collection[int], covered: Collection[int]) -> bool:
    """Tell whether strange words can be remarks that change nothing about an order that is clear without them.

    None of them may be what is to be done ("could you *wipe* ..."), where ("in the *basement*") or part of a name
    ("the *wobbly* lamp").
    """
    if any(word in _BINDS or word in NUMBER_WORDS for place, word in enumerate(words) if place not in covered):
        return False
    return all(
        place > 0
        and place - 1 not in covered
        and words[place - 1] not in _LEADS_TO_VERB
        and place + 1 not in covered
        and words[min(place + 1, len(words) - 1)] not in _NAMED
        and not _is_place(words, place)
        for place in strange
    )


def endings(words: Sequence[str], covered: Collection[int]) -> Iterator[Core]:
    """Yield what may be the order after an aside, the longest first; all `covered` places are in it."""
    last = min((len(words) - LEAST_ORDER, *covered))
    for start in range(LEAST_ASIDE, last + 1):
        core = Core(start, len(words), tuple(words[:start]))
        if words[start] not in _LEADS_ON and _are_asides(words, core, ()):
            yield core


def _core(words: Sequence[str], start: int, end: int) -> Core:
    """Return a core that does not end in the half phrase with which an aside after it begins."""
    while end < len(words) and end > start and words[end - 1] in _HALF:
        end -= 1
    return Core(start, end, (*words[:start], *words[end:]))


def _are_asides(words: Sequence[str], core: Core, strange: Collection[int]) -> bool:
    if any(word in _BINDS or word in NUMBER_WORDS for word in core.left_out):
        return False
    if core.start and words[core.start - 1] in _ARTICLES:
        return False  # half a name: "leaves the | garage door open"
    if core.end < len(words) and words[core.end] in _JOINS:
        return False  # what follows "and" is another order, or what would come of this one
    lengths = (core.start, len(words) - core.end)
    return all(length == 0 or length >= LEAST_ASIDE for length in lengths) and not any(
        _is_place(words, place) for place in strange
    )


def _is_place(words: Sequence[str], place: int) -> bool:
    """Tell whether a word follows "in the", "at my" and so on: it may be a room that is not known."""
    before = place - 1
    while before >= 0 and words[before] in _ARTICLES:
        before -= 1
    return before >= 0 and words[before] in _PLACES
