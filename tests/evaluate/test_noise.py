"""Noise is mixed in at the ratio that was asked for, the same every time."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from edgeagent.errors import SoundError
from edgeagent.evaluate.noise import load_noise, loudest_power
from edgeagent.messages import FRAME_BYTES

RANDOM = np.random.default_rng(7)
SPEECH = (8000 * np.sin(np.arange(48_128) / 7) * (np.arange(48_128) > 16_000)).astype(np.int16)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    soundfile.write(
        tmp_path / "noise.wav", RANDOM.normal(0, 1000, 20_480).clip(-20_000, 20_000).astype(np.int16), 16_000
    )
    return tmp_path / "noise.wav"


def mixed(noise: Path, snr_db: float, seed: int = 1, speech: npt.NDArray[np.int16] = SPEECH) -> npt.NDArray[np.int16]:
    pcm = speech.tobytes()
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    (loaded,) = load_noise(noise, (snr_db,), seed)
    out = list(loaded.over(frames))
    assert [len(frame) for frame in out] == [len(frame) for frame in frames]
    return np.frombuffer(b"".join(out), "<i2")


@pytest.mark.parametrize("snr_db", [-5, 0, 6, 12, 24])
def test_the_ratio_is_the_one_that_was_asked_for(noise: Path, snr_db: float) -> None:
    found = mixed(noise, snr_db).astype(np.float64)
    scale = float(found @ SPEECH) / float(SPEECH.astype(np.float64) @ SPEECH)  # all is scaled where it would clip
    rest = found / scale - SPEECH
    ratio = 10 * np.log10(loudest_power(SPEECH.astype(np.float64)) / loudest_power(rest))
    assert ratio == pytest.approx(snr_db, abs=0.3)


def test_a_seed_gives_the_same_noise_and_another_seed_another(noise: Path) -> None:
    assert np.array_equal(mixed(noise, 6, seed=1), mixed(noise, 6, seed=1))
    assert not np.array_equal(mixed(noise, 6, seed=1), mixed(noise, 6, seed=2))


def test_nothing_is_clipped(noise: Path) -> None:
    loud = np.where(SPEECH > 0, 32_767, -32_767).astype(np.int16)
    found = mixed(noise, -20, speech=loud)
    assert np.count_nonzero(np.abs(found.astype(int)) >= 32_767) <= 2


def test_silence_stays_silent(noise: Path) -> None:
    assert not mixed(noise, 6, speech=np.zeros(4096, np.int16)).any()


@pytest.mark.parametrize("snr_db", [float("nan"), float("inf"), 1e6])
def test_a_ratio_that_is_none_is_refused(noise: Path, snr_db: float) -> None:
    with pytest.raises(SoundError, match="cannot be mixed"):
        load_noise(noise, (6, snr_db), 1)


def test_every_ratio_draws_anew_from_the_seed(noise: Path) -> None:
    pcm = SPEECH.tobytes()
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    quiet, loud = (b"".join(one.over(frames)) for one in load_noise(noise, (24, 6), 1))
    assert np.array_equal(np.frombuffer(quiet, "<i2"), mixed(noise, 24))
    assert np.array_equal(np.frombuffer(loud, "<i2"), mixed(noise, 6))
