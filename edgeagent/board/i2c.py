"""The header's I2C bus, asked who is there: writes nothing but an address, as i2cdetect does."""

import errno
import fcntl
import os
import struct
from collections.abc import Collection
from pathlib import Path

from edgeagent.board.errors import BoardError

HEADER_BUS = Path("/dev/i2c-1")
_I2C_SLAVE = 0x0703
_I2C_SMBUS = 0x0720
_QUICK_WRITE = struct.pack("BBIP", 0, 0, 0, 0)
"""struct i2c_smbus_ioctl_data of <linux/i2c-dev.h>: write, no command, I2C_SMBUS_QUICK, no data. A codec as WM8960
cannot be read, so that a read would not tell."""


def answering(addresses: Collection[int], bus: Path = HEADER_BUS) -> frozenset[int]:
    """Return which addresses answer, or belong to a driver already. Raise BoardError if the bus cannot be asked."""
    try:
        opened = os.open(bus, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise BoardError(
            f"{bus}: cannot be opened: {error.strerror}",
            remedy="Put dtparam=i2c_arm=on into config.txt, load i2c-dev, and be root or in the group i2c.",
        ) from error
    try:
        return frozenset(address for address in addresses if _answers(opened, address, bus))
    finally:
        os.close(opened)


def _answers(opened: int, address: int, bus: Path) -> bool:
    try:
        fcntl.ioctl(opened, _I2C_SLAVE, address)
    except OSError as error:
        if error.errno == errno.EBUSY:  # a driver holds it
            return True
        raise BoardError(f"{bus}: is no I2C bus: {error.strerror}", remedy="Name another bus.") from error
    try:
        fcntl.ioctl(opened, _I2C_SMBUS, _QUICK_WRITE)
    except OSError:  # nobody acknowledged: ENXIO or EREMOTEIO, as the bus's driver likes
        return False
    return True
