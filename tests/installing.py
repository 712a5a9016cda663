"""Bundles and roots for tests of the installation: small real wheels, real units, folders that look like a machine."""

import base64
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

from edgeagent.install.nouns import FILES, LOCK, UNITS, WHEELS, Facts, Places, Python

SYSTEMD = Path(__file__).parents[1] / UNITS
SMALL = {
    "edgeagent/__init__.py": "__version__ = '{version}'\n",
    "edgeagent/__main__.py": "",
    "edgeagent/shipped.py": "def built_in_model():\n    return None\n",
    "edgeagent/cli/__init__.py": "",
    "edgeagent/cli/run.py": "",
}
"""As much of edgeagent as an installation looks at."""
_PACKAGE = SYSTEMD.parent / "edgeagent"
INSTALLER = {
    f"edgeagent/{path.relative_to(_PACKAGE)}": path.read_text()
    for path in (_PACKAGE / "errors.py", _PACKAGE / "files.py", *_PACKAGE.glob("install/*.py"))
}
"""What installs, for a wheel that installs itself."""


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """Write a wheel, as the specification of its format says."""
    info = f"{name}-{version}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    whole = {path: text.replace("{version}", version) for path, text in files.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": tags,
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}.__main__:main\n",
    }
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in whole.items())
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in whole.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return made


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def bundle(folder: Path, version: str = "1.0", files: dict[str, str] | None = None) -> Path:
    """Make a bundle that is whole: a small edgeagent, its lock, and systemd's files as they are."""
    made = wheel(folder / WHEELS, "edgeagent", version, SMALL if files is None else files)
    (folder / LOCK).write_text(f"edgeagent=={version} --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n")
    shutil.copytree(SYSTEMD, folder / UNITS, dirs_exist_ok=True)
    return folder


def root(folder: Path) -> Places:
    """Make a folder that looks like the root of a system with systemd."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/hostname").write_text("Kitchen Pi\n")
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\naudio:x:29:\n")
    systemd = folder / "usr/lib/systemd/systemd"
    systemd.parent.mkdir(parents=True)
    systemd.write_text("#!/bin/sh\necho 'systemd 257 (257.9-1)'\n")
    systemd.chmod(0o755)
    return Places(folder)


def facts(**changes: object) -> Facts:
    """What a Raspberry Pi says of itself, but for what is said otherwise."""
    found = {
        "places": Places(),
        "is_root": True,
        "systemd": 252,
        "machine": "aarch64",
        "python": Python(Path("/usr/bin/python3"), (3, 11), has_venv=True, is_64_bit=True),
        "free_bytes": 8 << 30,
        "hostname": "kitchen",
        "environments": (),
        "current": None,
        "is_folder": False,
        "has_seed": False,
        "in_the_way": None,
        "has_portaudio": True,
    } | changes
    return Facts(**found)  # type: ignore[arg-type]  # each by its name


KNOWN = frozenset({*FILES})
PYTHON = Path(sys.executable)
