"""The steps of a plan, done. Each may be cut off at any point: the same plan, made anew, mends what was left."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgeagent.files import write_durably
from edgeagent.install.nouns import (
    FROM_IMAGE,
    LOCK,
    WHEELS,
    CheckGroups,
    FileStep,
    InstallError,
    InstallWheels,
    MakeEnvironment,
    MakeFolder,
    PlaceFile,
    Point,
    Prove,
    PutBack,
    Relocate,
    Remove,
    RemoveIfEmpty,
    Run,
    Step,
    WriteIfAbsent,
)

_LONGEST_S = 3600
"""A Raspberry Pi Zero 2 W unpacks for minutes."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_TOLD = 600
"""Letters of what a program said: its last lines say what is wrong."""
_PROOF = """
import edgeagent, edgeagent.__main__, edgeagent.cli.run
from edgeagent.shipped import built_in_model
built_in_model()
print(edgeagent.__version__)
"""


def carry_out(steps: Iterable[Step], tell: Callable[[Step], None]) -> None:
    """Do steps in their order, each told before it is done. Raise InstallError where one fails.

    Whatever mask the caller has, the daemon's user can read the program.
    """
    before = os.umask(0o022)
    try:
        for step in steps:
            tell(step)
            do(step)
    except OSError as error:
        remedy = "Make room on the disk, or see who may write there, then try again."
        raise InstallError(f"{error.filename or ''}: {error.strerror or error}", remedy=remedy) from error
    finally:
        os.umask(before)


def do(step: Step) -> None:
    """Do one step. Raise InstallError or OSError if it fails."""
    match step:
        case MakeEnvironment() | InstallWheels() | Relocate() | Prove():
            _do_environment(step)
        case CheckGroups(root, units):
            _check_groups(root, units)
        case Run(command, remedy, may_fail):
            _run(command, remedy, may_fail=may_fail)
        case _:
            _do_file(step)


def _do_environment(step: MakeEnvironment | InstallWheels | Relocate | Prove) -> None:
    match step:
        case MakeEnvironment(python, folder):
            _run((str(python), "-I", "-m", "venv", str(folder)), "sudo apt-get install python3-venv")
        case InstallWheels():
            _install(step)
        case Relocate(folder, root):
            _relocate(folder, root)
        case Prove(folder, version):
            _prove(folder, version)


def _do_file(step: FileStep) -> None:
    match step:
        case MakeFolder(path):
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        case Remove(path):
            _remove(path)
        case RemoveIfEmpty(path):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        case Point(link, target):
            _point(link, target)
        case PlaceFile(source, target, mode):
            write_durably(target, source.read_bytes(), mode=mode)
        case PutBack(target, None):
            target.unlink(missing_ok=True)
        case PutBack(target, bytes(content)):
            write_durably(target, content, mode=0o644)
        case WriteIfAbsent(target, text, mode):
            if not target.exists():
                write_durably(target, text.encode(), mode=mode)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _install(step: InstallWheels) -> None:
    """Install by hash; from the bundle alone where it is whole, whatever pip is set to on this machine."""
    folder, bundle = step.folder, step.bundle
    wheels = str(bundle.folder / WHEELS)
    offline = ("--no-index",) if bundle.is_whole else ()
    command = (
        *(str(folder / "bin/python"), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-warn-script-location"),
        *(*offline, "--find-links", wheels, "-r", str(bundle.folder / LOCK)),
    )
    kept = {key: value for key, value in os.environ.items() if not bundle.is_whole or not key.startswith("PIP_")}
    environment = kept | ({"PIP_CONFIG_FILE": os.devnull} if bundle.is_whole else {})
    try:
        _run(command, "Give it a network, or a bundle for this Python and machine.", environment=environment)
    except InstallError as error:
        named = re.search(r"(\S+) from [^\n]*\n\s+Expected sha256", str(error))
        if named is None:
            raise
        remedy = "Nothing was changed. Make or fetch the bundle again; if it stays so, somebody has changed it."
        raise InstallError(f"{named[1]} is not what {LOCK} says: its hash is another", remedy=remedy) from error


def _relocate(folder: Path, root: Path) -> None:
    """Take the other root's own path out of scripts and settings of the environment; programs are left."""
    for path in (*(folder / "bin").iterdir(), folder / "pyvenv.cfg"):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" in content or str(root).encode() not in content:
            continue
        mode = path.stat().st_mode & 0o777
        write_durably(path, content.replace(str(root).encode() + b"/", b"/"), mode=mode)


def _prove(folder: Path, version: str) -> None:
    remedy = "What was installed before is still in use."
    said = _run((str(folder / "bin/python"), "-I", "-c", _PROOF), remedy).strip()
    if said != version:
        raise InstallError(f"{folder}: is version {said!r}, expected {version}", remedy=remedy)


def _point(link: Path, target: str) -> None:
    """Put a link there in one step; where it leads to is on the disk before it is."""
    link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}.new")
    _remove(new)
    new.symlink_to(target)
    os.sync()
    if link.is_dir() and not link.is_symlink():
        _remove(link.with_name(FROM_IMAGE))
        _exchange(new, link)
        new.rename(link.with_name(FROM_IMAGE))
    else:
        new.replace(link)
    folder = os.open(link.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _exchange(one: Path, other: Path) -> None:
    """Give each the other's name, in one step (renameat2(2)). Raise OSError if the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _check_groups(root: Path, units: Iterable[Path]) -> None:
    groups = {line.partition(":")[0] for line in (root / "etc/group").read_text(errors="replace").splitlines()}
    for unit in units:
        for file in [unit] if unit.is_file() else sorted(unit.glob("*.conf")):
            for line in file.read_text(errors="replace").splitlines():
                if not line.startswith("SupplementaryGroups="):
                    continue
                missing = sorted({*line.partition("=")[2].split()} - groups)
                if missing:
                    raise InstallError(
                        f"{file}: there is no group {', '.join(missing)}: the daemon would not start",
                        remedy="; ".join(f"sudo groupadd --system {name}" for name in missing),
                    )


def _run(
    command: tuple[str, ...], remedy: str = "", *, may_fail: bool = False, environment: Mapping[str, str] | None = None
) -> str:
    """Return what a program says. Raise InstallError with its last lines if it fails, unless it may."""
    try:
        done = subprocess.run(  # noqa: S603  # the plan's own programs, and no shell
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_LONGEST_S,
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        if may_fail:
            return ""
        raise InstallError(f"{command[0]} cannot be run: {error}", remedy=remedy) from error
    if done.returncode and not may_fail:
        said = (done.stderr or done.stdout).strip()[-_TOLD:]
        raise InstallError(f"{Path(command[0]).name} ended with {done.returncode}: {said}", remedy=remedy)
    return done.stdout


def tell(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
