"""A web address to its bytes, over HTTP(S) alone: within bounds, with deadlines, tried again where that may help."""

import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from edgeagent import __version__
from edgeagent.errors import ModelError

log = logging.getLogger(__name__)

OFFLINE = "Is this device online? A zip from elsewhere does as well: edgeagent model import ZIP."
WORTHWHILE_BYTES = 256 << 10
"""After a try that brought so much, tries are counted anew: a link that is cut every minute gets there."""
LEAST_BYTES = 4 << 10
"""What must come in the time of the time-out; less is a trickle that would hold us for days."""
_PIECE_BYTES = 64 << 10
_WORTH_ANOTHER_TRY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_HANDLERS = (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler)
"""Those of urllib's own opener, but for files and FTP."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, and the pauses between tries; there is one try more than pauses."""

    timeout_s: float = 20.0
    pauses_s: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)


PATIENT = Patience()


class CutError(Exception):
    """It ended too early, and may work the next time."""


class ChangedError(CutError):
    """The server's file is another than the one of which we have the beginning."""


def check_address(url: str) -> None:
    """Raise ModelError if this is no address of HTTP or HTTPS."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or not url.isascii() or not url.isprintable() or " " in url:
        message = f"{url:.200}: expected an address that begins with http:// or https://"
        raise ModelError(message, remedy="A file that is here already: edgeagent model import PATH.")


def patiently(
    attempt: Callable[[], _Result], url: str, patience: Patience, kept: Callable[[], int] = lambda: 0
) -> _Result:
    """Try until it works. `kept` are the bytes that the tries have brought. Raise ModelError if they bring no more."""
    failures = 0
    while True:
        before = kept()
        try:
            return attempt()
        except CutError as cut:
            failures = 1 if kept() - before >= WORTHWHILE_BYTES else failures + 1
            if failures > len(patience.pauses_s):
                message = f"{url}: {cut}; tried {failures} times in vain"
                raise ModelError(message, remedy=f"Try again later: what came is kept. {OFFLINE}") from cut
            log.info("transfer cut", extra={"url": url, "reason": str(cut), "failures": failures})
        time.sleep(patience.pauses_s[failures - 1])


@contextmanager
def answer_of(url: str, headers: dict[str, str], timeout_s: float) -> Iterator[HTTPResponse]:
    """Ask for a file. Raise CutError where it may work the next time, ModelError where it will not."""
    request = Request(url, headers=headers | {"User-Agent": f"edgeagent/{__version__}"})  # noqa: S310  # checked before
    try:
        answer: HTTPResponse = _opener().open(request, timeout=timeout_s)
    except HTTPError as error:
        error.close()
        raise _told(error, url) from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            message = f"{url}: its certificate cannot be trusted: {error.reason.verify_message}"
            raise ModelError(message, remedy="Is the clock right? date; sudo timedatectl set-ntp true") from error
        raise CutError(_reason(error.reason)) from error
    except (OSError, HTTPException, ValueError) as error:  # the last over a redirection to no address
        raise CutError(_reason(error)) from error
    with answer:
        yield answer


def pieces_of(answer: HTTPResponse, most: int, timeout_s: float) -> Iterator[bytes]:
    """Yield what comes, to the end or until it is more than `most` bytes. Raise CutError if it breaks or trickles."""
    declared, found = answer.length, 0
    before, until = 0, time.monotonic() + timeout_s
    while found <= most and found != declared:
        try:
            piece = answer.read1(_PIECE_BYTES)
        except (OSError, HTTPException) as error:
            raise CutError(_reason(error)) from error
        if not piece:
            break
        yield piece
        found += len(piece)
        if time.monotonic() > until:
            if found - before < LEAST_BYTES:
                raise CutError(f"only {found - before} bytes came in {timeout_s:g} s")
            before, until = found, time.monotonic() + timeout_s
    if declared is not None and found < min(declared, most):
        raise CutError(f"the connection ended after {found} of {declared} bytes")


def _reason(error: object) -> str:
    """Return what an error says, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _told(error: HTTPError, url: str) -> Exception:
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return ChangedError("the file is shorter than what was fetched of it")
    message = f"HTTP {error.code} {error.reason:.300}".rstrip()
    if error.code in _WORTH_ANOTHER_TRY or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CutError(message)
    return ModelError(f"{url}: {message}", remedy=f"Is the address right? {OFFLINE}")


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirections to HTTP(S) alone, and never from HTTPS to HTTP."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in {"https", req.type}:
            raise HTTPError(req.full_url, code, f"redirects to {newurl:.200}, which is not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    opener = OpenerDirector()
    for handler in (*_HANDLERS, _SafeRedirects):
        opener.add_handler(handler())
    return opener
