"""The folder `edgeagent` on a boot partition: seed, enrolment, and the bundle with its hash and what installs it."""

import hashlib
import tarfile
from typing import BinaryIO

from edgeagent.provision.bundle_contents import INSTALLER, Contents, contents_of, member
from edgeagent.provision.enrol_file import BUNDLE, BUNDLE_HASH, ENROL, FOLDER, SEED, written
from edgeagent.provision.errors import ImageError
from edgeagent.provision.fat import FatPartition
from edgeagent.provision.wishes import Wishes

PIECE_BYTES = 1 << 20


def put_seed(fat: FatPartition, wishes: Wishes, bundle: BinaryIO | None) -> list[str]:
    """Write what there is of it. Return the names of the files that have changed."""
    files: dict[str, bytes] = {}
    if wishes.seed:
        files[SEED] = written(wishes.seed)
    if wishes.enrol:
        files[ENROL] = written(wishes.enrol)
    changed = [name for name, content in files.items() if fat.write(f"{FOLDER}/{name}", content)]
    if bundle:
        digest = digest_of(bundle)
        if fat.write(f"{FOLDER}/{BUNDLE}", bundle):
            changed.append(BUNDLE)
        fat.write(f"{FOLDER}/{BUNDLE_HASH}", f"{digest}  {BUNDLE}\n".encode())
        bundle.seek(0)
        with tarfile.open(fileobj=bundle, mode="r:") as archive:
            fat.write(f"{FOLDER}/{INSTALLER}", member(archive, INSTALLER))
    return changed


def checked_bundle(bundle: BinaryIO, name: str, python: str | None) -> Contents:
    """Return what is in an open bundle. Raise ImageError if it is none, or for another Python than the image has."""
    found = contents_of(bundle, name)
    if python is not None and found.python != python:
        raise ImageError(
            f"{name}: the wheels are for Python {found.python}, the image has {python}",
            remedy=f"Make the bundle for the image's system: `edgeagent image bundle` for Python {python}.",
        )
    return found


def digest_of(file: BinaryIO) -> str:
    """Return the SHA-256 of an open file, in hexadecimal."""
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
