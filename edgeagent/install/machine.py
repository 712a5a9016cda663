"""What the machine is like, looked at without a change."""

import ctypes.util
import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from edgeagent.install.nouns import FILES, IMAGE_FILES, Facts, InstallError, Places, Python
from edgeagent.install.plan import PREFIX

_PATIENCE_S = 60
_ABOUT_PYTHON = """
import importlib.util, json, sys
has_venv = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
path = getattr(sys, "_base_executable", sys.executable) or sys.executable
print(json.dumps([path, sys.version_info[:2], has_venv, sys.maxsize > 2**32]))
"""
_BOOT = ("boot/firmware", "boot")
_SYSTEMD = ("usr/lib/systemd/systemd", "lib/systemd/systemd")


def look(places: Places, python: Path) -> Facts:
    """Return what there is to know before an installation. Raise InstallError if the Python is none."""
    return Facts(
        places=places,
        is_root=os.geteuid() == 0,
        systemd=_systemd(places),
        machine=os.uname().machine,
        python=_python(python),
        free_bytes=_free(places.home),
        hostname=_hostname(places),
        environments=_environments(places),
        current=_current(places),
        is_folder=_is_environment(places.link),
        has_seed=any((places.root / boot / "edgeagent/seed.toml").is_file() for boot in _BOOT),
        in_the_way=_in_the_way(places),
        has_portaudio=not places.is_running or ctypes.util.find_library("portaudio") is not None,
        files=tuple((path, _content(path)) for path in _targets(places)),
    )


def _targets(places: Places) -> list[Path]:
    return [places.root / target for target in (*FILES.values(), *IMAGE_FILES.values())]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        remedy = "Look at it, and remove it if it is not yours."
        raise InstallError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error


def _systemd(places: Places) -> int | None:
    """Return the version of the systemd that runs the machine, or that is in the other root."""
    if places.is_running:
        program = shutil.which("systemctl") if Path("/run/systemd/system").is_dir() else None  # sd_booted(3)
    else:
        program = next((str(places.root / path) for path in _SYSTEMD if (places.root / path).is_file()), None)
    if program is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603  # systemd's own
            [program, "--version"], capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except OSError:  # of another architecture: the image's builder knows what it has put there
        return 252
    found = re.match(r"systemd (\d+)", said.stdout)
    return int(found[1]) if found else 252


def _python(path: Path) -> Python:
    remedy = "sudo apt-get install python3 python3-venv, or name another by --python."
    try:
        said = subprocess.run(  # noqa: S603  # the interpreter that root has named
            [path, "-I", "-c", _ABOUT_PYTHON], capture_output=True, text=True, check=True, timeout=_PATIENCE_S
        )
        base, version, has_venv, is_64_bit = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InstallError(f"{path}: is no Python: {error}", remedy=remedy) from error
    return Python(Path(base), (version[0], version[1]), has_venv, is_64_bit)


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _hostname(places: Places) -> str:
    if places.is_running:
        return socket.gethostname()
    try:
        return (places.root / "etc/hostname").read_text(errors="replace").strip()
    except OSError:
        return ""


def _environments(places: Places) -> tuple[str, ...]:
    if not places.home.is_dir():
        return ()
    return tuple(sorted(path.name for path in places.home.iterdir() if path.name.startswith(PREFIX)))


def _current(places: Places) -> str | None:
    if not places.link.is_symlink():
        return None
    name = places.link.readlink().name
    return name if name in _environments(places) else None


def _in_the_way(places: Places) -> Path | None:
    """Return what stands where a link of ours goes, and is not ours."""
    if places.link.exists() and not places.link.is_symlink() and not _is_environment(places.link):
        return places.link
    command = places.command
    is_ours = command.is_symlink() and "opt/edgeagent/" in str(command.readlink())
    return command if (command.exists() or command.is_symlink()) and not is_ours else None


def _is_environment(folder: Path) -> bool:
    return not folder.is_symlink() and (folder / "pyvenv.cfg").is_file()
