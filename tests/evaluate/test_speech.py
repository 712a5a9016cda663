"""A spoken test set is played through the whole listening path, and its figures are told."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
from synthesised import spoken

from edgeagent.errors import SettingsError
from edgeagent.evaluate.command import Order, evaluate
from edgeagent.settings import AgentSettings

FIELDS = ["n", "right", "wrong", "rejected", "accuracy", "rtf", "time_to_decision_ms", "ended_by", "failures"]
COMMANDS = """
intents:
  turn: {data: [{sentences: ["turn {state} the (kitchen|bedroom) {thing}"]}]}
lists:
  state: {values: ["on", "off"]}
  thing: {values: [light, fan]}
"""


def order(folder: Path, commands: Path | None = None, **more: Any) -> Order:
    chosen = {"devices": None, "noise": None, "snr_db": 12.0, "seed": 1, "plot": None, **more}
    return Order(folder, commands, **chosen)


def figures(order: Order, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert evaluate(AgentSettings(), order, is_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "light.wav", spoken("turn on the kitchen light"), 16_000)
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
    assert list(found) == FIELDS
    assert (found["n"], found["right"], found["wrong"], found["rejected"]) == (2, 2, 0, 0)
    assert found["accuracy"] == 1.0
    assert found["failures"] == []
    assert list(found["time_to_decision_ms"]) == ["p50", "p95"]
    assert 0 < found["time_to_decision_ms"]["p50"] < 2000
    assert found["ended_by"]["complete"] >= 1
    assert 0 < found["rtf"] < 1


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
    noisy = order(folder, folder / "commands.yaml", noise=folder / "drink.wav", snr_db=0.0)
    first, second = figures(noisy, capsys), figures(noisy, capsys)
    for timed in ("rtf", "time_to_decision_ms"):
        del first[timed], second[timed]
    assert first == second


def test_people_get_a_table_and_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra `evaluate` is not installed: pip install 'edgeagent[evaluate]'")
    picture = folder / "figures"
    (folder / "labels.json").write_text(json.dumps({"light.wav": {"intent": None}}))
    assert evaluate(AgentSettings(), order(folder, folder / "commands.yaml", plot=picture), is_json=False) == 0
    printed = capsys.readouterr().out
    assert "0 of 1 (0.0%)" in printed
    assert "expected nothing" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


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
