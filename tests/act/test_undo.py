"""Undo that: the last order is put back as it was."""

import pytest
from homes import Talk, announce, asked, known, orders, refused

from edgeagent.act.devices import Devices
from edgeagent.act.undo import REMEMBERED_S


def house() -> tuple[Devices, Talk]:
    devices = known()
    announce(devices, "light", "lamp", "Desk lamp", bri_cmd_t="lamp/bri/set", bri_stat_t="lamp/bri", bri_scl=100)
    announce(devices, "switch", "kettle", "Kettle")
    announce(devices, "lock", "door", "Front door")
    announce(devices, "scene", "movie", "Movie night")
    return devices, Talk(devices)


def told(devices: Devices, **states: str) -> None:
    for topic, payload in states.items():
        devices.receive(topic.replace("__", "/"), payload.encode(), 0.0)


@pytest.mark.parametrize("said", ["undo that", "please undo it", "take that back", "put it back the way it was"])
def test_what_was_switched_is_switched_back(said: str) -> None:
    devices, talk = house()
    told(devices, kettle="ON")
    assert orders(talk.say("turn off the kettle")) == [("Kettle", "power", "off")]
    told(devices, kettle="OFF")
    assert orders(talk.say(said)) == [("Kettle", "power", "on")]


def test_a_number_goes_back_to_what_it_was_and_a_lamp_that_was_off_is_off() -> None:
    devices, talk = house()
    told(devices, lamp="ON", lamp__bri="30")
    talk.say("set the desk lamp to eighty percent")
    told(devices, lamp__bri="80")
    assert orders(talk.say("undo that")) == [("Desk lamp", "brightness", 30.0)]
    told(devices, lamp="OFF")
    talk.say("set the desk lamp to ten percent")
    assert orders(talk.say("undo that")) == [("Desk lamp", "power", "off")]


def test_undoing_twice_does_it_again() -> None:
    devices, talk = house()
    told(devices, kettle="OFF")
    talk.say("turn on the kettle")
    told(devices, kettle="ON")
    talk.say("undo that")
    told(devices, kettle="OFF")
    assert orders(talk.say("undo that")) == [("Kettle", "power", "on")]


def test_all_of_an_order_is_put_back_and_only_what_it_changed() -> None:
    devices, talk = house()
    announce(devices, "light", "shelf", "Shelf lamp")
    told(devices, lamp="ON", shelf="OFF")
    assert len(orders(talk.say("turn off all the lights"))) == 2
    assert orders(talk.say("undo that")) == [("Desk lamp", "power", "on")]


def test_a_blind_goes_back_to_where_it_was() -> None:
    devices, talk = house()
    announce(devices, "cover", "blind", "Office blind", pos_t="blind/pos", set_pos_t="blind/pos/set")
    told(devices, blind__pos="30")
    assert orders(talk.say("close the office blind")) == [("Office blind", "opening", "closed")]
    assert orders(talk.say("undo that")) == [("Office blind", "position", 30.0)]


def test_a_stop_has_no_way_back() -> None:
    devices, talk = house()
    announce(devices, "switch", "press", "Press", edgeagent_kind="machine")
    told(devices, press="ON")
    assert orders(talk.say("stop the press")) == [("Press", "run", "stopped")]
    assert refused(talk.say("undo that"))[0] == "not-able"
    talk.say("emergency stop")
    assert refused(talk.say("undo that"))[0] == "not-able"


def test_what_unlocks_again_is_asked_about() -> None:
    devices, talk = house()
    told(devices, door="UNLOCKED")
    assert orders(talk.say("lock the front door")) == [("Front door", "lock", "locked")]
    assert asked(talk.say("undo that")) == ("yes", "no")
    assert orders(talk.say("yes")) == [("Front door", "lock", "unlocked")]


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ("", "nothing was done just now"),
        ("turn on the kettle", "nobody knows what Kettle was before"),
        ("activate movie night", "nobody knows what Movie night was before"),
    ],
)
def test_what_cannot_be_undone_is_said_so(said: str, detail: str) -> None:
    _, talk = house()
    if said:
        talk.say(said)
    assert refused(talk.say("undo that")) == ("not-able", detail)


def test_what_changed_nothing_is_not_undone() -> None:
    devices, talk = house()
    told(devices, kettle="ON")
    talk.say("turn on the kettle")
    assert refused(talk.say("undo that")) == ("not-able", "Kettle was so before")


def test_an_order_of_long_ago_is_not_meant() -> None:
    devices, talk = house()
    told(devices, kettle="ON")
    talk.say("turn off the kettle")
    talk.now_s += REMEMBERED_S + 1
    assert refused(talk.say("undo that")) == ("not-able", "nothing was done just now")


def test_a_question_that_was_not_confirmed_changed_nothing() -> None:
    devices, talk = house()
    told(devices, door="LOCKED", kettle="ON")
    talk.say("turn off the kettle")
    talk.say("unlock the front door")
    assert orders(talk.say("undo that")) == [("Kettle", "power", "on")]


def test_a_state_that_nobody_can_order_is_no_way_back() -> None:
    devices, talk = house()
    told(devices, door="JAMMED")
    talk.say("lock the front door")
    assert refused(talk.say("undo that"))[0] == "not-able"
