"""A61: what leaves the device for the fleet has no keys, passwords, tokens, sound, nor words that were said."""

import base64
import json
import logging
import os
from typing import Any

import pytest

from edgeagent.fleet.diagnostics import ROOM_BYTES, fitting, packed, unpacked
from edgeagent.fleet.log_lines import MOST_LINES, LogLines
from edgeagent.fleet.redacting import REDACTED, Redactor, Said, secrets_of
from edgeagent.fleet.wire import LARGEST_BYTES
from edgeagent.messages import Answer, Command, Question, Rejection, Slot, Transcript, Word
from edgeagent.settings import parse
from edgeagent.timeline import as_row

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIOplanted\nkeyplanted\n-----END EC PRIVATE KEY-----"
SOUND = base64.b64encode(os.urandom(1_024)).decode()
PLANTED: dict[str, tuple[str, str]] = {
    "a key": (f"found {KEY} there", "planted"),
    "a key in JSON": (json.dumps({"x": KEY}), "planted"),
    "half a key": ("-----BEGIN PRIVATE KEY-----\nplanted", "planted"),
    "a known password": ("it was xK7-known-pass.", "xK7-known-pass"),
    "a password by its name": ('password="hunter2-planted"', "hunter2-planted"),
    "a password in JSON": ('{"mqtt_password": "hunter2-planted"}', "hunter2-planted"),
    "a password in TOML": ("password = 'hunter2-planted'", "hunter2-planted"),
    "a token": ("token: abcplanted", "abcplanted"),
    "an API key": ("api_key=planted123", "planted123"),
    "a header": ("Authorization: Bearer abcdef.planted", "planted"),
    "an address with a password": ("https://user:planted@updates.example/x", "planted"),
    "an address with a token": ("https://planted@updates.example/x", "planted"),
    "an address with a password that has an @": ("https://user:pl@nted@updates.example/x", "nted"),
    "sound": (f"frame {SOUND}", SOUND[:40]),
    "sound as Python shows it": (repr(b"\x00\x01\x80\xff" * 40), r"\x80\xff\x00"),
    "words": ("heard text=turn on the secret lamp", "secret lamp"),
    "words in other clothes": ("Turn  on the\nSECRET lamp!", "SECRET"),
}
REDACTOR = Redactor(["xK7-known-pass", "no"], ["turn on the secret lamp"])


@pytest.mark.parametrize("what", PLANTED)
def test_a61_what_is_planted_does_not_get_out(what: str) -> None:
    text, secret = PLANTED[what]
    assert secret in text
    assert secret not in REDACTOR.text(text)
    told = json.dumps(REDACTOR.value({"deep": [{"er": (text,)}]}))
    assert secret not in json.loads(told)["deep"][0]["er"][0]


def test_what_is_worth_reading_stays() -> None:
    for text in (
        'info    link: bus connected broker="10.0.0.1:8883" mqtt="5" session=true',
        "release 4f2a91bb0c4f2a91bb0c4f2a91bb0c4f2a91bb0c4f2a91bb0c4f2a91bb0c4f2a installed",
        "nobody knows",  # a secret of two letters would blank every text
    ):
        assert REDACTOR.text(text) == text
    assert REDACTOR.value({"a": 1, "b": None, "c": [True, 2.5]}) == {"a": 1, "b": None, "c": [True, 2.5]}
    assert REDACTOR.value({"password": "short"}) == {"password": "[redacted]"}


def test_a61_words_that_were_said_are_found_in_whatever_line_they_stand() -> None:
    said = Said()
    steps: list[Any] = [
        Transcript("u1", (Word("open", 0, 1), Word("the", 1, 2), Word("safe", 2, 3)), 1.0, ended_by="silence"),
        Rejection("u2", "not-a-command", "call my doctor now"),
        Command("u3", "turn_on", (Slot("name", "lamp", "lamp"),), "switch the lamp on please", 0, 1.0),
        Question("u4", "confirm", "Shall I open the safe?", ("yes", "no")),
        Answer("u5", "The safe is open."),
    ]
    for step in steps:
        said.note(step)
    redactor = Redactor((), said.sentences())
    for text in ("open the safe", "call my doctor now", "switch the lamp on please", "The safe is open."):
        assert redactor.text(f"x {text} y") == "x [words] y"
    for number in range(1_000):
        said.note(Rejection("u", "not-a-command", f"sentence number {number}"))
    assert len(said.sentences()) == 300


def log_of(lines: LogLines, row: dict[str, Any], name: str = "edgeagent.cli.run") -> None:
    record = logging.makeLogRecord({"name": name, "levelno": logging.INFO, "levelname": "INFO", "msg": "step", **row})
    lines.handle(record)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a61_the_log_that_is_kept_has_no_words_unless_the_owner_shares_them(*, is_shared: bool) -> None:
    lines = LogLines(with_words=is_shared)
    steps: list[Any] = [
        Transcript("u1", (Word("s3cret", 0, 1), Word("wish", 0, 1)), 1.0, ended_by="silence"),
        Rejection("u2", "not-a-command", "s3cret", "s3cret", ("s3cret",)),
        Command("u3", "say", (Slot("text", "s3cret", "s3cret"),), "s3cret", 0, 1.0, "s3cret", ("s3cret",)),
        Question("u4", "which", "s3cret?", ("s3cret", "other"), ("s3cret",)),
        Answer("u5", "s3cret."),
    ]
    for step in steps:
        log_of(lines, as_row(step))
    text = "\n".join(lines.since())
    assert len(lines.since()) == len(steps)
    assert ("s3cret" in text) == is_shared
    assert '"say"' in text, "the intent is told"


def test_the_log_that_is_kept_is_bounded_and_can_be_asked_for_its_end() -> None:
    lines = LogLines()
    for number in range(MOST_LINES + 500):
        log_of(lines, {"created": float(number), "number": number, "long": "y" * 5_000})
    assert len(lines.since()) == MOST_LINES
    assert all(len(line) < 1_100 for line in lines.since())
    assert len(lines.since(most=3)) == 3
    assert len(lines.since(MOST_LINES + 490.0)) == 10
    assert "number=500 " in lines.since()[0]


def test_a_bundle_fits_into_a_message_and_loses_its_oldest_lines_first() -> None:
    lines = [f"{number} {os.urandom(60).hex()[:100]} end" for number in range(20_000)]
    result = packed({"version": "1", "password": "hunter2"}, lines, REDACTOR)
    assert len(json.dumps(result)) < LARGEST_BYTES
    bundle = unpacked(result)
    assert bundle["version"] == "1"
    assert bundle["password"] == REDACTED
    assert bundle["log"][-1] == lines[-1]
    assert 0 < len(bundle["log"]) == result["lines"] < len(lines)


def test_a_part_that_is_too_large_is_left_out_and_named() -> None:
    parts = {"version": "1", "huge": [os.urandom(40).hex() for _ in range(10_000)]}
    bundle = unpacked(packed(parts, ["last line"], REDACTOR))
    assert bundle == {"version": "1", "log": [], "left_out": ["huge"]}
    with pytest.raises(ValueError, match="empty bundle"):
        packed({}, [], REDACTOR, largest=10)
    assert ROOM_BYTES < LARGEST_BYTES


@pytest.mark.parametrize("result", [{}, {"form": "zip"}, {"form": "gzip+base64", "content": "!"}])
def test_what_is_no_bundle_is_refused(result: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked(result)


def test_of_too_many_lines_the_last_ones_are_told() -> None:
    lines = [f"line {number} " + "z" * 100 + " ." for number in range(5_000)]
    found = fitting(lines, REDACTOR)
    assert 100 < len(found) < 5_000
    assert found[-1] == lines[-1]


def test_a87_every_password_in_the_settings_is_known_wherever_it_stands() -> None:
    settings = parse(
        '[broker]\nhost = "a"\npassword = "one"\n[fleet.broker]\nhost = "b"\npassword = "two"\n'
        '[sparkplug]\nhost_id = "h"\n[sparkplug.broker]\nhost = "c"\npassword = "three"\n'
    )
    assert sorted(secrets_of(settings)) == ["one", "three", "two"]
