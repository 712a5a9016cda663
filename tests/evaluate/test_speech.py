"""A spoken test set is played through the whole listening path, and its figures are told."""

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile
import yaml
from synthesised import spoken
from typer.testing import CliRunner

from edgeagent.__main__ import app
from edgeagent.errors import SettingsError
from edgeagent.evaluate.command import Order, evaluate
from edgeagent.settings import AgentSettings, HearingSettings

FIGURES = [
    *("n", "right", "wrong", "rejected", "accuracy", "rtf", "time_to_decision_ms", "where_time_goes", "ended_by"),
    *("false_accepts", "premature", "word_error_rate"),
]
COMMANDS = """
intents:
  turn: {data: [{sentences: ["turn {state} the (kitchen|bedroom) {thing} [every {when}]"]}]}
lists:
  state: {values: ["on", "off"]}
  thing: {values: [light, fan]}
  when: {values: [morning, evening]}
"""
TIMED = ("rtf", "time_to_decision_ms", "where_time_goes")


def order(folder: Path, commands: Path | None = None, **more: Any) -> Order:
    chosen = {"devices": None, "noise": None, "snr_db": (12.0,), "seed": 1, "plot": None, **more}
    return Order(folder, commands, **chosen)


def figures(order: Order, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert evaluate(AgentSettings(), order, is_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def untimed(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in {*TIMED, "snr_db"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "light.wav", spoken("turn on the kitchen light"), 16_000)
    random = np.random.default_rng(3)
    soundfile.write(tmp_path / "noise.wav", random.normal(0, 2000, 32_000).astype(np.int16), 16_000)
    soundfile.write(tmp_path / "drink.wav", spoken("a large iced coffee please"), 16_000)
    labels = {
        "light.wav": {"intent": "turn", "slots": {"state": "on", "thing": "light"}},
        "drink.wav": {"intent": None},
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "commands.yaml").write_text(COMMANDS)
    return tmp_path


def test_one_right_and_one_that_must_be_rejected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    assert list(found) == [*FIGURES, "failures"]
    assert (found["n"], found["right"], found["wrong"], found["rejected"]) == (2, 2, 0, 0)
    assert found["accuracy"] == 1.0
    assert found["failures"] == []
    assert list(found["time_to_decision_ms"]) == ["p50", "p95"]
    assert 0 < found["time_to_decision_ms"]["p50"] < 2000
    assert set(found["ended_by"]) <= {"complete", "silence"}
    assert sum(found["ended_by"].values()) >= 2
    assert 0 < found["rtf"] < 1
    assert found["false_accepts"] == {"n": 1, "accepted": 0}
    assert found["premature"] == {"n": 1, "early": 0, "wrong": 0}
    assert found["word_error_rate"] is None


def test_where_the_time_goes_adds_up_to_the_time_to_decision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    parts = found["where_time_goes"]
    assert list(parts) == ["waiting_ms", "recognising_ms", "understanding_ms"]
    assert sum(parts.values()) == pytest.approx(found["time_to_decision_ms"]["p50"], abs=0.3)
    assert min(parts.values()) > 0


def test_a_command_that_must_be_rejected_and_is_not_is_a_false_accept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "labels.json").write_text(json.dumps({"light.wav": {"intent": None}, "drink.wav": {"said": None}}))
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    assert found["false_accepts"] == {"n": 2, "accepted": 1}
    assert found["wrong"] == 1


def test_words_are_compared_where_it_is_told_what_was_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meaning = {"intent": "turn", "slots": {"state": "on", "thing": "light"}}
    labels = {"light.wav": {**meaning, "said": "please turn on the kitchen light now"}, "drink.wav": {"intent": None}}
    (folder / "labels.json").write_text(json.dumps(labels))
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    assert found["right"] == 2
    assert found["word_error_rate"] == round(2 / 7, 4)


def test_a_decision_before_the_person_has_finished_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "turn on the kitchen light every evening"
    first, rest = "turn on the kitchen light", "every evening"
    soundfile.write(folder / "a.wav", spoken(first, rest, pause_s=0.9), 16_000)
    soundfile.write(folder / "b.wav", spoken(first, "turn off the kitchen fan"), 16_000)
    soundfile.write(folder / "c.wav", spoken(said), 16_000)
    meaning = {"state": "on", "thing": "light"}
    labels = {
        "a.wav": {"said": said},
        "b.wav": {"intent": "turn", "slots": {**meaning, "when": "evening"}},
        "c.wav": {"said": said},
    }
    (folder / "labels.json").write_text(json.dumps(labels))
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    assert found["premature"] == {"n": 4, "early": 2, "wrong": 2}
    (folder / "labels.json").write_text(json.dumps({"light.wav": {"intent": "turn", "slots": meaning, "said": said}}))
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    assert found["premature"] == {"n": 1, "early": 1, "wrong": 0}


def test_a_failure_tells_what_was_expected_what_came_and_what_was_heard(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"light.wav": {"said": "turn off the kitchen fan"}, "drink.wav": {"said": "turn on the kitchen fan"}}
    (folder / "labels.json").write_text(json.dumps(labels))
    found = figures(order(folder, folder / "commands.yaml"), capsys)
    assert (found["right"], found["wrong"], found["rejected"], found["accuracy"]) == (0, 1, 1, 0.0)
    drink, light = found["failures"]
    assert list(light) == ["file", "expected", "got", "heard"]
    assert light["file"] == "light.wav"
    assert light["expected"] == {"intent": "turn", "slots": {"state": "off", "thing": "fan"}}
    assert light["got"] == [{"intent": "turn", "slots": {"state": "on", "thing": "light"}}]
    assert light["heard"].startswith("turn on the kitchen light (")
    assert drink["got"] is None


def test_it_is_the_same_every_time_and_noise_is_mixed_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noisy = order(folder, folder / "commands.yaml", noise=folder / "noise.wav", snr_db=(0.0,))
    first, second = untimed(figures(noisy, capsys)), untimed(figures(noisy, capsys))
    assert first == second
    assert not {"snr", "mean_accuracy"} & set(first)
    assert not any("snr_db" in failure for failure in first["failures"])


def test_several_ratios_are_told_together_and_one_by_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = order(folder, folder / "commands.yaml", noise=folder / "noise.wav", snr_db=(-20.0, 24.0))
    found = figures(several, capsys)
    assert list(found) == [*FIGURES, "mean_accuracy", "snr", "failures"]
    assert found["n"] == 4
    loud, quiet = found["snr"]
    assert list(loud) == ["snr_db", *FIGURES]
    assert (loud["snr_db"], quiet["snr_db"]) == (-20.0, 24.0)
    assert loud["accuracy"] < quiet["accuracy"] == 1.0
    assert found["mean_accuracy"] == found["accuracy"] == (loud["accuracy"] + quiet["accuracy"]) / 2
    assert {failure["snr_db"] for failure in found["failures"]} == {-20.0}
    alone = figures(order(folder, folder / "commands.yaml", noise=folder / "noise.wav", snr_db=(24.0,)), capsys)
    assert untimed(alone) == {**untimed(quiet), "failures": []}


def test_people_get_a_table_and_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra `evaluate` is not installed: pip install 'edgeagent[evaluate]'")
    picture = folder / "figures"
    (folder / "labels.json").write_text(json.dumps({"light.wav": {"intent": None}}))
    assert evaluate(AgentSettings(), order(folder, folder / "commands.yaml", plot=picture), is_json=False) == 0
    printed = capsys.readouterr().out
    assert "0 of 1 (0.0%)" in printed
    assert "expected nothing" in printed
    assert "1 of 1 at which nothing may be done" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_people_get_a_table_and_a_picture_by_ratio(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra `evaluate` is not installed: pip install 'edgeagent[evaluate]'")
    picture = folder / "figures"
    noisy = order(folder, folder / "commands.yaml", noise=folder / "noise.wav", snr_db=(-20.0, 24.0), plot=picture)
    assert evaluate(AgentSettings(), noisy, is_json=False) == 0
    printed = capsys.readouterr().out
    assert "light.wav at -20 dB" in printed
    assert [line.split()[0] for line in printed.splitlines() if line.strip().startswith(("-20 ", "24 "))] == [
        "-20",
        "24",
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_every_published_engine_has_a_figure_for_every_ratio() -> None:
    text = (files("edgeagent.evaluate") / "published.yaml").read_text("utf-8")
    published = yaml.safe_load(text)
    assert {engine["name"].split()[-1] for engine in published["engines"]} == {
        *("Rhino", "LUIS", "Watson", "Lex", "Dialogflow")
    }
    for engine in published["engines"]:
        assert len(engine["accuracy"]) == len(published["snr_db"])
        assert all(0 < share < 1 for share in engine["accuracy"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--noise", "x.wav", "--snr", "abc"], "expected numbers as in 6,9,12, found 'abc'"),
        (["--noise", "x.wav", "--snr", ""], "expected numbers as in 6,9,12, found ''"),
        (["--noise", "x.wav", "--snr", "6,"], "expected numbers as in 6,9,12, found '6,'"),
        (["--noise", "x.wav", "--snr", "6,9,6"], "a ratio is given twice"),
        (["--snr", "6"], "--snr goes with --noise"),
        (["--recognizer", "siri"], "'siri' is not one of 'pocketsphinx', 'vosk'"),
    ],
)
def test_an_option_that_is_wrong_is_said_so(folder: Path, options: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, ["evaluate", "speech", str(folder), *options])
    assert ran.exit_code == 2
    assert message in " ".join(ran.stderr.split())


def test_every_recognizer_of_the_settings_can_be_named() -> None:
    for name in get_args(HearingSettings.model_fields["recognizer"].annotation):
        ran = CliRunner().invoke(app, ["evaluate", "speech", "x", "--recognizer", name, "--snr", "6"])
        assert "--snr goes with --noise" in " ".join(ran.stderr.split())


def test_a_picture_that_cannot_be_written_is_said_so(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `evaluate` is not installed: pip install 'edgeagent[evaluate]'")
    with pytest.raises(SettingsError, match="No such file"):
        evaluate(AgentSettings(), order(folder, folder / "commands.yaml", plot=folder / "x" / "y.png"), is_json=True)


@pytest.mark.shared
def test_real_people_are_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = os.environ.get("EDGEAGENT_SHARED")
    if not shared:
        pytest.skip("EDGEAGENT_SHARED does not name the development data")
    barista = Path(shared) / "data" / "speech" / "barista"
    assert barista.is_dir(), f"EDGEAGENT_SHARED is set, but there is no {barista}"
    labels = json.loads((barista / "labels.json").read_text("utf-8"))
    chosen = sorted(labels)[::10]
    assert len(chosen) == 15
    for name in chosen:
        shutil.copy(barista / name, tmp_path)
    (tmp_path / "labels.json").write_text(json.dumps({name: labels[name] for name in chosen}))
    found = figures(order(tmp_path, barista / "commands.yaml"), capsys)
    assert found["n"] == 15
    assert found["accuracy"] >= 0.88, found["failures"]
