"""Edges of contacts that bounce, stick, or are held when we begin, to presses of a person."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import Wire

from edgeagent.board.button import (
    LONG_S,
    SETTLED_S,
    STUCK_S,
    Press,
    button,
    contact,
    looked_at,
    positions,
    pressed,
    presses,
    seen,
    settled,
)
from edgeagent.board.errors import BoardError
from edgeagent.board.lines import Edge

Edges = Sequence[Edge]
DOWN, UP = True, False
bounces = st.lists(st.floats(0.0001, SETTLED_S * 0.9), max_size=8).map(lambda spans: spans[: len(spans) // 2 * 2])


def told(edges: Edges, until_s: float, *, starts: bool = False, looks: Sequence[float] = ()) -> list[Press]:
    """Return what a button tells that was found so, with these edges, looked at at these times and when it is due."""
    one, found = button(Edge(0.0, starts)), list[Press]()
    coming = [*((edge.at_s, edge) for edge in edges), *((at_s, None) for at_s in looks), (until_s, None)]
    for at_s, edge in sorted(coming, key=lambda event: event[0]):
        while (due_s := one.due_s) is not None and due_s <= at_s:
            one, more = looked_at(one, due_s)
            found += more
            if one.due_s == due_s:
                break
        one, more = looked_at(one, at_s) if edge is None else pressed(one, edge)
        found += more
    return found


def held(*times: tuple[float, bool]) -> Edges:
    return [Edge(at_s, is_active) for at_s, is_active in times]


def bounced(first: Edge, spans: Sequence[float]) -> Iterator[Edge]:
    """Yield the edges of a contact that bounces after the first."""
    yield first
    at_s = first.at_s
    for number, span_s in enumerate(spans):
        at_s += span_s
        yield Edge(at_s, first.is_active ^ (number % 2 == 0))


@given(st.floats(0.2, 1.2), bounces, bounces)
def test_however_it_bounces_a_short_press_is_one(held_s: float, closing: list[float], opening: list[float]) -> None:
    edges = [*bounced(Edge(1.0, DOWN), closing), *bounced(Edge(1.0 + held_s, UP), opening)]
    assert told(edges, 5.0) == ["short"]


@given(st.floats(1.8, 25), bounces, bounces)
def test_a_long_press_is_one_whatever_it_does_when_it_ends(
    held_s: float, closing: list[float], opening: list[float]
) -> None:
    edges = [*bounced(Edge(1.0, DOWN), closing), *bounced(Edge(1.0 + held_s, UP), opening)]
    assert told(edges, 40.0) == ["long"]


def test_a_long_press_is_told_while_it_is_still_held() -> None:
    assert told(held((1.0, DOWN)), 1.0 + LONG_S - 0.01) == []
    assert told(held((1.0, DOWN)), 1.0 + LONG_S) == ["long"]


def test_one_that_is_released_just_before_is_short_although_that_comes_to_count_after() -> None:
    assert told(held((1.0, DOWN), (1.0 + LONG_S - 0.001, UP)), 5.0) == ["short"]
    assert told(held((1.0, DOWN), (1.0 + LONG_S, UP)), 5.0) == ["long"]


@given(st.lists(st.floats(0.0001, SETTLED_S * 0.9), min_size=1, max_size=30))
def test_a_spark_is_no_press(spans: list[float]) -> None:
    edges = [*bounced(Edge(1.0, DOWN), spans)]
    assert told([*edges, Edge(edges[-1].at_s + 0.001, UP)], 60.0) == []


@given(st.floats(31, 1000))
def test_a_stuck_button_tells_that_once_and_nothing_more(held_s: float) -> None:
    assert told(held((1.0, DOWN)), 1.0 + held_s) == ["long", "stuck"]
    assert told(held((1.0, DOWN), (1.0 + held_s, UP)), 2000.0) == ["long", "stuck"]
    again = held((1.0, DOWN), (1.0 + held_s, UP), (3 + held_s, DOWN), (3.5 + held_s, UP))
    assert told(again, 2000.0) == ["long", "stuck", "short"], "and once it is free it does its work again"


@given(st.floats(0.1, 1000), st.booleans())
def test_what_is_held_when_we_begin_was_not_pressed(held_s: float, is_released: bool) -> None:  # noqa: FBT001
    edges = held((held_s, UP)) if is_released else []
    assert told(edges, 2000.0, starts=True) == []
    pressed_then = held((held_s, UP), (held_s + 1, DOWN), (held_s + 1.5, UP))
    assert told(pressed_then, 2000.0, starts=True) == ["short"]


@given(
    st.lists(st.floats(0.0005, 40.0), min_size=1, max_size=12),
    st.lists(st.floats(0, 400), max_size=30),
    st.booleans(),
)
def test_looking_more_often_changes_nothing(spans: list[float], looks: list[float], starts: bool) -> None:  # noqa: FBT001
    at_s, edges = 0.0, list[Edge]()
    for number, span_s in enumerate(spans):
        at_s += span_s
        edges.append(Edge(at_s, starts ^ (number % 2 == 0)))
    assert told(edges, 500.0, starts=starts, looks=looks) == told(edges, 500.0, starts=starts)


@given(st.lists(st.builds(Edge, st.floats(0, 100), st.booleans()), max_size=40), st.booleans())
def test_any_edges_at_all_tell_no_more_than_there_are_presses(edges: Edges, starts: bool) -> None:  # noqa: FBT001
    ordered = sorted(edges, key=lambda edge: edge.at_s)
    found = told(ordered, 200.0, starts=starts)
    assert len([one for one in found if one != "stuck"]) <= sum(edge.is_active for edge in ordered)
    assert found.count("stuck") <= found.count("long")


@given(st.floats(0, 1e6), st.booleans())
def test_a_button_at_rest_is_left_alone(now_s: float, is_pressed: bool) -> None:  # noqa: FBT001
    assert button(Edge(now_s, is_pressed)).due_s is None


@given(bounces)
def test_a_switch_counts_once_it_has_settled_and_from_when_it_began(spans: list[float]) -> None:
    one = contact(Edge(0.0, UP))
    for edge in bounced(Edge(1.0, DOWN), spans):
        one = seen(one, edge)
        assert not one.is_closed
    assert settled(one, 2.0).is_closed
    assert settled(one, 2.0).due_s is None


@contextmanager
def wire(*, is_active: bool = False) -> Iterator[Wire]:
    one = Wire(is_active=is_active)
    try:
        yield one
    finally:
        one.close()


async def first(found: AsyncIterator[object], count: int, then: Callable[[], None]) -> list[object]:
    """Return so many of what comes after `then` was done, once somebody waits for it."""
    asyncio.get_running_loop().call_soon(then)
    heard: list[object] = []
    async with asyncio.timeout(20):
        async for one in found:
            heard.append(one)
            if len(heard) == count:
                break
    return heard


def test_edges_of_a_line_become_presses() -> None:
    with wire() as line:

        def twice() -> None:
            line.drive((10.0, True), (10.3, False), (12.0, True), (14.0, False))

        clock = iter([0.0, *[14.5] * 100])
        found = asyncio.run(first(presses(line, lambda: next(clock)), 2, twice))
    assert found == ["short", "long"]


def test_a_press_is_long_by_the_clock_alone() -> None:
    with wire() as line:
        times = iter([0.0, 10.0, *[10.1 + step for step in range(100)]])
        found = asyncio.run(first(presses(line, lambda: next(times)), 1, lambda: line.drive((10.0, True))))
    assert found == ["long"]


def test_a_switch_tells_where_it_stands_and_where_it_goes() -> None:
    with wire(is_active=True) as line:
        found = asyncio.run(first(positions(line), 3, lambda: line.drive((1.0, False), (2.0, True))))
    assert found == [True, False, True]


def test_a_line_that_goes_away_is_an_error_and_not_silence() -> None:
    with wire() as line, pytest.raises(BoardError, match="No such device"):
        asyncio.run(first(presses(line), 1, line.break_off))


def test_stuck_and_long_are_far_enough_apart_to_mean_different_things() -> None:
    assert SETTLED_S < 0.1 < LONG_S < STUCK_S / 5
