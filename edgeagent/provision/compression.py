"""Opens an image, packed or not, as one stream of the bytes that belong on a card; memory stays bounded.

Rules:
    - The format is told by the first bytes, not by the name.
    - What is cut off, damaged, or followed by something else is an error that names the byte: no end goes unnoticed.
    - What was changed while it was read is an error at its end: half of it may be of another image.
    - An archive that wants more memory than LARGEST_MEMORY_BYTES is refused: a board's image needs no such window.
"""

import io
import lzma
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from backports import zstd

from edgeagent.provision.archive_sizes import xz_size, zst_size
from edgeagent.provision.devices import LARGEST_EXPECTED_BYTES, size_said
from edgeagent.provision.errors import ImageError
from edgeagent.provision.flash_progress import Pace, Told, quietly

LARGEST_MEMORY_BYTES = 256 << 20
"""`xz -9` needs 65 MiB."""
LARGEST_WINDOW_LOG = 27
"""128 MiB: the most that zstd itself unpacks without being asked twice."""
PIECE_BYTES = 64 << 10
"""What is read of the archive at once; damage is found within so many bytes."""
LARGEST_IMAGE_BYTES = LARGEST_EXPECTED_BYTES
"""No card that we flash without being asked twice is larger; zeros alone would fill no disk, and end on no day."""
_HOLE_BYTES = 64 << 10
_ZEROS = bytes(_HOLE_BYTES)
_TOLD_BYTES = 4 << 20
_GZIP_BITS = 31
"""zlib's word for: with gzip's head and checksum."""
DOWNLOAD_AGAIN = "Download the image again, and compare its SHA-256 with the publisher's."
_OTHERS = {b"PK\x03\x04": "zip", b"BZh": "bz2", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar"}
"""Archives that images once came in, or that people make."""


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the manners of lzma's."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_BITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # What filled the room may have more behind it, in zlib's own window too.
        self.needs_input = not self._zlib.unconsumed_tail and len(made) < max_length
        return made


@dataclass(frozen=True, slots=True)
class Packing:
    """A format of archives."""

    name: str
    magic: bytes
    unpacker: Callable[[], "_Unpacker"]
    size: Callable[[BinaryIO], int | None]


def _unxz() -> "_Unpacker":
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LARGEST_MEMORY_BYTES)


def _unzst() -> "_Unpacker":
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW_LOG})


PACKINGS = (
    Packing("xz", b"\xfd7zXZ\x00", _unxz, xz_size),
    Packing("gz", b"\x1f\x8b\x08", _Gunzip, lambda _: None),
    Packing("zst", b"\x28\xb5\x2f\xfd", _unzst, zst_size),
)


class Unpacked(io.RawIOBase):
    """What comes out of an image file, from its first byte to its last.

    `packing` is "xz", "gz", "zst" or "raw"; `size_hint` the bytes that will come out, None where nobody knows;
    `packed_size` the file's own bytes, of which `packed_done` have been read.
    """

    def __init__(self, file: io.BufferedReader, path: Path) -> None:
        """Look at the file's beginning. Raise ImageError if it is empty, or an archive that is not read."""
        super().__init__()
        self._file, self._path, self._found = file, path, _state(file)
        self.packed_size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(8)
        if not head:
            raise ImageError(f"{path}: is empty", remedy=DOWNLOAD_AGAIN)
        for magic, name in _OTHERS.items():
            if head.startswith(magic):
                raise ImageError(f"{path}: is a {name} archive", remedy="Unpack it, and name the .img file in it.")
        self._packing = next((one for one in PACKINGS if head.startswith(one.magic)), None)
        self.packing = self._packing.name if self._packing else "raw"
        self.size_hint = self._packing.size(file) if self._packing else self.packed_size
        file.seek(0)
        self._unpacker = self._packing.unpacker() if self._packing else None
        self._fed, self._made, self._waiting = 0, 0, b""

    @property
    def packed_done(self) -> int:
        """How many bytes of the file have been read."""
        return self._fed

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # what RawIOBase takes, by name
        """Fill as much of a buffer as there is; 0 at the end. Raise ImageError if the archive is damaged or cut off."""
        room = memoryview(buffer).cast("B")
        if self._packing is None:
            count = self._into(room)
            self._fed += count
            return count
        made = self._unpack(len(room))
        room[: len(made)] = made
        self._made += len(made)
        return len(made)

    def _unpack(self, count: int) -> bytes:
        made = b""
        while not made and self._unpacker is not None:
            if self._unpacker.eof:
                self._begin_next()
                continue
            made = self._step(self._unpacker, count)
        return made

    def _step(self, unpacker: "_Unpacker", count: int) -> bytes:
        piece = b""
        if unpacker.needs_input:
            piece = self._waiting or self._from_file(PIECE_BYTES)
            self._waiting = b""
            if not piece:
                raise self._wrong("is cut off")
            self._fed += len(piece)
        try:
            return unpacker.decompress(piece, count)
        except (lzma.LZMAError, zlib.error, zstd.ZstdError) as error:
            if "emory" in str(error):  # each library's words for it; none has a code
                raise ImageError(
                    f"{self._path}: needs more than {LARGEST_MEMORY_BYTES >> 20} MiB of memory to be unpacked",
                    remedy="Unpack it with its own program, and name the .img file.",
                ) from error
            raise self._wrong(f"is damaged ({error})") from error

    def _begin_next(self) -> None:
        """Go on with what follows a stream's end: another stream, zeros as padding, or nothing."""
        assert self._unpacker is not None  # noqa: S101  # it was asked
        assert self._packing is not None  # noqa: S101  # it was asked
        rest = self._unpacker.unused_data
        self._fed -= len(rest)
        while not rest.strip(b"\0"):
            self._fed += len(rest)
            rest = self._from_file(PIECE_BYTES)
            if not rest:
                self._unpacker = None
                return
        padding = len(rest) - len(rest.lstrip(b"\0"))
        self._fed += padding
        rest = rest[padding:] + self._from_file(PIECE_BYTES)
        if not rest.startswith(self._packing.magic) and self.packing != "zst":
            raise self._wrong("has something behind its end")
        self._waiting, self._unpacker = rest, self._packing.unpacker()

    def _from_file(self, count: int) -> bytes:
        room = bytearray(count)
        return bytes(room[: self._into(memoryview(room))])

    def _into(self, room: memoryview) -> int:
        try:
            count = self._file.readinto(room)
        except OSError as error:
            raise ImageError(
                f"{self._path}: cannot be read at byte {self._fed}: {error.strerror}", remedy="Look at its disk."
            ) from error
        if not count and _state(self._file) != self._found:
            raise ImageError(
                f"{self._path}: was changed while it was read",
                remedy="Wait until nobody writes to it, and do it again.",
            )
        return count

    def _wrong(self, what: str) -> ImageError:
        near = f"at byte {self._fed}" if self._fed >= self.packed_size else f"before byte {self._fed}"
        return ImageError(
            f"{self._path}: the {self.packing} archive {what} {near} of {self.packed_size};"
            f" {self._made} bytes of the image had come out",
            remedy=DOWNLOAD_AGAIN,
        )


def _state(file: BinaryIO) -> tuple[int, int]:
    """Return what is another when somebody has written to a file: its size, and when that was."""
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


@contextmanager
def opened(path: Path) -> Iterator[Unpacked]:
    """Open an image file, packed with xz, gz, zst or not at all. Raise ImageError if it cannot be read."""
    if path.exists() and not path.is_file():
        raise ImageError(f"{path}: is no file", remedy="Name an image file.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}", remedy="Name an image file.") from error
    with file:
        yield Unpacked(file, path)


def unpack(
    image: Path,
    target: Path,
    told: Told = quietly,
    now: Callable[[], float] = time.monotonic,
    largest: int = LARGEST_IMAGE_BYTES,
) -> None:
    """Unpack an image into a new file of ours alone; where it has zeros, the file has holes. Raise ImageError."""
    with opened(image) as stream, _made(target) as file:
        pace, done = Pace("unpack", stream.size_hint, now()), 0
        while piece := stream.read(_HOLE_BYTES):
            if _ZEROS.startswith(piece):
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
            if done + len(piece) > largest:
                raise ImageError(
                    f"{image}: more than {size_said(largest)} come out of it", remedy="Name the image of a card."
                )
            if done // _TOLD_BYTES != (done := done + len(piece)) // _TOLD_BYTES:
                told(pace.at(now(), done, None if pace.total_bytes else stream.packed_done / stream.packed_size))
        file.truncate(file.tell())


@contextmanager
def _made(target: Path) -> Iterator[BinaryIO]:
    """Open a new file; it goes again if it is not finished."""
    try:
        file = open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115  # Path has no opener
    except OSError as error:
        raise ImageError(
            f"{target}: cannot be made: {error.strerror}", remedy="Name a file that is not there yet."
        ) from error
    try:
        with file:
            yield file
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ImageError(f"{target}: cannot be written: {error.strerror}", remedy="Make room.") from error
        raise
