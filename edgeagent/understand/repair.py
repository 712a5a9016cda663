"""What people say around a command and do not mean, taken away: fillers, politeness, doubled words, self-corrections.

Pure, and without a dictionary of its own: a repaired sentence counts only if the grammar parses it. Words that change
what is asked for ("not", "never", "if") are never taken away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeagent.grammar.spoken import Phrase
from edgeagent.grammar.spoken_numbers import NUMBER_WORDS
from edgeagent.understand.wordlists import Phrases, phrases_in, words_in

FILLERS = words_in("""
um uh uhm er erm hm hmm mm mhm ah oh well so okay ok hey hi hello alright right look listen like just actually
basically now then kindly also and oi ooh bloody damn damned goddamn darn darned blasted flipping freaking fucking
blooming stupid dear darling honey sweetie love mate guys
""")
"""Words that may stand anywhere without saying anything."""
POLITE = Phrases(phrases_in(
    "would you be so kind as to|would you be so kind and|be so kind and|be so kind as to|if you don't mind|"
    "if you do not mind|if you wouldn't mind|if it's not too much trouble|do me a favor and|do me a favour and|"
    "i was wondering if you could|i wonder if you could|would it be possible to|is it possible to|"
    "could you please|can you please|would you please|will you please|would you kindly|could you kindly|"
    "could you|can you|would you|will you|i'd like you to|i would like you to|i want you to|i need you to|"
    "go ahead and|thank you very much|thank you so much|thank you|thanks a lot|thanks|please|for me|"
    "if you can|if you could|if you would|if possible|when you get a chance|when you can|you know|i guess|"
    "good morning|good evening|excuse me|right now|at once|my friend|buddy|mate|sir|computer|assistant|"
    "if it's not too much trouble|if it isn't too much trouble|if it is not too much trouble|by any chance|"
    "for god's sake|for heaven's sake|for christ's sake|for goodness sake|for goodness' sake|for pete's sake|"
    "for crying out loud|oh for|be a dear and|be a love and|there's a dear|would you be so good as to|"
    "be so good as to|be so good and|be so kind to|will you|would you|chop chop|come on"
))  # fmt: skip
_CORRECTIONS = Phrases(phrases_in(
    "no wait i mean|no wait sorry|no wait|no sorry|no i mean|no i meant|oh no|no no no|no no|sorry i mean|"
    "sorry i meant|i mean|i meant|scratch that|correction|make that|or rather|rather|wait no|wait|sorry|no|"
    "actually|hang on|hold on|my mistake"
))  # fmt: skip
_TAKEN_BACK = frozenset(
    phrases_in(
        "|never mind|nevermind|forget it|forget that|forget about it|cancel|cancel that|leave it|don't|do not|"
        "don't do that|don't do it|stop|not now|not yet|maybe later|perhaps later|on second thoughts|on second thought|"
        "on second thoughts no|i changed my mind|i've changed my mind|changed my mind|let me check first|let me think|"
        "scrap that|strike that|disregard that|undo that|oops|wrong one|wrong room|oops wrong room|oops wrong one|"
        "fat chance|leave it for now|leave it there|forget i said that|forget i said anything|"
        "it's fine|it's okay|leave it as it is|leave it on|leave it off"
    )
)
MOST_REPAIRS = 64


@dataclass(frozen=True, slots=True)
class Repair:
    """A sentence with less in it. `notes` say what was taken away."""

    words: Phrase
    notes: tuple[str, ...]
    is_correction: bool = False


def is_taken_back(words: Sequence[str]) -> bool:
    """Tell whether the speaker begins and then calls it off: "turn on the tv no never mind"."""
    said = tuple(words)
    if any(place and said[place + len(marker) :] in _TAKEN_BACK for place, marker in _CORRECTIONS.found(said)):
        return True
    return any(said[place:] in _TAKEN_BACK for place in range(1, len(said) - 1))


def has_correction(words: Sequence[str]) -> bool:
    """Tell whether the speaker corrects himself somewhere after the first word."""
    return next(_markers(tuple(words)), None) is not None


def repairs(words: Sequence[str]) -> Iterator[Repair]:
    """Yield what may have been meant, what takes least away first; at most MOST_REPAIRS."""
    said = tuple(words)
    seen = {said}
    for count, repair in enumerate(_all(said)):
        if count >= MOST_REPAIRS:
            return
        if repair.words and repair.words not in seen:
            seen.add(repair.words)
            yield repair


def _all(said: Phrase) -> Iterator[Repair]:
    plain = _without_doubles(Repair(said, ()))
    yield plain
    polite = _without_politeness(plain)
    yield polite
    bare = _without_doubles(_without_fillers(polite))
    yield bare
    for words in (bare, Repair(said, ())):
        yield from (_without_doubles(one) for one in _corrected(words))


def _without_doubles(repair: Repair) -> Repair:
    """Drop a word or two words that were said twice; of numbers only where the same number stands there twice."""
    words = list(repair.words)
    notes = list(repair.notes)
    for length in (3, 2, 1):
        place = 0
        while place + 2 * length <= len(words):
            again = words[place : place + length] == words[place + length : place + 2 * length]
            if again:
                notes.append(f'"{" ".join(words[place : place + length])}" was said twice')
                del words[place : place + length]
            else:
                place += 1
    return Repair(tuple(words), tuple(notes), repair.is_correction)


def _without_politeness(repair: Repair) -> Repair:
    words = repair.words
    notes = list(repair.notes)
    place = 0
    while place < len(words):
        found = POLITE.at(words, place)
        if found is None:
            place += 1
            continue
        words = (*words[:place], *words[place + len(found) :])
        notes.append(f'"{" ".join(found)}" was left out')
    return Repair(words, tuple(notes))


def _without_fillers(repair: Repair) -> Repair:
    kept = tuple(word for word in repair.words if word not in FILLERS)
    dropped = [word for word in repair.words if word in FILLERS]
    return Repair(kept, (*repair.notes, *(f'"{word}" was left out' for word in dropped)))


def _markers(said: Phrase) -> Iterator[tuple[int, int]]:
    """Yield where what marks a correction stands inside a sentence, from its first word to after its last."""
    for place, marker in _CORRECTIONS.found(said):
        if place and place + len(marker) < len(said):
            yield place, place + len(marker)


def _corrected(repair: Repair) -> Iterator[Repair]:
    """Yield the sentence with what came before a correction replaced by what came after, the least replaced first."""
    said = repair.words
    for start, end in _markers(said):
        before, after = said[:start], said[end:]
        note = f'"{" ".join(before)}" was corrected'
        for kept in range(len(before) - 1, -1, -1):
            if before[kept] in NUMBER_WORDS and kept and before[kept - 1] in NUMBER_WORDS:
                continue  # half a number is none
            yield Repair((*before[:kept], *after), (*repair.notes, note), is_correction=True)
        for first in range(len(before)):  # "the lamp on no off": what follows stands for as many words inside
            last = first + len(after)
            if last < len(before):
                yield Repair((*before[:first], *after, *before[last:]), (*repair.notes, note), is_correction=True)
