"""Mel cepstra as Kaldi computes them (feat/feature-mfcc.cc): what the network is trained on is what it will be given.

They agree with kaldi-native-fbank to 0.01, where values go up to 95.
"""

import numpy as np
import numpy.typing as npt

from tinyvosk.speech import RATE, Floats

SHIFT, WINDOW, TRANSFORM = 160, 400, 512  # samples: a frame of 25 ms every 10 ms
BANDS, CEPSTRA = 30, 20
LOW_HZ, HIGH_HZ = 60, 7600

OPTIONS = (
    f"--sample-frequency={RATE}",
    "--use-energy=false",
    f"--num-mel-bins={BANDS}",
    f"--num-ceps={CEPSTRA}",
    f"--low-freq={LOW_HZ}",
    f"--high-freq={HIGH_HZ}",
    "--dither=0",
    "--allow-upsample=true",
)
"""The same, as Kaldi is told in conf/mfcc.conf."""


def cepstra(sound: Floats) -> Floats:
    """Return (frames, CEPSTRA) of a sound in the range of 16-bit samples; only whole windows count."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::SHIFT]
    frames = frames - frames.mean(1, keepdims=True)
    frames = frames - np.float32(0.97) * np.concatenate([frames[:, :1], frames[:, :-1]], 1)  # pre-emphasis
    power = np.abs(np.fft.rfft(frames * _TAPER, TRANSFORM)[:, : TRANSFORM // 2]) ** 2
    energies = np.maximum(power @ _FILTERS, np.finfo(np.float32).eps)
    return np.asarray(np.log(energies) @ _COSINES, np.float32)


def _taper() -> Floats:
    """Return Povey's window."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return np.asarray(hann**0.85, np.float32)


def _mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return 1127.0 * np.log(1.0 + np.asarray(hz) / 700.0)


def _filters() -> Floats:
    """Return the triangles on the mel scale, (TRANSFORM / 2, BANDS)."""
    edges = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), BANDS + 2)
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(np.arange(TRANSFORM // 2) * RATE / TRANSFORM)[:, None]
    triangles = np.minimum((mel - left) / (middle - left), (right - mel) / (right - middle))
    return np.maximum(0, triangles).astype(np.float32)


def _cosines() -> Floats:
    """Return the cosine transform and the liftering, (BANDS, CEPSTRA)."""
    orders, bands = np.arange(CEPSTRA), np.arange(BANDS)[:, None]
    transform = np.sqrt(2.0 / BANDS) * np.cos(np.pi / BANDS * (bands + 0.5) * orders)
    transform[:, 0] = np.sqrt(1.0 / BANDS)
    lifter = 1.0 + 0.5 * 22 * np.sin(np.pi * orders / 22)
    return np.asarray(transform * lifter, np.float32)


_TAPER, _FILTERS, _COSINES = _taper(), _filters(), _cosines()
