"""A bundle to a Debian package, whose scripts install it: by dpkg-deb, from the templates in provisioning/debian.

Rules:
- the wheels say for which Python and processor the package is; they must agree.
- the same bundle gives the same bytes, with SOURCE_DATE_EPOCH.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from edgeagent.install.bundles import CHECKOUT, opened
from edgeagent.install.nouns import WHEELS, InstallError
from edgeagent.install.rules import PYTHONS

TEMPLATES = CHECKOUT / "provisioning/debian"
PLACE = "usr/lib/edgeagent/bundle"
SCRIPTS = ("postinst", "prerm", "postrm")
_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
_EXACT_PYTHON = re.compile(r"-cp3(\d+)-cp3\d+t?-")
"""Of a wheel for one Python; abi3 is for that one and later ones."""


def package(bundle: Path, target: Path, templates: Path = TEMPLATES) -> Path:
    """Write the package of a bundle into a folder; return its path. Raise InstallError if it cannot be made."""
    found = opened(bundle)
    if not found.is_whole:
        raise InstallError(f"{bundle}: lacks wheels, and a package asks no index", remedy="Make a whole bundle.")
    if not (templates / "control").is_file():
        raise InstallError(f"{templates}: there are no templates", remedy="Make packages in a checkout.")
    names = [path.name for path in (bundle / WHEELS).iterdir()]
    architecture, (oldest, newest) = architecture_of(names), pythons_of(names)
    with tempfile.TemporaryDirectory(prefix="edgeagent-deb-") as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        shutil.copytree(bundle, root / PLACE)
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        values = {
            "VERSION": found.version,
            "ARCHITECTURE": architecture,
            "KILOBYTES": str(size // 1024 + 1),
            "FROM_PYTHON": f"3.{oldest}",
            "BELOW_PYTHON": f"3.{newest + 1}",
        }
        _write_control(root / "DEBIAN", templates, values)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.name in SCRIPTS or path.parent.name == "libexec" else 0o644)
        made = target / f"edgeagent_{found.version}_{architecture}.deb"
        target.mkdir(parents=True, exist_ok=True)
        _build(root, made)
    return made


def architecture_of(wheels: Iterable[str]) -> str:
    """Return Debian's name of the processor that wheels are for, by their names. Raise InstallError if they differ."""
    found = {
        debian for name in wheels for machine, debian in _ARCHITECTURES.items() if name.endswith(f"_{machine}.whl")
    }
    if len(found) > 1:
        raise InstallError("the wheels are for several processors", remedy="Make one bundle for each.")
    return found.pop() if found else "all"


def pythons_of(wheels: Iterable[str]) -> tuple[int, int]:
    """Return the oldest and newest minor version of Python 3 that wheels are for. Raise InstallError if they differ."""
    found = {int(one[1]) for name in wheels if "-abi3-" not in name and (one := _EXACT_PYTHON.search(name))}
    if len(found) > 1:
        versions = ", ".join(f"3.{minor}" for minor in sorted(found))
        raise InstallError(f"the wheels are for several Pythons: {versions}", remedy="Make one bundle for each.")
    (_, oldest), (_, newest) = PYTHONS
    only = found.pop() if found else None
    return (oldest, newest) if only is None else (only, only)


def _write_control(folder: Path, templates: Path, values: dict[str, str]) -> None:
    folder.mkdir()
    control = (templates / "control").read_text(encoding="utf-8")
    for name, value in values.items():
        control = control.replace(f"@{name}@", value)
    (folder / "control").write_text(control, encoding="utf-8")
    for name in SCRIPTS:
        shutil.copy(templates / name, folder / name)


def _build(root: Path, made: Path) -> None:
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", str(root), str(made)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own files
    except OSError as error:
        raise InstallError(f"dpkg-deb cannot be run: {error}", remedy="sudo apt-get install dpkg") from error
    if done.returncode:
        made.unlink(missing_ok=True)
        raise InstallError(f"dpkg-deb: {done.stderr.strip()[-400:]}", remedy="Look at provisioning/debian.")
