"""What a decoder goes on to hear in the quiet after a sentence was not said; what is as loud was."""

from collections.abc import Sequence

import numpy as np
import pytest

from edgeagent.grammar.acyclic import phrases
from edgeagent.hear.path import Heard, UtteranceSound, otherwise, spoken_part
from edgeagent.messages import FRAME_SAMPLES, Transcript, Word

LIGHTS = phrases(
    text.split() for text in ("turn on the light", "turn on the light in the kitchen", "turn on the light in the hall")
)


def decoded(words: Sequence[str], loud_words: int) -> tuple[list[Heard], UtteranceSound]:
    """Words of ten frames each, of which the first are loud."""
    sound = UtteranceSound("", None)
    for at in range(10 * len(words)):
        sound.hear((np.full(FRAME_SAMPLES, 8000 if at < 10 * loud_words else 80, "<i2")).tobytes())
    return [Heard(word, 32 * at, 32 * (at + 1), -30.0) for at, word in enumerate(words)], sound


def part(words: str, loud_words: int) -> list[str]:
    return [one.text for one in spoken_part(LIGHTS, *decoded(words.split(), loud_words))]


def test_a_word_as_quiet_as_the_room_after_a_sentence_was_not_said() -> None:
    assert part("turn on the light in", 4) == ["turn", "on", "the", "light"]


def test_a_word_as_loud_as_the_sentence_was_said_and_it_is_unfinished() -> None:
    assert part("turn on the light in", 5) == []


def test_what_begins_with_no_sentence_is_none_however_quiet_its_end() -> None:
    assert part("turn on the", 2) == []


def test_what_leaves_the_grammar_is_no_sentence() -> None:
    assert part("turn on the light switch", 4) == []


def test_without_words_there_is_no_sentence() -> None:
    assert part("", 0) == []


def test_another_way_to_hear_it_is_as_sure_as_the_best_as_far_as_both_agree() -> None:
    words = tuple(Word(text, at, at + 0.5, 0.9) for at, text in enumerate(("lights", "in", "hands")))
    best = Transcript("u1", words, 4.0, 0.0, 0.9, "silence", 60.0)
    other = otherwise(best, ("lights", "in", "the", "house"))
    assert other.text == "lights in the house"
    assert other.confidence == pytest.approx(0.9 * 0.5)
    assert other.words[-1].end_s == words[-1].end_s
    assert other.ended_by == "silence"


def test_a_way_that_has_nothing_in_common_with_the_best_is_not_sure() -> None:
    best = Transcript("u1", (Word("lights", 0.0, 0.5),), 1.0, 0.0, 0.9, "silence")
    assert otherwise(best, ("open", "the", "door")).confidence == 0
