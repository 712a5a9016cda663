"""A folder or a zip of unknown origin to files in a new folder: all are looked at before one is written."""

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO

from edgeagent.errors import ModelError

MOST_FILES = 2_000
"""A speech model has 15 to 60."""
MOST_BYTES = 8 << 30
"""The largest published model has 5 GB when it is unpacked."""
_PIECE_BYTES = 1 << 20
_REMEDY = "Get the model anew, from its maker."
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OverflowError, ValueError)
"""What zipfile raises over zips that are none."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are done, and all."""


def untold(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file that can be unpacked."""

    name: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Package:
    """Files that belong together, and what they are called together."""

    where: str
    name: str
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(member.size for member in self.members)

    def unpack(self, folder: Path, progress: Progress = untold) -> None:
        """Write the files into a folder that is not there yet, onto the disk. Raise ModelError if one is damaged."""
        folder.mkdir()
        done, total = 0, self.size
        for member in self.members:
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for piece in self._pieces(member):
                    file.write(piece)
                    done += len(piece)
                    progress(done, total)
                file.flush()
                os.fsync(file.fileno())
        for place, _, _ in os.walk(folder):
            sync_folder(Path(place))

    def _pieces(self, member: Member) -> Iterator[bytes]:
        found = 0
        try:
            with member.open() as file:
                while piece := file.read(min(_PIECE_BYTES, member.size - found + 1)):
                    found += len(piece)
                    if found > member.size:
                        break
                    yield piece
        except _DAMAGE as error:
            raise ModelError(f"{self.where}: {member.name}: damaged: {error}", remedy=_REMEDY) from error
        if found != member.size:
            message = f"{self.where}: {member.name}: expected {member.size} bytes, found {found} or more"
            raise ModelError(message, remedy=_REMEDY)


@contextmanager
def opened(source: Path, where: str = "") -> Iterator[Package]:
    """Open a folder or a zip; `where` is what messages call it, when not by its path.

    A folder around all files is taken off, and is then the name. Raise ModelError if it is neither folder nor zip, or
    if anything in it is no plain file with a place inside.
    """
    where = where or str(source)
    if source.is_dir():
        yield _package(where, source.resolve().name, _in_folder(source, where))
        return
    if not source.is_file():
        raise ModelError(f"{where}: no such folder or file", remedy="Name the folder or the zip of a model.")
    try:
        archive = zipfile.ZipFile(source)
    except _DAMAGE as error:
        raise ModelError(f"{where}: neither a folder nor a whole zip: {error}", remedy=_REMEDY) from error
    with archive:
        yield _package(where, source.stem, _in_zip(archive, where))


def sync_folder(folder: Path) -> None:
    """Bring onto the disk which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _package(where: str, name: str, members: Iterable[Member]) -> Package:
    found = _bounded(where, members)
    tops = {member.name.parts[0] for member in found}
    if len(tops) == 1 and all(len(member.name.parts) > 1 for member in found):
        inside = (Member(PurePosixPath(*one.name.parts[1:]), one.size, one.open) for one in found)
        return Package(where, tops.pop(), tuple(inside))
    return Package(where, name, found)


def _bounded(where: str, members: Iterable[Member]) -> tuple[Member, ...]:
    found: dict[PurePosixPath, Member] = {}
    total = 0
    for member in members:
        if member.name in found:
            raise ModelError(f"{where}: two files are called {member.name}", remedy=_REMEDY)
        found[member.name] = member
        total += member.size
        if len(found) > MOST_FILES or total > MOST_BYTES:
            message = f"{where}: expected at most {MOST_FILES} files of {MOST_BYTES >> 30} GiB: no model is larger"
            raise ModelError(message, remedy="Name the folder or the zip of one model.")
    return tuple(found.values())


def _in_zip(archive: zipfile.ZipFile, where: str) -> Iterator[Member]:
    for info in archive.infolist():
        if info.is_dir():
            continue  # made where a file needs it
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG}:
            raise _refused(where, info.filename, "a link, or no file at all")
        if info.flag_bits & _ENCRYPTED or info.compress_type not in _PACKED:
            raise _refused(where, info.filename, "encrypted, or packed in an unusual way")
        yield Member(_inside(where, info.filename), info.file_size, partial(archive.open, info))


def _in_folder(folder: Path, where: str) -> Iterator[Member]:
    for place, folders, files in os.walk(folder, onerror=_raise):
        for name in (*sorted(folders), *sorted(files)):
            path = Path(place, name)
            found = path.lstat()
            inside = path.relative_to(folder).as_posix()
            if stat.S_ISREG(found.st_mode):
                yield Member(_inside(where, inside), found.st_size, partial(FileIO, path))
            elif not stat.S_ISDIR(found.st_mode):
                raise _refused(where, inside, "a link, or no file at all")


def _inside(where: str, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or not name.isprintable():
        raise _refused(where, name, "not the name of a file inside")
    return path


def _refused(where: str, name: str, reason: str) -> ModelError:
    return ModelError(f"{where}: {name!r:.100}: {reason}", remedy=_REMEDY)


def _raise(error: OSError) -> None:
    raise error
