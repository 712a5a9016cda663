"""Words that change an order though its label's sentences may have them: when, but which, which of them, how far. Pure.

They are never explained away: an order with one of them outside of its slots is asked about.
"""

from collections.abc import Collection, Sequence

from edgeagent.grammar.spoken import Phrase
from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.understand.model.bundle import LabelEntry
from edgeagent.understand.model.decode import Span
from edgeagent.understand.wordlists import words_in

_LATER = words_in("tonight overnight soon later before after evening afternoon weekend noon midnight")
_EXCEPTED = words_in(
    "save minus barring bar besides except excluding omitting ignoring apart unlike exempting beside keep"
)
_SOME = words_in("first second third fourth last left right other few several most half")
_PART = words_in("one some any few couple")
_BARELY = words_in("slightly little tad bit ajar partially partly partway briefly crack most almost nearly")
"""When, but which, which of them, how far."""
_ALL_THE_WAY = frozenset({"open", "close", "turn_on", "turn_off", "lock", "unlock"})
_BEFORE_NUMBER = words_in("by from over past above under below")
_AFTER_NUMBER = words_in("or tops max maximum plus more less fahrenheit kelvin higher lower")
_CHANGES = words_in("raise lower increase decrease reduce drop bump brighten dim nudge")
_BUTTON = words_in("is was button works that's looks")
_POINTS = words_in("this that's there's where where's it's near next")
"""What follows "emergency stop", and what a sentence begins with, where the button is meant."""
_THINGS = words_in("light lights lamp lamps tv television radio fan fans heater blinds curtains speaker door")


def changes(
    label: LabelEntry, said: Phrase, covered: Collection[int], spans: Sequence[Span], idle: Collection[int]
) -> list[str]:
    """Return what may change an order, in words. `covered` places say slots; `idle` ones say nothing besides."""
    intent, slots = label.intent or "", {span.slot for span in spans} | set(label.slots)
    loose = [(place, word) for place, word in enumerate(said) if place not in idle]
    is_timer = "timer" in intent
    doubts = [
        f'"{word}" may put it off'
        for _, word in loose
        if word in _LATER and not is_timer and not intent.startswith("media_")
    ]
    if "scope" in slots:
        doubts += [f'"{word}" may leave something out' for _, word in loose if word in _EXCEPTED]
        doubts += ["all of them were named, and one by its name"] if "name" in slots else []
    doubts += [
        f'"{word}" may say which of them'
        for place, word in loose
        if (word in _SOME and place + 1 in covered)
        or (word in _SOME | _PART and said[place + 1 : place + 2] == ("of",))
    ]
    doubts += [f'"{word}" may say how far' for _, word in loose if word in _BARELY and intent in _ALL_THE_WAY]
    for span in spans:
        before, after = said[max(0, span.start - 1) : span.start], said[span.end : span.end + 1]
        is_number = not NUMBER_WORDS.isdisjoint(said[span.start : span.end]) and span.slot not in {"name", "area"}
        is_by = is_number and not is_timer and not _CHANGES.isdisjoint(said) and not {"to", "at"} & set(said)
        if is_number and (set(before) & _BEFORE_NUMBER or set(after) & _AFTER_NUMBER or is_by):
            doubts.append(f'"{" ".join(said[span.start : span.end])}" may be no value but a limit or a change')
    if intent == "emergency_stop" and (said[0] in _POINTS or _named_button(said)):
        doubts.append("it may be about the button")
    return doubts + _two_things(said, spans, covered if intent in _ALL_THE_WAY else range(len(said)))


def _named_button(said: Phrase) -> bool:
    return any(said[place - 1 : place + 1] == ("emergency", "stop") and said[place + 1] in _BUTTON
               for place in range(1, len(said) - 1))  # fmt: skip


def _two_things(said: Phrase, spans: Sequence[Span], covered: Collection[int]) -> list[str]:
    """Return that a thing was named and a kind of things besides: half of the order would be lost."""
    names = [span for span in spans if span.slot == "name"]
    kinds = [span for span in spans if span.slot in {"kind", "class"}]
    apart = any(kind.start != name.end and kind.end != name.start for name in names for kind in kinds)
    beside = names and any(word in _THINGS for place, word in enumerate(said) if place not in covered)
    return ["a thing was named, and others besides"] if apart or beside else []
