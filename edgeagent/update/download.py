"""A target to a verified file: fetched within its length, resumed where it was left, from whichever transport works.

A file gets its final name only after its bytes were read back and have the hash that was signed. A partial that turns
out wrong is discarded and started again once, with another transport first if there is one.
"""

import errno
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import UpdateError
from edgeagent.update.nouns import Target, Transport
from edgeagent.update.on_disk import disk_error, make_folder, sync_folder
from edgeagent.update.partial import NO_LINKS, Partial, WrongError, hash_of

log = logging.getLogger(__name__)

WORTHWHILE_BYTES = 64 << 10
"""A transport that brought so much before it failed is asked again."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OTHER_SOURCES = {"absent", "unreachable", "too-slow", "tls", "redirect-refused", "wrong-range", "unsafe-file"}


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on: is told the bytes that are there and the total, and asked whether to stop."""

    progress: Callable[[int, int], None] = lambda _bytes, _total: None
    is_cancelled: Callable[[], bool] = lambda: False


class Downloads:
    """Gets verified files. One process uses a staging folder at a time."""

    def __init__(
        self,
        staging: Path,
        transports: Sequence[Transport],
        path_of: Callable[[Target], str],
        watch: Watch | None = None,
    ) -> None:
        """Take the transports in order of preference, and how a target's path in the repository is told."""
        self._staging, self._transports, self._path_of = staging, tuple(transports), path_of
        self._watch = watch or Watch()

    @property
    def saved_bytes(self) -> int:
        """Return 0: files are fetched whole."""
        return 0

    def fetch(self, target: Target, into: Path) -> Path:
        """Return the file `into/<sha256>`, whole and verified.

        Raise UpdateError: what the last transport said; "cancelled"; "wrong-content" if it was wrong twice;
        "disk-full", "disk-error", with the space given back; "planted" if something was planted in staging.
        """
        if not _SHA256.fullmatch(target.sha256) or target.length < 0:
            raise UpdateError(f"{target.name}: expected a length and a SHA-256", code="bad-metadata")
        try:
            make_folder(self._staging)
            make_folder(into)
            if _is_there(into / target.sha256, target):
                return into / target.sha256
            with _folder(self._staging) as folder:
                self._fetch_into(folder, target, into)
        except OSError as error:
            raise disk_error(error, target.name) from error
        return into / target.sha256

    def forget(self) -> None:
        """Give back the space of all that was not finished. Raise UpdateError."""
        try:
            for path in [*self._staging.glob("*.part"), *self._staging.glob("*.at")]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, str(self._staging)) from error

    def _fetch_into(self, folder: int, target: Target, into: Path) -> None:
        part = Partial(folder, target)
        order = self._transports
        try:
            for is_last in (False, True):
                try:
                    self._fill(part, target, order)
                    part.verify()
                    break
                except WrongError as error:
                    part.restart()
                    log.warning("download wrong", extra={"target": target.name, "reason": str(error)})
                    if is_last:
                        part.discard()
                        raise UpdateError(f"{target.name}: {error}", code="wrong-content") from error
                    order = (*order[1:], *order[:1])  # who may have poisoned it comes last
            os.rename(part.name, into / target.sha256, src_dir_fd=folder)
            _settle(into, target)
            part.forget_offset()
        except OSError:
            part.discard()  # what could not be written is not trusted later either
            raise
        finally:
            part.close()

    def _fill(self, part: Partial, target: Target, order: Sequence[Transport]) -> None:
        """Fetch what is missing. Raise UpdateError, WrongError if a server's file is another than ours, OSError."""
        last = UpdateError(f"{target.name}: there is no transport", code="unreachable")
        path = self._path_of(target)
        for transport in order:
            before = -WORTHWHILE_BYTES
            while part.have < target.length and part.have - before >= WORTHWHILE_BYTES:
                before = part.have
                try:
                    self._pour(transport, path, part, target)
                    last = UpdateError(f"{target.name}: ended after {part.have} of {target.length} bytes", code="cut")
                except UpdateError as error:
                    last = self._judged(error, part)
        part.checkpoint()
        if part.have < target.length:
            raise last

    def _judged(self, error: UpdateError, part: Partial) -> UpdateError:
        part.checkpoint()
        if error.code == "changed":
            raise WrongError(str(error)) from error
        if error.code not in _OTHER_SOURCES:
            raise error
        return error

    def _pour(self, transport: Transport, path: str, part: Partial, target: Target) -> None:
        for piece in transport.read(path, part.have, most=target.length - part.have):
            part.write(piece)
            self._watch.progress(part.have, target.length)
            if self._watch.is_cancelled():
                part.checkpoint()
                raise UpdateError(f"{target.name}: cancelled", code="cancelled")


def _settle(into: Path, target: Target) -> None:
    """Bring the final name to the disk; a name that may not be there is taken back. Raise OSError."""
    try:
        sync_folder(into)
    except OSError:
        (into / target.sha256).unlink()
        raise


def _is_there(path: Path, target: Target) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | NO_LINKS)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        return stat.S_ISREG(found.st_mode) and found.st_size == target.length and hash_of(descriptor) == target.sha256
    finally:
        os.close(descriptor)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | NO_LINKS)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise UpdateError(f"{path}: expected a folder, found a link", code="planted") from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)
