"""A root's busybox and a few of its kernel's modules to the first root, which finds the real one and enters it.

Never made by update-initramfs: under emulation that takes ten minutes, this half a second.
"""

import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeagent.provision.build import cpio
from edgeagent.provision.build.plan import ROOT_LABEL
from edgeagent.provision.errors import ImageError

MODULES = (
    "virtio_mmio", "virtio_pci", "virtio_blk", "virtio_net",  # QEMU
    "bcm2835", "sdhci-iproc", "sdhci-pci", "mmc_block",  # cards of Raspberry Pi and others
    "dwc2", "usb-storage", "uas", "xhci-pci", "nvme",  # disks on USB and PCI Express
    "pcie-brcmstb", "reset-raspberrypi", "raspberrypi-power", "bcm2835-power", "gpio-regulator", "i2c-bcm2835",
    "crc32c_generic", "ext4",
)  # fmt: skip
"""Asked for by name; one that the kernel has built in, or does not have, is left out."""
_INIT = f"""#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
while read -r module; do insmod "/modules/$module" 2>/dev/null; done </modules/order
waited=0
until root=$(findfs LABEL={ROOT_LABEL} 2>/dev/null); do
  waited=$((waited + 1))
  if [ "$waited" -gt 120 ]; then
    echo "edgeagent: no file system is called {ROOT_LABEL}; what there is:"
    blkid
    exec sh
  fi
  sleep 0.5
done
echo "edgeagent: root is $root"
mount -t ext4 -o rw,noatime "$root" /root || exec sh
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init
"""
_PROGRAMS = (
    "blkid", "findfs", "insmod", "ls", "cat", "dmesg", "mount", "sh", "sleep", "switch_root", "umount",
)  # fmt: skip


def first_root(root: Path, kernel: str, *, at: int) -> bytes:
    """Return the archive. Raise ImageError if the root has no busybox, or no modules for this kernel."""
    busybox = next((path for path in (root / "usr/bin/busybox", root / "bin/busybox") if path.is_file()), None)
    if busybox is None:
        raise ImageError(f"{root}: has no busybox", remedy="Put busybox-static among its packages.")
    modules = root / "lib/modules" / kernel
    order = in_order(MODULES, (modules / "modules.dep").read_text())
    entries = [cpio.folder(name) for name in ("bin", "dev", "modules", "proc", "root", "sys")]
    entries += [cpio.character_device("dev/console", 5, 1), cpio.file("init", _INIT.encode(), mode=0o755)]
    entries.append(cpio.file("bin/busybox", busybox.read_bytes(), mode=0o755))
    entries += [cpio.link(f"bin/{name}", "busybox") for name in _PROGRAMS]
    names = []
    for path in order:
        plain, content = _plain(modules / path)
        names.append(plain)
        entries.append(cpio.file(f"modules/{plain}", content))
    entries.append(cpio.file("modules/order", "".join(f"{name}\n" for name in names).encode()))
    return cpio.archive(entries, at=at)


def in_order(wanted: Sequence[str], dependencies: str) -> tuple[str, ...]:
    """Return the files of these modules, each after those that it needs. `dependencies` is depmod's modules.dep."""
    needs = dict(_needs(dependencies))
    files = {_name(path): path for path in needs}
    found: dict[str, None] = {}
    for name in wanted:
        path = files.get(name.replace("-", "_"))
        if path is not None:  # modules.dep names the nearest last: they go in from the back
            found |= dict.fromkeys((*reversed(needs[path]), path))
    return tuple(found)


def _needs(dependencies: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in dependencies.splitlines():
        path, colon, rest = line.partition(":")
        if colon:
            yield path, tuple(rest.split())


def _name(path: str) -> str:
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def _plain(path: Path) -> tuple[str, bytes]:
    """Return a module as busybox can load it."""
    content = path.read_bytes()
    if path.suffix == ".xz":
        return path.stem, lzma.decompress(content)
    return path.name, content
