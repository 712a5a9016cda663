"""What makes one file of another that the device has: smaller than the new file, and never trusted by itself.

Format: the letters EAD1, a byte for the method, the new file's length (8 bytes, big-endian), then zstd of
- P: the new file, with the old one as the window before it (good where parts are the same);
- S: the new file minus the old one, byte by byte modulo 256, what is longer than the old one as it is (good where all
  numbers have moved a little: a model that was trained on).

Whoever applies one checks the result against the hash of the whole new file; a delta for another base gives rubbish,
not harm: what comes out is bounded by the length that signed metadata names.
"""

import struct

import numpy as np
from backports import zstd

from edgeagent.errors import UpdateError

MAGIC = b"EAD1"
_HEADER = struct.Struct(">4scQ")
PREFIX, SUBTRACT = b"P", b"S"
WORTH_IT = 0.7
"""A delta must be smaller than this share of the new file, or the file itself is fetched."""
LEVEL = 12
LARGEST_BYTES = 512 << 20
"""Both files are held in memory: 512 MB is more than a board that would use a delta has."""
SMALLEST_BYTES = 1 << 10
"""Of what is smaller, a delta saves nothing that counts."""
_SMALLEST_WINDOW_LOG, _LARGEST_WINDOW_LOG = 17, 30


def make(old: bytes, new: bytes) -> bytes | None:
    """Return the smaller of both deltas; None where neither is worth it."""
    if max(len(old), len(new)) > LARGEST_BYTES or len(old) < SMALLEST_BYTES:
        return None
    found = min((_packed(PREFIX, old, new), _packed(SUBTRACT, old, new)), key=len)
    return found if len(found) < WORTH_IT * len(new) else None


def apply(old: bytes, delta: bytes, length: int) -> bytes:
    """Return the new file, of exactly this length in bytes. Raise UpdateError if the delta makes no such file."""
    if len(delta) < _HEADER.size:
        raise _wrong("it is cut off")
    magic, method, told = _HEADER.unpack_from(delta)
    if magic != MAGIC or method not in {PREFIX, SUBTRACT}:
        raise _wrong("it is none, or made by a newer edgeagent")
    if told != length or length > LARGEST_BYTES or len(old) < SMALLEST_BYTES:
        raise _wrong(f"it makes {told} bytes, {length} are wanted")
    body = _unpacked(method, old, delta[_HEADER.size :], length)
    return body if method == PREFIX else _added(old, body)


def _packed(method: bytes, old: bytes, new: bytes) -> bytes:
    header = _HEADER.pack(MAGIC, method, len(new))
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.window_log: _window_log(len(old) + len(new)),
    }
    if method == SUBTRACT:
        return header + zstd.compress(_subtracted(old, new), options=options)
    options[zstd.CompressionParameter.enable_long_distance_matching] = 1
    return header + zstd.compress(new, options=options, zstd_dict=zstd.ZstdDict(old, is_raw=True).as_prefix)


def _unpacked(method: bytes, old: bytes, packed: bytes, length: int) -> bytes:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW_LOG}
    prefix = zstd.ZstdDict(old, is_raw=True).as_prefix if method == PREFIX else None
    decompressor = zstd.ZstdDecompressor(zstd_dict=prefix, options=options)
    try:
        found = decompressor.decompress(packed, max_length=length + 1)
    except (zstd.ZstdError, EOFError, ValueError) as error:
        raise _wrong(str(error)) from error
    if len(found) != length or not decompressor.eof:
        raise _wrong(f"it does not make {length} bytes")
    return found


def _subtracted(old: bytes, new: bytes) -> bytes:
    shared = min(len(old), len(new))
    difference = np.frombuffer(new, np.uint8, shared) - np.frombuffer(old, np.uint8, shared)
    return difference.tobytes() + new[shared:]


def _added(old: bytes, difference: bytes) -> bytes:
    shared = min(len(old), len(difference))
    new = np.frombuffer(difference, np.uint8, shared) + np.frombuffer(old, np.uint8, shared)
    return new.tobytes() + difference[shared:]


def _window_log(length: int) -> int:
    return min(_LARGEST_WINDOW_LOG, max(_SMALLEST_WINDOW_LOG, length.bit_length()))


def _wrong(why: str) -> UpdateError:
    return UpdateError(
        f"the delta cannot be used: {why}", code="bad-delta", remedy="The whole file is fetched instead."
    )
