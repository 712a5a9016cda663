"""What Linux says of a disk: from /sys, /proc and udev's notes to facts.

Rules:
    - Mounts are found by device number, and by what /proc says was mounted: btrfs has numbers of its own.
    - What lies on a disk is in use through it: partitions, and device mapper, LVM and RAID above them ("holders").
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgeagent.provision.devices import HEAD_BYTES, REMOVABLE_KINDS, Kind, Medium, contents_of, size_said
from edgeagent.provision.errors import ImageError

_SECTOR = 512
"""In /sys sizes are in these, whatever the disk has."""
MOST_DISKS = 256
MOST_LAYERS = 8
"""Of partitions, encryption, LVM and RAID above one another."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the kernel and udev tell of disks."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    udev: Path = Path("/run/udev/data")
    dev: Path = Path("/dev")


HERE = Places()


def medium_at(path: Path, places: Places = HERE) -> Medium:
    """Return the facts of the disk at a path. Raise ImageError if it is none, or a part of one."""
    try:
        found = path.stat()
    except OSError as error:
        raise ImageError(
            f"{path}: {error.strerror}", remedy="`edgeagent image flash IMAGE` shows the disks."
        ) from error
    if not stat.S_ISBLK(found.st_mode):
        raise ImageError(
            f"{path}: is no disk",
            remedy="`edgeagent image flash IMAGE` shows the disks; to write a file, say --to-file.",
        )
    path = path.resolve()  # a link such as /dev/disk/by-id/... may be another's before it is written to
    medium = described(path, f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}", places)
    try:
        with path.open("rb", buffering=0) as file:
            head = _read(file.fileno())
    except OSError as error:
        return replace(medium, contents=(f"what cannot be read ({error.strerror})", *medium.contents))
    return replace(medium, contents=contents_of(head, medium.contents))


def media(places: Places = HERE) -> Iterator[Medium]:
    """Return all disks that have a medium in them; of what is on them, only partitions are told."""
    for folder in sorted((places.sys / "block").iterdir())[:MOST_DISKS]:
        if _number(folder / "size") and not folder.name.startswith(("loop", "zram", "ram", "dm-", "md", "sr")):
            yield described(places.dev / folder.name, _text(folder / "dev"), places)


def described(path: Path, number: str, places: Places = HERE) -> Medium:
    """Return the facts of the disk with this number, as "8:16". Raise ImageError for a partition."""
    folder = (places.sys / "dev" / "block" / number).resolve()
    if not folder.is_dir():
        raise ImageError(f"{path}: the kernel knows no disk {number}", remedy="Put it in again.")
    if (folder / "partition").exists():
        whole = places.dev / folder.parent.name
        raise ImageError(f"{path}: is a part of {whole}", remedy=f"An image goes onto a whole disk: {whole}")
    parts = tuple(sorted(one.parent for one in folder.glob("*/partition")))
    layers = _layers(folder, parts)
    kind, notes = _kind(folder), _notes(places, number)
    numbers = {_text(one / "dev") for one in layers}
    size = _number(folder / "size") * _SECTOR
    return Medium(
        path=path,
        size_bytes=size,
        kind=kind,
        is_removable=kind in REMOVABLE_KINDS or _number(folder / "removable") == 1,
        is_read_only=_number(folder / "ro") == 1,
        model=_model(folder, notes),
        serial=_serial(folder, notes),
        mounts=tuple(_mounts(places, numbers)),
        users=tuple(_users(places, folder, parts, numbers)),
        contents=tuple(_partition(one) for one in parts),
    )


def _layers(folder: Path, parts: tuple[Path, ...]) -> set[Path]:
    """Return the disk, its partitions, and all that is made of them."""
    found, edge = set[Path](), {folder, *parts}
    for _ in range(MOST_LAYERS):
        found |= edge
        edge = {
            (holder.resolve()) for one in edge if (one / "holders").is_dir() for holder in (one / "holders").iterdir()
        } - found
    return found


def _mounts(places: Places, numbers: set[str]) -> Iterator[str]:
    for line in _text(places.proc / "self" / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, source = before.split(" "), after.split(" ")[1:2]
        if fields[2] in numbers or _number_of(places, source[0] if source else "") in numbers:
            yield _unescaped(fields[4])


def _users(places: Places, folder: Path, parts: tuple[Path, ...], numbers: set[str]) -> Iterator[str]:
    for line in _text(places.proc / "swaps").splitlines()[1:]:
        if _number_of(places, _unescaped(line.split(" ")[0].split("\t")[0])) in numbers:
            yield "swap"
    for one in (folder, *parts):
        for holder in sorted((one / "holders").iterdir()) if (one / "holders").is_dir() else ():
            yield f"{holder.name} is made of it"


def _number_of(places: Places, source: str) -> str | None:
    """Return the device number of what stands in /proc, as /dev/sda2; the kernel's list, not the node, is asked."""
    if not source.startswith("/dev/"):
        return None
    name = (places.dev / source.removeprefix("/dev/")).resolve().name
    for found in (places.sys / "class" / "block" / name, places.sys / "block" / name):
        if number := _text(found / "dev"):
            return number
    return None


def _kind(folder: Path) -> Kind:
    path = str(folder)
    if "/usb" in path:
        return "usb"
    if "/mmc_host/" in path:
        return "sd" if _text(folder / "device" / "type") == "SD" else "emmc"
    kinds: tuple[tuple[str, Kind], ...] = (
        ("/virtual/block/loop", "loop"),
        ("/nvme", "nvme"),
        ("/ata", "ata"),
        ("/virtio", "virtual"),
    )
    return next((kind for part, kind in kinds if part in path), "other")


def _model(folder: Path, notes: dict[str, str]) -> str:
    told = f"{_text(folder / 'device' / 'vendor')} {_text(folder / 'device' / 'model')}".strip()
    # A virtio disk's vendor is a number.
    return notes.get("ID_MODEL") or (told if not told.startswith("0x") else "") or _text(folder / "device" / "name")


def _serial(folder: Path, notes: dict[str, str]) -> str:
    """Return the serial number: udev's word, the disk's own, or that of the USB device that it is in."""
    own = notes.get("ID_SERIAL_SHORT") or _text(folder / "serial") or _text(folder / "device" / "serial")
    if own or "/usb" not in str(folder):
        return own
    for above in folder.parents:
        if (above / "idVendor").exists():
            return _text(above / "serial")
    return ""


def _notes(places: Places, number: str) -> dict[str, str]:
    lines = _text(places.udev / f"b{number}").splitlines()
    told = (line[2:].partition("=") for line in lines if line.startswith("E:"))
    return {key: value.strip() for key, _, value in told}


def _partition(folder: Path) -> str:
    return f"partition {folder.name} of {size_said(_number(folder / 'size') * _SECTOR)}"


def _unescaped(text: str) -> str:
    r"""Return a name of /proc: a space is \040 there (proc(5))."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text


def _read(descriptor: int) -> bytes:
    found = b""
    while len(found) < HEAD_BYTES and (piece := os.read(descriptor, HEAD_BYTES - len(found))):
        found += piece
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\n\0 ")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else 0
