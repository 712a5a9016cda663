"""A root file system and what boots it to one disk: MBR, a FAT partition with U-Boot's menu, an ext4 partition.

No mount and no loop device. What programs would draw by chance or take from the clock is given to them.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeagent.provision.build.plan import (
    BOOT_LABEL,
    BOOT_MIB,
    BOOT_START,
    MIB,
    ROOT_LABEL,
    ROOT_SPARE_MIB,
    ROOT_START,
    SECTOR,
    Plan,
)
from edgeagent.provision.build.programs import run
from edgeagent.provision.errors import ImageError

KERNEL_ARGUMENTS = f"root=LABEL={ROOT_LABEL} rw rootwait quiet console=tty0 console=ttyS1,115200 console=ttyAMA0,115200"
"""The last console is the one that is spoken to."""
MENU = "extlinux/extlinux.conf"
_BLOCK = 4096
_IS_LABEL = b"\x08"
_BEGINNING = b"\x00\x00\x21\x00"
"""Midnight and 1980-01-01, as a FAT writes them."""
_ROOT_INODE, _FIRST_INODE = 2, 11


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the disk."""

    root: int
    disk: int


def menu() -> bytes:
    """Return what U-Boot reads (doc/develop/distro.rst of U-Boot)."""
    lines = ("default edgeagent", "prompt 0", "timeout 1", "label edgeagent", "  kernel /vmlinuz",
             "  initrd /initrd.img", f"  append {KERNEL_ARGUMENTS}")  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def settle_times(root: Path, epoch: int) -> None:
    """Make no file later than the epoch, and every folder exactly as old: their times are those of this build."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in (*files, *folders):
            path = Path(folder) / name
            is_folder = path.is_dir() and not path.is_symlink()
            at = epoch if is_folder else min(int(path.lstat().st_mtime), epoch)
            os.utime(path, (at, at), follow_symlinks=False)
    os.utime(root, (epoch, epoch))


def sizes(root: Path) -> Sizes:
    """Return how large root partition and disk must be."""
    used = sum(_blocks(Path(folder) / name) for folder, folders, files in os.walk(root) for name in (*files, *folders))
    wanted = used * 108 // 100 + ROOT_SPARE_MIB * MIB  # inode tables and journal
    rounded = -(-wanted // (16 * MIB)) * 16 * MIB
    return Sizes(rounded, ROOT_START + rounded)


def lay_out(plan: Plan, root: Path, boot: Mapping[str, bytes], image: Path, scratch: Path) -> Sizes:
    """Write the disk."""
    found = sizes(root)
    with image.open("wb") as file:
        file.truncate(found.disk)
    clock = {"SOURCE_DATE_EPOCH": str(plan.epoch), "E2FSPROGS_FAKE_TIME": str(plan.epoch), "TZ": "UTC"}
    _partition(plan, image, found)
    _boot(plan, boot, image, scratch, clock)
    _root(plan, root, image, found, clock)
    return found


def _partition(plan: Plan, image: Path, found: Sizes) -> None:
    table = (
        f"label: dos\nlabel-id: 0x{plan.disk_id:08x}\nunit: sectors\n"
        f"start={BOOT_START // SECTOR}, size={BOOT_MIB * MIB // SECTOR}, type=c, bootable\n"
        f"start={ROOT_START // SECTOR}, size={found.root // SECTOR}, type=83\n"
    )
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image, given=table.encode())


def _boot(plan: Plan, boot: Mapping[str, bytes], image: Path, scratch: Path, clock: Mapping[str, str]) -> None:
    number = f"{plan.identity('boot').int & 0xFFFFFFFF:08x}"
    where = (
        "--offset",
        BOOT_START // SECTOR,
        "-F",
        32,
        "-s",
        4,
        "-h",
        BOOT_START // SECTOR,
        "-n",
        BOOT_LABEL,
        "-i",
        number,
    )
    run("mkfs.vfat", *where, image, BOOT_MIB * MIB // 1024, environment=clock)
    _settle_label(image)
    partition = f"{image}@@{BOOT_START}"
    folders = sorted({str(parent) for name in boot for parent in Path(name).parents if str(parent) != "."})
    for folder in folders:
        run("mmd", "-i", partition, f"::{folder}", environment=clock)
    for name, content in sorted(boot.items()):
        path = scratch / Path(name).name
        path.write_bytes(content)
        os.utime(path, (plan.epoch, plan.epoch))
        run("mcopy", "-m", "-i", partition, path, f"::{name}", environment=clock)
        path.unlink()


def _settle_label(image: Path) -> None:
    """Give the label, the only entry of a new FAT, a time that is always the same: mkfs.vfat takes the clock's."""
    entry = BOOT_LABEL.ljust(11).encode() + _IS_LABEL
    with image.open("r+b") as file:
        file.seek(BOOT_START)
        at = BOOT_START + file.read(4 * MIB).index(entry)  # behind both tables, 1 MiB here
        file.seek(at + len(entry) + 2)
        file.write(_BEGINNING + _BEGINNING[2:] + bytes(2) + _BEGINNING)


def _root(plan: Plan, root: Path, image: Path, found: Sizes, clock: Mapping[str, str]) -> None:
    identity = plan.identity("root")
    extended = f"offset={ROOT_START},hash_seed={identity},lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    options = ("-q", "-F", "-t", "ext4", "-b", _BLOCK, "-m", "1", "-L", ROOT_LABEL[:16], "-U", identity)
    run("mke2fs", *options, "-E", extended, "-d", root, image, f"{found.root // 1024}k", environment=clock)
    _settle_changes(plan, image, clock)


def _settle_changes(plan: Plan, image: Path, clock: Mapping[str, str]) -> None:
    """Set when each file was changed and read: mke2fs copies that from this machine, where it is now."""
    where = f"{image}?offset={ROOT_START}"
    said = run("debugfs", "-R", "show_super_stats -h", where)
    total, free = (int(_number(said, name)) for name in ("Inode count", "Free inodes"))
    inodes = (_ROOT_INODE, *range(_FIRST_INODE, total - free + 1))  # a new file system gives them away in order
    with tempfile.NamedTemporaryFile("w", suffix=".debugfs") as script:
        for clock_of in ("atime", "ctime"):
            script.writelines(f"set_inode_field <{one}> {clock_of} @{plan.epoch}\n" for one in inodes)
        script.flush()
        run("debugfs", "-w", "-f", script.name, where, environment=clock)


def _number(said: str, name: str) -> str:
    found = re.search(rf"^{name}:\s+(\d+)$", said, re.MULTILINE)
    if found is None:
        raise ImageError(f"debugfs tells no {name!r}", remedy="Take e2fsprogs 1.47 or later.")
    return found[1]


def _blocks(path: Path) -> int:
    size = 0 if path.is_symlink() else path.lstat().st_size
    return -(-size // _BLOCK) * _BLOCK + 256
