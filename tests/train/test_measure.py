"""What is measured while a model is made: decisions, calibration, leaving early, and what a teacher said is kept."""

from pathlib import Path

import numpy as np
import pytest

from edgeagent.train.calibrate import Judged, temperature_of
from edgeagent.train.corpus import Corpus
from edgeagent.train.measure import NONE, Offered, confusions, leave_at, measured_exit, policy
from edgeagent.train.told import Told
from edgeagent.understand.model.labels import Label
from edgeagent.understand.model.segments import RawOffer

LABELS = (Label("on", "on", {}), Label("talk", None, {}), Label("news", None, {}))
CORPUS = Corpus((), (), (), LABELS, ("O",))


def offered(*exits: list[list[float]]) -> Offered:
    """Return what exits offer, from the logits of each exit's sentences; every exit takes a second."""
    sentences = [
        [
            RawOffer(np.array(row, np.float32), np.zeros((1, 1), np.float32), np.zeros(1, np.float32), None)
            for row in rows
        ]
        for rows in zip(*exits, strict=True)
    ]
    return Offered(sentences, np.tile(np.arange(1.0, len(exits) + 1), (len(sentences), 1)))


def test_what_is_no_command_is_one_decision() -> None:
    # 40 % an order, twice 30 % talk: no order is decided, by 60 %, though the order is the likeliest label.
    found = measured_exit(offered([[np.log(0.4), np.log(0.3), np.log(0.3)]]), 0, 1.0, CORPUS, np.array([2]))
    assert found["accuracy"] == 0.0
    assert found["decided"] == 1.0
    assert found["decided_calibration_error"] == pytest.approx(0.4)


def test_confusions_among_what_is_no_command_do_not_count() -> None:
    found = confusions(offered([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]]), CORPUS, np.array([2, 1, 1]))
    assert sorted(found["labels"]) == sorted(["on", NONE])
    row = found["labels"].index(NONE)
    assert found["matrix"][row][found["labels"].index("on")] == 1


def test_the_first_exit_is_left_at_the_least_threshold_that_loses_nothing() -> None:
    first = [[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [4.0, 0.0, 0.0]]  # right, wrong and right, at 0.79, 0.58 and 0.96
    last = [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0]]
    rows = policy(offered(first, last), np.array([0, 1, 0]), [1.0, 1.0])
    assert 0.58 < leave_at(rows) <= 0.6
    best = next(row for row in rows if row["threshold"] == leave_at(rows))
    assert best["leaves_early"] == pytest.approx(2 / 3)
    assert best["times_faster"] == pytest.approx(2 / (4 / 3))
    assert best["accuracy"] == 1.0


def test_the_temperature_makes_decisions_as_sure_as_they_are_right() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 4000)
    logits = np.full((4000, 3), -1.0, np.float32)
    said = np.where(rng.random(4000) < 0.8, labels, rng.integers(0, 3, 4000))
    logits[np.arange(4000), said] = 9.0  # as good as certain, and wrong in one of seven
    judged = Judged(logits, labels, np.array([True, True, True]))
    assert temperature_of(judged) > 2.5


def test_what_a_teacher_said_is_kept_for_its_recipe_alone(tmp_path: Path) -> None:
    tags = [np.ones((2, 3), np.float16), np.zeros((1, 3), np.float16)]
    told = Told(np.arange(4, dtype=np.float16).reshape(2, 2), tags, np.zeros((2, 5), np.float16))
    told.save(tmp_path / "work" / "told.npz", "recipe1")
    again = Told.load(tmp_path / "work" / "told.npz", "recipe1")
    assert again is not None
    assert [one.tolist() for one in again.tags] == [one.tolist() for one in tags]
    assert again.labels.tolist() == told.labels.tolist()
    assert Told.load(tmp_path / "work" / "told.npz", "recipe2") is None
    assert Told.load(tmp_path / "nothing.npz", "recipe1") is None
