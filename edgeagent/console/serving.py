"""The pages on a socket: an HTTP server that ends connections which keep it waiting.

Rules:
    - Who connects says within seconds what is wanted, reads what is answered, and has so many connections at most.
    - Open pages hear news for as long as they are open (`web.live`); that is not waiting.
    - At the end, answers that are being given have a moment; then everything is closed.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgeagent.console.errors import ConsoleError
from edgeagent.console.settings import WebSection

CLOSING_S = 3
"""How long open pages may take to end."""
HEAD_WITHIN_S = 15.0
"""From the first byte of a connection, or of its next request, to the end of the head; a body has the guard's time."""
READ_WITHIN_S = 60.0
"""How long somebody may take no more of an answer."""
MOST_CONNECTIONS = 1_000
MOST_OF_AN_ADDRESS = 200
"""Connections of one address, unless it is a proxy of ours: many people may sit behind one."""
_DONE = 400


class Impatient(H11Protocol):
    """HTTP to who keeps asking and reading; closes other connections."""

    head_within_s, read_within_s = HEAD_WITHIN_S, READ_WITHIN_S
    most_of_an_address = MOST_OF_AN_ADDRESS
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request; close at once where an address has too many connections."""
        super().connection_made(transport)
        self._wait()
        if self._is_one_too_many():
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._waited()
        self._read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._waited()
        elif self._waiting is None:
            self._wait()

    def pause_writing(self) -> None:
        """Note that the other side does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.read_within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it reads on."""
        self._read()
        super().resume_writing()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.head_within_s, self.transport.abort)

    def _waited(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _is_one_too_many(self) -> bool:
        host = self.client[0] if self.client else ""
        if not host or host in (self.config.forwarded_allow_ips or ()):
            return False
        others: Iterable[Any] = self.connections
        return sum(bool(one.client and one.client[0] == host) for one in others) > self.most_of_an_address


class LookAfter:
    """Looks for what is due as soon as somebody who may has changed something by the pages or the API."""

    def __init__(self, app: ASGIApp, look: Callable[[], None]) -> None:
        """Stand in front of the application."""
        self._app = app
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        is_done = False

        async def sent(message: Message) -> None:
            nonlocal is_done
            if message["type"] == "http.response.start":
                is_done = message["status"] < _DONE
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            is_change = scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}
            if is_change and is_done and "visit" in scope.get("state", {}):
                self._look()


class _Server(uvicorn.Server):
    """A server that leaves the signals to the command line."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def configured(app: ASGIApp, web: WebSection) -> uvicorn.Config:
    """Return how an application is served."""
    return uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ssl_certfile=web.certificate,
        ssl_keyfile=web.key,
        proxy_headers=bool(web.proxies),
        forwarded_allow_ips=list(web.proxies),
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=CLOSING_S,
    )


@asynccontextmanager
async def serving(app: ASGIApp, web: WebSection, listener: socket.socket) -> AsyncIterator["asyncio.Task[None]"]:
    """Serve the pages on a socket while the block runs. Raise ConsoleError if their certificate cannot be read."""
    config = configured(app, web)
    try:
        config.load()
    except OSError as error:
        raise ConsoleError(
            f"the certificate of the pages cannot be read: {error}", remedy="Mend certificate and key in [web]."
        ) from error
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="pages")
    try:
        yield task
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=2 * CLOSING_S)
        task.cancel()
