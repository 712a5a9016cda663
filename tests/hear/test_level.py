"""How loud a frame is, and how loud the room is behind those who speak in it."""

import numpy as np
import pytest
from synthesised import Sound, silence, spoken

from edgeagent.hear.level import FLOOR_AFTER_S, FLOOR_OVER_S, NoiseFloor, level_db
from edgeagent.messages import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, Frame


def frames(sound: Sound) -> list[Frame]:
    data = sound.astype("<i2").tobytes()
    return [data[at : at + FRAME_BYTES] for at in range(0, len(data) - FRAME_BYTES + 1, FRAME_BYTES)]


def noise(level: float, seconds: float) -> Sound:
    return np.random.default_rng(1).normal(0, level, round(16_000 * seconds)).astype(np.int16)


def test_silence_is_nothing_and_full_scale_is_ninety_decibels() -> None:
    assert level_db(bytes(FRAME_BYTES)) == 0
    square = np.tile(np.array([32_767, -32_768], "<i2"), FRAME_SAMPLES // 2).tobytes()
    assert level_db(square) == pytest.approx(90.3, abs=0.01)


def test_ten_times_the_amplitude_is_twenty_decibels_more() -> None:
    quiet, loud = (
        level_db((level * np.sin(np.arange(FRAME_SAMPLES) / 4)).astype("<i2").tobytes()) for level in (300, 3_000)
    )
    assert loud - quiet == pytest.approx(20, abs=0.1)


def test_nothing_is_known_of_the_room_at_first() -> None:
    floor = NoiseFloor()
    heard = frames(noise(50, FLOOR_AFTER_S / 2))
    assert [floor(frame) for frame in heard] == [level_db(frame) for frame in heard]
    assert floor.db == 0


def test_speech_stands_out_of_the_room_and_does_not_lift_it() -> None:
    floor = NoiseFloor()
    room = level_db(frames(silence(1.0))[3])
    above = [floor(frame) for frame in frames(spoken("turn on the kitchen light", "turn it off again"))]
    assert floor.db == pytest.approx(room, abs=2)
    assert max(above) > 40
    assert floor.level_db - floor.db == pytest.approx(above[-1])


def test_a_room_that_becomes_loud_is_believed_after_a_while() -> None:
    floor = NoiseFloor()
    for frame in frames(np.concatenate([noise(20, 3.0), noise(600, 2.0)])):
        floor(frame)
    assert floor.db < 35
    for frame in frames(noise(600, FLOOR_OVER_S)):
        above = floor(frame)
    assert floor.db == pytest.approx(20 * np.log10(600), abs=1.5)
    assert abs(above) < 3


def test_zeros_before_and_between_are_no_room() -> None:
    floor = NoiseFloor()
    for frame in [*frames(noise(100, 1.0)), *[bytes(FRAME_BYTES)] * round(10 / FRAME_S)]:
        floor(frame)
    assert floor.level_db == 0
    assert floor.db == pytest.approx(40, abs=1.5)
