"""What we say on the bus, and what we make of what is said to us."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent import topics
from edgeagent.errors import BusError, ModelError
from edgeagent.messages import Action, Command, Device, Message, Outcome, Question, Rejection, Slot
from edgeagent.topics import Address, Birth, Order, Refusal, Reported, Say

HERE = Address("home", "kitchen-1")
NOW_S = 1_700_000_000.0
DO_SAY = "ea/1/home/d/kitchen-1/dn/do/say"
LAMP = Device("lamp", "lamp", "light", frozenset({"power"}))
COMMAND = Command("u1", "turn_on", (Slot("name", "lamp", "the lamp"),), "turn the lamp on", 0, 0.9)


def order(payload: bytes, *, topic: str = DO_SAY, retained: bool = False) -> Order | Refusal:
    return topics.order(HERE, topic, payload, retained=retained, now_s=NOW_S)


def said(**changes: object) -> bytes:
    return json.dumps({"id": "o1", "text": "lights on", "expires": NOW_S + 10} | changes).encode()


def content(message: Message) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(message.payload)
    return parsed


def test_birth_and_state_are_kept_by_the_broker_and_name_the_run_of_the_program() -> None:
    born = topics.birth(HERE, Birth("b1", "0.1.0", ["say"], {"model": "7"}))
    assert (born.topic, born.qos, born.retain) == ("ea/1/home/d/kitchen-1/up/birth", 1, True)
    assert content(born) == {
        "v": 1,
        "device": "kitchen-1",
        "boot": "b1",
        "version": "0.1.0",
        "capabilities": ["say"],
        "releases": {"model": "7"},
    }
    will = topics.state(HERE, online=False, boot="b1", seq=0, reason="lost")
    assert (will.topic, will.qos, will.retain) == ("ea/1/home/d/kitchen-1/up/state", 1, True)
    assert content(will) == {"v": 1, "online": False, "reason": "lost", "muted": False, "boot": "b1", "seq": 0}


@pytest.mark.parametrize(
    ("what", "kind", "fields"),
    [
        (COMMAND, "command", {"utterance": "u1", "intent": "turn_on", "slots": {"name": "lamp"}}),
        (Rejection("u1", "unsure", "turn the", "0.3"), "rejection", {"reason": "unsure"}),
        (Question("u1", "confirm", "Open the gate?", ("yes", "no")), "question", {"choices": ["yes", "no"]}),
        (
            Outcome(Action("a1", "u1", LAMP, "power", "on"), "failed", 5.0, "no answer"),
            "outcome",
            {"action": "a1", "device": "lamp", "capability": "power", "value": "on", "status": "failed"},
        ),
        (ModelError("damaged", remedy="Download it again."), "fault", {"error": "ModelError", "message": "damaged"}),
    ],
)
def test_what_happens_is_reported_without_the_words_that_were_said(
    what: Reported, kind: str, fields: dict[str, object]
) -> None:
    message = topics.event(HERE, what, boot="b1", seq=7, at_s=NOW_S + 0.12345)
    assert (message.topic, message.qos, message.retain) == (f"ea/1/home/d/kitchen-1/up/event/{kind}", 1, False)
    assert fields.items() <= content(message).items()
    assert {"v": 1, "boot": "b1", "seq": 7, "at": NOW_S + 0.123}.items() <= content(message).items()
    assert not {"text", "detail", "prompt"} & content(message).keys()


def test_the_words_that_were_said_are_reported_where_the_owner_wants_it() -> None:
    message = topics.event(HERE, COMMAND, boot="b1", seq=7, at_s=NOW_S, with_text=True)
    assert content(message)["text"] == "turn the lamp on"


def test_a_name_that_has_no_utf_8_is_still_reported() -> None:
    device = Device("\ud800", "\ud800", "light", frozenset({"power"}))
    outcome = Outcome(Action("a1", "u1", device, "power", "on"), "done", 0.1)
    assert content(topics.event(HERE, outcome, boot="b", seq=1, at_s=0))["device"] == "\ud800"


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "A", "x" * 65, "a\n", "ü", "a b"])
def test_a_name_that_is_none_has_no_place_on_the_bus(name: str) -> None:
    with pytest.raises(BusError, match="is not a name"):
        Address("home", name)
    with pytest.raises(BusError, match="is not a name"):
        Address(name, "kitchen")


def test_an_order_is_read_and_what_it_says_beside_is_ignored() -> None:
    assert order(said(volume=3)) == Say(id="o1", text="lights on", expires=NOW_S + 10)


def test_a_retained_order_is_not_carried_out() -> None:
    assert order(said(), retained=True) == Refusal("retained")


@pytest.mark.parametrize(("expires", "reason"), [(NOW_S - 1, "expired"), (NOW_S + 91, "too-early")])
def test_an_order_has_its_time(expires: float, reason: str) -> None:
    refusal = order(said(expires=expires))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("ea/1/home/d/kitchen-1/dn/do/restart", "unknown"),
        ("ea/1/home/d/kitchen-1/dn/do/say/x", "unknown"),
        ("ea/1/home/d/kitchen-2/dn/do/say", "not-for-us"),
        ("ea/2/home/d/kitchen-1/dn/do/say", "not-for-us"),
    ],
)
def test_what_is_not_an_order_of_ours_is_none(topic: str, reason: str) -> None:
    refusal = order(said(), topic=topic)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (said(text="x" * 5000), "too-large"),
        (bytes(10 << 20), "too-large"),
        (b"[" * 4000, "not-json"),
        (b'{"a":' * 700, "not-json"),
        (b"[]", "not-json"),
        (b"", "not-json"),
        (b"null", "not-json"),
        (b"\xff\xfe{}", "not-json"),
        (b"\xef\xbb\xbf{}", "not-json"),
        (b'{"id":"o1","text":"on","expires":NaN}', "not-json"),
        (b'{"id":"o1","text":"on","expires":Infinity}', "not-json"),
        (b'{"id":"o1","text":"on","text":"off","expires":1700000010}', "not-json"),
        (b'{"id":"o1","text":"on","expires":1e999}', "not-json"),
        (b'{"id":"o1","text":"on","expires":' + b"1" * 3000 + b"}", "not-json"),
        (b'{"id":"o1","text":"\\ud800","expires":1700000010}', "not-valid"),
        (said(id="../../etc"), "not-valid"),
        (said(id=""), "not-valid"),
        (said(id=7), "not-valid"),
        (said(text=""), "not-valid"),
        (said(text=["lights on"]), "not-valid"),
        (said(text="x" * 501), "not-valid"),
        (said(expires="1700000010"), "not-valid"),
        (said(expires=True), "not-valid"),
        (b"{}", "not-valid"),
    ],
)
def test_broken_orders_are_refused(payload: bytes, reason: str) -> None:
    refusal = order(payload)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert len(refusal.detail) < 300


@given(st.binary(max_size=5000))
def test_no_bytes_break_the_reading_of_orders(payload: bytes) -> None:
    assert isinstance(order(payload), Refusal)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_no_json_breaks_the_reading_of_orders(value: object) -> None:
    assert isinstance(order(json.dumps(value).encode()), Refusal)


@pytest.mark.parametrize("name", ["a", "/", "a//b", "$SYS/x", "ü/ö", "x" * 65535])
def test_a_topic_can_be_published_to(name: str) -> None:
    assert topics.is_topic(name)


@pytest.mark.parametrize("name", ["", "a/+", "a/#", "a+b", "#", "a\0", "x" * 65536, "ü" * 40000, "\ud800"])
def test_a_topic_cannot_be_published_to(name: str) -> None:
    assert not topics.is_topic(name)


@pytest.mark.parametrize("pattern", ["#", "+", "a/+/b", "a/#", "+/+/#", "$share/g/a"])
def test_a_filter_can_be_subscribed_to(pattern: str) -> None:
    assert topics.is_filter(pattern)


@pytest.mark.parametrize("pattern", ["", "a#", "a/#/b", "a+/b", "a/+b", "##", "a\0", "\ud800"])
def test_a_filter_cannot_be_subscribed_to(pattern: str) -> None:
    assert not topics.is_filter(pattern)


@pytest.mark.parametrize(
    ("pattern", "topic", "is_match"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("+/b", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/b/#", "a", False),
        ("+/+", "/a", True),
    ],
)
def test_filters_catch_what_the_standard_says(pattern: str, topic: str, *, is_match: bool) -> None:
    assert topics.matches(pattern, topic) is is_match


def test_an_order_to_listen_needs_no_words() -> None:
    payload = json.dumps({"id": "o1", "expires": NOW_S + 10}).encode()
    assert order(payload, topic=DO_SAY.replace("say", "listen")) == topics.Listen(id="o1", expires=NOW_S + 10)


def test_an_order_to_listen_that_is_out_of_date_is_none() -> None:
    late = json.dumps({"id": "o1", "expires": NOW_S - 1}).encode()
    found = order(late, topic=DO_SAY.replace("say", "listen"))
    assert isinstance(found, Refusal)
    assert found.reason == "expired"
