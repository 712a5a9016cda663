"""What makes one file of another that the device has: smaller than the new file, and never trusted by itself.

Format: the letters EAD1, a byte for the method, the new file's length (8 bytes, big-endian), then zstd of
- P: the new file, with the old one as the window before it (good where parts are the same);
- A: stretches, and the new file minus the old one, byte by byte modulo 256 (good where all numbers have moved a
  little: a model that was trained anew). A stretch says how far away in the old file its bytes are, for the same
  tensor begins elsewhere when something before it has grown: a count (2 bytes), then where each begins in the new
  file and the distance (8 bytes each, big-endian, signed); what lies outside the old file is subtracted from nothing.

Whoever applies one checks the result against the hash of the whole new file; a delta for another base gives rubbish,
not harm: what comes out is bounded by the length that signed metadata names.
"""

import struct
from collections.abc import Sequence

import numpy as np
from backports import zstd
from numpy.typing import NDArray

from edgeagent.errors import UpdateError

MAGIC = b"EAD1"
_HEADER = struct.Struct(">4scQ")
PREFIX, ALIGNED = b"P", b"A"
WORTH_IT = 0.7
"""A delta must be smaller than this share of the new file, or the file itself is fetched."""
LEVEL = 12
LARGEST_BYTES = 512 << 20
"""Both files are held in memory: 512 MB is more than a board that would use a delta has."""
SMALLEST_BYTES = 1 << 10
"""Of what is smaller, a delta saves nothing that counts."""
_SMALLEST_WINDOW_LOG, _LARGEST_WINDOW_LOG = 17, 30
_STRETCH = struct.Struct(">qq")
_COUNT = struct.Struct(">H")
MOST_STRETCHES = 4_096
BLOCK_BYTES = 64 << 10
"""Of the new file: for each, the distance is looked for at which the old one is most alike."""
FARTHEST_BYTES = 4_096
SAMPLE_BYTES = 4_096
ALIKE = 20.0
"""Mean difference of bytes up to which a distance is good enough; of bytes that have nothing in common it is 64."""


def make(old: bytes, new: bytes) -> bytes | None:
    """Return the smaller of both deltas; None where neither is worth it."""
    if max(len(old), len(new)) > LARGEST_BYTES or len(old) < SMALLEST_BYTES:
        return None
    found = min((_packed(PREFIX, old, new), _packed(ALIGNED, old, new)), key=len)
    return found if len(found) < WORTH_IT * len(new) else None


def apply(old: bytes, delta: bytes, length: int) -> bytes:
    """Return the new file, of exactly this length in bytes. Raise UpdateError if the delta makes no such file."""
    if len(delta) < _HEADER.size:
        raise _wrong("it is cut off")
    magic, method, told = _HEADER.unpack_from(delta)
    if magic != MAGIC or method not in {PREFIX, ALIGNED}:
        raise _wrong("it is none, or made by a newer edgeagent")
    if told != length or length > LARGEST_BYTES or len(old) < SMALLEST_BYTES:
        raise _wrong(f"it makes {told} bytes, {length} are wanted")
    most = length if method == PREFIX else length + _COUNT.size + MOST_STRETCHES * _STRETCH.size
    body = _unpacked(method, old, delta[_HEADER.size :], most)
    made = body if method == PREFIX else _added(old, body, length)
    if len(made) != length:
        raise _wrong(f"it does not make {length} bytes")
    return made


def _packed(method: bytes, old: bytes, new: bytes) -> bytes:
    header = _HEADER.pack(MAGIC, method, len(new))
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.window_log: _window_log(len(old) + len(new)),
    }
    if method == ALIGNED:
        return header + zstd.compress(_subtracted(old, new), options=options)
    options[zstd.CompressionParameter.enable_long_distance_matching] = 1
    return header + zstd.compress(new, options=options, zstd_dict=zstd.ZstdDict(old, is_raw=True).as_prefix)


def _unpacked(method: bytes, old: bytes, packed: bytes, most: int) -> bytes:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW_LOG}
    prefix = zstd.ZstdDict(old, is_raw=True).as_prefix if method == PREFIX else None
    decompressor = zstd.ZstdDecompressor(zstd_dict=prefix, options=options)
    try:
        found = decompressor.decompress(packed, max_length=most + 1)
    except (zstd.ZstdError, EOFError, ValueError) as error:
        raise _wrong(str(error)) from error
    if len(found) > most or not decompressor.eof:
        raise _wrong(f"it makes more than {most} bytes")
    return found


def _subtracted(old: bytes, new: bytes) -> bytes:
    stretches = _stretches(np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8))
    difference = np.frombuffer(new, np.uint8) - _predicted(old, stretches, len(new))
    table = b"".join(_STRETCH.pack(*one) for one in stretches)
    return _COUNT.pack(len(stretches)) + table + difference.tobytes()


def _added(old: bytes, body: bytes, length: int) -> bytes:
    """Return the new file. Raise UpdateError if the stretches are not in order."""
    if len(body) < _COUNT.size:
        raise _wrong("it has no stretches")
    (count,) = _COUNT.unpack_from(body)
    begin = _COUNT.size + count * _STRETCH.size
    if count > MOST_STRETCHES or len(body) != begin + length:
        raise _wrong(f"its {count} stretches do not make {length} bytes")
    stretches = [_STRETCH.unpack_from(body, _COUNT.size + number * _STRETCH.size) for number in range(count)]
    starts = [start for start, _ in stretches]
    is_far = any(abs(distance) > LARGEST_BYTES for _, distance in stretches)
    if starts != sorted(set(starts)) or is_far or any(not 0 <= start < length for start in starts):
        raise _wrong("its stretches are not in order")
    difference = np.frombuffer(body, np.uint8, length, begin)
    return (difference + _predicted(old, stretches, length)).tobytes()


def _predicted(old: bytes, stretches: Sequence[tuple[int, int]], length: int) -> NDArray[np.uint8]:
    """Return what the old file has for each byte of the new one, 0 where it has nothing."""
    found = np.zeros(length, np.uint8)
    known = np.frombuffer(old, np.uint8)
    ends = [*(start for start, _ in stretches[1:]), length]
    for (start, distance), end in zip(stretches, ends, strict=True):
        first, last = max(start, -distance), min(end, len(old) - distance)
        if first < last:
            found[first:last] = known[first + distance : last + distance]
    return found


def _stretches(old: NDArray[np.uint8], new: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return where stretches begin in the new file, and how far away they are in the old one."""
    found: list[tuple[int, int]] = []
    distance = 0
    for start in range(0, len(new), BLOCK_BYTES):
        sample = new[start : start + SAMPLE_BYTES].astype(np.int16)
        if _unlike(old, sample, start + distance) > ALIKE:
            distance = _nearest(old, sample, start, distance)
        if (not found or found[-1][1] != distance) and len(found) < MOST_STRETCHES:
            found.append((start, distance))
    return found


def _unlike(old: NDArray[np.uint8], sample: NDArray[np.int16], at: int) -> float:
    """Return the mean difference of a sample to the old file's bytes there; of what lies outside, the most."""
    if at < 0 or at + len(sample) > len(old):
        return 256.0
    return float(np.abs((sample - old[at : at + len(sample)]).astype(np.int8).astype(np.int16)).mean())


def _nearest(old: NDArray[np.uint8], sample: NDArray[np.int16], start: int, before: int) -> int:
    """Return the distance at which the old file is most alike; the one before where none is any better."""
    first = max(0, start + before - FARTHEST_BYTES)
    around = old[first : start + before + FARTHEST_BYTES + len(sample)].astype(np.int16)
    if len(around) < len(sample):
        return before
    windows = np.lib.stride_tricks.sliding_window_view(around, len(sample))  # (W, S)
    unlike = np.array([np.abs((window - sample).astype(np.int8).astype(np.int16)).mean() for window in windows])
    best = int(unlike.argmin())
    return first + best - start if unlike[best] < ALIKE else before


def _window_log(length: int) -> int:
    return min(_LARGEST_WINDOW_LOG, max(_SMALLEST_WINDOW_LOG, length.bit_length()))


def _wrong(why: str) -> UpdateError:
    return UpdateError(
        f"the delta cannot be used: {why}", code="bad-delta", remedy="The whole file is fetched instead."
    )
