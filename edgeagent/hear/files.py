"""Sound files to frames: any rate, width and number of channels that libsndfile reads, in bounded memory."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from edgeagent.errors import SoundError
from edgeagent.messages import FRAME_BYTES, FRAME_S, SAMPLE_RATE_HZ, Frame

BLOCK_SAMPLES = 16_384
LEAST_RATE_HZ, MOST_RATE_HZ = 4_000, 384_000
_FULL_SCALE = 32_768
_PROMISED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
"""In libsndfile's log of a WAV file: how many bytes of sound its header promises, and how many there are."""
_STREAMED_BYTES = 0x7FFF0000
"""Who writes a WAV file into a pipe does not know its length and promises at least this much."""


def frames_of(path: Path) -> Iterator[Frame]:
    """Yield the file's sound as frames, resampled to 16 kHz and mixed to one channel; the last is filled with zeros.

    Raise SoundError if it is no sound file, is empty, or ends in the middle.
    """
    rest = b""
    for block in _blocks(path):
        pcm = rest + np.rint(np.clip(block * _FULL_SCALE, -_FULL_SCALE, _FULL_SCALE - 1)).astype("<i2").tobytes()
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            yield pcm[start : start + FRAME_BYTES]
        rest = pcm[whole:]
    if rest:
        yield rest.ljust(FRAME_BYTES, b"\0")


def _blocks(path: Path) -> Iterator[np.ndarray]:
    try:
        with path.open("rb") as raw, soundfile.SoundFile(raw) as file:
            if file.frames == 0:
                raise SoundError(f"{path}: holds no sound", remedy="Give a file with at least one sample.")
            if not LEAST_RATE_HZ <= file.samplerate <= MOST_RATE_HZ:
                raise SoundError(
                    f"{path}: a sample rate of {file.samplerate} Hz is not usable",
                    remedy=f"Convert it to something between {LEAST_RATE_HZ} and {MOST_RATE_HZ} Hz.",
                )
            resample = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32")
            read = 0
            for block in file.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
                read += len(block)
                if not np.isfinite(block).any():
                    raise SoundError(f"{path}: holds no numbers", remedy="Make the file anew.")
                yield resample.resample_chunk(np.nan_to_num(block, posinf=1.0, neginf=-1.0).mean(axis=1), last=False)
            yield resample.resample_chunk(np.zeros(0, np.float32), last=True)
            promised = _PROMISED.search(file.extra_info)
            is_cut = promised is not None and int(promised[2]) < int(promised[1]) < _STREAMED_BYTES
            if is_cut or read < file.frames:
                raise SoundError(f"{path}: ends in the middle, after {read} samples", remedy="Copy the file again.")
    except soundfile.LibsndfileError as error:
        raise SoundError(
            f"{path}: no sound that can be read: {error.error_string.strip()}",
            remedy="Give a WAV, FLAC, OGG or MP3 file.",
        ) from error
    except OSError as error:
        raise SoundError(f"{path}: {error.strerror or error}", remedy="Name a readable sound file.") from error


class Resampled:
    """Sound of one channel at another rate to frames of ours, as it comes."""

    def __init__(self, rate_hz: int) -> None:
        """Begin a sound of this rate."""
        self._resample = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="int16")
        self._rest = b""

    def __call__(self, pcm: bytes) -> Iterator[Frame]:
        """Take 16-bit samples; yield the frames that are whole by now."""
        self._rest += self._resample.resample_chunk(np.frombuffer(pcm, "<i2")).tobytes()
        while len(self._rest) >= FRAME_BYTES:
            yield self._rest[:FRAME_BYTES]
            self._rest = self._rest[FRAME_BYTES:]


def paced(
    frames: Iterable[Frame],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Frame]:
    """Yield each frame when a microphone would have it: at the end of its 32 ms."""
    began = clock()
    for number, frame in enumerate(frames, start=1):
        wait_s = began + number * FRAME_S - clock()
        if wait_s > 0:
            sleep(wait_s)
        yield frame


def followed_by_silence(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Yield the frames, then `count` frames of silence."""
    yield from frames
    for _ in range(count):
        yield bytes(FRAME_BYTES)


def check(path: Path) -> None:
    """Read the first block. Raise SoundError if this is no sound file; a pipe is none, for opening it may never end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise SoundError(f"{path}: not a plain file", remedy="Name a readable sound file.")
    next(frames_of(path), None)
