"""What the tests say to the recognizer: sentences in espeak's plain voice with the quiet of a room around them."""

import bisect
import functools
import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinyvosk import espeak
from tinyvosk.espeak import EspeakError, Phoneme

Floats = npt.NDArray[np.float32]

RATE = 16_000
QUIET_S = 0.4
_QUIET = 8.0
"""The root mean square of the quiet's noise. A microphone never gives the zeros that a synthesiser gives."""
_LONGEST_S = 60.0


class Speech(NamedTuple):
    """A sound of 16-bit samples, one channel, and when each word of it begins."""

    pcm: bytes
    word_starts_s: tuple[float | None, ...]
    """None where espeak-ng runs a word together with the one before, as it does "on the"."""


def speak(text: str, speed: int = 150, rate: int = RATE) -> bytes:
    """Return a sentence, said at so many words a minute, with 0.4 s of quiet before and after; the same every time."""
    return speech(text, speed, rate).pcm


@functools.lru_cache(maxsize=256)
def speech(text: str, speed: int = 150, rate: int = RATE) -> Speech:
    """Return what `speak` does, with the times of its words. Raise EspeakError if espeak-ng does not say it."""
    command = (sys.executable, "-I", Path(espeak.__file__), text, str(speed))
    said = subprocess.run(command, capture_output=True, check=False, timeout=_LONGEST_S)
    if said.returncode:
        raise EspeakError(f"espeak-ng did not say {text!r} ({said.returncode}): {said.stderr.decode()[-500:]}")
    answer = json.loads(said.stdout)
    sound = np.frombuffer(b64decode(answer["pcm"]), "<i2").astype(np.float32)
    quiet = np.zeros(round(QUIET_S * rate), np.float32)
    sound = np.concatenate([quiet, resample(sound, answer["rate"], rate), quiet])
    sound += np.random.default_rng(5).normal(0, _QUIET, len(sound)).astype(np.float32)
    phonemes = [Phoneme(*phoneme) for phoneme in answer["phonemes"]]
    return Speech(as_pcm(sound).tobytes(), _word_starts(phonemes, text))


def _word_starts(phonemes: Sequence[Phoneme], text: str) -> tuple[float | None, ...]:
    starts: dict[int, float] = {}
    for phoneme, word in zip(phonemes, word_of_each(phonemes, text), strict=True):
        if not is_pause(phoneme):
            starts.setdefault(word, QUIET_S + phoneme.start_s)
    return tuple(starts.get(word) for word in range(len(text.split())))


def word_of_each(phonemes: Sequence[Phoneme], text: str) -> list[int]:
    """Return for each phoneme the index of the word that it is in, or that it comes after."""
    begins = [word.start() for word in re.finditer(r"\S+", text)]
    return [max(0, bisect.bisect_right(begins, phoneme.letter) - 1) for phoneme in phonemes]


def is_pause(phoneme: Phoneme) -> bool:
    return phoneme.name[0] in "_|"


def as_pcm(sound: Floats) -> npt.NDArray[np.int16]:
    return np.clip(np.round(sound), -32_768, 32_767).astype("<i2")


def resample(sound: Floats, rate: int, new_rate: int, decibels: Sequence[float] = (0.0, 0.0)) -> Floats:
    """Return a whole signal at another rate, limited in its band, by its spectrum; both rates are multiples of 5.

    `decibels` are the gains of bands from zero to half of the new rate, between which they are interpolated.
    """
    sound = np.pad(sound, (0, -len(sound) % (rate // 5)))  # to lengths whose transforms are quick
    length = len(sound) // (rate // 5) * (new_rate // 5)
    spectrum = np.fft.rfft(sound)[: length // 2 + 1]
    spectrum = np.pad(spectrum, (0, length // 2 + 1 - len(spectrum)))
    bands = np.linspace(0, len(decibels) - 1, len(spectrum))
    gain = 10 ** (np.interp(bands, np.arange(len(decibels)), decibels) / 20)
    scale = np.float32(length / len(sound))
    return np.asarray(np.fft.irfft(spectrum * gain.astype(np.float32), length) * scale, np.float32)
