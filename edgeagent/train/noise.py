"""What speech and recognisers do to sentences: fillers, politeness, doubled and lost words, words that sound alike."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgeagent.train.examples import OUTSIDE, Example
from edgeagent.understand.wordlists import phrases_in, words_in

FILLERS = phrases_in(
    "um|uh|er|hmm|well|so|okay|hey|like|you know|just|oh|right|hello|hi|look|listen|actually|alright|now|basically|and"
)
POLITE_BEFORE = phrases_in(
    "please|could you please|can you|would you kindly|would you please|i'd like you to|i want you to|"
    "do me a favor and|be so kind and|can you please|kindly|hey can you|if you don't mind|would it be possible to|"
    "i was wondering if you could|hey there please"
)
POLITE_AFTER = phrases_in(
    "please|thanks|thank you|if you can|for me|if you don't mind|would you|when you get a chance|if possible|"
    "for me please|thank you very much|now please"
)
AROUND = phrases_in(
    "i'm cold|it's late|i'm going to bed|we're going to bed|we're leaving|i'm leaving|i'm heading out|i'm home|"
    "we're home|it's getting dark|it's dark in here|it's bright in here|the movie is starting|it's movie time|"
    "guests are coming|my hands are full|i'm cooking|i'm reading|i want to read|i need to sleep|i can't sleep|"
    "i'm tired|i have a headache|it's stuffy in here|it's freezing|it's hot in here|it's noisy|dinner is ready|"
    "the baby is asleep|the kids are asleep|i'm on the phone|we have visitors|it's morning|good night|good evening|"
    "we're done|we're done for today|shift is over|we're starting up|lunch break|i'm going to the gate|"
    "it's too much|that's too much|that's not enough|it's empty|it's full|it's running hot|it's vibrating|"
    "we have a leak|there's a jam|something is stuck|maintenance is here|the tank is full|the batch is ready|"
    "so i can read|so we can sleep|so i can see|so we can start|for the baby|for the night|for tonight|for a while|"
    "for a bit|for dinner|for the guests|before we go|before i go|before bed|before lunch|before the next batch|"
    "while i'm cooking|while you're at it|when you have a second|when you have a moment|as soon as you can|"
    "as quickly as possible|real quick|quickly|quick|this time|once more|one more time|straight away|immediately|"
    "i've finished|i'm finished here|nobody is in there|nobody is there|we don't need it|that would be great|"
    "that'd be lovely|would be nice|cheers|ta|love|dear|sweetheart|my dear|i think|i suppose|maybe|for now|then"
)
"""What people say before or after an order, and what it does not change."""
ASIDES = 0.3
"""Share of the disturbances that are an aside, where there are asides."""
_LINKS = ("so", "so", "and", "please")
_BEFORE_ORDER, _AFTER_ORDER = words_in("so and"), words_in("so because cause as")
_CAN_BE_LOST = words_in("the my to in of at an a please is it that for and this some me you")
_ALIKE = (
    "to: two, too|for: four|four: for|two: to, too|lights: lites, likes|light: like, right, lied|the: a, da, "
    "of|in: and, an|kitchen: chicken, kitchens|lamp: lamb, lamps, clamp|door: doors, dork|bedroom: bathroom's, "
    "bed room|please: plays, piece|set: sat, said|dim: dip, them, tim|turn: burn, tern, turned|percent: per cent, "
    "present|degrees: decrease, the grease|valve: valves, value, wave|pump: bump, pomp|mixer: mix her, "
    "mixture|blinds: blind, blends|switch: which, witch|office: officers, of is|fan: van, fen|volume: "
    "volumes|start: star, starts|stop: stops, shop|lock: look, block, luck|close: clothes, closed|open: opened, "
    "oven|what's: what is, watts|is: his, as|at: add, that|heater: header, heat her|line: lime, mine|and: an, end"
)
ALIKE: Mapping[str, Sequence[str]] = {
    word: tuple(others.split(", ")) for word, others in (entry.split(": ") for entry in _ALIKE.split("|"))
}
"""What words are mistaken for; never one that changes what is asked for, as "on" and "off"."""


def disturbed(example: Example, random_: random.Random, share: float, asides: Sequence[Sequence[str]] = ()) -> Example:
    """Return the sentence with zero to two disturbances; `share` of the sentences have at least one.

    `asides` are reasons and remarks that stand beside a sentence now and then.
    """
    kinds = (_filler, _filler, _polite, _doubled, _lost, _alike, _around, _around)
    for _ in range(2):
        if random_.random() >= share:
            break
        if asides and random_.random() < ASIDES:
            example = _beside(example, random_, random_.choice(asides))
        else:
            example = random_.choice(kinds)(example, random_)
    return example


def _filler(example: Example, random_: random.Random) -> Example:
    place = 0 if random_.random() < 0.6 else random_.randrange(len(example.words) + 1)
    return _inserted(example, place, random_.choice(FILLERS))


def _polite(example: Example, random_: random.Random) -> Example:
    if random_.random() < 0.5:
        return _inserted(example, 0, random_.choice(POLITE_BEFORE))
    return _inserted(example, len(example.words), random_.choice(POLITE_AFTER))


def _around(example: Example, random_: random.Random) -> Example:
    place = 0 if random_.random() < 0.55 else len(example.words)
    return _inserted(example, place, random_.choice(AROUND))


def _beside(example: Example, random_: random.Random, aside: Sequence[str]) -> Example:
    if aside[-1] in _BEFORE_ORDER:
        return _inserted(example, 0, aside)
    if aside[0] in _AFTER_ORDER or random_.random() < 0.4:
        return _inserted(example, len(example.words), aside)
    return _inserted(example, 0, (*aside, random_.choice(_LINKS)) if random_.random() < 0.5 else aside)


def _doubled(example: Example, random_: random.Random) -> Example:
    place = random_.randrange(len(example.words))
    tag = None if example.tags is None else example.tags[place]
    again = tag if tag is None or tag == OUTSIDE else f"I-{tag[2:]}"
    return _inserted(example, place + 1, [example.words[place]], again)


def _lost(example: Example, random_: random.Random) -> Example:
    places = [place for place, word in enumerate(example.words) if word in _CAN_BE_LOST]
    if not places or len(example.words) < 3:
        return example
    place = random_.choice(places)
    tags = example.tags
    if tags is not None and tags[place] != OUTSIDE:
        return example
    return replace(
        example,
        words=(*example.words[:place], *example.words[place + 1 :]),
        tags=None if tags is None else (*tags[:place], *tags[place + 1 :]),
        marks=None if example.marks is None else np.delete(example.marks, place, axis=0),
    )


def _alike(example: Example, random_: random.Random) -> Example:
    places = [place for place, word in enumerate(example.words) if word in ALIKE]
    if not places:
        return example
    place = random_.choice(places)
    other = random_.choice(ALIKE[example.words[place]]).split()
    tag = None if example.tags is None else example.tags[place]
    changed = replace(example, words=(*example.words[:place], other[0], *example.words[place + 1 :]))
    if example.marks is not None:
        marks = example.marks.copy()
        marks[place] = 0
        changed = replace(changed, marks=marks)
    again = tag if tag is None or tag == OUTSIDE else f"I-{tag[2:]}"
    return _inserted(changed, place + 1, other[1:], again)


def _inserted(example: Example, place: int, words: Sequence[str], tag: str | None = None) -> Example:
    if not words:
        return example
    tags, marks = example.tags, example.marks
    if tags is not None:
        inside = place < len(tags) and tags[place].startswith("I-")
        new = tag or (f"I-{tags[place][2:]}" if inside else OUTSIDE)
        tags = (*tags[:place], *[new] * len(words), *tags[place:])
    if marks is not None:
        marks = np.insert(marks, place, np.zeros((len(words), marks.shape[1]), marks.dtype), axis=0)
    return replace(example, words=(*example.words[:place], *words, *example.words[place:]), tags=tags, marks=marks)
