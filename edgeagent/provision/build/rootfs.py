"""Debian's packages to a root file system for arm64, without a chroot, a mount or a running emulated system."""

import os
import shutil
from pathlib import Path

from edgeagent.files import write_durably
from edgeagent.provision.build.plan import NOT_EMULATED, UNPACKED, Plan
from edgeagent.provision.build.programs import run
from edgeagent.provision.errors import ImageError

EMULATOR = "qemu-aarch64-static"
_MASKED = (
    "getty@.service",
    "initrd-cleanup.service",
    "systemd-firstboot.service",  # asks for a time zone on the console, and waits
    "systemd-hwdb-update.service",  # done here: it takes 21 s on a board
    "systemd-journal-catalog-update.service",
)
_ENABLED = ("systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service")
_DROPPED = ("usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/bash-completion", "var/cache/apt",
            "var/lib/apt/lists", "var/log/apt", "var/log/bootstrap.log", "usr/share/lintian")  # fmt: skip
_USERS = 'u messagebus - "System Message Bus" /nonexistent\nu sshd - "OpenSSH" /run/sshd\ng netdev -\n'
"""Those whom Debian's packages make only when they are configured."""


_LISTED = f'find "$1/var/cache/apt/archives" -name "*.deb" -printf "%f\\n" >"$1/{UNPACKED}"'


def made(plan: Plan, cache: Path) -> Path:
    """Return a tar of the finished root: a kept one if there is one. Raise ImageError; root's rights are needed."""
    kept = cache / f"root-{plan.suite.name}-{plan.variant}-{plan.key}.tar"
    if kept.is_file():
        return kept
    if os.geteuid() != 0:
        raise ImageError("building needs root: files in the image are root's", remedy="Call it with sudo.")
    cache.mkdir(parents=True, exist_ok=True)
    folder, unfinished = cache / f"making-{plan.key}-{os.getpid()}", kept.with_suffix(".part")
    try:
        if plan.variant == "test":
            _extract(plan, folder)
            _finish_unconfigured(folder)
        else:
            _configure(plan, folder)
        _finish(folder)
        compile_all(plan, folder, (f"usr/lib/{plan.python}", "usr/lib/python3"))
        run("tar", "--numeric-owner", "--sort=name", "-C", folder, "-cf", unfinished, ".")
        unfinished.replace(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.unlink(missing_ok=True)
    return kept


def unpack(kept: Path, folder: Path) -> None:
    """Lay the root out in a new folder."""
    folder.mkdir(parents=True)
    run("tar", "--numeric-owner", "-C", folder, "-xpf", kept)


def kernel_of(root: Path) -> str:
    """Return the version of the kernel in the root. Raise ImageError unless there is one and no other."""
    found = sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise ImageError(f"{root}: expected one kernel in boot/, found {found}")
    return found[0]


def compile_all(plan: Plan, root: Path, places: tuple[str, ...]) -> None:
    """Write what Python would compile at each start, since the daemon may not write there.

    Unchecked, so that it depends on the source alone and not on times.
    """
    present = [root / place for place in places if (root / place).is_dir()]
    options = ("-q", "-j2", "-s", root, "-p", "/", "--invalidation-mode", "unchecked-hash")
    interpreter = root / "usr/bin" / plan.python
    # Some packages carry files for other Pythons, which this one cannot read: they end it with 1.
    run(EMULATOR, "-L", root, interpreter, "-m", "compileall", *options, *present, taken=(0, 1))


def _extract(plan: Plan, folder: Path) -> None:
    """Unpack the packages and no more: seconds, where configuring them takes minutes."""
    _bootstrap(plan, folder, "extract", plan.packages, f"--extract-hook={_LISTED}")


def _configure(plan: Plan, folder: Path) -> None:
    """Install the packages as apt does, under emulation; the kernel alone is unpacked beside it."""
    _bootstrap(plan, folder, "minbase", tuple(one for one in plan.packages if one not in NOT_EMULATED))
    beside = folder.with_name(f"{folder.name}-kernel")
    try:
        _bootstrap(plan, beside, "extract", NOT_EMULATED)
        shutil.copytree(beside / "boot", folder / "boot", dirs_exist_ok=True, symlinks=True)
        shutil.copytree(beside / "usr/lib/modules", folder / "usr/lib/modules", symlinks=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _bootstrap(plan: Plan, folder: Path, variant: str, packages: tuple[str, ...], *more: str) -> None:
    options = (
        "--architectures=arm64",
        f"--variant={variant}",
        "--format=directory",
        f"--components={','.join(plan.components)}",
        f"--include={','.join(packages)}",
        "--dpkgopt=force-unsafe-io",
        *more,
    )
    mirror = () if plan.mirror is None else (plan.mirror,)
    run("mmdebstrap", *options, plan.suite.name, folder, *mirror, environment={"SOURCE_DATE_EPOCH": str(plan.epoch)})


def _finish_unconfigured(root: Path) -> None:
    """Do what packages do when they are configured, as far as a system needs it to boot."""
    for name in ("passwd", "group"):
        content = (root / f"usr/share/base-passwd/{name}.master").read_bytes()
        write_durably(root / "etc" / name, content, mode=0o644)
    _write(root / "usr/lib/sysusers.d/00-edgeagent-image.conf", _USERS)
    certificates = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = "".join(path.read_text().strip() + "\n" for path in certificates)
    _write(root / "etc/ssl/certs/ca-certificates.crt", bundle)
    for name in ("os-release", "issue", "motd"):  # what base-files copies
        source = root / "usr/share/base-files" / name
        if source.is_file() and not (root / "etc" / name).exists():
            shutil.copy(source, root / "etc" / name)


def _finish(root: Path) -> None:
    """Make the indexes that a board would make at its first boot, mask what would wait for a person, and tidy up."""
    run("systemd-sysusers", f"--root={root}")
    run("depmod", "-b", root, kernel_of(root))
    run(EMULATOR, root / "sbin/ldconfig", "-r", root)  # else no library is found by its name
    run("systemd-hwdb", "update", f"--root={root}", "--usr")
    run("systemctl", f"--root={root}", "mask", *_MASKED)
    run("systemctl", f"--root={root}", "enable", *_ENABLED)
    for place in _DROPPED:
        path = root / place
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in (root / "usr/share/doc").rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "copyright":  # licences stay
            path.unlink()
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(0o1777)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    write_durably(path, text.encode(), mode=mode)
