"""What an image is made of, to two files beside it: our manifest, and a bill of materials that other programs read.

Rules:
    - Both follow from the image alone: nothing in them is of this machine or of this hour.
    - The bill is CycloneDX 1.6 (ECMA-424): Debian packages and wheels, each by its package URL, wheels with their hash.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edgeagent import __version__
from edgeagent.provision.build.plan import UNPACKED, Plan

_NAMESPACE = uuid.UUID("4b1fd5f6-7c0e-5a58-8f57-5d0a2d1f5e0c")
_CHUNK = 1 << 20
_TAGS_IN_NAME = 3
"""Python, ABI and platform at the end of a wheel's name."""


@dataclass(frozen=True, slots=True)
class Package:
    """One Debian package."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True, slots=True)
class Contents:
    """All that is in an image."""

    packages: tuple[Package, ...]
    wheels: Mapping[str, str]
    """SHA-256 of each wheel, by its file's name."""


def packages_of(root: Path) -> tuple[Package, ...]:
    """Return the packages of a root, as its dpkg knows them; those that were unpacked and no more as well."""
    unpacked = root / UNPACKED
    names = unpacked.read_text().splitlines() if unpacked.is_file() else ()
    found = {_package(text) for text in _stanzas(root)} | {_unpacked(name) for name in names}
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.name, one.architecture)))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def manifest(plan: Plan, contents: Contents, image: str, size: int, sha256: str) -> bytes:
    """Return the manifest as JSON."""
    return _json(
        {
            "version": 1,
            "edgeagent": __version__,
            "suite": plan.suite.name,
            "variant": plan.variant,
            "architecture": "arm64",
            "python": plan.python,
            "source_date_epoch": plan.epoch,
            "image": {"name": image, "bytes": size, "sha256": sha256},
            "packages": [asdict(one) for one in contents.packages],
            "wheels": dict(sorted(contents.wheels.items())),
        }
    )


def bill(plan: Plan, contents: Contents, image: str, sha256: str) -> bytes:
    """Return the bill of materials as CycloneDX JSON."""
    return _json(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, sha256)}",
            "version": 1,
            "metadata": {
                "timestamp": datetime.fromtimestamp(plan.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "component": {
                    "type": "operating-system",
                    "bom-ref": "image",
                    "name": image,
                    "version": __version__,
                    "hashes": [{"alg": "SHA-256", "content": sha256}],
                },
            },
            "components": [*_debian(plan, contents.packages), *_python(contents.wheels)],
        }
    )


def _debian(plan: Plan, packages: Iterable[Package]) -> Iterator[dict[str, Any]]:
    for one in packages:
        version = one.version.replace("+", "%2B")
        name = one.name.replace("+", "%2B")
        purl = f"pkg:deb/debian/{name}@{version}?arch={one.architecture}&distro={plan.suite.name}"
        yield {"type": "library", "bom-ref": purl, "name": one.name, "version": one.version, "purl": purl}


def _python(wheels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for file, sha256 in sorted(wheels.items()):
        name, version, *_ = file.rsplit("-", _TAGS_IN_NAME)[0].split("-")
        purl = f"pkg:pypi/{name.replace('_', '-').lower()}@{version}?file_name={file}"
        hashes = [{"alg": "SHA-256", "content": sha256}]
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}


def _stanzas(root: Path) -> Iterator[str]:
    status = root / "var/lib/dpkg/status"
    if status.is_file():
        yield from status.read_text(errors="replace").split("\n\n")


def _unpacked(name: str) -> Package:
    """Return what the name of a package's file says: NAME_VERSION_ARCHITECTURE.deb, with apt's escapes."""
    parts = unquote(name.removesuffix(".deb")).split("_")
    return Package(parts[0], parts[1], parts[-1])


def _package(text: str) -> Package | None:
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and not line.startswith(" "))
    if not {"Package", "Version", "Architecture"} <= set(fields):
        return None
    return Package(fields["Package"], fields["Version"], fields["Architecture"])


def _json(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
