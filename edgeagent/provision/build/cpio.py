"""Files to an archive that Linux unpacks as its first root: cpio, form "newc", the same bytes for the same files.

Rules (Documentation/driver-api/early-userspace/buffer-format.rst of Linux):
    - A header is "070701" and thirteen numbers of eight hexadecimal digits; header with name, and content, each end on
      a multiple of four bytes.
    - The archive ends with an entry called TRAILER!!!.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edgeagent.provision.errors import ImageError

FOLDER, FILE, LINK, DEVICE = 0o040000, 0o100000, 0o120000, 0o020000
LARGEST_BYTES = (1 << 32) - 1
"""A length has eight hexadecimal digits."""
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive; a folder stands before what is in it."""

    name: str
    """Path without a leading slash."""
    mode: int
    """Kind and permissions, as in stat."""
    content: bytes = b""
    """What a file holds, or where a link points to."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device."""


def folder(name: str) -> Entry:
    """Return a folder that everybody can enter."""
    return Entry(name, FOLDER | 0o755)


def file(name: str, content: bytes, *, mode: int = 0o644) -> Entry:
    """Return a file."""
    return Entry(name, FILE | mode, content)


def link(name: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(name, LINK | 0o777, target.encode())


def character_device(name: str, major: int, minor: int) -> Entry:
    """Return a device node of root's."""
    return Entry(name, DEVICE | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry], *, at: int) -> bytes:
    """Return the archive, all files of root's and of the time `at`. Raise ImageError for an impossible name or size."""
    written, seen = bytearray(), set[str]()
    for number, entry in enumerate(entries, start=1):
        if entry.name.startswith("/") or entry.name in seen or entry.name == _TRAILER or "\0" in entry.name:
            raise ImageError(f"{entry.name!r}: cannot stand in an archive, or is there already")
        if len(entry.content) > LARGEST_BYTES:
            raise ImageError(f"{entry.name}: larger than 4 GiB")
        seen.add(entry.name)
        written += _one(entry, number, at)
    written += _one(Entry(_TRAILER, 0), 0, 0)
    return bytes(_padded(written, 512))


def _one(entry: Entry, number: int, at: int) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if entry.mode & 0o170000 == FOLDER else 1
    numbers = (number, entry.mode, 0, 0, links, at, len(entry.content), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % one for one in numbers) + name
    return bytes(_padded(bytearray(header), 4) + _padded(bytearray(entry.content), 4))


def _padded(found: bytearray, multiple: int) -> bytearray:
    return found + bytes(-len(found) % multiple)
