"""What an owner teaches is understood exactly and tolerantly, changes nothing else, and can be taken back."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.errors import SettingsError
from edgeagent.evaluate.judging import Judge
from edgeagent.messages import Command, Interpretation, Rejection
from edgeagent.settings import UnderstandingSettings
from edgeagent.understand.interpret import Interpreter
from edgeagent.understand.taught import MOST_LESSONS, Taught, add_lessons, load_taught, parse_lessons, take_back
from edgeagent.understand.text import typed
from edgeagent.understanding import interpreter_of, load_model

LESSONS = """
teach:
  - say: ["cosy time", "make it cosy [in here]"]
    means: dim the reading lamp to twenty percent
  - say: ["i am expecting a parcel"]
    means: unlock the front door
"""


@pytest.fixture(scope="module")
def home() -> Judge:
    return Judge("home", None)


@pytest.fixture(scope="module")
def taught(home: Judge) -> Interpreter:
    lessons = Taught(parse_lessons(LESSONS, "lessons.yaml"))
    model = load_model(UnderstandingSettings())
    kinds = {device.kind for device in home.home.all_devices()}
    return interpreter_of(home.commands, home.home.lists, kinds, model, unsure_below=0.0, taught=lessons)


def said(interpreter: Interpreter, text: str) -> Interpretation:
    return interpreter.interpret(typed("u1", text))


def test_a_taught_sentence_does_what_it_means(home: Judge, taught: Interpreter) -> None:
    meant = home("dim the reading lamp to twenty percent").meaning
    for text in ("cosy time", "make it cosy in here", "um make it cosy please"):
        found = said(taught, text)
        assert isinstance(found, Command)
        assert (found.doubt, home.outcome(found).meaning) == ("", meant)
        assert found.text == text
        assert any("it was taught" in line for line in found.why)


def test_what_is_like_a_taught_sentence_is_understood_or_asked_about(home: Judge, taught: Interpreter) -> None:
    found = said(taught, "hey now make it real cosy")
    assert isinstance(found, Command)
    assert (found.exit, home.outcome(found).meaning) == (1, home("dim the reading lamp to twenty percent").meaning)


def test_what_only_resembles_a_guarded_lesson_is_asked_about(taught: Interpreter) -> None:
    found = said(taught, "i am really expecting a parcel today")
    assert not isinstance(found, Command) or found.doubt


@pytest.mark.parametrize("text", ["she said make it cosy", "don't make it cosy", "what a lovely evening"])
def test_what_is_something_else_stays_refused(taught: Interpreter, text: str) -> None:
    assert isinstance(said(taught, text), Rejection)


def test_nothing_that_was_known_is_forgotten(taught: Interpreter) -> None:
    model = load_model(UnderstandingSettings())
    assert model is not None
    before = Judge("home", model).interpreter
    for text in model.golden_texts:
        one, two = said(before, text), said(taught, text)
        assert (type(one), getattr(one, "slots", None)) == (type(two), getattr(two, "slots", None)), text


def test_a_lesson_that_means_nothing_here_says_so(home: Judge) -> None:
    lessons = Taught(parse_lessons('teach: [{say: ["movie magic"], means: "turn on the volcano"}]', "x"))
    interpreter = interpreter_of(home.commands, home.home.lists, ["light"], None, unsure_below=0.0, taught=lessons)
    found = said(interpreter, "movie magic")
    assert isinstance(found, Rejection)
    assert "turn on the volcano" in found.detail


def test_a_lesson_cannot_mean_a_lesson(home: Judge) -> None:
    lessons = Taught(parse_lessons('teach: [{say: ["alpha"], means: "beta"}, {say: ["beta"], means: "alpha"}]', "x"))
    interpreter = interpreter_of(home.commands, home.home.lists, ["light"], None, unsure_below=0.0, taught=lessons)
    assert isinstance(said(interpreter, "alpha"), Rejection)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "L.yaml: the document"),
        ("teach: []", "L.yaml: teach"),
        ("teach: [{say: [x]}]", "L.yaml: teach.0.means"),
        ("teach: [{say: [], means: y}]", "L.yaml: teach.0.say"),
        ("teach: [{say: [x], means: y, maens: z}]", "L.yaml: teach.0.maens"),
        ("teach: [{say: ['(x'], means: y}]", "L.yaml: lesson 1"),
        ("teach: {", "L.yaml"),
    ],
)
def test_a_lesson_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        add_lessons(tmp_path, text, "L.yaml")
    assert load_taught(tmp_path) == Taught()


def test_lessons_are_kept_in_order_and_taken_back_from_the_last(tmp_path: Path) -> None:
    for number in range(3):
        add_lessons(tmp_path, f'teach: [{{say: ["sentence {number}"], means: "stop"}}]', "x")
    assert [lesson.say[0] for lesson in load_taught(tmp_path).lessons] == ["sentence 0", "sentence 1", "sentence 2"]
    assert take_back(tmp_path)[0].say == ("sentence 2",)
    add_lessons(tmp_path, 'teach: [{say: ["sentence 3"], means: "stop"}]', "x")
    assert [lesson.say[0] for lesson in load_taught(tmp_path).lessons] == ["sentence 0", "sentence 1", "sentence 3"]
    many = ", ".join(f'{{say: ["a {number}"], means: "stop"}}' for number in range(MOST_LESSONS - 1))
    with pytest.raises(SettingsError, match="more than"):
        add_lessons(tmp_path, f"teach: [{many}]", "x")


def test_teaching_tells_what_was_learned_and_undo_takes_it_back(tmp_path: Path) -> None:
    settings, file = tmp_path / "s.toml", tmp_path / "lessons.yaml"
    settings.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    file.write_text(LESSONS)

    def ran(*arguments: str) -> tuple[int, str]:
        found = CliRunner().invoke(app, ["teach", *arguments, "--settings", str(settings), "--json"])
        return found.exit_code, found.stdout

    code, out = ran(str(file))
    told = json.loads(out)
    assert (code, told["taught"], told["forgotten"]) == (0, 2, 0)
    assert told["lessons"][0]["exact"].split()[0] == told["lessons"][0]["exact"].split()[2]
    assert json.loads(ran("--undo")[1])["taken_back"] == 2
    assert CliRunner().invoke(app, ["teach"]).exit_code == 2
    with pytest.raises(SettingsError, match="nothing was taught"):
        CliRunner().invoke(app, ["teach", "--undo", "--settings", str(settings)], catch_exceptions=False)


def test_a_lesson_that_takes_an_everyday_sentence_over_is_refused(tmp_path: Path) -> None:
    settings, file = tmp_path / "s.toml", tmp_path / "lessons.yaml"
    settings.write_text(f'[device]\nstate_dir = "{tmp_path}/state"\n')
    file.write_text('teach: [{say: ["[please] (cancel|stop) the timer", "help"], means: "lock the doors"}]')
    with pytest.raises(SettingsError, match="understood already"):
        CliRunner().invoke(app, ["teach", str(file), "--settings", str(settings)], catch_exceptions=False)
    assert load_taught(tmp_path / "state" / "taught") == Taught()
