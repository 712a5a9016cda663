"""What lamps show at each moment: bounded, dark when off, told apart without colours, and gone when it is over."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.answer.patterns import LOOKS, Look, Motion, Pattern
from edgeagent.board.showing import (
    LEAST_S,
    OFF,
    RHYTHMS,
    Shown,
    changes_in,
    levels,
    picture,
    present,
    rhythm,
)

looks = st.builds(
    Look,
    st.tuples(*[st.integers(0, 255)] * 3),
    st.sampled_from(["off", "steady", "pulse", "blink", "spin"]),
    st.floats(0.05, 10),
)
moments = st.floats(0, 1e7)
counts = st.integers(0, 300)
patterns: st.SearchStrategy[Pattern] = st.sampled_from(sorted(LOOKS))
BLUE = (0, 90, 255)
STEPS = 200


def turn(motion: Motion, count: int) -> list[Sequence[float]]:
    """Return how bright the lamps are at each step of one turn."""
    return [levels(Look(BLUE, motion, 1.0), step / STEPS, count) for step in range(STEPS)]


@given(looks, moments, counts, st.floats(0, 1))
def test_every_lamp_has_a_colour_and_none_is_brighter_than_the_look(
    look: Look, elapsed_s: float, count: int, brightness: float
) -> None:
    shown = picture(look, elapsed_s, count, brightness)
    assert len(shown) == count
    for color in shown:
        assert all(0 <= part <= most for part, most in zip(color, look.color, strict=True))


@given(moments, counts, st.floats(0, 1))
def test_off_is_off(elapsed_s: float, count: int, brightness: float) -> None:
    assert picture(LOOKS["idle"], elapsed_s, count, brightness) == (OFF,) * count
    assert picture(Look((255, 255, 255), "off"), elapsed_s, count, brightness) == (OFF,) * count


@given(looks, moments, counts)
def test_without_brightness_all_is_dark(look: Look, elapsed_s: float, count: int) -> None:
    assert picture(look, elapsed_s, count, 0.0) == (OFF,) * count


@given(st.floats(0.001, 1), moments)
def test_what_shines_keeps_its_colours_however_dim(brightness: float, elapsed_s: float) -> None:
    for color in picture(Look((255, 1, 0), "steady"), elapsed_s, 3, brightness):
        red, green, blue = color
        assert red >= 1
        assert green == 1
        assert blue == 0


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_motions_are_told_apart_without_colours(count: int) -> None:
    steady, pulse, blink, spin = (turn(motion, count) for motion in ("steady", "pulse", "blink", "spin"))
    assert all(set(step) == {1.0} for step in steady)
    assert len({step[0] for step in pulse}) > 20, "a pulse swells"
    assert max(abs(one[0] - next_[0]) for one, next_ in pairwise(pulse)) < 0.05, "and never jumps"
    assert {level for step in blink for level in step} == {0.0, 1.0}
    assert flashes([step[0] > 0 for step in blink]) == 1
    if count == 1:
        assert flashes([step[0] > 0 for step in spin]) == 2
    else:
        assert all(len(set(step)) > 1 for step in spin), "at each moment a spin is somewhere"
        assert {max(range(count), key=step.__getitem__) for step in spin} == set(range(count)), "and comes round"


def flashes(lit: Sequence[bool]) -> int:
    """Return how often the lamp goes on in one turn, which goes round."""
    return sum(now and not before for before, now in zip([lit[-1], *lit[:-1]], lit, strict=True))


def test_one_plain_lamp_has_another_rhythm_for_each_pattern() -> None:
    assert RHYTHMS.keys() == LOOKS.keys()
    steady = {"listening", "done"}
    others = [spans for pattern, spans in RHYTHMS.items() if pattern not in steady]
    assert len(set(others)) == len(others)
    assert not {spans for pattern, spans in RHYTHMS.items() if pattern in steady} & set(others)


@given(patterns, st.floats(0, 1e6))
def test_a_rhythm_says_when_it_changes(pattern: Pattern, elapsed_s: float) -> None:
    is_on, changes_s = rhythm(pattern, elapsed_s)
    if changes_s is None:
        assert rhythm(pattern, elapsed_s + 17.3)[0] == is_on
    else:
        assert LEAST_S <= changes_s <= max(RHYTHMS[pattern])


def test_a_rhythm_goes_on_and_off_as_it_is_written() -> None:
    seen = [rhythm("thinking", at_s)[0] for at_s in (0.05, 0.15, 0.25, 0.5, 0.85, 0.95)]
    assert seen == [True, False, True, False, True, False]
    assert rhythm("idle", 3.0) == (False, None)
    assert rhythm("muted", 0.05)[0]
    assert not rhythm("muted", 1.5)[0]


@given(looks, moments)
def test_a_still_picture_is_not_drawn_again(look: Look, elapsed_s: float) -> None:
    due_s = changes_in(look, elapsed_s)
    if look.motion in {"off", "steady"}:
        assert due_s is None
    else:
        assert due_s is not None
        assert LEAST_S <= due_s <= max(look.period_s, LEAST_S)


@pytest.mark.parametrize("at_s", [0.0, 0.3, 0.95, 1.0, 1.7])
def test_a_blink_is_drawn_when_it_changes_and_not_between(at_s: float) -> None:
    offline = LOOKS["offline"]
    due_s = changes_in(offline, at_s)
    assert due_s is not None
    before, after = (levels(offline, at_s + due_s + step_s, 1) for step_s in (-1e-6, 1e-6))
    assert before == levels(offline, at_s, 1)
    assert before != after


@given(patterns, st.sampled_from(["idle", "muted", "offline"]), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_closed_microphone_is_shown_again_after_whatever_was_shown(
    pattern: Pattern, resting: Pattern, since_s: float, later_s: float
) -> None:
    lasts_s = LOOKS[pattern].lasts_s
    seen = present(Shown(pattern, since_s), since_s + later_s, resting)
    if lasts_s is None or later_s > lasts_s + 1e-3:
        assert seen.pattern == resting
    elif later_s < lasts_s - 1e-3:
        assert seen == Shown(pattern, since_s)
    assert seen.since_s <= since_s + later_s + 1e-3


@pytest.mark.parametrize("pattern", ["idle", "muted", "offline"])
def test_who_says_that_nothing_goes_on_does_not_open_the_microphone(pattern: Pattern) -> None:
    assert present(Shown(pattern, 1.0), 2.0, "muted").pattern == "muted"
