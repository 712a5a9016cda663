"""What is said of a microphone by what it gave while somebody was to speak."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.board.checking import Loudness, judge_microphone, judged_by_a_person

ROOM = Loudness(-60.0, -62.0, is_speech=False, is_clipped=False, is_mute=False)
SPEECH = replace(ROOM, level_dbfs=-20.0, is_speech=True)


@pytest.mark.parametrize(
    ("frames", "verdict", "found"),
    [
        ([ROOM, SPEECH, ROOM], "ok", "speech -20 dBFS, the room -62"),
        ([], "failure", "it gives no sound"),
        ([replace(ROOM, is_mute=True)] * 3, "failure", "it opens and gives nothing but zeros"),
        ([ROOM] * 9, "warning", "no speech; the loudest -60 dBFS, the room -62"),
        ([replace(SPEECH, level_dbfs=-50.0)], "warning", "speech -50 dBFS, the room -62; it is too quiet"),
        (
            [replace(SPEECH, is_clipped=True, level_dbfs=0.0), SPEECH],
            "warning",
            "speech 0 dBFS, the room -62; it is too loud and distorted",
        ),
        (
            [replace(SPEECH, floor_dbfs=-30.0)],
            "warning",
            "speech -20 dBFS, the room -30; the room, or the card, is loud",
        ),
        ([replace(SPEECH, floor_dbfs=None)], "ok", "speech -20 dBFS"),
    ],
)
def test_a_microphone_is_judged_by_its_speech(frames: list[Loudness], verdict: str, found: str) -> None:
    judged = judge_microphone(frames)
    assert (judged.verdict, judged.found) == (verdict, found)
    assert bool(judged.remedy) is (verdict != "ok")


def test_one_shout_among_much_speech_is_not_distortion() -> None:
    assert judge_microphone([replace(SPEECH, is_clipped=True), *[SPEECH] * 10]).verdict == "ok"


@given(
    st.lists(
        st.builds(
            Loudness, st.floats(-90, 0), st.none() | st.floats(-90, 0), st.booleans(), st.booleans(), st.booleans()
        ),
        max_size=20,
    )
)
def test_whatever_it_gave_something_is_said_and_what_is_not_well_comes_with_what_to_do(frames: list[Loudness]) -> None:
    judged = judge_microphone(frames)
    assert judged.found
    assert (judged.verdict == "ok") is not bool(judged.remedy)


def test_what_only_a_person_can_judge_says_when_nobody_was_asked() -> None:
    answers = {
        is_right: judged_by_a_person("tone", "played", is_right=is_right, remedy="Plug it in.")
        for is_right in (None, True, False)
    }
    assert [(one.verdict, one.found, one.remedy) for one in answers.values()] == [
        ("ok", "played; nobody was asked", ""),
        ("ok", "played", ""),
        ("failure", "played, but not as it should", "Plug it in."),
    ]
