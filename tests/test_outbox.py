"""The outbox's rules, without a network."""

import pytest

from edgeagent.messages import Message
from edgeagent.outbox import GIVEN_UP_AFTER, Outbox, packet_bytes

NO_LIMIT = 1 << 20


def report(name: str, expiry_s: int | None = None) -> Message:
    return Message("up/event", name.encode(), qos=1, expiry_s=expiry_s)


def filled(*names: str, most: int = 10) -> Outbox:
    outbox = Outbox(most)
    for name in names:
        outbox.add(report(name), 0)
    return outbox


def send_all(outbox: Outbox, window: int = 20, now_s: float = 0) -> list[str]:
    names: list[str] = []
    while (taken := outbox.take(window, NO_LIMIT, now_s)) is not None:
        outbox.sent(len(names), taken)
        names.append(taken.message.payload.decode())
    return names


def test_no_more_than_the_window_is_in_flight() -> None:
    outbox = filled("a", "b", "c")
    assert send_all(outbox, window=2) == ["a", "b"]
    outbox.acknowledged(0)
    assert send_all(outbox, window=2) == ["c"]


def test_when_it_is_full_the_oldest_goes_and_is_counted() -> None:
    outbox = filled("a", "b", "c", most=2)
    assert (outbox.dropped, send_all(outbox)) == (1, ["b", "c"])


def test_what_is_not_acknowledged_is_sent_again_in_its_order() -> None:
    outbox = filled("a", "b", "c")
    send_all(outbox)
    outbox.acknowledged(1)
    assert outbox.connection_lost() == []
    assert send_all(outbox) == ["a", "c"]


def test_what_has_expired_while_it_waited_is_not_sent() -> None:
    outbox = Outbox(10)
    outbox.add(report("old", expiry_s=5), 0)
    outbox.add(report("new", expiry_s=50), 0)
    assert (send_all(outbox, now_s=10), outbox.expired) == (["new"], 1)


def test_what_the_broker_would_not_take_is_not_sent() -> None:
    outbox = filled("too large", "ok")
    taken = outbox.take(20, packet_bytes(report("ok")), 0)
    assert taken is not None
    assert (taken.message.payload, outbox.given_up) == (b"ok", 1)


def test_the_report_that_takes_the_connection_down_is_found_and_the_others_live() -> None:
    outbox = filled("a", "poison", "b", "c")
    delivered: list[str] = []
    connections = 0
    while len(outbox):
        connections += 1
        flying: dict[int, str] = {}
        while (taken := outbox.take(20, NO_LIMIT, 0)) is not None:
            flying[len(flying)] = taken.message.payload.decode()
            outbox.sent(len(flying) - 1, taken)
            if "poison" in flying.values():
                continue
            delivered += flying.values()
            for packet in flying:
                outbox.acknowledged(packet)
            flying.clear()
        outbox.connection_lost()
        assert connections < 20
    assert (delivered, outbox.given_up) == (["a", "b", "c"], 1)
    assert connections <= GIVEN_UP_AFTER + 1


def test_a_greeting_is_in_front_and_of_one_connection_only() -> None:
    outbox = filled("event")
    outbox.greet([report("birth")])
    assert send_all(outbox) == ["birth", "event"]
    outbox.connection_lost()
    assert send_all(outbox) == ["event"]


def test_an_older_retained_report_does_not_overwrite_what_a_greeting_says() -> None:
    outbox = Outbox(10)
    outbox.add(Message("up/state", b"old", qos=1, retain=True), 0)
    outbox.greet([Message("up/state", b"new", qos=1, retain=True)])
    assert send_all(outbox) == ["new"]


@pytest.mark.parametrize("most", [1, 7])
def test_it_never_holds_more_than_it_may_and_what_is_in_flight(most: int) -> None:
    outbox = Outbox(most)
    for number in range(100):
        outbox.add(report(str(number)), 0)
        if number % 3 == 0:
            send_all(outbox, window=5)
        if number % 10 == 0:
            outbox.connection_lost()
        assert len(outbox) <= most + 5
