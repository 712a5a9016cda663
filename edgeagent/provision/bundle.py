"""A checkout to one file with everything that a board needs to get the agent without a network.

requirements.lock, wheels/, systemd/, libexec/    as `edgeagent.install` reads them
debs/                                             Debian packages that a lean system lacks
install.sh                                        what the first boot runs
bundle.json                                       all of them, with size and hash; it comes first

Rules:
    - Each wheel but our own is one of the lock's, for the board's Python and processor.
    - The same checkout and wheels give the same bytes, whenever and wherever it is made.
"""

import hashlib
import io
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeagent import __version__
from edgeagent.install.bundles import entries_of
from edgeagent.provision.build.plan import Wishes, planned
from edgeagent.provision.build.wheels import own_wheel, wheelhouse
from edgeagent.provision.bundle_contents import INSTALLER, MANIFEST, PACKAGES, UNITS, WHEELS, Contents, Member
from edgeagent.provision.errors import ImageError
from edgeagent.provision.packages import fetched

INSTALLER_SOURCE, GROWROOT_SOURCE = "provisioning/first-boot/install.sh", "provisioning/first-boot/growroot"
LOCK, GROWROOT = "requirements.lock", "libexec/growroot"
_PROGRAMS = frozenset({INSTALLER, GROWROOT})
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")


def bundle(
    checkout: Path, target: Path, cache: Path, *, suite: str = "trixie", packages: Iterable[Path] | None = None
) -> Contents:
    """Make the bundle for a release of Debian. Raise ImageError, with nothing written, if something is missing.

    Without `packages` those that a lean system lacks are fetched, which only Debian's apt can do; none at all is `()`.
    """
    plan = planned(Wishes(image=target, checkout=checkout, cache=cache, suite=suite))
    wheels = wheelhouse(plan, checkout, cache)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {f"{WHEELS}/{path.name}": path for path in sorted(wheels.glob("*.whl"))}
        own = _settled(own_wheel(checkout, folder / "own"), folder)
        files[f"{WHEELS}/{own.name}"] = own
        files[LOCK] = folder / LOCK
        files[LOCK].write_text(f"{_own_line(own)}\n{(wheels / 'requirements.txt').read_text()}")
        files |= _of_checkout(checkout)
        debs = fetched(suite, folder) if packages is None else packages
        files |= {f"{PACKAGES}/{path.name}": path for path in debs}
        python = "{}.{}".format(*plan.suite.python)
        if odd := strays(_contents(files, python), (checkout / LOCK).read_text()):
            raise ImageError(f"{wheels}: {odd[0]} is not the lock's", remedy="Remove that folder: it is made anew.")
        return packed(files, target, python=python)


def packed(files: Mapping[str, Path], target: Path, *, python: str) -> Contents:
    """Write a bundle of these files, by their names in it."""
    contents = _contents(files, python)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        with tarfile.open(unfinished, "w", format=tarfile.GNU_FORMAT) as archive:
            manifest = contents.model_dump_json(indent=1).encode()
            archive.addfile(_info(MANIFEST, len(manifest)), io.BytesIO(manifest))
            for name, one in contents.files.items():
                with files[name].open("rb") as source:
                    archive.addfile(_info(name, one.size), source)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return contents


def _contents(files: Mapping[str, Path], python: str) -> Contents:
    members = {name: Member(size=path.stat().st_size, sha256=_digest(path)) for name, path in sorted(files.items())}
    return Contents(agent=__version__, python=python, files=members)


def strays(contents: Contents, lock: str) -> Sequence[str]:
    """Return the wheels of a bundle that are not the lock's: another version, another hash, or nothing in it at all."""
    entries = entries_of(lock)
    return [
        name
        for name, one in contents.files.items()
        if name.startswith(f"{WHEELS}/") and not _is_locked(name.removeprefix(f"{WHEELS}/"), one.sha256, entries)
    ]


def _is_locked(wheel: str, digest: str, entries: Mapping[str, str]) -> bool:
    named = _WHEEL.fullmatch(wheel)
    if named is None:
        return False
    name = re.sub(r"[-_.]+", "-", named["name"]).lower()
    if name == "edgeagent":
        return named["version"] == __version__
    entry = entries.get(name, "")
    return f"=={named['version']}" in entry and f"sha256:{digest}" in entry


def _of_checkout(checkout: Path) -> dict[str, Path]:
    """Return what of the repository goes in as it is. Raise ImageError if the installer is missing."""
    if not (checkout / INSTALLER_SOURCE).is_file():
        raise ImageError(f"{checkout}: has no {INSTALLER_SOURCE}", remedy="Name a checkout of edgeagent.")
    units = [path for path in sorted((checkout / UNITS).rglob("*")) if path.is_file()]
    files = {path.relative_to(checkout).as_posix(): path for path in units}
    files[INSTALLER] = checkout / INSTALLER_SOURCE
    if (checkout / GROWROOT_SOURCE).is_file():
        files[GROWROOT] = checkout / GROWROOT_SOURCE
    return files


def _own_line(wheel: Path) -> str:
    return f"edgeagent=={__version__} --hash=sha256:{_digest(wheel)}"


def _settled(wheel: Path, folder: Path) -> Path:
    """Return a copy of a wheel that does not tell when it was made."""
    target = folder / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for one in sorted(source.infolist(), key=lambda info: info.filename):
            info = zipfile.ZipInfo(one.filename, _ZIP_EPOCH)
            info.external_attr, info.compress_type = one.external_attr, zipfile.ZIP_DEFLATED
            with source.open(one) as content, copy.open(info, "w") as into:
                shutil.copyfileobj(content, into)
    return target


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o755 if name in _PROGRAMS else 0o644
    return info


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
