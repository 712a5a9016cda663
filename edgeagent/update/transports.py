"""A path to a file's bytes, from a web server or a folder: bounded, resumable, and never trusted.

- HTTP(S): ranges, redirects within bounds, certificates always checked.
- A folder or USB stick: no links, no devices, no way out of it.
"""

import errno
import os
import re
import ssl
import stat
from collections import OrderedDict
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from edgeagent import __version__
from edgeagent.errors import UpdateError
from edgeagent.update.bandwidth import Bandwidth
from edgeagent.update.patient_http import Patience, TooSlowError, connect

MOST_REDIRECTS = 5
MOST_ETAGS = 256
PIECE_BYTES = 64 << 10
_SMALL_BYTES = 16 << 10
_ONLINE = "Is this device online? What came is kept."
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.GONE}
_REDIRECTS = {301, 302, 303, 307, 308}
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(?:[0-9]{1,18}|\*)")
_SAFE = "/%:@!$&'()*+,;=~-._"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for somebody who writes.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class HttpTransport:
    """A repository on a web server. Used by one thread at a time; keeps one connection open."""

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        bandwidth: Bandwidth | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Take the address that paths are relative to. Raise UpdateError "bad-address", "tls".

        Certificates are checked against the system's authorities, or those in `ca_file` alone.
        """
        self._base = url if url.endswith("/") else f"{url}/"
        _checked(self._base)
        try:
            self._tls = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UpdateError(f"{ca_file}: cannot be used: {error}", code="tls") from error
        self._bandwidth, self._patience = bandwidth, patience or Patience()
        self._open: tuple[tuple[str, str], HTTPConnection] | None = None
        self._etags: OrderedDict[str, str] = OrderedDict()

    def read(self, path: str, start: int = 0, *, most: int) -> Iterator[bytes]:
        """Yield a file's bytes from an offset on, at most `most`.

        Raise UpdateError: "absent", "unreachable", "too-slow", "tls", "redirect-refused", "wrong-range", or "changed"
        if the file is another than the one whose beginning was read.
        """
        if most <= 0:
            return
        url = urljoin(self._base, "./" + quote(path, safe=_SAFE))
        headers = {"User-Agent": f"edgeagent/{__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-{start + most - 1}"
            if path in self._etags:
                headers["If-Range"] = self._etags[path]
        answer = self._follow(url, headers)
        is_whole = False
        try:
            yield from self._pieces(answer, path, start, most)
            is_whole = answer.isclosed() or answer.length == 0
        except (OSError, HTTPException) as error:
            _refuse(error, url)
        finally:
            is_reusable = (is_whole or _drained(answer)) and not answer.will_close
            answer.close()
            if not is_reusable:
                self.close()

    def close(self) -> None:
        """Close the connection; the next read opens one."""
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def _follow(self, url: str, headers: dict[str, str]) -> HTTPResponse:
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._ask(url, headers)
            if answer.status not in _REDIRECTS:
                return answer
            self.close()
            target = answer.headers.get("Location", "")
            try:
                target = urljoin(url, target)
                is_fit = _checked(target).scheme == "https" or urlsplit(url).scheme == "http"
            except (UpdateError, ValueError):
                is_fit = False
            if not is_fit:
                raise UpdateError(f"{url}: redirects to {target[:200]!r}, not followed", code="redirect-refused")
            url = target
        raise UpdateError(f"{url}: more than {MOST_REDIRECTS} redirects", code="redirect-refused")

    def _ask(self, url: str, headers: dict[str, str]) -> HTTPResponse:
        parts = urlsplit(url)
        place = parts.path + (f"?{parts.query}" if parts.query else "")
        is_reused = self._open is not None and self._open[0] == (parts.scheme, parts.netloc)
        try:
            return self._asked(parts, place, headers)
        except TooSlowError as error:
            self.close()
            _refuse(error, url)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that cannot be one
            self.close()
            if not is_reused:
                _refuse(error, url)
        try:  # the server had closed the connection that was kept
            return self._asked(parts, place, headers)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that cannot be one
            self.close()
            _refuse(error, url)

    def _asked(self, parts: SplitResult, place: str, headers: dict[str, str]) -> HTTPResponse:
        connection = self._connection(parts)
        connection.request("GET", place or "/", headers=headers)
        return connection.getresponse()

    def _connection(self, parts: SplitResult) -> HTTPConnection:
        key = (parts.scheme, parts.netloc)
        if self._open is None or self._open[0] != key:
            self.close()
            port = parts.port or (443 if parts.scheme == "https" else 80)
            self._open = (key, connect(parts.scheme, parts.hostname or "", port, self._tls, self._patience))
        return self._open[1]

    def _pieces(self, answer: HTTPResponse, path: str, start: int, most: int) -> Iterator[bytes]:
        skip = self._offset(answer, path, start)
        declared, found = answer.length, -skip
        largest = PIECE_BYTES if self._bandwidth is None else min(PIECE_BYTES, self._bandwidth.piece_bytes)
        while found < most:
            piece = answer.read1(min(largest, most - found))
            if not piece:
                break
            if self._bandwidth is not None:
                self._bandwidth.take(len(piece))
            kept = piece[max(0, -found) :]
            found += len(piece)
            if kept:
                yield kept
        if declared is not None and found < min(declared - skip, most):
            raise UpdateError(f"{path}: the connection ended after {found} bytes", code="unreachable", remedy=_ONLINE)

    def _offset(self, answer: HTTPResponse, path: str, start: int) -> int:
        """Return how many bytes of the answer to leave out. Raise UpdateError if it is not what was asked for."""
        told, known = answer.headers.get("ETag", "")[:200], self._etags.get(path)
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
            if not start or found is None or int(found[1]) != start or int(found[2]) < start:
                raise UpdateError(f"{path}: expected bytes from {start} on, found another range", code="wrong-range")
            if known and told and told != known:
                raise UpdateError(f"{path}: the server's file has changed", code="changed")
            return 0
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            raise UpdateError(f"{path}: the server's file ends before byte {start}", code="changed")
        if answer.status in _ABSENT:
            raise UpdateError(f"{path}: HTTP {answer.status}", code="absent")
        if answer.status != HTTPStatus.OK:
            raise UpdateError(f"{path}: HTTP {answer.status}", code="unreachable", remedy=_ONLINE)
        if start and known and told != known:
            raise UpdateError(f"{path}: the server's file has changed", code="changed")
        self._remember(path, told)
        return start

    def _remember(self, path: str, etag: str) -> None:
        # A weak one says nothing of bytes; RFC 9110 13.1.5 has no use for it in If-Range.
        if etag.startswith('"') and etag.isprintable() and etag.isascii():
            self._etags[path] = etag
            self._etags.move_to_end(path)
            while len(self._etags) > MOST_ETAGS:
                self._etags.popitem(last=False)


def _drained(answer: HTTPResponse) -> bool:
    """Read the page that says that there is nothing, so that the connection can be used again."""
    if answer.status not in _ABSENT or answer.length is None or answer.length > _SMALL_BYTES:
        return False
    try:
        answer.read()
    except (OSError, HTTPException):
        return False
    return True


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
        raise UpdateError(f"{url[:200]!r}: expected an address with http:// or https://", code="bad-address")
    return parts


def _refuse(error: OSError | HTTPException | ValueError, url: str) -> NoReturn:
    if isinstance(error, TooSlowError):
        raise UpdateError(f"{url}: {error}", code="too-slow", remedy=_ONLINE) from error
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"{url}: its certificate cannot be trusted: {error.verify_message}"
        raise UpdateError(message, code="tls", remedy="Is the clock right? timedatectl") from error
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise UpdateError(f"{url}: {reason}"[:500], code="unreachable", remedy=_ONLINE) from error


class FolderTransport:
    """A repository in a folder: the same files that a web server would serve."""

    def __init__(self, folder: Path, *, bandwidth: Bandwidth | None = None) -> None:
        """Take the folder that paths are relative to; it may come and go, like a stick."""
        self._folder, self._bandwidth = folder, bandwidth

    def read(self, path: str, start: int = 0, *, most: int) -> Iterator[bytes]:
        """Yield a file's bytes from an offset on, at most `most`.

        Raise UpdateError: "absent"; "unreachable" if the folder is away or cannot be read; "bad-name" if the path leads
        out; "unsafe-file" if a link, a device or a FIFO is in the way.
        """
        descriptor = self._opened(path)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UpdateError(f"{path}: not a plain file", code="unsafe-file")
            found = 0
            while found < most:
                piece = os.pread(descriptor, min(PIECE_BYTES, most - found), start + found)
                if not piece:
                    return
                found += len(piece)
                if self._bandwidth is not None:
                    self._bandwidth.take(len(piece))
                yield piece
        except OSError as error:
            raise UpdateError(f"{path}: {error.strerror}", code="unreachable") from error
        finally:
            os.close(descriptor)

    def _opened(self, path: str) -> int:
        parts = path.split("/")
        if any(part in {"", ".", ".."} or "\0" in part or "\\" in part for part in parts):
            raise UpdateError(f"{path[:100]!r}: expected a path inside the folder", code="bad-name")
        try:
            # The folder itself may be a link: the owner has named it.
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UpdateError(f"{self._folder}: {error.strerror}", code="unreachable") from error
        try:
            for part in parts[:-1]:
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(parts[-1], _FILE, dir_fd=folder)
        except OSError as error:
            raise _refusal(error, path) from error
        finally:
            os.close(folder)


def _refusal(error: OSError, path: str) -> UpdateError:
    if error.errno in {errno.ENOENT, errno.ENAMETOOLONG}:
        return UpdateError(f"{path}: not there", code="absent")
    if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ENODEV}:
        return UpdateError(f"{path}: a link, a device or no folder is in the way", code="unsafe-file")
    return UpdateError(f"{path}: {error.strerror}", code="unreachable")
