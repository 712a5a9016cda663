"""An image file to its entry in a list for Raspberry Pi Imager: sizes, and the hash of what is in it."""

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

from edgeagent.provision.compression import opened
from edgeagent.provision.os_list import Listed

PIECE_BYTES = 1 << 20
_ENDS = (".xz", ".gz", ".zst", ".img")


def listed(image: Path, base: str | None, description: str, released: date | None) -> Listed:
    """Return the entry of an image; without a base address, its URL is the file's own. Raise ImageError."""
    size, digest = 0, hashlib.sha256()
    with opened(image) as stream:
        while piece := stream.read(PIECE_BYTES):
            size += len(piece)
            digest.update(piece)
    found = image.stat()
    return Listed(
        name=_name(image.name),
        description=description,
        url=f"{base.rstrip('/')}/{quote(image.name)}" if base else image.absolute().as_uri(),
        extract_size=size,
        extract_sha256=digest.hexdigest(),
        image_download_size=found.st_size,
        release_date=released or datetime.fromtimestamp(found.st_mtime, UTC).date(),
    )


def _name(name: str) -> str:
    for end in _ENDS:
        name = name.removesuffix(end)
    return name
