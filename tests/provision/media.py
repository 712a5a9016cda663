"""Images and media for tests: small images of cards, and files given as disks."""

import random
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from typing_extensions import Buffer

LOSETUP = Path("/usr/sbin/losetup")
MIB = 1 << 20


def card_image(size: int = 21 * MIB + 512, seed: int = 8) -> bytes:
    """Return an image with a partition table that fits its size; parts of it are noise, parts are zeros."""
    noise = random.Random(seed).randbytes(MIB // 4)  # noqa: S311  # no secret
    content = bytearray((noise + bytes(7 * MIB - len(noise))) * (size // (7 * MIB) + 1))[:size]
    content[:512] = bytes(512)
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\0\0", 0x0C, b"\0\0\0", 2048, size // 512 - 2048)
    content[446:462] = entry
    content[510:512] = b"\x55\xaa"
    return bytes(content)


class CutFile(BytesIO):
    """A disk whose plug is pulled after so many writes: what comes later is lost."""

    def __init__(self, content: bytes, writes: int, descriptor: int) -> None:
        super().__init__(content)
        self.left = writes
        self._descriptor = descriptor

    def write(self, data: Buffer, /) -> int:
        self.left -= 1
        return super().write(data) if self.left >= 0 else len(bytes(data))

    def fileno(self) -> int:
        return self._descriptor


@contextmanager
def loop(path: Path) -> Iterator[Path]:
    """Give a file as a disk, where this machine lets us; else skip, and say why."""
    if not LOSETUP.exists():
        pytest.skip("losetup is not there, so no real disk is tried: apt-get install mount")
    done = subprocess.run([LOSETUP, "--find", "--show", path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device to be had, so no real disk is tried: {done.stderr.strip()}; run the tests as root")
    try:
        yield Path(done.stdout.strip())
    finally:
        subprocess.run([LOSETUP, "--detach", done.stdout.strip()], check=True)


@contextmanager
def mounted(kind: str, options: str, source: Path | str, folder: Path) -> Iterator[Path]:
    """Mount something, where this machine lets us; else skip, and say why."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", kind, "-o", options, source, folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}; run the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
