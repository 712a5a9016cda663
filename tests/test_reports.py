"""What the fleet is told: that we are there, and what was asked and done; never what was said."""

import json
from typing import Any

import pytest

from edgeagent import __version__
from edgeagent.fleet.wire import Birth, read
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
    Slot,
    Step,
    Transcript,
    Word,
)
from edgeagent.reports import Reports
from edgeagent.settings import DeviceSettings

UP = "ea/1/plant/d/hall-3/up"
LAMP = Action("a1", "u1", Device("ha:1", "Bed", "light", frozenset({"power"})), "power", "on")
TOLD: dict[str, Step] = {
    "command": Command("u1", "turn_on", (Slot("name", "bed", "s3cret"),), "s3cret", 0, 1.0),
    "rejection": Rejection("u1", "not-a-command", "s3cret", "s3cret"),
    "question": Question("u1", "confirm", "s3cret?", ("yes", "no")),
    "outcome": Outcome(LAMP, "done", 0.1),
}
KEPT: list[Step] = [
    Transcript("u1", (Word("s3cret", 0.0, 1.0),), 1.0),
    Transcript("u1", (Word("s3cret", 0.0, 1.0),), 1.0, ended_by="silence"),
    Published(LAMP, Message("bed/set", b"ON")),
    Answer("u1", "s3cret."),
]


def reports() -> Reports:
    return Reports(DeviceSettings(id="hall-3", fleet="plant"), lambda: 1234.56789)


def payload(message: Message | None) -> dict[str, Any]:
    assert message is not None
    parsed: dict[str, Any] = json.loads(message.payload)
    return parsed


def test_a_connection_begins_with_who_we_are_and_that_we_are_there() -> None:
    birth, state = reports().greetings()
    assert (birth.topic, state.topic) == (f"{UP}/birth", f"{UP}/state")
    assert all(message.retain and message.qos == 1 for message in (birth, state))
    assert payload(birth)["version"] == __version__
    assert payload(birth)["capabilities"] == ["confirm", "listen", "mute", "say"]
    assert payload(state)["online"] is True


def test_the_will_says_that_we_were_lost_in_the_place_of_our_state() -> None:
    ours = reports()
    assert ours.will.topic == ours.state(online=True).topic
    assert ours.will.retain
    assert (payload(ours.will)["online"], payload(ours.will)["reason"]) == (False, "lost")


def test_what_is_told_is_numbered_in_the_order_in_which_it_happened() -> None:
    ours = reports()
    messages = [ours.greetings()[1], *map(ours.event, TOLD.values()), ours.greetings()[1]]
    messages.append(ours.state(online=False, reason="stopped"))
    assert [payload(message)["seq"] for message in messages] == list(range(1, 8))


def test_what_stays_here_uses_no_number() -> None:
    ours = reports()
    assert [ours.event(step) for step in KEPT] == [None] * len(KEPT)
    assert payload(ours.state(online=True))["seq"] == 1


def test_every_run_has_a_name_that_all_of_its_messages_bear() -> None:
    ours = reports()
    messages = [ours.will, *ours.greetings(), *map(ours.event, TOLD.values())]
    (name,) = {payload(message)["boot"] for message in messages}
    assert name != payload(reports().will)["boot"]


@pytest.mark.parametrize("kind", TOLD)
def test_an_event_says_what_and_when_but_not_the_words(kind: str) -> None:
    message = reports().event(TOLD[kind])
    assert message is not None
    assert message.topic == f"{UP}/event/{kind}"
    assert (message.qos, message.retain) == (1, False)
    assert payload(message)["utterance"] == "u1"
    assert payload(message)["at"] == 1234.568
    assert b"s3cret" not in message.payload


def test_a_state_says_when_by_our_clock_but_a_will_which_is_said_later_does_not() -> None:
    ours = reports()
    assert payload(ours.state(online=True))["at"] == 1234.568
    assert "at" not in payload(ours.will)


def test_a_birth_tells_what_a_fleet_wants_to_know_beside() -> None:
    about: dict[str, str | float] = {"board": "rpi4", "desired": 3, "job": "j1", "certificate_until": 1_800_000_000}
    told = payload(Reports(DeviceSettings(), about=lambda: about).greetings()[0])
    assert about.items() <= told.items()
    assert read(Birth, json.dumps(told).encode()).desired == 3


@pytest.mark.parametrize("kind", TOLD)
def test_the_words_are_told_only_by_a_device_whose_owner_shares_them(kind: str) -> None:
    message = Reports(DeviceSettings(), with_words=True).event(TOLD[kind])
    assert message is not None
    assert (b"s3cret" in message.payload) == (kind != "outcome")
