"""The tool that fits what makes a recognized sentence sure: its arithmetic, and the noises it is fitted in."""

import shutil

import numpy as np
import pytest

from edgeagent.evaluate.learn_sureness import area, fit, sure
from edgeagent.evaluate.made_noises import LENGTH_S, cafe, kitchen
from edgeagent.messages import SAMPLE_RATE_HZ


def test_the_fit_finds_the_weights_that_the_chances_were_drawn_with() -> None:
    random = np.random.default_rng(3)
    weights = np.array([0.3, -2.0, 1.0, -0.5])
    features = random.normal(0, (10, 0.5, 1), (20_000, 3))
    right = random.random(len(features)) < sure(features, weights)
    assert fit(features, right) == pytest.approx(weights, rel=0.1)


@pytest.mark.parametrize(
    ("told", "expected"), [((0.1, 0.2, 0.8, 0.9), 1.0), ((0.9, 0.8, 0.2, 0.1), 0.0), ((0.5,) * 4, 0.5)]
)
def test_the_area_is_how_often_a_right_one_is_surer(told: tuple[float, ...], expected: float) -> None:
    assert area(np.array(told), np.array([False, False, True, True])) == expected


def test_a_kitchen_is_loud_and_lasts_and_is_the_same_every_time() -> None:
    sound = kitchen(1)
    assert len(sound) == LENGTH_S * SAMPLE_RATE_HZ
    assert 10_000 < np.abs(sound).max() <= 20_000
    assert np.array_equal(sound, kitchen(1))
    assert not np.array_equal(sound, kitchen(2))


def test_a_cafe_is_full_of_voices() -> None:
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed: sudo apt-get install flite")
    sound = cafe(["what a day", "i told her so", "and then it rained", "did you see that"], 1)
    assert np.isfinite(sound).all()
    loudness = sound.reshape(LENGTH_S, -1).std(axis=1)
    assert loudness[:-2].min() > 500
