"""What an image consists of: release of Debian, packages, layout of the disk. Nothing is done here.

Rules:
    - The same wishes give the same plan, and the same plan the same key, under which what is slow is kept.
    - A `test` image has its packages unpacked and no more: it boots, its dpkg knows of nothing. A `ship` image has them
      configured.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from edgeagent.provision.errors import ImageError

SuiteName = Literal["bookworm", "trixie"]
Variant = Literal["test", "ship"]
SECTOR = 512
MIB = 1 << 20
BOOT_START = MIB
BOOT_MIB = 256
"""Kernel, first root and a bundle of wheels have 130 MiB."""
ROOT_START = BOOT_START + BOOT_MIB * MIB
ROOT_SPARE_MIB = 192
"""What is free on a new root, until the first boot grows it."""
BOOT_LABEL, ROOT_LABEL = "BOOTFS", "edgeagent-root"
_RECIPE = 2
"""Raised when what is done with the packages changes: what was kept before is not taken any more."""
EPOCH = 1_793_491_200
"""2026-11-01: how old files are where SOURCE_DATE_EPOCH is not given. A FAT knows no time before 1980."""
_NAMESPACE = uuid.UUID("7a9a9a5e-6d2f-5d0c-9f3a-0c8d6a0f7a11")
"""Ours alone: identities of disks and file systems are drawn from it, not from chance."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A release of Debian."""

    name: SuiteName
    python: tuple[int, int]
    glibc: tuple[int, int]
    packages: tuple[str, ...] = ()
    """Those that only this release needs."""


SUITES: Mapping[str, Suite] = {
    "bookworm": Suite("bookworm", (3, 11), (2, 36), ("login", "libasound2")),
    "trixie": Suite("trixie", (3, 13), (2, 41), ("login", "libasound2t64", "linux-sysctl-defaults")),
}
ESSENTIAL = (
    "base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "dpkg", "findutils", "grep",
    "gzip", "hostname", "init-system-helpers", "libc-bin", "mount", "passwd", "sed", "tar", "util-linux",
)  # fmt: skip
SYSTEM = (
    "busybox-static", "ca-certificates", "dbus", "e2fsprogs", "fdisk", "iproute2", "iputils-ping", "kmod",
    "linux-image-arm64", "netbase", "openssh-server", "procps", "systemd", "systemd-resolved", "systemd-sysv",
    "systemd-timesyncd", "tzdata", "udev",
)  # fmt: skip
AGENT = ("alsa-utils", "espeak-ng", "libatomic1", "libportaudio2", "python3", "python3-venv")
"""What the wheels do not bring along."""
SHIPPED = ("apt", "iw", "wpasupplicant", "firmware-brcm80211", "sudo", "bluez-firmware")
"""What only a real board needs; the firmware is in Debian's component non-free-firmware."""
UNPACKED = "var/lib/edgeagent-packages"
"""In a root whose packages were not configured: the names of their files, since its dpkg knows of nothing."""
NOT_EMULATED = ("linux-image-arm64",)
"""Unpacked without being configured: its postinst makes a first root under emulation for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asks for."""

    image: Path
    """The file to write."""
    checkout: Path
    """Where pyproject.toml, requirements.lock, systemd/ and hardware/ are."""
    cache: Path
    """What is slow to fetch or make is kept here."""
    suite: str = "trixie"
    variant: Variant = "test"
    epoch: int = 0
    """SOURCE_DATE_EPOCH: no file in the image is later, in seconds; 0 for one that is always the same."""
    mirror: str | None = None
    """Where Debian's packages come from; when absent, what mmdebstrap and the machine's apt are set to."""
    files: tuple[tuple[str, bytes], ...] = ()
    """More files for the boot partition, by path: a seed, an enrolment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is in the image, decided."""

    suite: Suite
    variant: Variant
    packages: tuple[str, ...]
    components: tuple[str, ...]
    epoch: int
    mirror: str | None

    @property
    def key(self) -> str:
        """Name what is made from this plan: other plans have other names."""
        text = json.dumps(asdict(self) | {"recipe": _RECIPE}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def python(self) -> str:
        """Return the name of the interpreter in the image."""
        return "python{}.{}".format(*self.suite.python)

    def identity(self, of: str) -> uuid.UUID:
        """Return the identity of a file system of this image."""
        return uuid.uuid5(_NAMESPACE, f"{self.key}/{of}")

    @property
    def disk_id(self) -> int:
        """Return the 32 bits that name the disk."""
        return self.identity("disk").int & 0xFFFFFFFF or 1


def planned(wishes: Wishes) -> Plan:
    """Decide. Raise ImageError for a release that there is none of."""
    suite = SUITES.get(wishes.suite)
    if suite is None:
        raise ImageError(f"suite {wishes.suite!r}: expected {' or '.join(SUITES)}", remedy="Take trixie.")
    if wishes.variant not in {"test", "ship"}:
        raise ImageError(f"variant {wishes.variant!r}: expected test or ship", remedy="Take test for QEMU.")
    ships = wishes.variant == "ship"
    packages = {*ESSENTIAL, *SYSTEM, *AGENT, *suite.packages, *(SHIPPED if ships else ())}
    components = ("main", "non-free-firmware") if ships else ("main",)
    return Plan(suite, wishes.variant, tuple(sorted(packages)), components, wishes.epoch or EPOCH, wishes.mirror)
