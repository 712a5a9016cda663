"""Noise mixed into speech at a signal-to-noise ratio, drawn with a seed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeagent.errors import SoundError
from edgeagent.hear.files import frames_of
from edgeagent.messages import FRAME_BYTES, SAMPLE_RATE_HZ, Frame

LOUDNESS_SAMPLES = 2048
LONGEST_S = 1200
LARGEST_SNR_DB = 100
_FULL_SCALE = 32_767


@dataclass(frozen=True, slots=True)
class Noise:
    """A noise to be mixed in at `snr_db`, from an offset drawn for every file.

    The ratio is between the loudest 2048-sample stretches of speech and noise, as in the published comparison of
    speech-to-intent engines, so that figures can stand beside it.
    """

    samples: np.ndarray
    snr_db: float
    random: np.random.Generator

    def over(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames with the noise in them."""
        speech = np.frombuffer(b"".join(frames), "<i2").astype(np.float32)
        begin = int(self.random.integers(len(self.samples)))
        noise = np.resize(np.roll(self.samples, -begin), len(speech))
        loudest = loudest_power(noise)
        gain = np.sqrt(loudest_power(speech) / loudest / 10 ** (self.snr_db / 10)) if loudest else 0.0
        mixed = speech + gain * noise
        peak = float(np.abs(mixed).max(initial=0.0))
        if peak > _FULL_SCALE:  # scaled, not clipped, so that the ratio stays
            mixed *= _FULL_SCALE / peak
        pcm = np.rint(mixed).astype("<i2").tobytes()
        for start in range(0, len(pcm), FRAME_BYTES):
            yield pcm[start : start + FRAME_BYTES]


def load_noise(path: Path, ratios_db: Sequence[float], seed: int) -> tuple[Noise, ...]:
    """Read a noise file of at most 20 minutes: one noise for each ratio, all with the offsets that the seed gives.

    Raise SoundError if it cannot be used.
    """
    for snr_db in ratios_db:
        if not abs(snr_db) <= LARGEST_SNR_DB:
            raise SoundError(f"a signal-to-noise ratio of {snr_db} dB cannot be mixed", remedy="0 to 30 are usual.")
    frames = []
    for frame in frames_of(path):
        frames.append(frame)
        if len(frames) * FRAME_BYTES > LONGEST_S * SAMPLE_RATE_HZ * 2:
            raise SoundError(f"{path}: longer than {LONGEST_S} s", remedy="Cut a part out of it.")
    samples = np.frombuffer(b"".join(frames), "<i2").astype(np.float32)
    return tuple(Noise(samples, snr_db, np.random.default_rng(seed)) for snr_db in ratios_db)


def loudest_power(samples: np.ndarray) -> float:
    """Return the mean square of the loudest 2048 samples in a row (on a grid of 2048)."""
    if len(samples) < LOUDNESS_SAMPLES:
        return float(np.mean(samples**2)) if len(samples) else 0.0
    whole = samples[: len(samples) // LOUDNESS_SAMPLES * LOUDNESS_SAMPLES].reshape(-1, LOUDNESS_SAMPLES)
    return float((whole**2).mean(axis=1).max())
