"""Puts what a first boot needs into an unpacked root of Jetson Linux, and says how NVIDIA's tools flash it.

Rules:
    - Only a tree with /etc/nv_tegra_release of a release that our wheels run on is touched, never this machine's own.
    - Nothing is written through a link that leads out of the tree.
    - Done again with the same, it changes nothing; with another bundle, nothing of the old one stays.
    - Nothing is flashed here, and nothing of this was tried on a Jetson.
"""

import os
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeagent.files import write_durably
from edgeagent.install.bundles import opened
from edgeagent.provision.bundle_contents import contents_of
from edgeagent.provision.enrol_file import ENROL, FOLDER, SEED, EnrolFile, Seed, written
from edgeagent.provision.errors import ImageError

RELEASE = "etc/nv_tegra_release"
OLDEST = 36
"""Of JetPack 6, with glibc 2.35. What is older has 2.31 or less, and no wheel of onnxruntime runs there."""
LARGEST_RELEASE = 64 << 10
MOST_FILES = 10_000
BUNDLE, UNITS = "opt/edgeagent/bundle", "etc/systemd/system"
UNIT, SCRIPT = "edgeagent-jetson.service", "jetson-install"
_PLACES = (
    Path(__file__).parents[2] / "provisioning" / "jetson",
    Path(sys.prefix) / "share" / "edgeagent" / "provisioning" / "jetson",
)
"""Beside the package in a checkout, or where an installed package has put it."""
_TOLD = re.compile(r"# R(\d{1,3}) \(release\), REVISION: ([\d.]{1,10})")
_PYTHONS = ("python3.11", "python3.12", "python3.13")
_ANOTHER = "Name the folder rootfs of an unpacked Jetson Linux, as Linux_for_Tegra/rootfs."
FLASH = (
    "sudo ./tools/kernel_flash/l4t_initrd_flash.sh --external-device nvme0n1p1"
    " -c tools/kernel_flash/flash_l4t_t234_nvme.xml"
    ' -p "-c bootloader/generic/cfg/flash_t234_qspi.xml"'
    " --showlogs --network usb0 jetson-orin-nano-devkit internal"
)
"""For an Orin Nano with an NVMe disk, as people type it for R36. NVIDIA's own page of R36 was not read; that of R35,
which its forum quotes, has the same options with other files. So it is shown with the advice to compare it."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What goes into the tree: a bundle, as a folder or as `edgeagent image bundle` makes it, and a device's files."""

    bundle: Path
    seed: Seed | None = None
    enrol: EnrolFile | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: the tree's release, what was changed in it, what is left to a person, and how it is flashed."""

    release: str
    changed: tuple[str, ...]
    remarks: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file that shall be there: its path in the tree, its content, or what it is a copy of."""

    path: str
    source: bytes | Path
    mode: int


def apply(rootfs: Path, overlay: Overlay) -> Applied:
    """Put everything into the tree. Raise ImageError if it is none that we know, InstallError if the bundle is none."""
    release = release_of(rootfs)
    with TemporaryDirectory() as scratch:
        bundle = overlay.bundle if overlay.bundle.is_dir() else _unpacked(overlay.bundle, Path(scratch))
        changed = _applied(rootfs, replace(overlay, bundle=bundle))
    return Applied(release, changed, tuple(_remarks(rootfs)), (f"cd {rootfs.absolute().parent}", FLASH))


def _applied(rootfs: Path, overlay: Overlay) -> tuple[str, ...]:
    opened(overlay.bundle)
    wanted = list(_wanted(overlay))
    if len(wanted) > MOST_FILES:
        raise ImageError(f"{overlay.bundle}: has more than {MOST_FILES} files", remedy="Name a bundle.")
    changed = []
    try:
        for path in _superfluous(rootfs, wanted):
            (rootfs / path).unlink()
            changed.append(path)
        changed += [one.path for one in wanted if _place(rootfs, one)]
        if _enable(rootfs):
            changed.append(f"{UNITS}/multi-user.target.wants/{UNIT}")
    except OSError as error:
        remedy = "The tree is root's: type the same with sudo." if isinstance(error, PermissionError) else "Look at it."
        raise ImageError(f"{error.filename}: cannot be written: {error.strerror}", remedy=remedy) from error
    return tuple(changed)


def _unpacked(bundle: Path, folder: Path) -> Path:
    """Unpack a bundle that is a file, once its names were looked at. Raise ImageError if it is none."""
    try:
        file = bundle.open("rb")
    except OSError as error:
        raise ImageError(f"{bundle}: cannot be read: {error.strerror}", remedy="Name a bundle.") from error
    with file:
        contents_of(file, str(bundle))
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as archive:
            archive.extractall(folder, filter="data")
    return folder


def release_of(rootfs: Path) -> str:
    """Return the release of a tree, as 36.4.3. Raise ImageError if it is none, too old, or this machine itself."""
    if rootfs.is_dir() and rootfs.resolve() == Path("/"):
        raise ImageError(f"{rootfs}: is this machine itself", remedy="On a running Jetson: edgeagent install")
    try:
        with _inside(rootfs, RELEASE).open("rb") as file:
            text = file.read(LARGEST_RELEASE).decode("utf-8", "replace")
    except OSError as error:
        raise ImageError(f"{rootfs}: is no root of Jetson Linux: it has no /{RELEASE}", remedy=_ANOTHER) from error
    found = _TOLD.match(text)
    if found is None:
        raise ImageError(f"{rootfs}: /{RELEASE} names no release: {text[:80]!r}", remedy=_ANOTHER)
    if int(found[1]) < OLDEST:
        raise ImageError(
            f"{rootfs}: is release {found[1]}.{found[2]}, {OLDEST} or later was expected: its C library is too old",
            remedy="Take JetPack 6 or later; the original Nano has none.",
        )
    return f"{found[1]}.{found[2]}"


def _wanted(overlay: Overlay) -> Iterator[_File]:
    ours = next((one for one in _PLACES if one.is_dir()), None)
    if ours is None:
        raise ImageError("the files for Jetson are not there", remedy="Install edgeagent again.")
    for path in sorted(overlay.bundle.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield _File(f"{BUNDLE}/{path.relative_to(overlay.bundle).as_posix()}", path, 0o644)
    yield _File(f"opt/edgeagent/{SCRIPT}", (ours / SCRIPT).read_bytes(), 0o755)
    yield _File(f"{UNITS}/{UNIT}", (ours / UNIT).read_bytes(), 0o644)
    if overlay.seed is not None:
        yield _File(f"boot/{FOLDER}/{SEED}", written(overlay.seed), 0o644)
    if overlay.enrol is not None:
        yield _File(f"boot/{FOLDER}/{ENROL}", written(overlay.enrol), 0o600)


def _superfluous(rootfs: Path, wanted: list[_File]) -> list[str]:
    """Return what an earlier bundle has left."""
    known = {one.path for one in wanted}
    folder = _inside(rootfs, BUNDLE)
    there = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir()]
    return [path for path in (f"{BUNDLE}/{one}" for one in there) if path not in known]


def _place(rootfs: Path, file: _File) -> bool:
    """Have a file in the tree; tell whether it was another before."""
    target = _inside(rootfs, file.path)
    mode = target.stat().st_mode & 0o7777 if target.is_file() else None
    content = file.source if isinstance(file.source, bytes) else file.source.read_bytes()
    if mode == file.mode and target.stat().st_size == len(content) and target.read_bytes() == content:
        return False
    write_durably(target, content, mode=file.mode)
    return True


def _enable(rootfs: Path) -> bool:
    link = _inside(rootfs, f"{UNITS}/multi-user.target.wants") / UNIT
    if link.is_symlink() and os.readlink(link) == f"/{UNITS}/{UNIT}":  # noqa: PTH115  # as it stands there
        return False
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(f"/{UNITS}/{UNIT}")
    return True


def _inside(rootfs: Path, path: str) -> Path:
    """Return a path in the tree. Raise ImageError if a link leads out of it: an absolute one means this machine."""
    root = rootfs.resolve()
    found = (root / path).resolve()
    if not found.is_relative_to(root):
        raise ImageError(f"{rootfs}/{path}: a link leads out of the tree, to {found}", remedy="Unpack the tree anew.")
    return found


def _remarks(rootfs: Path) -> Iterator[str]:
    if not any((rootfs / "usr/bin" / name).exists() for name in _PYTHONS):
        yield (
            "It has no Python 3.11 to 3.13, and edgeagent is not installed without: put python3.11 and python3.11-venv"
            " into it before you flash, or on the running board; then /opt/edgeagent/jetson-install."
        )
    if not list((rootfs / "usr/lib/aarch64-linux-gnu").glob("libportaudio.so.2*")):
        yield "It has no PortAudio, which microphones need: put libportaudio2 into it, or on the running board."
    if shutil.which("l4t_initrd_flash.sh", path=str(rootfs.absolute().parent / "tools" / "kernel_flash")) is None:
        yield "NVIDIA's flash tool was not found beside it: the command below is as for Linux_for_Tegra."
    yield "The command is for an Orin Nano with an NVMe disk: compare it with NVIDIA's guide of your release and board."
    yield "None of this was tried on a Jetson."
