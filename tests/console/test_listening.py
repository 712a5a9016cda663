"""When a console has heard everything that waited for it."""

from edgeagent.console.listening import CALM_S, JUMP_S, Listening


def look(listening: Listening, at_s: float, ahead_s: float = 1e9, **more: bool | int) -> float | None:
    how = {"connection": 1, "is_heard": True, "is_busy": False} | more
    listening.look(at_s, at_s + ahead_s, **how)  # type: ignore[arg-type]  # by name
    return listening.lasts_s(at_s)


def listening_since(at_s: float) -> Listening:
    listening = Listening()
    look(listening, at_s - CALM_S)
    assert look(listening, at_s) == 0
    return listening


def test_it_has_caught_up_once_little_came_for_a_while() -> None:
    listening = Listening()
    assert look(listening, 0.0) is None
    assert look(listening, CALM_S - 0.1, is_busy=True) is None
    assert look(listening, CALM_S) is None
    assert look(listening, 2 * CALM_S) == 0
    assert look(listening, 2 * CALM_S + 60) == 60


def test_many_messages_alone_do_not_throw_it_back() -> None:
    assert look(listening_since(10.0), 11.0, is_busy=True) == 1


def test_who_hears_nothing_has_not_caught_up() -> None:
    listening = listening_since(10.0)
    assert look(listening, 11.0, is_heard=False) is None
    assert look(listening, 12.0) is None
    assert look(listening, 11.0 + CALM_S) == 0


def test_a_connection_that_was_made_anew_between_two_looks_is_noticed() -> None:
    assert look(listening_since(10.0), 11.0, connection=2) is None


def test_a_clock_that_jumps_is_noticed_and_one_that_is_drawn_to_the_time_is_not() -> None:
    assert look(listening_since(10.0), 11.0, 1e9 + JUMP_S / 2) == 1
    assert look(listening_since(10.0), 11.0, 1e9 + 2 * JUMP_S) is None


def test_a_database_that_was_away_is_waited_for() -> None:
    listening = listening_since(10.0)
    listening.interrupt(11.0)
    assert look(listening, 11.0) is None
    assert look(listening, 11.0 + CALM_S) == 0
