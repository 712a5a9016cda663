"""A sentence is sure when its words fit the sound nearly as well as anything does, are loud, and are not too short."""

import pytest

from edgeagent.hear.sureness import room_and_voice_db, sureness


def test_words_that_fit_as_well_as_any_phones_are_sure() -> None:
    assert sureness(-5, 30, 200) > 0.9


def test_words_that_fit_much_worse_than_any_phones_are_not() -> None:
    assert sureness(-40, 30, 200) < 0.1


def test_the_louder_the_words_stand_out_the_surer_they_are_up_to_a_point() -> None:
    told = [sureness(-20, above_db, 100) for above_db in (0, 10, 25, 60)]
    assert told[0] < told[1] < told[2] == told[3]


def test_a_short_word_needs_a_better_fit_than_a_sentence() -> None:
    assert sureness(-15, 12, 20) < 0.5 < sureness(-15, 12, 250)


@pytest.mark.parametrize(("fit", "above_db"), [(-1e9, -1e9), (1e9, 1e9)])
def test_it_stays_a_probability(fit: float, above_db: float) -> None:
    assert 0 <= sureness(fit, above_db, 1) <= 1


def test_no_words_are_not_sure() -> None:
    assert sureness(0, 30, 0) == 0


def test_the_voice_is_compared_with_the_quiet_parts_around_it() -> None:
    room_db, voice_db = room_and_voice_db([20.0] * 10 + [50.0] * 10, range(10, 20))
    assert (room_db, voice_db) == pytest.approx((20, 50))


def test_frames_beyond_the_sound_count_as_its_last() -> None:
    assert room_and_voice_db([20.0, 50.0], [5])[1] == pytest.approx(50)


@pytest.mark.parametrize(("levels", "spoken"), [([], [0]), ([10.0], [])])
def test_without_sound_or_words_nothing_stands_out(levels: list[float], spoken: list[int]) -> None:
    assert room_and_voice_db(levels, spoken) == (0, 0)
