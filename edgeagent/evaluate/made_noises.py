"""Two noises that are made, not recorded: thresholds may be fitted in them, and real noise stays to judge by."""

from collections.abc import Sequence

import numpy as np

from edgeagent.evaluate.flite import VOICES, Samples, spoken
from edgeagent.messages import SAMPLE_RATE_HZ

LENGTH_S = 60
TALKERS = 10
SENTENCES_AT_ONCE = 4
_PEAK = 20_000.0


def kitchen(seed: int) -> Samples:
    """Return a minute of a kitchen: the hum of a hood, 150 knocks and clinks, water and frying."""
    random = np.random.default_rng(seed)
    count = LENGTH_S * SAMPLE_RATE_HZ
    at_s = np.arange(count) / SAMPLE_RATE_HZ
    hum = sum(np.sin(2 * np.pi * 100 * tone * at_s + tone) / tone for tone in range(1, 8))
    sound = 0.7 * _pink(count, random) + 0.15 * hum
    for _ in range(150):
        length = round(SAMPLE_RATE_HZ * random.uniform(0.05, 0.6))
        time_s = np.arange(length) / SAMPLE_RATE_HZ
        tone_hz, fading = random.uniform(800, 6_000), random.uniform(8, 60)
        ringing = np.sin(2 * np.pi * tone_hz * time_s) + 0.6 * np.sin(2 * np.pi * 1.52 * tone_hz * time_s)
        knock = np.exp(-fading * time_s) * (ringing + 0.5 * random.normal(size=length))
        _add(sound, knock * random.uniform(0.8, 5), random)
    for _ in range(20):
        length = round(SAMPLE_RATE_HZ * random.uniform(1, 3))
        hiss = np.diff(random.normal(size=length + 1)) * np.hanning(length)
        _add(sound, hiss * random.uniform(0.3, 1), random)
    return _scaled(sound)


def cafe(sentences: Sequence[str], seed: int) -> Samples:
    """Return a minute of ten people who talk at once, near and far, each at a pitch of their own."""
    random = np.random.default_rng(seed)
    count = LENGTH_S * SAMPLE_RATE_HZ
    talk = np.zeros(count)
    for number in range(TALKERS):
        at = int(random.integers(SAMPLE_RATE_HZ))
        loudness = random.uniform(0.3, 1)
        while at < count - SAMPLE_RATE_HZ:
            said = ". ".join(random.choice(sentences, SENTENCES_AT_ONCE))
            voice = spoken(said, VOICES[number % len(VOICES)])
            pitched = np.interp(np.arange(0, len(voice) - 1, random.uniform(0.85, 1.2)), np.arange(len(voice)), voice)
            heard = pitched[: count - at]
            talk[at : at + len(heard)] += loudness * heard
            at += len(heard) + int(random.integers(SAMPLE_RATE_HZ))
    return _scaled(talk / talk.std() + 0.5 * _pink(count, random))


def _pink(count: int, random: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(random.normal(size=count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    return np.asarray(pink / pink.std())


def _add(sound: np.ndarray, part: np.ndarray, random: np.random.Generator) -> None:
    at = int(random.integers(len(sound) - len(part)))
    sound[at : at + len(part)] += part


def _scaled(sound: np.ndarray) -> Samples:
    return np.asarray(sound * (_PEAK / np.abs(sound).max()), dtype=np.float32)
