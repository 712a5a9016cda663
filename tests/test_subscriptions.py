"""When the broker is asked for what."""

from edgeagent.subscriptions import AT_ONCE, Subscriptions


def granted(*filters: str) -> Subscriptions:
    subscriptions = Subscriptions()
    subscriptions.want(filters, 1)
    for packet, portion in enumerate(subscriptions.open()):
        subscriptions.asked(packet, portion)
        subscriptions.answered(packet, [None] * len(portion))
    return subscriptions


def test_what_is_granted_is_not_asked_for_again_while_the_session_lasts() -> None:
    subscriptions = granted("a", "b")
    assert subscriptions.is_complete
    subscriptions.begin(is_session_known=True)
    subscriptions.want(["b", "c"], 1)
    assert subscriptions.open() == [[("c", 1)]]
    assert not subscriptions.is_complete


def test_when_the_session_is_lost_everything_is_asked_for() -> None:
    subscriptions = granted("a", "b")
    subscriptions.begin(is_session_known=False)
    assert subscriptions.open() == [[("a", 1), ("b", 1)]]


def test_what_is_being_asked_for_is_not_asked_for_twice_and_again_after_the_connection_ended() -> None:
    subscriptions = Subscriptions()
    subscriptions.want(["a"], 0)
    subscriptions.asked(1, subscriptions.open()[0])
    assert subscriptions.open() == []
    subscriptions.begin(is_session_known=True)
    assert subscriptions.open() == [[("a", 0)]]


def test_what_is_refused_is_named_and_asked_for_again_with_the_next_connection_or_when_it_is_forgiven() -> None:
    subscriptions = Subscriptions()
    subscriptions.want(["a", "b"], 1)
    subscriptions.asked(1, subscriptions.open()[0])
    assert subscriptions.answered(1, ["Not authorized", None]) == [("a", "Not authorized")]
    assert subscriptions.open() == []
    subscriptions.begin(is_session_known=True)
    assert subscriptions.open() == [[("a", 1)]]
    subscriptions.asked(2, subscriptions.open()[0])
    subscriptions.answered(2, ["Not authorized"])
    subscriptions.forgive()
    assert subscriptions.open() == [[("a", 1)]]


def test_many_filters_are_asked_for_in_portions() -> None:
    subscriptions = Subscriptions()
    subscriptions.want([str(number) for number in range(2 * AT_ONCE + 1)], 1)
    assert [len(portion) for portion in subscriptions.open()] == [AT_ONCE, AT_ONCE, 1]


def test_an_answer_to_a_packet_that_nobody_sent_is_ignored() -> None:
    assert granted("a").answered(99, [None, "no"]) == []
