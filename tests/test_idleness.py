"""When nobody is being served."""

from edgeagent.idleness import SERVED_S, SPEECH_S, Idleness
from edgeagent.messages import Answer, Rejection, Transcript, Word


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_who_was_answered_just_now_may_say_more() -> None:
    clock = Clock()
    idleness = Idleness(clock)
    clock.now = SERVED_S
    assert idleness.is_idle
    idleness.note(Answer("u1", "Shall I? Say yes."))
    assert not idleness.is_idle
    clock.now += SERVED_S - 0.1
    assert not idleness.is_idle
    clock.now += 0.1
    assert idleness.is_idle


def test_a_television_holds_nothing_up_but_a_sentence_is_heard_to_its_end() -> None:
    clock = Clock()
    idleness = Idleness(clock)
    clock.now = SERVED_S
    idleness.note(Transcript("u1", (Word("and", 0, 1, 1.0),), 1.0))
    assert not idleness.is_idle
    clock.now += SPEECH_S
    idleness.note(Rejection("u1", "not-a-command", "and now the news"))
    assert idleness.is_idle
