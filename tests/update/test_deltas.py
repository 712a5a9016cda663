"""Deltas: they save bytes where models are alike, and make nothing but what was wanted."""

import struct

import numpy as np
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeagent.errors import UpdateError
from edgeagent.update.deltas import MAGIC, WORTH_IT, apply, make

DRAW = np.random.default_rng(7)
OLD = DRAW.integers(0, 256, 300_000, np.uint8).tobytes()


def applied(old: bytes, delta: bytes, length: int) -> bytes | str:
    try:
        return apply(old, delta, length)
    except UpdateError as error:
        return error.code


def test_a_file_with_some_parts_changed_is_mostly_the_old_one() -> None:
    new = bytearray(OLD)
    new[1_000:5_000] = DRAW.integers(0, 256, 4_000, np.uint8).tobytes()
    new[200_000:200_000] = b"ten letters" * 100
    delta = make(OLD, bytes(new))
    assert delta is not None
    assert len(delta) < 0.05 * len(new)
    assert apply(OLD, delta, len(new)) == bytes(new)


def test_a_model_whose_numbers_have_all_moved_a_little_is_smaller_as_a_difference() -> None:
    moved = (np.frombuffer(OLD, np.uint8) + DRAW.integers(0, 3, len(OLD), np.uint8)).tobytes()
    delta = make(OLD, moved)
    assert delta is not None
    assert delta[4:5] == b"A"
    assert len(delta) < 0.35 * len(moved)
    assert apply(OLD, delta, len(moved)) == moved


def test_a_file_that_has_nothing_of_the_old_one_is_not_worth_a_delta() -> None:
    assert make(OLD, DRAW.integers(0, 256, 300_000, np.uint8).tobytes()) is None


def test_a28_a_delta_on_another_base_never_makes_the_new_file() -> None:
    new = OLD[:150_000] + b"new" + OLD[150_000:]
    delta = make(OLD, new)
    assert delta is not None
    other = bytes(255 - byte for byte in OLD)
    assert applied(other, delta, len(new)) != new


@pytest.mark.parametrize("length", [0, 10, 300_002, 1 << 40])
def test_a27_a_delta_makes_as_many_bytes_as_are_wanted_or_none(length: int) -> None:
    delta = make(OLD, OLD + b"x")
    assert delta is not None
    with pytest.raises(UpdateError):
        apply(OLD, delta, length)


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_whatever_comes_as_a_delta_is_refused_with_a_code(rubbish: bytes) -> None:
    for delta in (rubbish, MAGIC + rubbish, MAGIC + b"P" + (5).to_bytes(8, "big") + rubbish):
        found = applied(OLD[:2000], delta, 5)
        assert found == "bad-delta" or len(found) == 5


def test_a_delta_is_worth_it_only_below_its_share() -> None:
    half = OLD[:100_000] + DRAW.integers(0, 256, 200_000, np.uint8).tobytes()
    delta = make(OLD, half)
    assert delta is None or len(delta) < WORTH_IT * len(half)


def test_what_has_moved_because_something_before_it_grew_is_still_a_difference() -> None:
    moved = (np.frombuffer(OLD, np.uint8) + DRAW.integers(0, 3, len(OLD), np.uint8)).tobytes()
    new = moved[:90_000] + b"a tensor's name, longer than before" * 30 + moved[90_000:]
    delta = make(OLD, new)
    assert delta is not None
    assert delta[4:5] == b"A"
    assert len(delta) < 0.35 * len(new)
    assert apply(OLD, delta, len(new)) == new


@pytest.mark.parametrize(
    "stretches",
    [[(0, 0), (0, 1)], [(5, 0), (3, 0)], [(-1, 0)], [(0, 1 << 62)], [(0, -(1 << 62))], [(1 << 40, 0)]],
)
def test_stretches_that_are_out_of_order_or_far_away_are_refused(stretches: list[tuple[int, int]]) -> None:
    table = b"".join(struct.pack(">qq", *one) for one in stretches)
    body = struct.pack(">H", len(stretches)) + table + bytes(2_000)
    delta = MAGIC + b"A" + struct.pack(">Q", 2_000) + zstd.compress(body)
    assert applied(OLD, delta, 2_000) == "bad-delta"
