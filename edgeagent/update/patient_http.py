"""HTTP connections whose every read has a deadline, headers included: who trickles is left.

http.client rather than urllib3, which TUF's client brings along: only a connection of our own lets the pace be judged
below the headers, where a time-out that begins anew with each byte would hold us for days.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server: `least_bytes` must come in each `window_s` of waiting."""

    window_s: float = 20.0
    least_bytes: int = 4096
    connect_s: float = 20.0


class TooSlowError(OSError):
    """Fewer bytes came in the window than a link that is worth it brings."""


@dataclass
class Pace:
    """Judges how fast bytes come, by the time that was spent waiting for them."""

    patience: Patience
    clock: Callable[[], float] = time.monotonic
    _waited: float = field(default=0.0, init=False)
    _found: int = field(default=0, init=False)

    def left_s(self) -> float:
        """Return how long the next read may wait. Raise TooSlowError if the window has ended with too little."""
        if self._waited >= self.patience.window_s:
            if self._found < self.patience.least_bytes:
                raise TooSlowError(f"only {self._found} bytes came in {self.patience.window_s:g} s")
            self._waited, self._found = 0.0, 0
        return self.patience.window_s - self._waited

    def note(self, waited_s: float, found: int) -> None:
        """Account for one read."""
        self._waited += waited_s
        self._found += found


class _PatientReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        super().__init__()
        self._sock, self._pace = sock, pace
        # It counts as a user of the socket, which http.client closes before the answer is read.
        self._raw = sock.makefile("rb", buffering=0)

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io.BufferedReader hands over
        self._sock.settimeout(max(0.001, self._pace.left_s()))
        began = self._pace.clock()
        try:
            found = self._raw.readinto(buffer) or 0
        except TimeoutError as error:
            self._pace.note(self._pace.left_s(), 0)
            self._pace.left_s()
            raise TooSlowError("no bytes came in time") from error
        self._pace.note(self._pace.clock() - began, found)
        return found


class _PatientSocket:
    """What HTTPResponse asks of a socket: something to read from."""

    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        self._sock, self._pace = sock, pace

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_PatientReader(self._sock, self._pace), 1 << 16)


def connect(scheme: str, host: str, port: int, tls: ssl.SSLContext, patience: Patience) -> HTTPConnection:
    """Return a connection, not yet open, that is judged by its pace."""
    connection: HTTPConnection
    if scheme == "https":
        connection = HTTPSConnection(host, port, timeout=patience.connect_s, context=tls)
    else:
        connection = HTTPConnection(host, port, timeout=patience.connect_s)

    def response(sock: socket.socket, *, method: str | None = None, **_: object) -> HTTPResponse:
        return HTTPResponse(_PatientSocket(sock, Pace(patience)), method=method)  # type: ignore[arg-type]

    connection.response_class = response  # type: ignore[assignment]
    return connection
