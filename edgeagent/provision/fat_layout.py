"""The boot sector of a FAT volume to its layout: where the tables, the folders and the data lie.

The field names in comments are those of Microsoft's "FAT: General Overview of On-Disk Format", version 1.03.
"""

import struct
from dataclasses import dataclass

from edgeagent.provision.errors import ImageError

FAT16, FAT32 = 16, 32
FIRST = 2
"""The lowest number of a cluster."""
BOOT_BYTES = 512
ENTRY_BYTES = 32
"""One slot of a folder."""
_SECTOR_SIZES = frozenset({512, 1024, 2048, 4096})
_FAT12_BELOW, _FAT16_BELOW = 4085, 65525
"""The number of clusters alone tells which FAT it is."""
_LARGEST_CLUSTERS = 0x0FFFFFF5
LARGEST_TABLE_BYTES = 64 << 20
"""It is kept in memory. A card of 256 GB with clusters of 32 kB has 32 MB."""
_AGAIN = "Download the image again; if it is your own, run fsck.vfat on a copy of the partition."


@dataclass(frozen=True, slots=True)
class Layout:
    """A volume's geometry, in bytes from its first one. Clusters are numbered from 2."""

    bits: int
    """Of an entry in the table: FAT16 or FAT32."""
    sector: int
    cluster: int
    fats: tuple[int, ...]
    """Where each copy of the table begins."""
    fat_bytes: int
    root: int
    """FAT16: where the root folder begins, of fixed size. FAT32: its first cluster."""
    root_entries: int
    data: int
    clusters: int
    size: int
    fsinfo: int | None
    """FAT32: where the FSInfo sector begins."""
    dirty_byte: int
    """Linux and Windows note in the boot sector too that a volume is in use."""

    def offset_of(self, cluster: int) -> int:
        """Return where a cluster begins. Raise ImageError if there is no such cluster."""
        if not FIRST <= cluster < self.clusters + FIRST:
            raise ImageError(
                f"damaged FAT: cluster {cluster} of {self.clusters}", remedy="Run fsck.vfat, or take a fresh image."
            )
        return self.data + (cluster - FIRST) * self.cluster


def layout(boot: bytes, room: int) -> Layout:
    """Read a boot sector. `room` is the partition's size. Raise ImageError if it is no FAT16 or FAT32 that fits in."""
    if len(boot) < BOOT_BYTES or boot[510:512] != b"\x55\xaa" or boot[0] not in {0xEB, 0xE9}:
        raise _no_fat("no boot sector")
    sector, per_cluster, reserved, copies, root_entries, sectors16, _, fat16 = struct.unpack_from("<HBHBHHBH", boot, 11)
    sectors32, fat32 = struct.unpack_from("<II", boot, 32)  # BPB_TotSec32, BPB_FATSz32
    if sector not in _SECTOR_SIZES or per_cluster not in {1, 2, 4, 8, 16, 32, 64, 128} or copies not in {1, 2}:
        raise _no_fat(f"{sector} bytes in a sector, {per_cluster} sectors in a cluster, {copies} tables")
    sectors, per_fat = sectors16 or sectors32, fat16 or fat32
    root_bytes = -(-root_entries * ENTRY_BYTES // sector) * sector
    fat_at = reserved * sector
    data = fat_at + copies * per_fat * sector + root_bytes
    clusters = (sectors * sector - data) // (per_cluster * sector)
    if reserved == 0 or per_fat == 0 or clusters < 1:
        raise _no_fat("sizes that do not fit together")
    if sectors * sector > room:
        raise ImageError(
            f"the FAT volume has {sectors * sector:,} bytes, its partition only {room:,}: the image is truncated",
            remedy=_AGAIN,
        )
    bits = _bits(clusters, fat16)
    if per_fat * sector > LARGEST_TABLE_BYTES:
        raise _no_fat(f"a table of {per_fat * sector:,} bytes")
    if per_fat * sector * 8 < (clusters + FIRST) * bits:
        raise _no_fat("a table that is too small for its clusters")
    fats = tuple(fat_at + number * per_fat * sector for number in range(copies))
    return Layout(
        bits=bits,
        sector=sector,
        cluster=per_cluster * sector,
        fats=fats,
        fat_bytes=per_fat * sector,
        root=struct.unpack_from("<I", boot, 44)[0] if bits == FAT32 else data - root_bytes,
        root_entries=root_entries,
        data=data,
        clusters=clusters,
        size=sectors * sector,
        fsinfo=_fsinfo(boot, sector, reserved) if bits == FAT32 else None,
        dirty_byte=65 if bits == FAT32 else 37,  # BS_Reserved1
    )


def _bits(clusters: int, fat16: int) -> int:
    if clusters < _FAT12_BELOW:
        raise ImageError(
            f"the volume has {clusters} clusters: FAT12, expected FAT16 or FAT32",
            remedy="Format the boot partition with mkfs.vfat -F 16 or -F 32.",
        )
    if clusters >= _LARGEST_CLUSTERS:
        raise _no_fat(f"{clusters} clusters")
    bits = FAT16 if clusters < _FAT16_BELOW else FAT32
    # Some formatters make FAT32 with few clusters; BPB_FATSz16 = 0 tells it, and drivers go by that.
    return FAT32 if fat16 == 0 else bits


def _fsinfo(boot: bytes, sector: int, reserved: int) -> int | None:
    number: int = struct.unpack_from("<H", boot, 48)[0]
    return number * sector if 0 < number < reserved else None


def _no_fat(found: str) -> ImageError:
    return ImageError(f"the boot partition holds no FAT16 or FAT32: {found}", remedy=_AGAIN)
