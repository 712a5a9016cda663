"""The image that the journeys boot: built once, kept in the cache, and only its copies are changed."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from brokers import HAS_MOSQUITTO
from qemu.machine import HAS_QEMU, HOST, copy_of, put, put_boot

from edgeagent.provision.build.image import Built, build, default_cache
from edgeagent.provision.build.plan import Wishes
from edgeagent.provision.build.programs import PACKAGES, missing
from edgeagent.provision.enrol_file import FOLDER, SEED, Seed, written

CHECKOUT = Path(__file__).parents[2]
JOURNEY_S = 1800
LACKING = missing(tuple(PACKAGES))
_EMULATED = "[Service]\nTimeoutStartSec=900\nWatchdogSec={watchdog_s}\n"
"""An emulated processor is ten to fifty times slower than a board's: only the deadlines are other ones."""

marks = [
    pytest.mark.slow,
    pytest.mark.timeout(JOURNEY_S),
    pytest.mark.skipif(
        (not HAS_QEMU or not HAS_MOSQUITTO or bool(LACKING)) and "EDGEAGENT_CI" not in os.environ,
        reason="missing: apt-get install --no-install-recommends qemu-system-arm u-boot-qemu mosquitto "
        + " ".join(sorted({PACKAGES[one] for one in LACKING})),
    ),
    pytest.mark.skipif(os.geteuid() != 0 and "EDGEAGENT_CI" not in os.environ, reason="building needs root: sudo"),
]


def built(folder: Path, suite: str = "trixie") -> Built:
    """Build the image of this checkout; packages and wheels come from the cache where they are there."""
    return build(Wishes(folder / f"{suite}.img", CHECKOUT, default_cache(), suite=suite))


def seeded(image: Path, folder: Path, broker_port: int, *, watchdog_s: int = 120) -> Path:
    """Copy an image, for a device of the house whose broker is on this machine."""
    copy = copy_of(image, folder)
    seed = Seed(
        name="edgeagent",
        area="kitchen",
        broker_host=HOST,
        broker_port=broker_port,
        built=datetime(2026, 11, 1, tzinfo=UTC),
    )
    put_boot(copy, f"{FOLDER}/{SEED}", written(seed))
    emulated(copy, watchdog_s=watchdog_s)
    return copy


def emulated(disk: Path, *, watchdog_s: int = 120) -> None:
    """Have an image wait for an emulated processor, and have a sound card, which QEMU has none of."""
    drop_in = _EMULATED.format(watchdog_s=watchdog_s)
    put(disk, "/etc/systemd/system/edgeagent.service.d/90-emulated.conf", drop_in.encode())
    put(disk, "/etc/modules-load.d/aloop.conf", b"snd-aloop\n")
