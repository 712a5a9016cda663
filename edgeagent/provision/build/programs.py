"""The programs that build an image: run with their output kept, and named with their package where they are missing."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeagent.provision.errors import ImageError

PACKAGES: Mapping[str, str] = {
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "e2fsck": "e2fsprogs",
    "fsck.vfat": "dosfstools",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "fdtput": "device-tree-compiler",
    "mdir": "mtools",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "sfdisk": "fdisk",
    "systemctl": "systemd",
    "systemd-hwdb": "udev",
    "systemd-sysusers": "systemd",
}
"""Which package of Debian has which program."""
EMULATION = ("arch-test", "binfmt-support", "qemu-user-static")
"""What an image of configured packages needs besides."""
LONGEST_S = 3600
"""The slowest step, all packages configured under emulation, takes a quarter of an hour."""
_TOLD = 2000
"""Characters at the end of what a program said that stand in an error."""
_ELSEWHERE = os.pathsep.join(("/usr/sbin", "/sbin"))
"""Where Debian keeps programs that a user's PATH does not have."""


def missing(programs: Sequence[str]) -> tuple[str, ...]:
    """Return those that are not installed."""
    return tuple(one for one in programs if _found(one) is None)


def need(programs: Sequence[str]) -> None:
    """Raise ImageError if any of them is missing, with the one command that installs all that are."""
    if absent := missing(programs):
        packages = " ".join(sorted({PACKAGES.get(one, one) for one in absent}))
        raise ImageError(
            f"these programs are not installed: {', '.join(absent)}",
            remedy=f"Type: sudo apt-get install --no-install-recommends {packages}",
        )


def need_emulation() -> None:
    """Raise ImageError unless programs for arm64 run here, as those do that configure packages."""
    words = ("apt-get install --no-install-recommends", *EMULATION, "&& sudo update-binfmts --enable qemu-aarch64")
    remedy = f"Type: sudo {' '.join(words)}; or take --variant test, whose packages are unpacked only."
    if missing(("arch-test",)):
        raise ImageError("arch-test is not installed, so programs for arm64 cannot be tried", remedy=remedy)
    try:
        run("arch-test", "arm64")
    except ImageError as error:
        raise ImageError(f"this machine does not run programs for arm64: {error}", remedy=remedy) from error


def run(
    program: str,
    *arguments: object,
    given: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    taken: Sequence[int] = (0,),
) -> str:
    """Run a program to its end and return what it said. Raise ImageError if it ends with a code that is not `taken`."""
    need((program,))
    call = [_found(program) or program, *map(str, arguments)]
    try:
        done = subprocess.run(  # noqa: S603  # the program that was found, and our own words
            call,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{program} has not ended after {LONGEST_S} s", remedy="Try again.") from error
    said = done.stdout.decode(errors="replace")
    if done.returncode not in taken:
        raise ImageError(
            f"{program} ended with {done.returncode}: {said.strip()[-_TOLD:]}",
            remedy="See what it says; `edgeagent image build` can be called again, what was fetched is kept.",
        )
    return said


def _found(program: str) -> str | None:
    if Path(program).is_absolute():
        return program if os.access(program, os.X_OK) else None
    return shutil.which(program) or shutil.which(program, path=_ELSEWHERE)
