"""A labelled folder becomes cases; what is wrong in it is named by file and entry."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeagent.errors import SettingsError
from edgeagent.evaluate.cases import Case, Meaning, load_cases, meaning_of
from edgeagent.evaluate.household import names_of
from edgeagent.grammar import commands
from edgeagent.grammar.automaton import compile_commands
from edgeagent.messages import Command, Slot

GRAMMAR = compile_commands(
    commands.parse("intents: {dim: {data: [{sentences: ['dim to {0..100:level}'], slots: {how: fast}}]}}", "F")
)


def labelled(folder: Path, labels: Any) -> Path:
    (folder / "a.wav").write_bytes(b"")
    (folder / "labels.json").write_text(labels if isinstance(labels, str) else json.dumps(labels))
    return folder


def expected(folder: Path, label: Any) -> Meaning | None:
    (case,) = load_cases(labelled(folder, {"a.wav": label}), GRAMMAR)
    assert case.path == folder / "a.wav"
    return case.expected


def test_labels_say_what_must_come_of_a_file(tmp_path: Path) -> None:
    dim = Meaning("dim", (("level", 20.0),))
    assert expected(tmp_path, {"intent": "dim", "slots": {"level": "20"}}) == dim
    assert expected(tmp_path, {"intent": "dim", "slots": {"level": 20}}) == dim
    assert expected(tmp_path, {"said": "Dim to 20"}) == dim
    assert expected(tmp_path, {"intent": None}) is None
    assert expected(tmp_path, {"said": None}) is None
    assert expected(tmp_path, {"intent": "stop"}) == Meaning("stop", ())


def test_what_was_said_may_stand_beside_the_meaning(tmp_path: Path) -> None:
    def case(label: Any) -> Case:
        (one,) = load_cases(labelled(tmp_path, {"a.wav": label}), GRAMMAR)
        return one

    dim = {"intent": "dim", "slots": {"level": 20}}
    assert case({**dim, "said": "Make it 20, please!"}).said == ("make", "it", "twenty", "please")
    assert case({**dim, "said": "Make it 20, please!"}).expected == Meaning("dim", (("level", 20.0),))
    assert case({"intent": None, "said": "hello there"}) == Case(tmp_path / "a.wav", None, ("hello", "there"))
    assert case({"said": "dim to 20"}).said == ("dim", "to", "twenty")
    assert case(dim).said is case({"said": None}).said is None


def test_a_text_that_the_grammar_lacks_can_never_be_right(tmp_path: Path) -> None:
    assert expected(tmp_path, {"said": "dance"}) == Meaning("?", (("said", "dance"),))


def test_a_command_is_compared_by_what_was_said() -> None:
    slots = (Slot("how", "fast", ""), Slot("level", 20.0, "twenty"))
    assert meaning_of(Command("u1", "dim", slots, "", 0, 1.0)) == Meaning("dim", (("level", 20.0),))


def test_a_thing_called_nan_equals_itself(tmp_path: Path) -> None:
    label = {"intent": "call", "slots": {"name": "Nan"}}
    assert expected(tmp_path, label) == expected(tmp_path, label) == Meaning("call", (("name", "nan"),))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("{", "labels.json: not JSON"),
        ("[" * 100_000, "labels.json: not JSON"),
        ([], "labels.json: expected an object"),
        ({}, "labels.json: expected an object"),
        ({"b.wav": {"intent": None}}, "labels.json: b.wav: there is no such file"),
        ({"a.wav": None}, "labels.json: a.wav: expected"),
        ({"a.wav": {}}, "labels.json: a.wav: expected"),
        ({"a.wav": {"said": 5}}, "labels.json: a.wav: expected a sentence or null"),
        ({"a.wav": {"intent": None, "said": 5}}, "labels.json: a.wav: expected a sentence or null"),
        ({"a.wav": {"intent": "x", "said": ["y"]}}, "labels.json: a.wav: expected a sentence or null"),
        ({"a.wav": {"intent": None, "said": "la " * 65}}, "labels.json: a.wav: expected at most 64 words"),
        ({"a.wav": {"intent": 5}}, "labels.json: a.wav: expected a name"),
        ({"a.wav": {"intent": "x", "slots": []}}, None),
        ({"a.wav": {"intent": "x", "slots": [1]}}, "labels.json: a.wav: expected a name"),
        ({"a.wav": {"intent": "x", "slots": {"y": [1]}}}, "labels.json: a.wav: expected words and numbers"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_entry(tmp_path: Path, labels: Any, message: str | None) -> None:
    labelled(tmp_path, labels)
    if message is None:
        assert load_cases(tmp_path, GRAMMAR)
        return
    with pytest.raises(SettingsError, match=message) as caught:
        load_cases(tmp_path, GRAMMAR)
    assert caught.value.remedy


def test_a_folder_without_labels_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"labels\.json: No such file"):
        load_cases(tmp_path, GRAMMAR)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b", "expected a list of devices"),
        ("- [", "not YAML"),
        ("- x", r"y\[0\]: expected {name, kind, area}"),
        ("- {name: a, kind: light}\n- {name: b}", r"y\[1\]: expected {name, kind, area}"),
        ("- {name: a, kind: lamp}", r"y\[0\]: kind is one of light"),
        ("- {name: a, kind: [light]}", r"y\[0\]: kind is one of light"),
        ("- {name: on, kind: light}", r"y\[0\]: expected a name, found True"),
        ("- {name: a, kind: light, area: [x]}", r"y\[0\]: expected a name"),
    ],
)
def test_a_household_that_is_wrong_is_named_by_entry(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "y").write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        names_of(tmp_path / "y")
    assert caught.value.remedy


def test_a_household_gives_its_names(tmp_path: Path) -> None:
    (tmp_path / "y").write_text("- {name: Bed Light, kind: light, area: Bedroom}\n- {name: 5, kind: lock}")
    names = names_of(tmp_path / "y")
    assert ("bed light", "bed light") in names["light"]
    assert names_of(None)["light"] == ()
