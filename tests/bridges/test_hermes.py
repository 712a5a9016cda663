"""Hermes topics: what a Rhasspy site may want of us and is told: only for our site, within bounds."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent import topics
from edgeagent.bridges.hermes import RINGER, InHermes
from edgeagent.bridges.hermes_forms import Listen, Mute, Query, SayAloud, Session, StopListening
from edgeagent.messages import (
    Action,
    Answer,
    Command,
    Device,
    Message,
    Outcome,
    Published,
    Question,
    Rejection,
    RejectionReason,
    Slot,
    Step,
    Transcript,
    Woken,
    Word,
)
from edgeagent.settings import AgentSettings, HearingSettings, HermesSettings, WakingSettings

LAMP = Device("ha:1", "Bed lamp", "light", frozenset({"power"}))
ACTION = Action("a1", "u1", LAMP, "power", "on")
SENT = Published(ACTION, Message("bed/set", b"ON"))
SLOTS = (Slot("name", "Bed lamp", "bed lamp"), Slot("brightness", 40.0, "forty"))
COMMAND = Command("u1", "set_brightness", SLOTS, "bed lamp to forty percent", 0, 0.9)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def site(name: str | None = "kitchen", clock: Clock | None = None) -> InHermes:
    settings = AgentSettings(
        hermes=HermesSettings(site=name),
        waking=WakingSettings(words=("okay_nabu",), wait_s=5),
        hearing=HearingSettings(cap_s=10),
    )
    numbers = itertools.count(1)
    return InHermes(settings, clock or Clock(), lambda: f"s{next(numbers)}")


def content(message: Message) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(message.payload)
    return parsed


def heard(text: str = "bed lamp to forty percent", utterance: str = "u1") -> Transcript:
    words = tuple(Word(word, at / 2, at / 2 + 0.4, 0.8) for at, word in enumerate(text.split()))
    return Transcript(utterance, words, 3.0, confidence=0.75, ended_by="complete")


def told(one: InHermes, *steps: Step) -> dict[str, dict[str, Any]]:
    messages = [message for step in steps for message in one.of_step(step)]
    assert all((message.qos, message.retain) == (0, False) for message in messages)
    assert len({message.topic for message in messages}) == len(messages)
    assert all(content(message)["siteId"] == "kitchen" for message in messages)
    return {message.topic.removeprefix("hermes/"): content(message) for message in messages}


def wish(one: InHermes, name: str, *, retained: bool = False, **payload: Any) -> object:
    topic = f"hermes/{name}"
    assert any(topics.matches(pattern, topic) for pattern in one.filters)
    return one.wish(topic, json.dumps({"siteId": "kitchen"} | payload).encode(), retained=retained)


def test_a_command_after_a_wake_word_is_a_session_with_its_words_and_its_intent() -> None:
    one = site()
    begun = told(one, Woken("Okay Nabu"))
    assert list(begun) == ["hotword/Okay_Nabu/detected", "dialogueManager/sessionStarted"]
    assert begun["hotword/Okay_Nabu/detected"]["modelId"] == "Okay Nabu"
    assert told(one, heard(), COMMAND) == {}
    during = told(one, SENT)
    assert list(during) == ["asr/textCaptured", "intent/set_brightness"]
    assert during["asr/textCaptured"]["text"] == "bed lamp to forty percent"
    assert during["asr/textCaptured"]["likelihood"] == 0.75
    assert during["asr/textCaptured"]["asrTokens"][0][1] == {
        "value": "lamp",
        "confidence": 0.8,
        "rangeStart": 4,
        "rangeEnd": 8,
        "time": {"start": 0.5, "end": 0.9},
    }
    after = told(one, Outcome(ACTION, "done", 0.1), Answer("u1", "Bed lamp at 40 percent."))
    assert list(after) == ["dialogueManager/sessionEnded"]
    assert after["dialogueManager/sessionEnded"]["termination"] == {"reason": "nominal"}
    sessions = [*begun.values(), *during.values(), *after.values()]
    assert {message["sessionId"] for message in sessions} == {"s1"}


def test_an_intent_has_its_slots_as_hermes_has_them() -> None:
    one = site()
    intent = told(one, heard(), COMMAND, SENT)["intent/set_brightness"]
    assert intent["input"] == "bed lamp to forty percent"
    assert intent["intent"] == {"intentName": "set_brightness", "confidenceScore": 0.9}
    assert intent["slots"] == [
        {
            "entity": "name",
            "slotName": "name",
            "rawValue": "bed lamp",
            "value": {"kind": "Custom", "value": "Bed lamp"},
            "confidence": 0.9,
            "range": {"start": 0, "end": 8, "rawStart": 0, "rawEnd": 8},
        },
        {
            "entity": "brightness",
            "slotName": "brightness",
            "rawValue": "forty",
            "value": {"kind": "Number", "value": 40.0},
            "confidence": 0.9,
            "range": {"start": 12, "end": 17, "rawStart": 12, "rawEnd": 17},
        },
    ]
    assert intent["sessionId"] is None


def test_a_slot_whose_words_do_not_stand_in_the_sentence_has_no_range() -> None:
    one = site()
    command = Command("u1", "turn_on", (Slot("name", "Bed", "elsewhere"), Slot("area", "Here", "")), "on", 0, 1.0)
    slots = told(one, command, SENT)["intent/turn_on"]["slots"]
    assert [slot["range"] for slot in slots] == [None, None]


def test_an_intent_that_must_be_confirmed_is_told_only_after_the_yes() -> None:
    one = site()
    told(one, Woken("Okay Nabu"))
    unlock = Command("u1", "unlock", (Slot("name", "Front door", "door"),), "unlock the door", 0, 1.0)
    asked = told(
        one, heard("unlock the door"), unlock, Question("u1", "confirm", "Shall I?", ()), Answer("u1", "Shall I?")
    )
    assert list(asked) == ["asr/textCaptured"]
    yes = Command("u2", "confirm", (), "yes", 0, 1.0)
    action = Action("a2", "u2", LAMP, "lock", "unlocked")
    accepted = told(one, heard("yes", "u2"), yes, Published(action, Message("x", b"")), Answer("u2", "Unlocked."))
    assert list(accepted) == ["asr/textCaptured", "intent/unlock", "dialogueManager/sessionEnded"]
    assert accepted["intent/unlock"]["sessionId"] == "s1"


def test_an_intent_that_nothing_here_can_do_is_told_for_the_others() -> None:
    one = site()
    water = Command("u1", "water_garden", (), "water the garden", 0, 1.0)
    found = told(one, heard("water the garden"), water, Rejection("u1", "not-able", "water the garden"))
    assert list(found) == ["asr/textCaptured", "intent/water_garden"]


@pytest.mark.parametrize("reason", ["not-by-voice", "not-allowed"])
def test_an_intent_that_the_owner_has_ruled_out_is_told_to_nobody(reason: RejectionReason) -> None:
    found = told(site(), heard(), COMMAND, Rejection("u1", reason, "bed lamp"))
    assert list(found) == ["asr/textCaptured", "nlu/intentNotRecognized"]


def test_talk_that_was_for_nobody_leaves_no_words_on_the_broker() -> None:
    one = site()
    reasons: list[RejectionReason] = ["no-words", "not-speech-we-know", "not-a-command", "unsure"]
    for reason in reasons:
        assert told(one, heard("s3cret"), Rejection("u1", reason, "s3cret")) == {}


def test_after_a_call_what_is_not_understood_is_told_and_ends_the_session() -> None:
    one = site()
    told(one, Woken("Okay Nabu"))
    assert told(one, heard("hm", "u0"), Rejection("u0", "not-speech-we-know", "hm")) == {}
    found = told(one, heard("sing a song"), Rejection("u1", "not-a-command", "sing a song"), Answer("u1", "No."))
    assert list(found) == ["asr/textCaptured", "nlu/intentNotRecognized", "dialogueManager/sessionEnded"]
    assert found["nlu/intentNotRecognized"]["input"] == "sing a song"
    assert found["dialogueManager/sessionEnded"]["termination"] == {"reason": "intentNotRecognized"}


def test_a_ring_begins_a_session_and_is_no_wake_word() -> None:
    assert list(told(site(), Woken("bell"))) == ["dialogueManager/sessionStarted"]
    assert told(site(), Woken(RINGER)) == {}


def test_a_call_in_which_nothing_is_said_ends_after_a_while() -> None:
    clock = Clock()
    one = site(clock=clock)
    told(one, Woken("Okay Nabu"))
    clock.now = 14.9
    assert one.late() == ()
    clock.now = 15.1
    (ended,) = one.late()
    assert content(ended)["termination"] == {"reason": "timeout"}
    assert one.late() == ()


def test_a_second_call_ends_the_session_of_the_first() -> None:
    one = site()
    told(one, Woken("Okay Nabu"))
    found = [(message.topic, content(message)["sessionId"]) for message in one.of_step(Woken("Okay Nabu"))]
    assert ("hermes/dialogueManager/sessionEnded", "s1") in found
    assert ("hermes/dialogueManager/sessionStarted", "s2") in found


def test_an_order_from_the_bus_is_no_part_of_a_session_and_was_never_sound() -> None:
    one = site()
    told(one, Woken("Okay Nabu"))
    typed = Transcript("t1", (Word("time", 0.0, 0.0),), 0.0, ended_by="text")
    found = told(one, typed, Command("t1", "get_time", (), "time", 0, 1.0), Answer("t1", "Noon."))
    assert list(found) == ["intent/get_time"]
    assert found["intent/get_time"]["sessionId"] is None
    assert "dialogueManager/sessionEnded" in told(one, heard(), COMMAND, Answer("u1", "Done."))


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("asr/startListening", {"sessionId": "x"}, Listen(Session("x"))),
        ("asr/startListening", {"stopOnSilence": True, "lang": None}, Listen(Session(None))),
        ("asr/stopListening", {"sessionId": "x"}, StopListening("x")),
        ("hotword/toggleOff", {"reason": "ttsSay"}, Mute(on=True)),
        ("hotword/toggleOn", {}, Mute(on=False)),
        ("nlu/query", {"input": "lights on", "id": "q1", "sessionId": "x"}, Query("lights on", "q1", "x")),
        ("nlu/query", {"input": "on", "intentFilter": ["a"]}, Query("on", None, None, ("a",))),
        ("tts/say", {"text": "Hello", "id": "t1", "lang": "en"}, SayAloud("Hello", "t1", Session(None))),
        (
            "dialogueManager/startSession",
            {"init": {"type": "action", "text": "Yes?", "canBeEnqueued": True}, "customData": "c"},
            Listen(Session("s1", is_ours=True, custom="c"), "Yes?"),
        ),
        (
            "dialogueManager/startSession",
            {"init": {"type": "notification", "text": "Dinner"}},
            SayAloud("Dinner", None, Session("s1", is_ours=True)),
        ),
    ],
)
def test_what_a_program_of_the_site_asks_for_is_wished(name: str, payload: dict[str, Any], expected: object) -> None:
    assert wish(site(), name, **payload) == expected
    assert wish(site(), name, **payload, retained=True) is None
    assert wish(site(), name, **(payload | {"siteId": "office"})) is None


def test_a_message_without_a_site_is_for_the_site_that_is_called_default() -> None:
    assert site("default").wish("hermes/asr/startListening", b"{}", retained=False) == Listen(Session(None))
    assert site("default").wish("hermes/asr/startListening", b"", retained=False) == Listen(Session(None))
    assert site("kitchen").wish("hermes/asr/startListening", b"{}", retained=False) is None


def test_listening_for_somebody_elses_session_goes_by_its_name_and_is_not_announced() -> None:
    one = site()
    asked = wish(one, "asr/startListening", sessionId="theirs")
    assert isinstance(asked, Listen)
    assert one.begun(asked) == ()
    found = told(one, Woken(RINGER), heard(), COMMAND, SENT, Answer("u1", "Done."))
    assert list(found) == ["asr/textCaptured", "intent/set_brightness"]
    assert {message["sessionId"] for message in found.values()} == {"theirs"}


def test_a_session_that_is_asked_for_is_begun_carries_its_data_and_tells_what_it_did_not_understand() -> None:
    one = site()
    init = {"type": "action", "text": "Which room?", "sendIntentNotRecognized": True}
    asked = wish(one, "dialogueManager/startSession", init=init, customData="mine")
    assert isinstance(asked, Listen)
    (started,) = one.begun(asked)
    assert (started.topic, content(started)["customData"]) == ("hermes/dialogueManager/sessionStarted", "mine")
    found = told(one, heard("what"), Rejection("u1", "unsure", "what"))
    assert found["dialogueManager/intentNotRecognized"]["input"] == "what"
    assert found["dialogueManager/sessionEnded"]["customData"] == "mine"


def test_a_notification_is_a_session_of_its_own() -> None:
    one = site()
    asked = wish(one, "dialogueManager/startSession", init={"type": "notification", "text": "Dinner"})
    assert isinstance(asked, SayAloud)
    names = [message.topic.removeprefix("hermes/") for message in (*one.begun(asked), *one.said(asked))]
    assert names == ["dialogueManager/sessionStarted", "tts/sayFinished", "dialogueManager/sessionEnded"]


def test_a_text_that_was_said_is_reported_by_its_id() -> None:
    one = site()
    asked = wish(one, "tts/say", text="Hello", id="t1", sessionId="x")
    assert isinstance(asked, SayAloud)
    assert one.begun(asked) == ()
    (finished,) = one.said(asked)
    assert finished.topic == "hermes/tts/sayFinished"
    assert content(finished) == {"id": "t1", "siteId": "kitchen", "sessionId": "x"}


def test_a_session_is_ended_by_its_id_whatever_site_the_client_names() -> None:
    one = site()
    told(one, Woken("Okay Nabu"))
    assert wish(one, "dialogueManager/endSession", sessionId="another") is None
    asked = wish(one, "dialogueManager/endSession", sessionId="s1", siteId="default", text="Bye")
    assert asked == StopListening("s1", "Bye", is_end=True)
    assert isinstance(asked, StopListening)
    (ended,) = one.stopped(asked)
    assert content(ended)["termination"] == {"reason": "nominal"}


def test_a_query_is_answered_and_nothing_more() -> None:
    one = site()
    query = Query("bed lamp to forty percent", "q1", "x")
    parsed, intent = one.answered(query, COMMAND)
    assert (parsed.topic, intent.topic) == ("hermes/nlu/intentParsed", "hermes/intent/set_brightness")
    assert (content(intent)["id"], content(intent)["sessionId"]) == ("q1", "x")
    (unknown,) = one.answered(query, Rejection("q", "not-a-command", "x"))
    assert unknown.topic == "hermes/nlu/intentNotRecognized"
    assert content(unknown)["input"] == "bed lamp to forty percent"
    limited = Query("bed lamp to forty percent", "q1", "x", ("turn_on",))
    assert one.answered(limited, COMMAND)[0].topic == "hermes/nlu/intentNotRecognized"


def test_the_name_of_an_intent_cannot_leave_its_level_of_the_topic() -> None:
    command = Command("u1", "../#/lights +on", (), "", 0, 1.0)
    one = site()
    (message,) = [message for step in (command, SENT) for message in one.of_step(step)]
    assert message.topic == "hermes/intent/.._lights_on"
    assert topics.is_topic(message.topic)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("nlu/query", b'{"siteId":"kitchen"}'),
        ("nlu/query", b'{"siteId":"kitchen","input":"' + b"x" * 401 + b'"}'),
        ("nlu/query", b'{"siteId":"kitchen","input":"' + b"x" * 5000 + b'"}'),
        ("tts/say", b'{"siteId":"kitchen","text":""}'),
        ("tts/say", rb'{"siteId":"kitchen","text":"\ud83d"}'),
        ("tts/say", b'{"siteId":"kitchen","text":7}'),
        ("tts/say", b"\xff"),
        ("tts/say", b"[1]"),
        ("tts/say", b"[" * 4000),
        ("asr/startListening", b'{"siteId":["kitchen"]}'),
        ("dialogueManager/startSession", b'{"siteId":"kitchen","init":{"type":"party"}}'),
        ("dialogueManager/endSession", b'{"siteId":"kitchen"}'),
    ],
)
def test_what_is_not_as_hermes_has_it_is_dropped_and_counted(name: str, payload: bytes) -> None:
    one = site()
    assert one.wish(f"hermes/{name}", payload, retained=False) is None
    assert one.unread == 1


def test_words_that_nothing_comes_of_do_not_pile_up() -> None:
    one = site()
    for number in range(100):
        told(one, heard("s3cret", f"u{number}"))
    late = told(one, Command("u0", "get_time", (), "time", 0, 1.0), Answer("u0", "Noon."))
    assert list(late) == ["intent/get_time"]


KEYS = st.sampled_from(["siteId", "sessionId", "input", "text", "id", "init", "intentFilter", "customData", "type"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("kitchen"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)


@given(
    st.sampled_from(InHermes.filters) | st.text(),
    st.binary() | st.dictionaries(KEYS, VALUES).map(lambda value: json.dumps(value).encode()),
)
def test_nothing_that_comes_in_raises(topic: str, payload: bytes) -> None:
    one = site()
    found = one.wish(topic, payload, retained=False)
    if isinstance(found, SayAloud | Query):
        assert len(found.text) <= 400
