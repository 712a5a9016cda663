"""Makes the demo's sound files: python -m edgeagent.demo.make_sounds. Needs flite (sudo apt-get install flite).

The voices are flite's slt and rms (US English, female and male) and awb (Scottish English, male). The noise is made by
us: pink noise like an extractor's hum, and clatter.
"""

from pathlib import Path

import numpy as np
import soundfile

from edgeagent.demo.scenes import SCENES, Scene
from edgeagent.evaluate.flite import spoken
from edgeagent.evaluate.noise import loudest_power
from edgeagent.messages import SAMPLE_RATE_HZ

LEAD_S, TAIL_S = 0.5, 1.2
SEED = 20_261_121
SOUNDS = Path(__file__).parent / "sounds"


def main() -> None:
    """Write every scene's file."""
    SOUNDS.mkdir(exist_ok=True)
    random = np.random.default_rng(SEED)
    for scene in SCENES:
        soundfile.write(SOUNDS / f"{scene.name}.flac", _sound(scene, random), SAMPLE_RATE_HZ, subtype="PCM_16")


def _sound(scene: Scene, random: np.random.Generator) -> np.ndarray:
    speech = spoken(scene.said, scene.voice).astype(np.float64) / 32_768
    room = random.normal(0, 1e-4, round((LEAD_S + TAIL_S) * SAMPLE_RATE_HZ) + len(speech))
    start = round(LEAD_S * SAMPLE_RATE_HZ)
    room[start : start + len(speech)] += speech * (0.5 / np.abs(speech).max())
    if scene.noise_db is not None:
        noise = _kitchen(len(room), random)
        room += noise * np.sqrt(loudest_power(room) / loudest_power(noise) / 10 ** (scene.noise_db / 10))
    return np.asarray(room / max(1.0, np.abs(room).max() / 0.99))


def _kitchen(count: int, random: np.random.Generator) -> np.ndarray:
    """Return pink noise with a few short, ringing knocks."""
    spectrum = np.fft.rfft(random.normal(0, 1, count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    pink /= pink.std()
    for at in random.integers(0, count - SAMPLE_RATE_HZ // 4, 4):
        time_s = np.arange(SAMPLE_RATE_HZ // 4) / SAMPLE_RATE_HZ
        knock = np.sin(2 * np.pi * random.uniform(900, 2500) * time_s) * np.exp(-30 * time_s)
        pink[at : at + len(knock)] += knock
    return pink


if __name__ == "__main__":
    main()
