"""The lock to the agent's own environment on a board: wheels for its Python and processor, each checked by its hash.

Rules:
    - What is installed is what the agent needs, and what that needs; each in the version of the lock, none besides.
    - Markers are judged for the board. pip judges them for the machine it runs on, so it is given lines without any.
    - Nothing is compiled from source, but pure Python that has no wheel (`srt`, which vosk needs).
"""

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgeagent import __version__
from edgeagent.install.locking import EXTRAS, PROJECT, closure
from edgeagent.provision.build.plan import Plan, Suite
from edgeagent.provision.build.programs import run
from edgeagent.provision.errors import ImageError

PLACE = "opt/edgeagent/venv"
_OLDEST_GLIBC = 17
_OWN = (
    *("LICENSE", "NOTICE", "README.md", "pyproject.toml"),
    *("edgeagent", "hardware", "models", "provisioning", "systemd"),
)
"""What of a checkout the agent's own wheel is made of."""
_LAUNCHER = f"""#!/{PLACE}/bin/python3
import sys

from edgeagent.__main__ import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """One line of the lock."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """Return it as pip reads it."""
        return " ".join((f"{self.name}=={self.version}", *(f"--hash={one}" for one in self.hashes)))


def board_environment(python: tuple[int, int]) -> dict[str, str]:
    """Return what markers see on a board."""
    version = "{}.{}".format(*python)
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": "aarch64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
        "extra": "",
    }


def locked(lock: str, names: Iterable[str], environment: Mapping[str, str]) -> tuple[Locked, ...]:
    """Return the lines of the lock for these names and this environment. Raise ImageError for a name without one."""
    wanted = set(names)
    found = {one.name: one for marker, one in _lines(lock) if _matches(marker, environment) and one.name in wanted}
    if lost := sorted(wanted - set(found)):
        raise ImageError(f"requirements.lock: has no line for {', '.join(lost)}", remedy="Type: make lock")
    return tuple(found[name] for name in sorted(found))


def platforms(suite: Suite) -> tuple[str, ...]:
    """Return the platform tags that such a system takes, the newest first."""
    tags = [f"manylinux_2_{minor}_aarch64" for minor in range(suite.glibc[1], _OLDEST_GLIBC - 1, -1)]
    return (*tags, "manylinux2014_aarch64", "linux_aarch64")


def wheelhouse(plan: Plan, checkout: Path, cache: Path) -> Path:
    """Return a folder with the wheels of the lock for the board: a kept one if the lock is the same."""
    lock = (checkout / "requirements.lock").read_text()
    environment = board_environment(plan.suite.python)
    lines = "\n".join(one.line for one in locked(lock, closure(PROJECT, EXTRAS, environment), environment)) + "\n"
    key = hashlib.sha256(lines.encode()).hexdigest()[:16]
    kept = cache / f"wheels-{plan.python}-{key}"
    if kept.is_dir():
        return kept
    unfinished = kept.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    wanted = unfinished / "requirements.txt"
    wanted.write_text(lines)
    run(*_pip("download"), "--no-deps", "--require-hashes", "-r", wanted, "-d", unfinished, *_target(plan))
    unfinished.rename(kept)
    return kept


def own_wheel(checkout: Path, folder: Path) -> Path:
    """Make the agent's own wheel, from a copy: setuptools leaves files in a checkout that the next wheel would hold."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in _OWN:
        path = checkout / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        elif path.is_file():
            shutil.copy(path, source)
    run(*_pip("wheel"), "--no-deps", "--no-build-isolation", "-w", folder, source)
    shutil.rmtree(source)
    return next(folder.glob("edgeagent-*.whl"))


def install(plan: Plan, wheels: Iterable[Path], root: Path) -> None:
    """Lay the wheels out as a virtual environment of the board's own Python. No code of theirs runs here.

    Not by pip: it refuses wheels for another Python than its own, and writes when and from where it took them.
    """
    place = (root / PLACE).with_name(f"venv-{__version__}-1")  # as `edgeagent install` names it, which upgrades it
    for wheel in sorted(wheels):
        _lay_out(wheel, place, place / "lib" / plan.python / "site-packages")
    version = "{}.{}".format(*plan.suite.python)
    _write(place / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n")
    (root / PLACE).symlink_to(place.name)
    programs = place / "bin"
    programs.mkdir()
    for name in ("python", "python3", plan.python):
        (programs / name).symlink_to(f"/usr/bin/{plan.python}")
    _write(programs / "edgeagent", _LAUNCHER, mode=0o755)
    local = root / "usr/local/bin"
    local.mkdir(parents=True, exist_ok=True)
    (local / "edgeagent").symlink_to(f"/{PLACE}/bin/edgeagent")


def _lay_out(wheel: Path, place: Path, packages: Path) -> None:
    """Unpack one wheel (Binary distribution format, PyPA): packages, and data beside them; scripts are left out."""
    name, version, *_ = wheel.name.split("-")
    data = f"{name}-{version}.data"
    kinds = {"purelib": packages, "platlib": packages, "data": place}
    with zipfile.ZipFile(wheel) as archive:
        for one in archive.infolist():
            parts = PurePosixPath(one.filename).parts
            if one.is_dir() or (parts[0] == data and parts[1] not in kinds):
                continue
            if ".." in parts or PurePosixPath(one.filename).is_absolute():
                raise ImageError(f"{wheel.name}: names a file outside of itself: {one.filename}")
            target = kinds[parts[1]].joinpath(*parts[2:]) if parts[0] == data else packages.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(one))
            target.chmod(0o755 if one.external_attr >> 16 & 0o111 else 0o644)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each wheel in a folder, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.whl"))}


def _lines(lock: str) -> Iterator[tuple[Requirement, Locked]]:
    for line in lock.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        text, *marks = line.split(" --hash=")
        one = Requirement(text.strip())
        version = str(one.specifier).removeprefix("==")
        yield one, Locked(canonicalize_name(one.name), version, tuple(mark.strip() for mark in marks))


def _matches(one: Requirement, environment: Mapping[str, str]) -> bool:
    return one.marker is None or one.marker.evaluate(dict(environment))


def _pip(verb: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check")


def _target(plan: Plan) -> tuple[str, ...]:
    version = "{}.{}".format(*plan.suite.python)
    tags = [option for tag in platforms(plan.suite) for option in ("--platform", tag)]
    return ("--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *tags)
