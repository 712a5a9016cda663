import pytest
from homes import Talk, command, everything

from edgeagent.act.plan import TimerOrder
from edgeagent.act.timers import MOST_TIMERS, Timers, spoken_length
from edgeagent.messages import Answer, Rejection, Value


def say(timers: Timers, intent: str, now_s: float = 0.0, **slots: Value) -> str:
    answer = timers.obey(command(intent, **slots), now_s)
    assert isinstance(answer, Answer)
    return answer.text


def test_a_timer_is_due_once_after_its_time() -> None:
    timers = Timers()
    assert say(timers, "start_timer", 10.0, duration=90.0) == "1 minute 30 seconds, starting now."
    assert timers.due(99.9) == ()
    (timer,) = timers.due(100.0)
    assert (timer.length_s, timer.called) == (90.0, "1 minute 30 second timer")
    assert timers.due(1000.0) == ()


def test_a_spoken_timer_has_its_length_and_label() -> None:
    order = Talk(everything()).say("set a pizza timer for twelve minutes")
    assert isinstance(order, TimerOrder)
    timers = Timers()
    timers.obey(order.command, 0.0)
    assert say(timers, "cancel_timer") == "The 12 minute pizza timer is cancelled."


def test_a_label_picks_its_timer() -> None:
    timers = Timers()
    say(timers, "start_timer", duration=60.0, label="tea")
    say(timers, "start_timer", duration=600.0, label="pizza")
    assert say(timers, "timer_left", 30.0, label="pizza") == "9 minutes 30 seconds left."
    both = "30 seconds on the 1 minute tea timer, 9 minutes 30 seconds on the 10 minute pizza timer."
    assert say(timers, "timer_left", 30.0) == both
    assert say(timers, "cancel_timer", label="eggs") == "There is no eggs timer."
    assert say(timers, "cancel_timer", label="pizza") == "The 10 minute pizza timer is cancelled."
    assert [timer.label for timer in timers.due(1e6)] == ["tea"]


def test_a_paused_timer_is_not_due_and_goes_on_where_it_stopped() -> None:
    timers = Timers()
    say(timers, "start_timer", 0.0, duration=60.0)
    assert say(timers, "pause_timer", 20.0) == "Paused with 40 seconds to go."
    assert say(timers, "pause_timer", 25.0) == "The timer is paused already."
    assert timers.due(500.0) == ()
    assert say(timers, "timer_left", 500.0) == "40 seconds left."
    assert say(timers, "resume_timer", 500.0) == "Going on, 40 seconds to go."
    assert say(timers, "resume_timer", 501.0) == "The timer is running already."
    assert timers.due(539.0) == ()
    assert len(timers.due(540.0)) == 1


def test_going_on_means_the_paused_timer_though_another_is_running() -> None:
    timers = Timers()
    say(timers, "start_timer", 0.0, duration=60.0, label="tea")
    say(timers, "pause_timer", 10.0)
    say(timers, "start_timer", 10.0, duration=30.0, label="eggs")
    assert say(timers, "resume_timer", 20.0) == "Going on, 50 seconds to go."
    assert {timer.label for timer in timers.due(70.0)} == {"eggs", "tea"}


def test_cancelling_all_and_cancelling_nothing() -> None:
    timers = Timers()
    for intent in ("cancel_timer", "cancel_all_timers", "pause_timer", "resume_timer", "timer_left"):
        assert say(timers, intent) == "There is no timer."
    say(timers, "start_timer", duration=5.0)
    assert say(timers, "cancel_all_timers") == "The timer is cancelled."
    say(timers, "start_timer", duration=5.0)
    say(timers, "start_timer", duration=5.0)
    assert say(timers, "cancel_all_timers") == "2 timers are cancelled."
    assert timers.due(1e6) == ()


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan"), float("inf"), 1e9, "five"])
def test_a_length_that_is_none_is_refused(length: Value) -> None:
    answer = Timers().obey(command("start_timer", duration=length), 0.0)
    assert isinstance(answer, Rejection)
    assert answer.reason == "out-of-range"


def test_timers_are_bounded() -> None:
    timers = Timers()
    for _ in range(MOST_TIMERS):
        say(timers, "start_timer", duration=60.0)
    answer = timers.obey(command("start_timer", duration=60.0), 0.0)
    assert isinstance(answer, Rejection)
    assert answer.detail == "there are 50 timers already"


def test_a_length_in_words() -> None:
    assert spoken_length(4800) == "1 hour 20 minutes"
    assert spoken_length(1) == "1 second"
    assert spoken_length(0.2) == "0 seconds"
    assert spoken_length(-5) == "0 seconds"
