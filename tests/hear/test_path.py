"""What a decoder goes on to hear in the quiet after a sentence was not said; what is as loud was."""

from collections.abc import Sequence

import numpy as np

from edgeagent.grammar.acyclic import phrases
from edgeagent.hear.path import Heard, UtteranceSound, spoken_part
from edgeagent.messages import FRAME_SAMPLES

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
