"""When all that is retained is read again."""

from collections.abc import Callable

from edgeagent.console.reading_again import AFTER_S, EVERY_S, FLOOD_S, OWN_S, ReadingAgain


def asked(until_s: int, is_busy: Callable[[int], bool] = lambda _: False, connected_s: int = 1) -> list[int]:
    """Return in which seconds it is read again."""
    reading = ReadingAgain()
    return [
        at_s
        for at_s in range(until_s)
        if reading.is_due(float(at_s), connection=int(at_s >= connected_s), is_busy=is_busy(at_s))
    ]


def test_twice_after_a_connection_and_then_every_hour() -> None:
    first = round(1 + AFTER_S[0])
    second = round(first + AFTER_S[1])
    assert asked(8_000) == [first, second, second + round(EVERY_S), second + 2 * round(EVERY_S)]


def test_without_a_connection_nothing_is_read() -> None:
    assert asked(8_000, connected_s=9_000) == []


def test_once_more_when_a_flood_is_over_and_not_while_it_lasts() -> None:
    over_s = 1_000 + 2 * round(FLOOD_S)
    assert over_s in asked(2_000, lambda at_s: 1_000 <= at_s < over_s)
    assert len(asked(2_000, lambda at_s: 1_000 <= at_s < over_s)) == 3


def test_a_short_burst_is_no_flood() -> None:
    assert len(asked(2_000, lambda at_s: at_s % 20 < FLOOD_S / 2)) == 2


def test_what_our_own_reading_brings_is_no_flood() -> None:
    second = round(1 + sum(AFTER_S))
    busy = range(second, second + round(OWN_S) - 1)
    assert len(asked(2_000, lambda at_s: at_s in busy)) == 2


def test_a_new_connection_begins_anew() -> None:
    reading = ReadingAgain()
    times = [at_s for at_s in range(300) if reading.is_due(float(at_s), connection=1 + at_s // 150, is_busy=False)]
    assert times == [20, 80, 170, 230]
