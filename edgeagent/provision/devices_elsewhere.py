"""What macOS and Windows say of a disk, to facts; their answers are read by rules that tests have seen, on samples.

Untested on real machines of either: the samples follow what Apple and Microsoft document of `diskutil info -plist` and
`Get-Disk`. What is not in an answer counts against a disk, never for it.
"""

import json
import plistlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from edgeagent.provision.devices import Kind, Medium
from edgeagent.provision.errors import ImageError

WITHIN_S = 30
LARGEST_ANSWER = 1 << 20
_POWERSHELL = (
    "$n={number}; $d=Get-Disk -Number $n; "
    "$p=@(Get-Partition -DiskNumber $n -ErrorAction SilentlyContinue | Select-Object PartitionNumber,Size,AccessPaths);"
    " $d | Select-Object Size,BusType,Model,SerialNumber,IsSystem,IsBoot,IsReadOnly,@{{n='Partitions';e={{$p}}}}"
    " | ConvertTo-Json -Depth 4"
)
_MACOS: Mapping[str, Kind] = {"USB": "usb", "Secure Digital": "sd", "SATA": "ata", "PCI-Express": "nvme"}
_WINDOWS: Mapping[str, Kind] = {"USB": "usb", "SD": "sd", "MMC": "emmc", "SATA": "ata", "ATA": "ata", "NVMe": "nvme"}
_WINDOWS_DISK = re.compile(r"\\\\\.\\PhysicalDrive(\d{1,3})", re.IGNORECASE)


def medium_on_macos(path: Path) -> Medium:
    """Return the facts of a disk as /dev/disk4. Raise ImageError if it is none."""
    whole = _answer(["diskutil", "info", "-plist", str(path)], path)
    parts = _answer(["diskutil", "list", "-plist", str(path)], path)
    return of_diskutil(path, whole, parts)


def medium_on_windows(path: Path) -> Medium:
    r"""Return the facts of a disk as \\.\PhysicalDrive2. Raise ImageError if it is none."""
    found = _WINDOWS_DISK.fullmatch(str(path))
    if found is None:
        raise ImageError(rf"{path}: is no disk", remedy=r"Name it as \\.\PhysicalDrive2: Get-Disk shows the numbers.")
    command = _POWERSHELL.format(number=int(found[1]))
    return of_get_disk(path, _answer(["powershell", "-NoProfile", "-NonInteractive", "-Command", command], path))


def of_diskutil(path: Path, info: bytes, listed: bytes) -> Medium:
    """Return the facts in diskutil's two answers. Raise ImageError if they are none, or about a part of a disk."""
    about, parts = _plist(info, path), _plist(listed, path)
    if about.get("WholeDisk") is not True:
        raise ImageError(f"{path}: is no whole disk", remedy=f"Name /dev/{about.get('ParentWholeDisk', 'diskN')}")
    slices = [one for disk in _list(parts.get("AllDisksAndPartitions")) for one in _slices(disk)]
    return Medium(
        path=path,
        size_bytes=_count(about.get("TotalSize") or about.get("Size")),
        kind=_MACOS.get(str(about.get("BusProtocol")), "other"),
        is_removable=about.get("Internal") is False or about.get("RemovableMedia") is True,
        is_read_only=about.get("WritableMedia") is not True,
        model=str(about.get("MediaName") or ""),
        mounts=tuple(str(one["MountPoint"]) for one in slices if one.get("MountPoint")),
        users=("part of an APFS container or RAID",) if about.get("VirtualOrPhysical") == "Virtual" else (),
        contents=tuple(str(one.get("VolumeName") or one.get("Content") or "a partition") for one in slices),
    )


def of_get_disk(path: Path, answer: bytes) -> Medium:
    """Return the facts in Get-Disk's answer. Raise ImageError if it is none."""
    try:
        about = json.loads(answer)
    except ValueError as error:
        raise _unclear(path) from error
    if not isinstance(about, dict):
        raise _unclear(path)
    parts = [one for one in _list(about.get("Partitions")) if isinstance(one, dict)]
    paths = [str(one) for part in parts for one in _list(part.get("AccessPaths"))]
    kind = _WINDOWS.get(str(about.get("BusType")), "other")
    is_system = about.get("IsSystem") is not False or about.get("IsBoot") is not False
    return Medium(
        path=path,
        size_bytes=_count(about.get("Size")),
        kind=kind,
        is_removable=kind in {"usb", "sd"},
        is_read_only=about.get("IsReadOnly") is not False,
        model=str(about.get("Model") or "").strip(),
        serial=str(about.get("SerialNumber") or "").strip(),
        mounts=tuple(one for one in paths if re.fullmatch(r"[A-Za-z]:\\", one)),
        users=("Windows starts from it",) if is_system else (),
        contents=tuple(f"partition {one.get('PartitionNumber')}" for one in parts),
    )


def _slices(disk: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(disk, dict):
        return []
    own = [disk] if disk.get("MountPoint") else []
    return own + [one for key in ("Partitions", "APFSVolumes") for one in _list(disk.get(key)) if isinstance(one, dict)]


def _answer(command: list[str], path: Path) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, timeout=WITHIN_S, check=True)  # noqa: S603  # no shell
    except (OSError, subprocess.SubprocessError) as error:
        raise ImageError(f"{path}: {command[0]} does not know it", remedy="Put the card in again.") from error
    return done.stdout[:LARGEST_ANSWER]


def _plist(raw: bytes, path: Path) -> Mapping[str, Any]:
    try:
        found = plistlib.loads(raw)
    except (plistlib.InvalidFileException, ExpatError, ValueError, OverflowError) as error:
        raise _unclear(path) from error
    if not isinstance(found, dict):
        raise _unclear(path)
    return found


def _unclear(path: Path) -> ImageError:
    return ImageError(f"{path}: the system's answer about it cannot be read", remedy="Flash it on another machine.")


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found] if isinstance(found, dict | str) else []


def _count(found: Any) -> int:
    return found if isinstance(found, int) and found > 0 else 0
