"""Metadata through the same transports as files: an address of TUF's client is a path of ours."""

from collections.abc import Iterator, Sequence

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from edgeagent.errors import UpdateError
from edgeagent.update.nouns import Transport

_LARGEST_BYTES = 8 << 20
_NOT_FOUND = 404


class TransportFetcher(FetcherInterface):
    """Fetches metadata whole and within bounds, from the first transport that has it."""

    def __init__(self, transports: Sequence[Transport]) -> None:
        """Take the transports in order of preference."""
        self._transports = transports

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter([self.download_bytes(url, _LARGEST_BYTES)])

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return a file. Raise DownloadHTTPError 404 if a transport says that there is none and no other has it.

        A transport that cannot be reached says nothing; DownloadError tells the last failure if none answers.
        """
        told: list[UpdateError] = []
        for transport in self._transports:
            try:
                return _whole(transport, url, max_length)
            except UpdateError as error:
                told.append(error)
        absent = next((error for error in told if error.code == "absent"), None)
        if absent is not None:
            raise DownloadHTTPError(str(absent), _NOT_FOUND) from absent
        if not told:
            raise DownloadError("there is no transport")
        raise DownloadError(str(told[-1])) from told[-1]


def _whole(transport: Transport, path: str, most: int) -> bytes:
    content = bytearray()
    for piece in transport.read(path, most=most + 1):
        content += piece
        if len(content) > most:
            raise DownloadLengthMismatchError(f"{path}: more than {most} bytes")
    return bytes(content)
