"""Facts about a disk to what speaks against writing an image over it.

Rules, the first ones without any way round them:
    - Never: a disk that is mounted, in use or holds the running system, a part of a disk, what is write protected, what
      is too small.
    - Only where `--force` names its serial number: what cannot be taken out (eMMC, built-in disks), what is larger than
      a card is, and what has something on it. Where a disk tells no serial number, its size in bytes stands for it.
    - A medium on which an earlier flash was cut off carries a mark, and counts as empty.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LARGEST_EXPECTED_BYTES = 256 * 10**9
"""Cards beyond that are rare in boards; disks with somebody's backups are not."""
SYSTEM_MOUNTS = frozenset(
    {"/", "/boot", "/boot/efi", "/boot/firmware", "/efi", "/etc", "/home", "/nix", "/opt", "/srv", "/usr", "/var"}
)
HEAD_BYTES = 128 << 10
"""What is looked at of a medium's beginning."""
UNFINISHED = b"edgeagent has not finished writing here\n"
"""The first bytes of a medium while it is written: nothing boots from it, and it may be written again."""

Kind = Literal["usb", "sd", "emmc", "ata", "nvme", "virtual", "loop", "file", "other"]
REMOVABLE_KINDS: frozenset[Kind] = frozenset({"usb", "sd", "file"})
"""By their nature: the kernel calls a card in its slot fixed (mmcblk0/removable is 0)."""
_SECTOR = 512
_TABLE_AT, _TABLE_END = 446, 510
_MAGICS = (
    (3, b"NTFS    ", "NTFS"),
    (3, b"EXFAT   ", "exFAT"),
    (82, b"FAT32", "FAT"),
    (54, b"FAT1", "FAT"),
    (512, b"EFI PART", "a GPT"),
    (512, b"LABELONE", "LVM"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (1080, b"\x53\xef", "ext4"),
    (4086, b"SWAPSPACE2", "swap"),
    (4096, b"\xfc\x4e\x2b\xa9", "RAID"),
    (32769, b"CD001", "ISO 9660"),
    (65600, b"_BHRfS_M", "btrfs"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (0, b"XFSB", "XFS"),
    (0, b"hsqs", "squashfs"),
)
"""Where file systems and their like keep their names (libblkid's superblocks; each from its own format)."""


@dataclass(frozen=True, slots=True)
class Medium:
    """What an image may be written to, as the system describes it.

    `mounts` are mount points of it or of what is on it; `users` other ways in which it is in use, as swap;
    `contents` what was found on it, empty for a blank one.
    """

    path: Path
    size_bytes: int
    kind: Kind
    is_removable: bool
    is_read_only: bool = False
    model: str = ""
    serial: str = ""
    mounts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()

    @property
    def holds_system(self) -> bool:
        """Tell whether this machine runs from it."""
        return bool(SYSTEM_MOUNTS.intersection(self.mounts))

    @property
    def force_name(self) -> str:
        """What `--force` must name: the serial number, or the size where there is none."""
        return self.serial or str(self.size_bytes)

    def __str__(self) -> str:
        """Say what it is, as a person tells disks apart."""
        told = ", ".join(filter(None, (size_said(self.size_bytes), self.model, self.serial and f"no. {self.serial}")))
        return f"{self.path} ({self.kind}, {told})"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a medium is not written to, and what to do; `can_be_forced` with its serial number."""

    reason: str
    remedy: str
    can_be_forced: bool = False


def refusals(medium: Medium, needed_bytes: int | None, forced: str | None = None) -> list[Refusal]:
    """Return what speaks against it; empty when it may be written to. What can be forced is told when all else is well.

    `needed_bytes` is None where nobody knows how large the image is; `forced` is what `--force` has named.
    """
    found = _absolute(medium, needed_bytes)
    if forced is not None and forced != medium.force_name:
        found.append(Refusal(f"--force names {forced!r:.80}, this is {medium.force_name}", "Look which disk is meant."))
    return found if found or forced is not None else _questionable(medium)


def _absolute(medium: Medium, needed_bytes: int | None) -> list[Refusal]:
    found = []
    if medium.holds_system:
        found.append(Refusal("this machine runs from it", "Name the card, not the disk of this machine."))
    elif medium.mounts:
        where = ", ".join(medium.mounts[:5])
        found.append(Refusal(f"it is mounted at {where}", f"Unmount it: umount {' '.join(medium.mounts[:5])}"))
    if medium.users:
        found.append(Refusal(f"it is in use: {', '.join(medium.users[:5])}", "Name the card, not a disk in use."))
    if medium.is_read_only:
        found.append(Refusal("it is write protected", "Look for the slide at the card's side."))
    if medium.size_bytes == 0:
        found.append(Refusal("there is no medium in it", "Put the card in."))
    elif needed_bytes is not None and medium.size_bytes < needed_bytes:
        have, need = size_said(medium.size_bytes), size_said(needed_bytes)
        found.append(Refusal(f"it has {have}, the image {need}", "Take a larger card."))
    return found


def _questionable(medium: Medium) -> list[Refusal]:
    remedy = f"If it is the right one: --force {medium.force_name}"
    found = []
    if not medium.is_removable:
        found.append(Refusal("it cannot be taken out of this machine", remedy, can_be_forced=True))
    if medium.size_bytes > LARGEST_EXPECTED_BYTES and medium.kind != "file":  # of a new file it is what is free
        size = size_said(medium.size_bytes)
        found.append(Refusal(f"it is suspiciously large for a card: {size}", remedy, can_be_forced=True))
    if medium.contents:
        found.append(Refusal(f"there is something on it: {', '.join(medium.contents)}", remedy, can_be_forced=True))
    return found


def contents_of(head: bytes, partitions: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return what the first HEAD_BYTES of a medium, and the partitions that the system sees, say is on it."""
    if head.startswith(UNFINISHED):
        return ()
    found = [name for at, magic, name in _MAGICS if head[at : at + len(magic)] == magic]
    if not found and head[_TABLE_END:_SECTOR] == b"\x55\xaa" and any(head[_TABLE_AT:_TABLE_END]):
        found.append("a partition table")
    found += partitions
    if not found and any(head):
        found.append("data of some other kind")
    return tuple(found)


def size_said(count: int) -> str:
    """Return a size as it stands on a card: 31.9 GB."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
