"""Bundles: a folder of wheels, their lock and systemd's files, as it was given or made of a checkout.

requirements.lock            each line NAME==VERSION with --hash=sha256:…, edgeagent itself among them
wheels/*.whl                 edgeagent's own, and all others where no index is to be asked
systemd/…                    as in the repository
libexec/growroot             for images of ours
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from edgeagent.install.locking import EXTRAS, PROJECT, closure
from edgeagent.install.nouns import FILES, GROWROOT, IMAGE_FILES, LOCK, UNITS, WHEELS, Bundle, InstallError

_AGAIN = "Make or fetch the bundle again."
_OURS = re.compile(r"edgeagent-([0-9][0-9a-z.+!]*)-py3-none-any\.whl")
_SAFE = r"(\S[^\n]*?( \\\n +)?( ?--hash=sha256:[0-9a-f]{64}( \\\n +)?)+\n?)+"
_SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "NOTICE"),
    *("edgeagent", "models", "hardware", "provisioning", UNITS),
)
_GROWROOT_SOURCE = "provisioning/first-boot/growroot"
CHECKOUT = Path(__file__).parents[2]


def opened(folder: Path) -> Bundle:
    """Return the bundle in a folder. Raise InstallError if it is none.

    What the wheels hold is for pip to compare with the lock; here only is seen that the lock names hashes throughout.
    """
    lock, wheels = folder / LOCK, folder / WHEELS
    try:
        text = lock.read_text(encoding="utf-8")
        names = sorted(path.name for path in wheels.iterdir())
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"{folder}: is no bundle: {error}", remedy=_AGAIN) from error
    versions = [found[1] for name in names if (found := _OURS.fullmatch(name))]
    if len(versions) != 1:
        raise InstallError(f"{wheels}: expected one wheel of edgeagent, found {len(versions)}", remedy=_AGAIN)
    entries = entries_of(text)
    unsafe = [name for name, entry in entries.items() if not re.fullmatch(_SAFE, entry)]
    if unsafe or "edgeagent" not in entries:
        raise InstallError(f"{lock}: has no hash for {', '.join(unsafe) or 'edgeagent'}", remedy=_AGAIN)
    known = {*FILES, *IMAGE_FILES, GROWROOT}
    files = frozenset(path for path in known if (folder / path).is_file())
    return Bundle(folder, versions[0], is_whole=len(names) > 1 or len(entries) == 1, files=files)


def made_of_checkout(folder: Path, checkout: Path = CHECKOUT) -> Bundle:
    """Make a bundle of this checkout in a folder: our own wheel, and a lock of what the daemon needs.

    The other wheels are left to the index. Raise InstallError if this is no checkout, or the wheel cannot be made.
    """
    if not (checkout / LOCK).is_file() or not (checkout / "pyproject.toml").is_file():
        raise InstallError("there is no checkout to install from", remedy="Name a bundle: --bundle FOLDER")
    wheel = _wheel_of(checkout, folder)
    version = _OURS.fullmatch(wheel.name)
    if version is None:
        raise InstallError(f"{wheel.name}: is not called as our wheels are", remedy=_AGAIN)
    own = f"edgeagent=={version[1]} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    lock = (checkout / LOCK).read_text(encoding="utf-8")
    (folder / LOCK).write_text(own + chosen(lock, closure(PROJECT, EXTRAS)), encoding="utf-8")
    shutil.copytree(checkout / UNITS, folder / UNITS, dirs_exist_ok=True)
    if (checkout / _GROWROOT_SOURCE).is_file():
        (folder / GROWROOT).parent.mkdir(exist_ok=True)
        shutil.copy(checkout / _GROWROOT_SOURCE, folder / GROWROOT)
    return opened(folder)


def entries_of(lock: str) -> dict[str, str]:
    """Return the entries of a lock, whole, by the project's name in small letters with hyphens.

    A project may have several, for one Python or machine each.
    """
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", lock.strip()):
        if name := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", block):
            key = _plain(name[0])
            found[key] = f"{found[key]}\n{block}" if key in found else block
    return found


def chosen(lock: str, names: Iterable[str]) -> str:
    """Return the entries of a lock that are named. Raise InstallError if one is missing."""
    entries = entries_of(lock)
    wanted = sorted({_plain(name) for name in names} - {"edgeagent"})
    missing = [name for name in wanted if name not in entries]
    if missing:
        raise InstallError(f"the lock lacks {', '.join(missing)}", remedy="make lock")
    return "".join(f"{entries[name]}\n" for name in wanted)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _wheel_of(checkout: Path, folder: Path) -> Path:
    """Make our wheel from a copy: what building leaves behind would be root's, among the owner's files."""
    copy, wheels = folder / "source", folder / WHEELS
    copy.mkdir(parents=True)
    for name in _SOURCES:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*.training", "float"))
        elif source.is_file():
            shutil.copy(source, copy / name)
    quietly = ("--quiet", "--no-deps", "--no-build-isolation")
    command = [sys.executable, "-m", "pip", "wheel", *quietly, "-w", str(wheels), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # pip, on our own files
    shutil.rmtree(copy)
    made = list(wheels.glob("edgeagent-*.whl"))
    if done.returncode or len(made) != 1:
        raise InstallError(f"our wheel cannot be made: {done.stderr.strip()[-400:]}", remedy="make setup")
    return made[0]
