"""The sentences of a corpus with places for names, for recognizers that listen for more than the grammar.

A name is written as the kind of its device in braces ("turn on the {light}"), an area as "{area}". Talk is among them:
a recognizer that has no words for what is no command hears commands in it.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from edgeagent.train.corpus import Corpus
from edgeagent.train.examples import OUTSIDE, Example
from edgeagent.understand.model.gazetteer import FEATURES, KINDS

MOST_COMMANDS, MOST_OTHERS, MOST_WORDS = 24_000, 10_000, 3_500
LONGEST = 16
_FIRST_KIND = len(FEATURES) - len(KINDS)


def phrases(corpus: Corpus, seed: int) -> list[str]:
    """Return sentences of the corpus, one a line, of its most frequent words only."""
    random_ = random.Random(seed)
    is_command = {label.name: label.intent is not None for label in corpus.labels}
    found: dict[bool, list[tuple[str, ...]]] = {True: [], False: []}
    for example in corpus.train:
        if len(example.words) <= LONGEST and (words := _with_places(example)):
            found[is_command[example.label]].append(words)
    drawn = [
        words
        for wanted, most in ((True, MOST_COMMANDS), (False, MOST_OTHERS))
        for words in random_.sample(found[wanted], min(most, len(found[wanted])))
    ]
    counts = Counter(word for words in drawn for word in words)
    known = {word for word, _ in counts.most_common(MOST_WORDS)}
    return sorted(" ".join(words) for words in drawn if known.issuperset(words))


def _with_places(example: Example) -> tuple[str, ...]:
    """Return the words with places for names; none where a name is of a kind that nobody knows."""
    tags = example.tags or (OUTSIDE,) * len(example.words)
    words = []
    for place, (word, tag) in enumerate(zip(example.words, tags, strict=True)):
        match tag:
            case "B-area":
                words.append("{area}")
            case "B-name":
                kind = next(_kinds(example, place), None)
                if kind is None:
                    return ()
                words.append(f"{{{kind}}}")
            case "I-area" | "I-name":
                continue
            case _:
                words.append(word)
    return tuple(words)


def _kinds(example: Example, place: int) -> Iterator[str]:
    marks: Sequence[int] = () if example.marks is None else example.marks[place][_FIRST_KIND:]
    return (kind for kind, mark in zip(KINDS, marks, strict=False) if mark)
