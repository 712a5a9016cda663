"""What Home Assistant is told of us, and what it may want: one device, events without words, wishes within bounds."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeagent import __version__, topics
from edgeagent.act.dialects.dialect import Announcement
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.bridges.homeassistant import (
    AnnounceAgain,
    Condition,
    InHomeAssistant,
    ListenWish,
    MuteWish,
    SensitivityWish,
    ThresholdWish,
)
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
    When,
    Woken,
    Word,
)
from edgeagent.settings import AgentSettings, BrokerSettings, DeviceSettings, WakingSettings

ADDRESS = topics.Address("home", "kitchen-1")
UP, ORDERS = "ea/1/home/d/kitchen-1/up", "ea/1/home/d/kitchen-1/dn/ha"
LAMP = Device("ha:1", "Bed lamp", "light", frozenset({"power"}))
ACTION = Action("a1", "u1", LAMP, "power", "on")
COMMAND = Command("u1", "turn_on", (Slot("name", "Bed lamp", "s3cret"),), "s3cret words", 0, 0.87654)
CONDITION = Condition(devices=7, unsure_below=0.4, cutoff=0.7, hears=True)

# What each platform must have, by homeassistant/components/mqtt: MQTT_RO_SCHEMA (config.py) of event.py, sensor.py,
# binary_sensor.py and update.py; MQTT_RW_SCHEMA of switch.py and number.py; button.py; event_types in event.py.
REQUIRED: Mapping[str, set[str]] = {
    "event": {"state_topic", "event_types"},
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "update": {"state_topic"},
    "switch": {"command_topic"},
    "number": {"command_topic"},
    "button": {"command_topic"},
}
# What each may have beside that, of the same files; MQTT_ENTITY_COMMON_SCHEMA (schemas.py) for all.
COMMON = {"platform", "unique_id", "name", "icon", "entity_category", "device_class", "state_topic", "value_template"}
ALLOWED: Mapping[str, set[str]] = {
    "event": set(),
    "sensor": {"unit_of_measurement", "state_class"},
    "binary_sensor": {"payload_on", "payload_off"},
    "update": set(),
    "switch": {"payload_on", "payload_off"},
    "number": {"min", "max", "step"},
    "button": {"payload_press"},
}
# homeassistant/const.py (EntityCategory), sensor/const.py, binary_sensor/__init__.py.
CATEGORIES = {"config", "diagnostic"}
CLASSES = {("sensor", "duration"), ("sensor", "timestamp"), ("binary_sensor", "problem")}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def bridge(
    *, words: tuple[str, ...] = ("okay_nabu",), prefix: str = "homeassistant", model: str = "command-en"
) -> InHomeAssistant:
    settings = AgentSettings(
        device=DeviceSettings(id="kitchen-1", area="Kitchen"),
        broker=BrokerSettings(discovery_prefix=prefix),
        waking=WakingSettings(words=words),
    )
    return InHomeAssistant(settings, ADDRESS, model, "1.2", Clock(), lambda: 1_700_000_000.0)


def content(message: Message) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(message.payload)
    return parsed


def told(steps: list[Step], one: InHomeAssistant | None = None) -> list[Message]:
    one = one or bridge()
    return [message for step in steps for message in one.of_step(step)]


def events(messages: list[Message]) -> list[dict[str, Any]]:
    return [content(message) for message in messages if message.topic == f"{UP}/ha/event"]


def answers(messages: list[Message]) -> list[str]:
    return [message.payload.decode() for message in messages if message.topic == f"{UP}/ha/answer"]


def heard(utterance: str = "u1") -> Transcript:
    words = (Word("s3cret", 0.0, 0.5), Word("words", 0.5, 1.0))
    return Transcript(utterance, words, heard_s=1.09, ended_by="complete")


def test_the_announcement_is_one_device_that_home_assistant_takes() -> None:
    message = bridge().announcement()
    assert message.topic == "homeassistant/device/edgeagent_home_kitchen-1/config"
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", message.topic.split("/")[2])
    assert (message.qos, message.retain) == (1, True)
    config = content(message)
    assert config["device"]["identifiers"] == ["edgeagent_home_kitchen-1"]
    assert config["device"]["suggested_area"] == "Kitchen"
    assert config["device"]["sw_version"] == __version__
    assert config["origin"]["name"] == "edgeagent"
    assert config["availability_topic"] == f"{UP}/state"
    assert set(config) == {"device", "origin", "availability_topic", "availability_template", "components"}
    platforms = sorted(one["platform"] for one in config["components"].values())
    assert platforms == sorted(
        ["event", "switch", "button", "number", "number", "update", "binary_sensor"] + 5 * ["sensor"]
    )


def test_every_component_has_what_its_platform_requires_and_nothing_that_it_does_not_know() -> None:
    components = content(bridge().announcement())["components"]
    identities = [one["unique_id"] for one in components.values()]
    assert len(set(identities)) == len(identities)
    for one in components.values():
        platform = one["platform"]
        assert REQUIRED[platform] <= set(one) <= REQUIRED[platform] | ALLOWED[platform] | COMMON
        assert one.get("entity_category", "config") in CATEGORIES
        assert "device_class" not in one or (platform, one["device_class"]) in CLASSES
        for field in ("state_topic", "command_topic"):
            assert field not in one or topics.is_topic(one[field])
        if platform == "number":
            assert one["min"] < one["max"]
            assert one["step"] >= 1e-3


def test_the_update_entity_has_no_button_to_install_while_there_is_nothing_to_install() -> None:
    assert not {"command_topic", "payload_install"} & content(bridge().announcement())["components"]["model"].keys()


def test_what_is_not_there_is_taken_away_from_an_earlier_announcement() -> None:
    components = content(bridge(words=(), model="").announcement())["components"]
    assert components["sensitivity"] == {"platform": "number"}
    assert components["model"] == {"platform": "update"}


def test_a_device_that_is_announced_no_more_is_removed_by_an_empty_kept_payload() -> None:
    message = bridge().withdrawal()
    assert message == Message(bridge().announcement().topic, b"", qos=1, retain=True)


def test_the_topics_and_templates_are_those_of_what_we_publish() -> None:
    config = content(bridge().announcement())
    reported = {message.topic: message for message in bridge().states(CONDITION)}
    ours = {f"{UP}/state", f"{UP}/ha/event", f"{UP}/ha/answer", *reported}
    for one in config["components"].values():
        assert one.get("state_topic", f"{UP}/state") in ours
        if one.get("state_topic") == f"{UP}/ha/condition":
            (field,) = re.findall(r"value_json\.(\w+)", one["value_template"])
            assert field in content(reported[f"{UP}/ha/condition"])
    state = content(topics.state(ADDRESS, online=True, boot="b", seq=1, muted=True))
    assert {"online", "muted"} <= set(state)


def test_our_own_dialect_takes_the_announcement_for_no_thing_of_the_house() -> None:
    message = bridge().announcement()
    found = HomeAssistant().discover(message.topic, message.payload)
    assert isinstance(found, Announcement)
    assert found.entities == ()


def test_all_states_are_told_anew() -> None:
    condition, model = bridge().states(CONDITION)
    assert (condition.retain, model.retain) == (True, True)
    assert content(condition) == {
        "threshold": 0.4,
        "sensitivity": 0.3,
        "devices": 7,
        "hears": True,
        "decision_ms": None,
        "version": __version__,
        "started": "2023-11-14T22:13:20+00:00",
    }
    assert content(model) == {"installed_version": "1.2", "latest_version": "1.2", "title": "command-en"}


def test_a_condition_is_told_once_until_it_changes() -> None:
    one = bridge()
    one.states(CONDITION)
    assert one.state(CONDITION) == ()
    changed = Condition(devices=8, unsure_below=0.5, cutoff=None, hears=False)
    (message,) = one.state(changed)
    assert content(message)["devices"] == 8
    assert content(message)["sensitivity"] is None
    assert one.state(changed) == ()


def test_a_command_is_an_event_when_it_is_carried_out_and_another_when_it_is_done() -> None:
    steps: list[Step] = [heard(), COMMAND]
    one = bridge()
    assert told(steps, one) == []
    first = told([Published(ACTION, Message("bed/set", b"ON"))], one)
    assert events(first) == [
        {
            "event_type": "command",
            "area": "Kitchen",
            "intent": "turn_on",
            "confidence": 0.8765,
            "exit": 0,
            "slot_name": "Bed lamp",
        }
    ]
    assert all((message.qos, message.retain) == (0, False) for message in first)
    last = told([Outcome(ACTION, "done", 0.1), Answer("u1", "Bed lamp on.")], one)
    assert events(last) == [{"event_type": "done", "area": "Kitchen", "intent": "turn_on", "devices": 1}]
    assert answers(last) == ["Bed lamp on."]


def test_what_failed_is_an_event_with_the_reason() -> None:
    failed = Outcome(ACTION, "failed", 5.0, "does not answer")
    *_, last = events(told([COMMAND, failed, Answer("u1", "Bed lamp does not answer.", is_trouble=True)]))
    assert last["event_type"] == "failed"
    assert (last["devices"], last["failed_devices"], last["reason"]) == (1, 1, "does not answer")


def test_what_is_only_answered_is_a_command_and_has_no_outcome() -> None:
    messages = told([Command("u1", "get_time", (), "what time is it", 0, 1.0), Answer("u1", "It is noon.")])
    assert [event["event_type"] for event in events(messages)] == ["command"]
    assert answers(messages) == ["It is noon."]


def test_what_must_be_confirmed_is_a_command_only_after_the_yes() -> None:
    one = bridge()
    unlock = Command("u1", "unlock", (Slot("name", "Front door", "the door"),), "unlock the door", 0, 1.0)
    question = Question("u1", "confirm", "Shall I unlock the s3cret?", ("yes", "no"))
    asked = told([unlock, question, Answer("u1", question.prompt)], one)
    (event,) = events(asked)
    assert (event["event_type"], event["kind"], event["choices"]) == ("ambiguous", "confirm", ["yes", "no"])
    assert event["slot_name"] == "Front door"
    assert answers(asked) == []
    action = Action("a2", "u2", LAMP, "lock", "unlocked")
    yes = Command("u2", "confirm", (), "yes", 0, 1.0)
    (accepted,) = events(told([yes, Published(action, Message("door/set", b"UNLOCK"))], one))
    assert (accepted["event_type"], accepted["intent"], accepted["slot_name"]) == ("command", "unlock", "Front door")


def test_an_answer_to_which_one_is_the_command_with_what_was_chosen() -> None:
    one = bridge()
    which = Question("u1", "which", "Which?", ("kitchen", "office"))
    chosen = Command("u2", "choose", (Slot("area", "Office", "office"),), "the office", 0, 1.0)
    action = Action("a2", "u2", LAMP, "power", "on")
    *_, event = events(told([COMMAND, which, chosen, Published(action, Message("x", b""))], one))
    assert (event["intent"], event["slot_name"], event["slot_area"]) == ("turn_on", "Bed lamp", "Office")


def test_two_commands_of_one_sentence_are_two_events_and_come_to_two_ends() -> None:
    fan = Command("u1", "turn_off", (Slot("name", "Fan", "fan"),), "turn off the fan", 0, 1.0)
    done, failed = Outcome(ACTION, "done", 0.1), Outcome(ACTION, "failed", 5.0, "does not answer")
    answer = Answer("u1", "Said.")
    messages = told([COMMAND, fan, done, answer, failed, answer])
    found = [(event["event_type"], event["intent"]) for event in events(messages)]
    assert found == [("command", "turn_on"), ("done", "turn_on"), ("command", "turn_off"), ("failed", "turn_off")]


def test_what_follows_a_question_in_its_sentence_is_a_command_after_the_yes() -> None:
    unlock = Command("u1", "unlock", (Slot("name", "Front door", "door"),), "unlock the door", 0, 1.0)
    yes = Command("u2", "confirm", (), "yes", 0, 1.0)
    action = Action("a2", "u2", LAMP, "lock", "unlocked")
    steps: list[Step] = [unlock, COMMAND, Question("u1", "confirm", "?", ()), Answer("u1", "?"), yes]
    end: list[Step] = [Outcome(action, "done", 0.1), Answer("u2", "Said.")]
    found = [(event["event_type"], event["intent"]) for event in events(told([*steps, *end, *end]))]
    assert found[0] == ("ambiguous", "unlock")
    assert found[1:] == [("command", "unlock"), ("done", "unlock"), ("command", "turn_on"), ("done", "turn_on")]


def test_an_order_for_later_says_when() -> None:
    later = replace(COMMAND, when=When(clock="07:30", days=1))
    (event,) = events(told([later, Answer("u1", "Bed lamp on tomorrow at half past seven.")]))
    assert (event["when_clock"], event["when_days"]) == ("07:30", 1)


def test_a_refusal_tells_its_reason_and_what_was_understood() -> None:
    messages = told(
        [COMMAND, Rejection("u1", "not-able", "s3cret", "there is no s3cret"), Answer("u1", "There is no s3cret.")]
    )
    (event,) = events(messages)
    assert (event["event_type"], event["reason"], event["intent"]) == ("rejected", "not-able", "turn_on")
    assert answers(messages) == ["I cannot do that."]


@pytest.mark.parametrize("reason", ["no-words", "not-speech-we-know"])
def test_talk_that_was_for_nobody_is_no_event(reason: RejectionReason) -> None:
    assert told([heard(), Rejection("u1", reason, "s3cret")]) == []


def test_a_sentence_that_is_not_understood_is_an_event_only_where_the_device_was_called() -> None:
    steps: list[Step] = [heard(), Rejection("u1", "not-a-command", "s3cret")]
    assert [event["event_type"] for event in events(told(steps))] == ["rejected"]
    assert told(steps, bridge(words=())) == []


def test_a_wake_word_is_an_event() -> None:
    assert events(told([Woken("Okay Nabu")])) == [{"event_type": "wake", "area": "Kitchen", "word": "Okay Nabu"}]


def test_every_event_is_of_a_type_that_was_announced() -> None:
    types = content(bridge().announcement())["components"]["command"]["event_types"]
    every: list[Step] = [
        Woken("Okay Nabu"),
        COMMAND,
        Outcome(ACTION, "done", 0.1),
        Answer("u1", "On."),
        COMMAND,
        Outcome(ACTION, "failed", 0.1, "x"),
        Answer("u1", "No."),
        Question("u2", "which", "?", ()),
        Rejection("u3", "unsure"),
    ]
    assert {event["event_type"] for event in events(told(every))} == set(types)


def test_no_word_that_was_said_is_published() -> None:
    steps: list[Step] = [
        Transcript("u1", (Word("s3cret", 0.0, 1.0),), 1.0),
        heard(),
        COMMAND,
        Published(ACTION, Message("bed/set", b"ON")),
        Outcome(ACTION, "done", 0.1),
        Answer("u1", "Bed lamp on."),
        heard("u2"),
        Command("u2", "turn_on", (Slot("name", "lamp", "s3cret"),), "s3cret", 1, 0.6, "s3cret?", ("s3cret",)),
        Question("u2", "which", "Which s3cret?", ("kitchen", "office")),
        Answer("u2", "Which s3cret?"),
        heard("u3"),
        Rejection("u3", "no-such-device", "s3cret", "there is no s3cret", ("s3cret",)),
        Answer("u3", "There is no s3cret."),
    ]
    one = bridge()
    messages = [*one.states(CONDITION), *told(steps, one), *one.states(CONDITION)]
    assert len(messages) > 8
    assert not [message for message in messages if b"s3cret" in message.payload]


def test_the_decision_time_runs_from_the_last_word_to_the_order() -> None:
    clock = Clock()
    one = InHomeAssistant(AgentSettings(), ADDRESS, "command-en", "1.2", clock, lambda: 0.0)
    one.states(CONDITION)
    told([heard()], one)
    clock.now += 0.05
    messages = told([COMMAND, Published(ACTION, Message("x", b""))], one)
    condition = next(content(message) for message in messages if message.topic == f"{UP}/ha/condition")
    assert condition["decision_ms"] == 140


def test_the_last_answer_is_no_longer_than_a_state_may_be_and_told_again_on_demand() -> None:
    one = bridge()
    (message,) = told([Answer("timer 1", "long " * 100)], one)
    assert len(message.payload.decode()) == 255
    assert not message.retain
    assert message in one.states(CONDITION)


def test_half_characters_and_endless_names_do_not_get_out() -> None:
    command = Command(
        "u1", "turn_on", (Slot("name", "\ud83d" + "x" * 5000, ""), Slot("n", float("inf"), "")), "", 0, 1.0
    )
    (event,) = events(told([command, Published(ACTION, Message("x", b""))]))
    assert event["slot_name"] == "?" + "x" * 199
    assert event["slot_n"] is None
    assert answers(told([Answer("t", "\ud83d on.")])) == ["? on."]


def test_commands_whose_end_never_comes_do_not_pile_up() -> None:
    one = bridge()
    for number in range(1000):
        told([heard(f"u{number}"), Command(f"u{number}", "turn_on", (), "", 0, 1.0)], one)
    late = Action("a", "u0", LAMP, "power", "on")
    fresh = Action("a", "u999", LAMP, "power", "on")
    assert told([Published(late, Message("x", b""))], one) == []
    assert len(events(told([Published(fresh, Message("x", b""))], one))) == 1


@pytest.mark.parametrize(
    ("topic", "payload", "wish"),
    [
        (f"{ORDERS}/mute", b"ON", MuteWish(on=True)),
        (f"{ORDERS}/mute", b"OFF", MuteWish(on=False)),
        (f"{ORDERS}/listen", b"PRESS", ListenWish()),
        (f"{ORDERS}/threshold", b"0.55", ThresholdWish(0.55)),
        (f"{ORDERS}/threshold", b"1", ThresholdWish(1.0)),
        (f"{ORDERS}/sensitivity", b"0.3", SensitivityWish(0.7)),
        (f"{ORDERS}/sensitivity", b"0.99", SensitivityWish(0.01)),
        ("homeassistant/status", b"online", AnnounceAgain()),
    ],
)
def test_what_is_pressed_in_home_assistant_is_wished(topic: str, payload: bytes, wish: object) -> None:
    one = bridge()
    assert any(topics.matches(pattern, topic) for pattern in one.filters)
    assert one.wish(topic, payload, retained=False) == wish
    assert one.unread == 0
    assert one.wish(topic, payload, retained=True) is None


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (f"{ORDERS}/mute", b"on"),
        (f"{ORDERS}/mute", b""),
        (f"{ORDERS}/listen", b"PRESS" * 100),
        (f"{ORDERS}/threshold", b"1.01"),
        (f"{ORDERS}/threshold", b"-0.1"),
        (f"{ORDERS}/threshold", b"nan"),
        (f"{ORDERS}/threshold", b"1_0"),
        (f"{ORDERS}/threshold", "\u0661".encode()),
        (f"{ORDERS}/sensitivity", b"1"),
        (f"{ORDERS}/install", b"install"),
        (f"{ORDERS}/mute/x", b"ON"),
        ("mute", b"ON"),
    ],
)
def test_whatever_was_not_announced_is_dropped_and_counted(topic: str, payload: bytes) -> None:
    one = bridge()
    assert one.wish(topic, payload, retained=False) is None
    assert one.unread == 1


def test_sensitivity_is_nothing_to_wish_for_without_wake_words() -> None:
    assert bridge(words=()).wish(f"{ORDERS}/sensitivity", b"0.3", retained=False) is None


def test_sensitivity_comes_back_as_it_was_wished() -> None:
    one = bridge()
    wish = one.wish(f"{ORDERS}/sensitivity", b"0.35", retained=False)
    assert isinstance(wish, SensitivityWish)
    WakingSettings(cutoff=wish.cutoff)
    condition, _ = one.states(Condition(0, 0.4, wish.cutoff, hears=True))
    assert content(condition)["sensitivity"] == 0.35


def test_a_start_of_home_assistant_is_heard_of_on_both_topics_where_the_prefix_is_another() -> None:
    one = bridge(prefix="discovery")
    assert {"discovery/status", "homeassistant/status"} < set(one.filters)
    assert one.announcement().topic.startswith("discovery/device/")
    assert one.wish("homeassistant/status", b"online", retained=False) == AnnounceAgain()
    assert one.wish("discovery/status", b"offline", retained=False) is None
    assert one.unread == 0


KNOWN = [f"{ORDERS}/{what}" for what in ("mute", "listen", "threshold", "sensitivity")] + ["homeassistant/status"]


@given(st.sampled_from(KNOWN) | st.text(), st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_nothing_that_comes_in_raises_and_what_is_wished_is_within_bounds(topic: str, payload: bytes) -> None:
    match bridge().wish(topic, payload, retained=False):
        case ThresholdWish(unsure_below=value):
            assert 0 <= value <= 1
        case SensitivityWish(cutoff=value):
            assert 0 < value <= 1
