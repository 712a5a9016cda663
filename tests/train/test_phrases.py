"""Sentences of a corpus become phrases with places for names; what cannot be filled again is left out."""

import numpy as np

from edgeagent.train.corpus import Corpus
from edgeagent.train.examples import Example
from edgeagent.train.phrases import phrases
from edgeagent.understand.model.gazetteer import FEATURES, Marks
from edgeagent.understand.model.labels import Label

LABELS = (Label("turn_on", "turn_on", {}), Label("talk", None, {}))
TAGS = ("O", "O", "O", "B-name", "I-name", "O", "B-area")
WORDS = ("turn", "on", "the", "desk", "lamp", "in", "office")


def marks(kind: str | None) -> Marks:
    found = np.zeros((len(WORDS), len(FEATURES)), np.uint8)
    if kind is not None:
        found[3:5, FEATURES.index(kind)] = 1
    return found


def phrases_of(*examples: Example) -> list[str]:
    return phrases(Corpus(examples, examples, (), LABELS, ()), seed=1)


def test_names_and_areas_become_places() -> None:
    assert phrases_of(Example(WORDS, "turn_on", TAGS, marks("light"))) == ["turn on the {light} in {area}"]


def test_a_name_of_a_kind_that_nobody_knows_is_left_out() -> None:
    assert phrases_of(Example(WORDS, "turn_on", TAGS, marks(None))) == []


def test_talk_is_among_them() -> None:
    assert phrases_of(Example(("what", "a", "day"), "talk")) == ["what a day"]
