"""Real sound of sentences, by whichever speech synthesiser is installed."""

import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgeagent.hear.files import frames_of

Sound = npt.NDArray[np.int16]

_PROGRAMS = (
    ("flite", "-voice", "slt", "-o", "{file}", "-t", "{text}"),
    ("espeak-ng", "-v", "en-us", "-s", "140", "-w", "{file}", "{text}"),
)


@lru_cache(maxsize=64)
def say(text: str) -> Sound:
    """Return the sound of a sentence; skip the test where nothing can speak, or fail it where EDGEAGENT_CI is set."""
    for command in _PROGRAMS:
        if shutil.which(command[0]) is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speech.wav"
            subprocess.run([part.format(file=file, text=text) for part in command], check=True, capture_output=True)
            return np.frombuffer(b"".join(frames_of(file)), "<i2")
    complaint = "no speech synthesiser is installed: sudo apt-get install flite espeak-ng"
    if os.environ.get("EDGEAGENT_CI"):
        pytest.fail(complaint)
    pytest.skip(complaint)


def silence(seconds: float) -> Sound:
    """Return the faint noise of a quiet room."""
    random = np.random.default_rng(5)
    return random.normal(0, 8, round(16_000 * seconds)).astype(np.int16)


def spoken(*texts: str, pause_s: float = 1.6) -> Sound:
    """Return sentences with pauses before, between and after them."""
    parts = [silence(0.6)]
    for text in texts:
        parts += [say(text), silence(pause_s)]
    return np.concatenate(parts)
