"""Utterances start and end where they should, told by scripted frames."""

from collections.abc import Callable, Iterable, Iterator

import pytest

from edgeagent.hear.endpointing import Utterance, utterances
from edgeagent.messages import FRAME_BYTES, FRAME_S, EndedBy, Frame
from edgeagent.settings import HearingSettings

SETTINGS = HearingSettings(speech_frames=4, pre_roll_s=10 * FRAME_S, unfinished_s=10 * FRAME_S, cap_s=2.0)
"""Ten frames of pre-roll, ten frames of pause, a cap of 63 frames."""


def frames(script: str) -> Iterator[Frame]:
    """One frame per letter: S is speech, a dot silence; the frame carries its number."""
    for number, letter in enumerate(script):
        yield bytes([letter == "S"]) + number.to_bytes(2, "little") + bytes(FRAME_BYTES - 3)


def is_speech(frame: Frame) -> bool:
    return frame[0] == 1


def numbers(taken: Iterable[Frame]) -> list[int]:
    return [int.from_bytes(frame[1:3], "little") for frame in taken]


def heard(
    script: str, settings: HearingSettings = SETTINGS, attend: Callable[[Utterance], None] = lambda _: None
) -> list[tuple[int, int, EndedBy | None]]:
    """Return the first and last frame of every utterance, and what ended it."""
    found = []
    for utterance in utterances(frames(script), is_speech, settings):
        taken = []
        for frame in utterance.frames:
            taken.append(frame)
            attend(utterance)
        places = numbers(taken)
        assert places == list(range(places[0], places[-1] + 1))
        assert utterance.began_s == pytest.approx(places[0] * FRAME_S)
        found.append((places[0], places[-1], utterance.ended_by))
    return found


def test_silence_is_no_utterance() -> None:
    assert heard("." * 100) == []


def test_an_utterance_has_pre_roll_and_ends_after_the_pause() -> None:
    assert heard("." * 20 + "S" * 20 + "." * 40) == [(14, 49, "silence")]


def test_speech_at_the_very_beginning_is_not_lost() -> None:
    assert heard("S" * 20 + "." * 40) == [(0, 29, "silence")]


def test_without_pre_roll_the_frames_that_decided_still_belong_to_it() -> None:
    bare = SETTINGS.model_copy(update={"pre_roll_s": 0.0})
    assert heard("." * 20 + "S" * 20 + "." * 40, bare) == [(20, 49, "silence")]


@pytest.mark.parametrize("click", ["S", "SS", "SSS", "S...S...S...S..."])
def test_a_click_is_no_utterance(click: str) -> None:
    assert heard("." * 20 + click + "." * 40) == []


def test_speech_with_holes_is_speech() -> None:
    assert len(heard("." * 20 + "SS.SS..S" * 4 + "." * 40)) == 1


def test_a_click_in_the_pause_does_not_make_it_longer() -> None:
    assert heard("." * 20 + "S" * 20 + "....S....." + "." * 30) == [(14, 49, "silence")]


def test_words_within_the_pause_go_on() -> None:
    assert heard("." * 20 + "S" * 5 + "." * 8 + "S" * 5 + "." * 40) == [(14, 47, "silence")]


def test_an_utterance_without_end_is_cut_at_the_cap_and_the_rest_is_another() -> None:
    first, second = heard("." * 20 + "S" * 100 + "." * 40)
    assert first == (14, 76, "cap")
    assert second[0] == 77


def test_the_sound_may_end_in_the_middle() -> None:
    assert heard("." * 20 + "S" * 20) == [(14, 39, "silence")]


def test_two_utterances_have_their_own_names_and_places() -> None:
    script = "." * 20 + "S" * 10 + "." * 30 + "S" * 10 + "." * 30
    assert heard(script) == [(14, 39, "silence"), (54, 79, "silence")]
    names = []
    for utterance in utterances(frames(script), is_speech, SETTINGS):
        names.append(utterance.id)
        assert numbers(utterance.frames)
    assert names == ["u1", "u2"]


def test_less_patience_ends_it_sooner() -> None:
    def be_quick(utterance: Utterance) -> None:
        utterance.patience_s = 3 * FRAME_S

    assert heard("." * 20 + "S" * 20 + "." * 40, attend=be_quick) == [(14, 42, "silence")]


def test_it_ends_when_it_is_told_to_and_the_next_begins_after_it() -> None:
    def interrupt(utterance: Utterance) -> None:
        if utterance.silence_s:
            utterance.end("complete")

    script = "." * 20 + "S" * 20 + "." * 40 + "S" * 20 + "." * 20
    assert heard(script, attend=interrupt) == [(14, 40, "complete"), (74, 100, "complete")]


def test_what_ended_it_first_stays() -> None:
    utterance = next(utterances(frames("S" * 20), is_speech, SETTINGS))
    utterance.end("button")
    utterance.end("silence")
    assert utterance.ended_by == "button"
    assert len(list(utterance.frames)) == 4


def test_an_utterance_that_nobody_reads_is_over() -> None:
    ended = list(utterances(frames("S" * 8 + "." * 40), is_speech, SETTINGS))
    assert {utterance.ended_by for utterance in ended} == {"silence"}


def test_frames_are_read_only_as_they_are_asked_for() -> None:
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for frame in frames("." * 20 + "S" * 40):
            taken += 1
            yield frame

    utterance = next(utterances(counted(), is_speech, SETTINGS))
    assert taken == 24
    next(utterance.frames)
    assert taken == 24
