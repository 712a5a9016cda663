"""Colours to the bytes of APA102 and WS2812 lamps, and those bytes to an SPI device, without any library.

Rules:
    - APA102 (SK9822): 32 zeros; for each lamp three ones, five bits of brightness, blue, green, red; 32 zeros, which
      an SK9822 needs to show what it was told, and half a clock for each lamp, which brings the data to the last one.
    - WS2812: green, red, blue; a bit is three of SPI's at 2.4 MHz, 110 for a one and 100 for a zero. It is shown once
      the line has been low for 280 us, and the line is low for as long before, since it may idle high.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeagent.board.errors import BoardError
from edgeagent.board.showing import Picture

APA102_HZ = 4_000_000
WS2812_HZ = 2_400_000
LARGEST_WRITE_BYTES = 4096
"""What spidev takes at once, unless its module was told otherwise (spidev.bufsiz)."""

Write = Callable[[bytes], None]
"""Sends bytes to lamps. Raises BoardError if it cannot."""
Control = Callable[[int, int, bytes], object]
"""ioctl(2): file, request, argument."""

_FULL = 0xFF
"""Three ones and full brightness: what is dimmer has dimmer colours."""
_LATCH = bytes(round(WS2812_HZ / 8 * 280e-6) + 6)
_ON_THE_WIRE = tuple(
    int("".join("110" if byte >> bit & 1 else "100" for bit in range(7, -1, -1)), 2).to_bytes(3, "big")
    for byte in range(256)
)

# linux/spi/spidev.h, as _IOW('k', number, type) of asm-generic/ioctl.h, which arm64 and x86 share
_MODE = 1 << 30 | 1 << 16 | ord("k") << 8 | 1
_BITS_PER_WORD = 1 << 30 | 1 << 16 | ord("k") << 8 | 3
_MAX_SPEED_HZ = 1 << 30 | 4 << 16 | ord("k") << 8 | 4


def apa102(picture: Picture) -> bytes:
    """Return the bytes that show a picture on APA102 lamps."""
    lamps = b"".join(bytes((_FULL, blue, green, red)) for red, green, blue in picture)
    return bytes(4) + lamps + bytes(4 + (len(picture) + 15) // 16)


def ws2812(picture: Picture) -> bytes:
    """Return the bytes that show a picture on WS2812 lamps, for SPI's data line at WS2812_HZ."""
    colors = (part for red, green, blue in picture for part in (green, red, blue))
    return _LATCH + b"".join(_ON_THE_WIRE[part] for part in colors) + _LATCH


@contextmanager
def spi(path: Path, speed_hz: int, control: Control = fcntl.ioctl) -> Iterator[Write]:
    """Open an SPI device for writing at this speed while the block runs. Raise BoardError if it cannot be."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # no other kind of file keeps us waiting
    except OSError as error:
        raise _unusable(path, error) from error

    def write(data: bytes) -> None:
        try:
            sent = os.write(file, data)
        except OSError as error:
            raise _unusable(path, error) from error
        if sent != len(data):
            raise BoardError(
                f"{path}: took {sent} of {len(data)} bytes", remedy="Name a SPI device: [board.light] spi."
            )

    try:
        try:
            control(file, _MODE, b"\0")
            control(file, _BITS_PER_WORD, b"\x08")
            control(file, _MAX_SPEED_HZ, struct.pack("=I", speed_hz))
        except OSError as error:
            raise _unusable(path, error) from error
        yield write
    finally:
        os.close(file)


def _unusable(path: Path, error: OSError) -> BoardError:
    problem = error.strerror or str(error)
    match error.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            remedy = (
                "Turn SPI on (on a Raspberry Pi dtparam=spi=on in config.txt, then start anew), and plug the HAT in."
            )
        case errno.EACCES | errno.EPERM:
            remedy = "Put the agent's user into the group spi: sudo usermod -aG spi edgeagent, then start it anew."
        case errno.ENOTTY | errno.EISDIR:
            problem, remedy = "is no SPI device", "Name one as /dev/spidev0.0: [board.light] spi."
        case errno.EMSGSIZE:
            remedy = "These are too many lamps for one message: lower [board.light] count, or raise spidev.bufsiz."
        case _:
            remedy = "See whether the lights are plugged in; dmesg says what the kernel finds."
    return BoardError(f"{path}: {problem}", remedy=remedy)
