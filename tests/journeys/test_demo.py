"""The demo is a judge: it passes only if everything came out as it should."""

import asyncio
import json

import pytest

from edgeagent.demo.scenes import SCENES
from edgeagent.demo.show import show
from edgeagent.simulate.house import small_house


def test_every_scene_comes_out_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    code = asyncio.run(show(is_json=True, is_fast=True))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[-1] == {"step": "summary", "scenes": len(SCENES), "right": len(SCENES), "failures": []}
    assert code == 0


def test_a_lock_that_lies_makes_it_fail(capsys: pytest.CaptureFixture[str]) -> None:
    house = small_house()
    house.break_down("front_door", "lying")
    code = asyncio.run(show(is_json=True, is_fast=True, house=house))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "yes" in rows[-1]["failures"]
    assert code == 1
    failed = next(row for row in rows if row["step"] == "failed")
    assert "still says locked" in failed["reason"]


def test_two_voices_at_least_and_some_noise() -> None:
    assert len({scene.voice for scene in SCENES}) >= 2
    assert any(scene.noise_db is not None for scene in SCENES)
    assert {"done", "question", "rejected", "answered"} == {scene.result for scene in SCENES}
