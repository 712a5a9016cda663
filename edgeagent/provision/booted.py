"""The superblock of an ext4 root file system: whether a board has run from this image already."""

import struct
from typing import BinaryIO

from edgeagent.provision.partitions import LINUX, partitions

_SUPERBLOCK, _SIZE, _MAGIC = 1024, 1024, 0xEF53
_RUNNING = frozenset({"/", "/root", "/sysroot"})
"""Where a running system, or its first root, has a root file system; who makes an image has it elsewhere."""


def was_booted(image: BinaryIO) -> bool:
    """Tell by where the root was mounted last (s_last_mounted). What is no ext4 tells nothing: False."""
    for one in partitions(image):
        if one.kind != LINUX:
            continue
        image.seek(one.start + _SUPERBLOCK)
        raw = image.read(_SIZE)
        if len(raw) == _SIZE and struct.unpack_from("<H", raw, 56)[0] == _MAGIC:
            return raw[136:200].split(b"\0")[0].decode("utf-8", "replace") in _RUNNING
    return False
