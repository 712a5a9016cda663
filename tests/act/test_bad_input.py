"""What devices, brokers and people get wrong, by the numbers of the list of attacks: nothing breaks or is done."""

import json

import pytest
from homes import Talk, announce, asked, everything, orders, refused
from hypothesis import given
from hypothesis import strategies as st

from edgeagent.act.devices import Devices
from edgeagent.act.dialects.all import dialects_of
from edgeagent.act.dialects.homeassistant import HomeAssistant
from edgeagent.act.plan import Plan
from edgeagent.messages import Question, Transcript, Word
from edgeagent.settings import AgentSettings
from edgeagent.understand.interpret import Interpreter

TOPICS = (
    "homeassistant/light/lamp/config",
    "homeassistant/device/lamp/config",
    "zigbee2mqtt/bridge/devices",
    "zigbee2mqtt/bridge/groups",
    "tasmota/discovery/DC4F224A1B2C/config",
    "tasmota/discovery/DC4F224A1B2C/sensors",
    "homie/5/lamp/$description",
    "homie/5/lamp/$state",
)
GARBAGE = (
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"NaN",
    b'{"a": NaN}',
    b'{"name": "x", "name": "y"}',
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'"' + b"x" * 200_000 + b'"',
    json.dumps({"name": "x", "command_topic": 5, "unique_id": ["a"]}).encode(),
    json.dumps([{"type": "Router", "friendly_name": None, "definition": {"exposes": "all"}}]).encode(),
)


TRAPS = ("Lights off", "Everything", "All the lights", "Stop", "Yes", "🔥🔥", "0x00158d0001abcdef")


def registry() -> Devices:
    return Devices(dialects_of(AgentSettings()))


@pytest.mark.parametrize("topic", TOPICS)
def test_a44_oversize_garbage_nested_nan_and_doubled_keys_are_dropped(topic: str) -> None:
    devices = registry()
    for payload in GARBAGE:
        assert devices.receive(topic, payload, 0.0) == ()
    assert devices.all_devices() == ()


@given(st.sampled_from(TOPICS), st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_a44_whatever_is_announced_nothing_is_raised(topic: str, payload: bytes) -> None:
    devices = registry()
    devices.receive(topic, payload, 0.0)
    devices.names()


def test_a69_a_number_that_was_hardly_heard_is_asked_about() -> None:
    talk = Talk(everything())
    interpreter: Interpreter = talk.interpreter
    words = ["set", "the", "kitchen", "light", "to", "fifteen", "percent"]
    said = tuple(Word(word, 0.0, 0.0, 0.2 if word == "fifteen" else 0.9) for word in words)
    heard = interpreter.interpret(Transcript("u1", said, 1.0, ended_by="silence"))
    assert getattr(heard, "doubt", "")
    assert isinstance(talk.hear(heard), Question)


def test_a69_lock_is_never_taken_for_unlock_nor_the_other_way_round() -> None:
    talk = Talk(everything())
    assert orders(talk.say("lock the front door")) == [("Front door", "lock", "locked")]
    assert asked(talk.say("unlock the front door")) == ("yes", "no")


@pytest.mark.parametrize(
    "said",
    [
        "yeah no",
        "yeah go ahead please and go ahead please",
        "yes no",
        "no yes",
        "yes but not now",
        "maybe",
        "what",
        "lights off",
    ],
)
def test_a70_a_guarded_action_is_not_done_without_a_plain_confirmation(said: str) -> None:
    talk = Talk(everything())
    assert asked(talk.say("unlock the front door")) == ("yes", "no")
    for words in (said, "yes"):
        done = talk.say(words)
        assert not isinstance(done, Plan) or all(action.capability != "lock" for action in done.actions)


def test_a72_two_devices_of_one_name_are_asked_about() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "a", "Fan", "Kitchen")
    announce(devices, "switch", "b", "Fan", "Bedroom")
    assert set(asked(Talk(devices).say("turn on the fan"))) == {"Kitchen", "Bedroom"}


def test_a72_two_devices_that_nothing_tells_apart_are_refused_with_what_to_do() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "a", "Fan", "Kitchen")
    announce(devices, "switch", "b", "Fan", "Kitchen")
    reason, detail = refused(Talk(devices).say("turn on the fan"))
    assert (reason, "give one another name" in detail) == ("not-able", True)


def test_a76_a_device_that_claims_anothers_id_is_shown_and_never_obeyed() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "kettle", "Kettle", "Kitchen")
    thief = {"name": "Kettle", "unique_id": "kettle", "command_topic": "thief/set", "state_topic": "thief"}
    devices.receive("homeassistant/switch/thief/config", json.dumps(thief).encode(), 0.0)
    (conflict,) = devices.conflicts
    assert conflict.claimed_by == "homeassistant/switch/thief/config"
    entity = devices.entity("homeassistant:switch:kettle")
    assert entity is not None
    assert entity.source == "homeassistant/switch/kettle/config"


def test_two_areas_of_one_name_are_one_area() -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "light", "a", "Lamp", "Living Room")
    announce(devices, "light", "b", "Spot", "living-room")
    found = orders(Talk(devices).say("turn on the lights in the living room"))
    assert {name for name, _, _ in found} == {"Lamp", "Spot"}


@pytest.mark.parametrize(
    "name", ["Lights off", "Everything", "All the lights", "Stop", "Yes", "🔥🔥", "0x00158d0001abcdef"]
)
def test_a_device_named_like_a_command_or_like_nothing_is_no_word_of_the_grammar(name: str) -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "light", "lamp", "Lamp", "Kitchen")
    announce(devices, "switch", "trap", name, "Hall")
    for said in ("lights off", "turn off all the lights", "stop", "yes", "turn off everything"):
        done = Talk(devices).say(said)
        assert not isinstance(done, Plan) or all(action.device.name == "Lamp" for action in done.actions), said


@pytest.mark.parametrize(("name", "said"), [("7", "seven"), ("Lamp 2", "lamp two"), ("Küche 💡", "küche")])
def test_a_device_named_with_a_number_or_an_emoji_is_called_by_its_words(name: str, said: str) -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "it", name)
    assert orders(Talk(devices).say(f"turn on {said}")) == [(name, "power", "on")]


@pytest.mark.parametrize("name", ["電灯", "Лампа", "مصباح"])
def test_a_device_in_another_script_is_known_and_left_out_of_speech_or_said_as_it_is_spelled(name: str) -> None:
    devices = Devices([HomeAssistant()])
    announce(devices, "switch", "it", name)
    called = devices.names()
    assert [one.name for one in devices.all_devices()] == [name]
    assert called.devices or called.left_out
