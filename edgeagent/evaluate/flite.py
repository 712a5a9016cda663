"""Sentences spoken by flite, a small synthesiser that every Debian has: for measuring, and for the demo's sounds."""

import io
import shutil
import subprocess
import wave
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edgeagent.errors import EdgeAgentError
from edgeagent.messages import FRAME_BYTES, SAMPLE_RATE_HZ, Frame

Samples = npt.NDArray[np.float32]
"""Samples at 16 kHz in the range of 16-bit integers."""

VOICES = ("slt", "rms", "awb")
"""US English, female and male, and Scottish English, male."""


def spoken(text: str, voice: str = VOICES[0]) -> Samples:
    """Return the text as one of the voices says it. Raise EdgeAgentError if flite is not installed or fails."""
    flite = shutil.which("flite")
    if flite is None:
        raise EdgeAgentError("this needs flite", remedy="sudo apt-get install flite")
    call = [flite, "-voice", voice, "-t", text, "-o", "/dev/stdout"]
    made = subprocess.run(call, capture_output=True, check=False)  # noqa: S603  # our own words
    try:
        with wave.open(io.BytesIO(made.stdout)) as file:
            rate_hz, pcm = file.getframerate(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        remedy = "See what `flite -lv` lists; Debian's package has all voices."
        raise EdgeAgentError(f"flite does not say {text!r:.60} as {voice}: {error}", remedy=remedy) from error
    if rate_hz != SAMPLE_RATE_HZ:
        remedy = f"Choose one of {', '.join(VOICES)}."
        raise EdgeAgentError(f"{voice} speaks at {rate_hz} Hz, expected {SAMPLE_RATE_HZ}", remedy=remedy)
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def frames_of(samples: Samples) -> Iterator[Frame]:
    """Yield samples as frames; the last one is filled with zeros."""
    pcm = np.rint(np.clip(samples, -32_768, 32_767)).astype("<i2").tobytes()
    for start in range(0, len(pcm), FRAME_BYTES):
        yield pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
