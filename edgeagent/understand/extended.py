"""Sentences that hold more than an order: several orders, a time, an exception, a text. Pure, given what understands.

The rules:
- "and", "then", "and then", "also" join orders only if each part is one by itself, or becomes one with words of the
  other that both share: "turn on the fan and the heater", "turn the lamp and the fan off";
- "in ten minutes", "at seven", "tomorrow at seven", "for an hour" stand before an order or after it; at the very end of
  several orders a time may be meant for all or for the last, so it is asked about;
- "except the kitchen" stands at the end, and after it only what can answer "which one?";
- a text is what follows "to" where a device shows texts; only typed, since no recognizer knows its words;
- what is left must be an order without a doubt, and nothing of it may be guessed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from edgeagent.grammar.spoken import Phrase, parse_clock, parse_duration
from edgeagent.messages import Command, Slot, When
from edgeagent.understand.wordlists import phrases_in, words_in

Understand = Callable[[Phrase], Command | None]
"""What an order of these words is, if it is one without a doubt."""

MOST_ORDERS = 4
MOST_JOINTS = 2 * MOST_ORDERS
"""More of them are no sentence; each one doubles what there is to look at."""
MOST_TIMES = 2
LONGEST_TAIL = 12
"""Words of a time or an exception."""
_JOINTS = sorted(phrases_in("and then|and also|and after that|and|then|also"), key=len, reverse=True)
_EXCEPT = sorted(phrases_in("except for|except|but not|but|apart from|other than"), key=len, reverse=True)
_DAYS: Mapping[Phrase, int] = {("today",): 0, ("tonight",): 0, ("this", "evening"): 0, ("tomorrow",): 1}
_HALVES = frozenset({"am", "pm", "m", "morning", "afternoon", "evening", "night", "noon", "midday", "midnight"})
_TWENTY_FOUR = frozenset({"oh", "zero", "hundred"})
_LAST_OF_TWELVE = 12
_EVENING = 4
"""Before this hour, "tonight" is after midnight."""
_BLANK = "blank"
_NOT_LATER = words_in("""
confirm deny choose help undo same correct amend stop get_state get_value get_time get_date list_plans cancel_plans
start_timer cancel_timer cancel_all_timers pause_timer resume_timer timer_left
""")
"""Intents with which no time goes."""
_ANSWERS = frozenset({"confirm", "deny", "choose", "correct", "amend", "undo"})


def extended(words: Sequence[str], understand: Understand, times: int = MOST_TIMES) -> Command | None:
    """Return the orders that a sentence holds, if every part of it is understood; with so many times at the most."""
    said = tuple(words)
    if len(list(_found(said, _JOINTS))) > MOST_JOINTS:
        return None
    found = _timed(said, understand, times) if times else None
    return found or _excepted(said, understand) or _several(said, understand)


def with_text(words: Sequence[str], understand: Understand) -> Command | None:
    """Return the order to show a text, for words that were typed."""
    said = tuple(words)
    for place in range(2, len(said) - 1):
        if said[place] != "to":
            continue
        found = understand((*said[: place + 1], _BLANK))
        if found is not None and found.intent == "set_text":
            text = " ".join(said[place + 1 :])
            slots = tuple(replace(slot, value=text, text=text) if slot.name == "said" else slot for slot in found.slots)
            return replace(found, slots=slots, why=(*found.why, f'"{text}" is the text'))
    return None


def is_tail(words: Sequence[str]) -> bool:
    """Tell whether words say a time as they stand: an order that they follow is whole with them."""
    return _time_of(tuple(words)) is not None


def _several(said: Phrase, understand: Understand) -> Command | None:
    """Return the orders of "a and b", with the words that they share."""
    for start, end in _found(said, _JOINTS):
        before, after = said[:start], said[end:]
        if not before or not after:
            continue
        first = _alone(before, understand)
        second = None if first is None else _alone(after, understand) or _several(after, understand)
        if first is None or second is None or second.intent in _ANSWERS:
            pair = _sharing(before, after, understand)
            if pair is None:
                continue
            first, second = pair
        if first.intent in _ANSWERS or len(second.parts) >= MOST_ORDERS:
            continue
        timed = second.parts[-1].when
        doubt = ""
        if timed is not None and first.when is None:
            doubt = "the time may be meant for all of it, or for the last order only"
        note = f'"{" ".join(said[start:end])}" joins two orders'
        return replace(first, then=second.parts, doubt=first.doubt or doubt, why=(*first.why, note))
    return None


def _alone(words: Phrase, understand: Understand) -> Command | None:
    """Return one order, with a time of its own if it has one."""
    found = understand(words)
    if found is not None:
        return found
    for order, tail in _with_time(words):
        when = _time_of(tail)
        found = None if when is None else understand(order)
        if found is not None and when is not None and found.intent not in _NOT_LATER:
            return replace(found, when=when, why=(*found.why, f'"{" ".join(tail)}" says when'))
    return None


def _sharing(before: Phrase, after: Phrase, understand: Understand) -> tuple[Command, Command] | None:
    """Return both orders where the second lacks a beginning that the first has, or the first an end of the second."""
    heads = [before[:count] for count in range(len(before) - 1, 0, -1)]
    first = understand(before)
    if first is not None:
        is_short = len(list(_found(after, _JOINTS))) < MOST_ORDERS
        seconds = (
            understand((*head, *after)) or (_several((*head, *after), understand) if is_short else None)
            for head in heads
        )
        second = next((one for one in seconds if one is not None and one.intent not in _ANSWERS), None)
        return None if second is None else (first, second)
    tails = [after[count:] for count in range(1, len(after))]
    firsts = ((tail, understand((*before, *tail))) for tail in tails)
    for _, one in firsts:
        if one is None:
            continue
        seconds = (understand((*head, *after)) for head in heads)
        second = next((other for other in seconds if other is not None and other.intent == one.intent), None)
        if second is not None:
            return one, second
    return None


def _excepted(said: Phrase, understand: Understand) -> Command | None:
    for start, end in _found(said, _EXCEPT):
        order = understand(said[:start])
        left_out = _listed(said[end:], understand)
        is_group = order is not None and any(slot.name == "kind" for slot in order.slots)
        if order is None or not left_out or not is_group:
            continue
        scope = () if any(slot.name in {"scope", "area"} for slot in order.slots) else (Slot("scope", "all", ""),)
        slots = (*order.slots, *scope, *(replace(slot, name=f"except_{slot.name}") for slot in left_out))
        note = f'"{" ".join(said[start:])}" is left out'
        return replace(order, text=" ".join(said), slots=slots, why=(*order.why, note))
    return None


def _listed(words: Phrase, understand: Understand) -> tuple[Slot, ...]:
    """Return the names and areas of "the kitchen and the desk lamp"; none if one of them is neither."""
    slots: list[Slot] = []
    for part in _parts(words, "and"):
        found = understand(part)
        named = () if found is None or found.intent != "choose" else found.slots
        if not named:
            return ()
        slots += named
    return tuple(slots)


def _timed(said: Phrase, understand: Understand, times: int) -> Command | None:
    """Return the order with the time that stands before it or after it."""
    for order, tail in _with_time(said):
        when = _time_of(tail)
        if when is None:
            continue
        found = understand(order) or extended(order, understand, times - 1)
        if found is None or any(part.intent in _NOT_LATER for part in found.parts):
            continue
        whole = tuple(_at(part, when) for part in found.parts)
        if any(part is None for part in whole):
            continue
        parts = [part for part in whole if part is not None]
        is_open = len(parts) > 1 and order == said[: len(order)]
        doubt = "the time may be meant for all of it, or for the last order only" if is_open else ""
        note = f'"{" ".join(tail)}" says when'
        first = replace(parts[0], text=" ".join(said), doubt=parts[0].doubt or doubt, why=(*found.why, note))
        return replace(first, then=tuple(replace(part, doubt=part.doubt or doubt) for part in parts[1:]))
    return None


def _at(command: Command, when: When) -> Command | None:
    """Return a command with a time, or with one more: "in ten minutes" and "for an hour"."""
    had = command.when
    if had is None:
        return replace(command, when=when)
    if had.lasts_s is not None and when.lasts_s is None and had.delay_s is None and had.clock is None:
        return replace(command, when=replace(when, lasts_s=had.lasts_s))
    if had.lasts_s is None and when.lasts_s is not None and when.delay_s is None and when.clock is None:
        return replace(command, when=replace(had, lasts_s=when.lasts_s))
    return None


def _with_time(said: Phrase) -> Iterator[tuple[Phrase, Phrase]]:
    """Yield order and time: the shortest time at the end first, then at the beginning."""
    for start in range(len(said) - 2, max(0, len(said) - LONGEST_TAIL), -1):
        yield said[:start], said[start:]
    for end in range(2, min(len(said), LONGEST_TAIL)):
        yield said[end:], said[:end]


def _time_of(words: Phrase) -> When | None:
    if words[-2:] == ("from", "now"):
        seconds = parse_duration(words[:-2])
        return None if seconds is None else When(delay_s=seconds)
    lead, rest = words[:1], words[1:]
    if lead in {("in",), ("after",)}:
        seconds = parse_duration(rest)
        return None if seconds is None else When(delay_s=seconds)
    if lead == ("for",):
        seconds = parse_duration(rest)
        return None if seconds is None else When(lasts_s=seconds)
    return _clock_of(words)


def _clock_of(words: Phrase) -> When | None:
    """Return "at seven", "tomorrow at seven thirty", "at ten tonight"."""
    days = 0
    is_evening = False
    for day, count in _DAYS.items():
        rest = None
        if words[: len(day)] == day:
            rest = words[len(day) :]
        elif words[-len(day) :] == day:
            rest = words[: -len(day)]
        if rest is not None:
            words, days, is_evening = rest, count, day in {("tonight",), ("this", "evening")}
            break
    if words[:1] != ("at",):
        return None
    clock = parse_clock(words[1:])
    if clock is None:
        return None
    hour = int(clock[:2])
    is_told = not _HALVES.isdisjoint(words) or not _TWENTY_FOUR.isdisjoint(words[1:2]) or hour > _LAST_OF_TWELVE
    is_told = is_told or "hundred" in words
    if is_evening and not is_told:
        if hour == _LAST_OF_TWELVE or hour < _EVENING:  # tonight at one is in the night
            return When(clock=f"{hour % _LAST_OF_TWELVE:02}{clock[2:]}", days=days)
        return When(clock=f"{hour + 12:02}{clock[2:]}", days=days)
    return When(clock=clock, is_either_half=not is_told and days == 0, days=days)


def _found(said: Phrase, phrases: Sequence[Phrase]) -> Iterator[tuple[int, int]]:
    """Yield where one of the phrases stands, the longest that stands there."""
    place = 0
    while place < len(said):
        found = next((one for one in phrases if said[place : place + len(one)] == one), None)
        if found is not None:
            yield place, place + len(found)
            place += len(found)
        else:
            place += 1


def _parts(words: Phrase, joint: str) -> list[Phrase]:
    parts: list[Phrase] = [()]
    for word in words:
        if word == joint:
            parts.append(())
        else:
            parts[-1] = (*parts[-1], word)
    return parts
