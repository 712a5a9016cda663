"""What an archive's own words say about the size of what is in it, without unpacking; None where it does not say.

Rules, by format:
    - xz keeps an index at the end of each stream, with the size of each block. There may be several streams, and
      padding between them (The .xz File Format 1.2.1, 2 and 4).
    - zst may give a size in the head of each frame. There may be several frames (RFC 8878, 3.1.1).
    - gz keeps the size modulo 4 GiB, and of the last member alone (RFC 1952, 2.3.1): an image may be larger, so that is
      no answer.
"""

import os
import struct
from typing import BinaryIO

LARGEST_INDEX_BYTES = 8 << 20
"""A block of an xz file is told in some ten bytes: a million of them are more than any image has."""
MOST_STREAMS = 10_000
MOST_BLOCKS = 10_000_000
"""Of zst: blocks have up to 128 kB; a million of them are 128 GB."""
LARGEST_BYTES = 1 << 46
"""64 TB; who says more is wrong."""
_XZ_FOOTER = struct.Struct("<IIH2s")
_XZ_HEADER_BYTES = 12
_ZST_MAGIC = 0xFD2FB528
_ZST_SKIPPED = 0x184D2A50
"""Of sixteen numbers that begin here, a frame is nothing but a remark (RFC 8878, 3.1.2)."""
_ZST_SIZE_BYTES = (0, 2, 4, 8)
_ZST_RLE, _ZST_RESERVED = 1, 3


def xz_size(file: BinaryIO) -> int | None:
    """Return how many bytes come out of an xz file; None where its end is not as it should be."""
    end, total = file.seek(0, os.SEEK_END), 0
    for _ in range(MOST_STREAMS):
        end = _without_padding(file, end)
        if end == 0:
            return total
        found = _xz_stream(file, end)
        if found is None:
            return None
        begin, size = found
        end, total = begin, total + size
        if end < 0 or total > LARGEST_BYTES:
            return None
    return None


def zst_size(file: BinaryIO) -> int | None:
    """Return how many bytes come out of a zst file; None where a frame does not say, or is cut off."""
    end, at, total = file.seek(0, os.SEEK_END), 0, 0
    while at < end:
        head = _at(file, at, 8)
        if len(head) < 8:  # noqa: PLR2004  # a magic number and a length
            return None
        magic, length = struct.unpack("<II", head)
        if magic & ~0xF == _ZST_SKIPPED:
            at += 8 + length
            continue
        found = _zst_frame(file, at) if magic == _ZST_MAGIC else None
        if found is None:
            return None
        at, size = found
        total += size
        if total > LARGEST_BYTES:
            return None
    return total if at == end else None


def _without_padding(file: BinaryIO, end: int) -> int:
    while end >= 4 and _at(file, end - 4, 4) == bytes(4):  # noqa: PLR2004  # padding is in fours
        end -= 4
    return end


def _xz_stream(file: BinaryIO, end: int) -> tuple[int, int] | None:
    """Return where the stream that ends here begins, and its unpacked size."""
    raw = _at(file, max(end - _XZ_FOOTER.size, 0), _XZ_FOOTER.size)
    if len(raw) < _XZ_FOOTER.size:
        return None
    _, backward, _, magic = _XZ_FOOTER.unpack(raw)
    index_bytes = (backward + 1) * 4
    if magic != b"YZ" or index_bytes > min(LARGEST_INDEX_BYTES, end):
        return None
    index = _at(file, end - _XZ_FOOTER.size - index_bytes, index_bytes)
    try:
        packed, size = _xz_index(index)
    except (IndexError, ValueError):
        return None
    return end - _XZ_FOOTER.size - index_bytes - packed - _XZ_HEADER_BYTES, size


def _xz_index(index: bytes) -> tuple[int, int]:
    """Return the sizes of all blocks, packed with their padding and unpacked. Raise IndexError or ValueError."""
    if not index or index[0] != 0:
        raise ValueError("no index")
    count, at = _number(index, 1)
    packed = size = 0
    for _ in range(count):
        unpadded, at = _number(index, at)
        unpacked, at = _number(index, at)
        packed += (unpadded + 3) & ~3
        size += unpacked
    return packed, size


def _number(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits in each byte, the lowest first, and where it ends (.xz 1.2)."""
    value = 0
    for place in range(9):
        one = raw[at + place]
        value |= (one & 0x7F) << (7 * place)
        if one < 0x80:  # noqa: PLR2004  # the last byte
            return value, at + place + 1
    raise ValueError("no number")


def _zst_frame(file: BinaryIO, at: int) -> tuple[int, int] | None:
    """Return where a frame ends, and its unpacked size."""
    head = _at(file, at + 4, 14)
    if not head:
        return None
    flags = head[0]
    is_single, has_sum = bool(flags & 0x20), bool(flags & 0x04)
    before = 1 + (not is_single) + (0, 1, 2, 4)[flags & 3]
    width = _ZST_SIZE_BYTES[flags >> 6] or int(is_single)
    if not width or len(head) < before + width:
        return None
    size = int.from_bytes(head[before : before + width], "little") + (256 if width == 2 else 0)  # noqa: PLR2004
    at += 4 + before + width
    for _ in range(MOST_BLOCKS):
        raw = _at(file, at, 3)
        told = int.from_bytes(raw, "little")
        kind = (told >> 1) & 3
        if len(raw) < 3 or kind == _ZST_RESERVED:  # noqa: PLR2004  # a block's head
            return None
        at += 3 + (1 if kind == _ZST_RLE else told >> 3)
        if told & 1:
            return at + 4 * has_sum, size
    return None


def _at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)
