"""A bundle as it lies in a file: a tar with wheels, units, the installer, and a manifest that hashes them all.

Rules:
    - The manifest comes first; whatever is in the tar stands in it, with its size and hash, and nothing else.
    - All members are plain files below the top; the bundle is for one Python and one processor.
"""

import hashlib
import tarfile
from itertools import islice
from typing import Annotated, BinaryIO

from pydantic import Field, ValidationError

from edgeagent.provision.errors import ImageError
from edgeagent.strict import Strict

MANIFEST, INSTALLER = "bundle.json", "install.sh"
WHEELS, UNITS, PACKAGES = "wheels", "systemd", "debs"
"""Folders in a bundle."""
LARGEST_MANIFEST, LARGEST_MEMBER, MOST_MEMBERS = 1 << 20, 256 << 20, 2000
_REMEDY = "Make the bundle anew with `edgeagent image bundle`."


class Member(Strict):
    """One file of a bundle."""

    size: Annotated[int, Field(ge=0, le=LARGEST_MEMBER)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Contents(Strict):
    """The manifest of a bundle."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    agent: str
    """The version of edgeagent."""
    python: Annotated[str, Field(pattern=r"^3\.\d{1,2}$")]
    machine: str = "aarch64"
    files: dict[str, Member]


def contents_of(bundle: BinaryIO, name: str) -> Contents:
    """Read the manifest, and compare it with what the tar holds by name and size. Raise ImageError."""
    bundle.seek(0)
    try:
        with tarfile.open(fileobj=bundle, mode="r:") as archive:
            members = list(islice(archive, MOST_MEMBERS + 2))
            if len(members) > MOST_MEMBERS + 1:
                raise ImageError(f"{name}: holds more than {MOST_MEMBERS} files", remedy=_REMEDY)
            found = Contents.model_validate_json(member(archive, MANIFEST))
    except (tarfile.TarError, EOFError) as error:
        raise ImageError(f"{name}: no bundle: {error}", remedy=_REMEDY) from error
    except ValidationError as error:
        raise ImageError(
            f"{name}: {MANIFEST} is not what it should be: {error.errors()[0]['msg']}", remedy=_REMEDY
        ) from error
    _compare(found, {one.name: one for one in members if one.name != MANIFEST}, name)
    return found


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return a small file of a bundle. Raise ImageError if it is not there."""
    try:
        one = archive.getmember(name)
    except KeyError as error:
        raise ImageError(f"the bundle holds no {name}", remedy=_REMEDY) from error
    file = archive.extractfile(one) if one.isreg() else None  # a link may lead to itself
    if file is None or one.size > LARGEST_MANIFEST:
        raise ImageError(f"the bundle's {name} is no file of at most 1 MiB", remedy=_REMEDY)
    return file.read()


def damaged(bundle: BinaryIO, found: Contents) -> list[str]:
    """Return the names of the files whose hash is not the manifest's."""
    bundle.seek(0)
    wrong = []
    with tarfile.open(fileobj=bundle, mode="r:") as archive:
        for name, expected in found.files.items():
            file = archive.extractfile(name)
            digest = hashlib.sha256()
            while file and (piece := file.read(1 << 20)):
                digest.update(piece)
            if digest.hexdigest() != expected.sha256:
                wrong.append(name)
    return wrong


def _compare(found: Contents, held: dict[str, tarfile.TarInfo], name: str) -> None:
    if set(held) != set(found.files) or INSTALLER not in held:
        odd = sorted(set(held) ^ set(found.files))[:3] or [INSTALLER]
        raise ImageError(f"{name}: {MANIFEST} and the tar do not agree about {', '.join(odd)}", remedy=_REMEDY)
    for one in held.values():
        if not one.isreg() or ".." in one.name.split("/") or one.name.startswith("/"):
            raise ImageError(f"{name}: {one.name!r} is no plain file of a bundle", remedy=_REMEDY)
        if one.size != found.files[one.name].size:
            raise ImageError(
                f"{name}: {one.name} has {one.size:,} bytes, not {found.files[one.name].size:,}", remedy=_REMEDY
            )
