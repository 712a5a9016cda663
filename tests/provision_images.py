"""Images for tests, made by the programs of Debian: sfdisk, mkfs.vfat, mtools; and what fsck.vfat says of them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAMS = ("mkfs.vfat", "fsck.vfat", "mcopy", "mdir", "mtype", "mmd", "sfdisk")
_PLACES = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
HAS_FAT_TOOLS = all(shutil.which(one, path=_PLACES) for one in PROGRAMS)
needs_fat_tools = pytest.mark.skipif(
    not HAS_FAT_TOOLS and "EDGEAGENT_CI" not in os.environ,
    reason="mtools, mkfs.vfat or sfdisk is not installed: apt-get install dosfstools mtools fdisk",
)
START = 1 << 20
"""Where the first partition begins: at one MiB, as partitioners like it."""


def run(*words: str | Path, given: bytes = b"") -> bytes:
    """Run a program of Debian's, and return what it has printed; fail with what it said if it failed."""
    environment = {**os.environ, "PATH": _PLACES, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([str(one) for one in words], input=given, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout.decode()} {done.stderr.decode()}"
    return done.stdout


def fat_file(path: Path, *, bits: int, size: int, options: tuple[str, ...] = ()) -> Path:
    """Make a file with a FAT volume in it and nothing else."""
    with path.open("wb") as file:
        file.truncate(size)
    run("mkfs.vfat", "-F", str(bits), "-i", "1234abcd", *options, path)
    return path


def card(path: Path, *, bits: int = 32, fat: int = 40 << 20, root: int = 8 << 20) -> Path:
    """Make a sparse image as cards have it: MBR, a FAT boot partition at 1 MiB, and a Linux one."""
    with path.open("wb") as file:
        file.truncate(START + fat + root)
    table = f"label: dos\nstart={START // 512}, size={fat // 512}, type=c\nsize={root // 512}, type=83\n"
    run("sfdisk", "-q", path, given=table.encode())
    volume = fat_file(path.with_suffix(".fat"), bits=bits, size=fat, options=("-n", "BOOTFS"))
    with path.open("r+b") as image, volume.open("rb") as source:
        image.seek(START)
        while piece := source.read(1 << 20):
            image.write(piece) if any(piece) else image.seek(len(piece), os.SEEK_CUR)
    volume.unlink()
    return path


def put(image: Path, name: str, content: bytes, *, at: int = START) -> None:
    """Copy a file onto an image's FAT partition by mtools."""
    run("mcopy", "-o", "-i", f"{image}@@{at}", "-", f"::{name}", given=content)


def get(image: Path, name: str, *, at: int = START) -> bytes:
    """Read a file of an image's FAT partition by mtools."""
    return run("mtype", "-i", f"{image}@@{at}", f"::{name}")


def complaints(image: Path, *, at: int = 0) -> str:
    """Return what fsck.vfat finds wrong with a volume; nothing if it is sound."""
    volume = image
    if at:
        volume = image.with_suffix(".checked")
        with image.open("rb") as source, volume.open("wb") as target:
            source.seek(at)
            shutil.copyfileobj(source, target)
    words = ["fsck.vfat", "-n", str(volume)]
    environment = {**os.environ, "PATH": _PLACES, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, capture_output=True, check=False, env=environment)
    if at:
        volume.unlink()
    return "" if done.returncode == 0 else done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
