"""Images as the makers of systems publish them, as far as their boot partitions tell: names and files, no programs."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from provision_images import START, card, run

CMDLINE = (
    b"console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait quiet"
)
FIRST = b" init=/usr/lib/raspberrypi-sys-mods/firstboot\n"


def issue(day: str) -> bytes:
    """Return what pi-gen writes."""
    made_by = "Generated using pi-gen, https://github.com/RPi-Distro/pi-gen, 0123abcd, stage2"
    return f"Raspberry Pi reference {day}\n{made_by}\n".encode()


BOOKWORM = {"cmdline.txt": CMDLINE + FIRST, "config.txt": b"[all]\n", "issue.txt": issue("2024-11-19")}
BULLSEYE = BOOKWORM | {"issue.txt": issue("2023-05-03")}
FIRST_TRIXIE = BOOKWORM | {"issue.txt": issue("2025-10-01")}
TRIXIE = {
    "cmdline.txt": CMDLINE + b" resize\n",
    "config.txt": b"[all]\n",
    "issue.txt": issue("2025-12-04"),
    "user-data": b"#cloud-config\n# an example\n",
    "meta-data": b"dsmode: local\n",
    "network-config": b"# an example\n",
}
PRESEED = BOOKWORM | {"issue.txt": issue("2026-09-01"), "rpi-preseed.toml": b'config_version = "1.0"\n'}
UBUNTU = {
    "cmdline.txt": b"console=serial0,115200 root=LABEL=writable rootfstype=ext4 rootwait\n",
    "user-data": b"#cloud-config\n",
    "meta-data": b"",
    "network-config": b"",
}
OWN = {"extlinux/extlinux.conf": b"default edgeagent\nprompt 0\nlabel edgeagent\n  kernel /vmlinuz\n"}


def made(path: Path, files: Mapping[str, bytes], *, bits: int = 16, mib: int = 0) -> Path:
    """Make an image with these files on its boot partition; small ones have FAT16."""
    image = card(path, bits=bits, fat=(mib or (40 if bits == 32 else 12)) << 20, root=1 << 20)
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        run("mcopy", "-s", "-i", f"{image}@@{START}", *sorted(Path(folder).iterdir()), "::")
    return image


def in_use(image: Path) -> None:
    """Mark the boot partition of a small image as one that nobody has unmounted."""
    with image.open("r+b") as file:
        file.seek(START + 37)
        file.write(b"\x01")
