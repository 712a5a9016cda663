"""The pages and the API on a port, in the loop that is there already."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from edgeagent.console.errors import ConsoleError
from edgeagent.console.settings import WebSection

CLOSING_S = 3
"""How long open pages may take to end."""


@contextmanager
def listening(web: WebSection) -> Iterator[socket.socket]:
    """Listen on the port of the pages while the block runs. Raise ConsoleError if it is in use."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        listener = socket.create_server((web.host, web.port), family=family, backlog=512)
    except OSError as error:
        raise ConsoleError(
            f"the pages cannot be served on {web.host}:{web.port}: {error.strerror or error}",
            remedy="Name another port or address in [web], or end what uses it.",
        ) from error
    with listener:
        yield listener


class LookAfter:
    """Looks for what is due as soon as somebody has changed something by the pages or the API."""

    def __init__(self, app: ASGIApp, look: Callable[[], None]) -> None:
        """Stand in front of the application."""
        self._app = app
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
                self._look()


class _Server(uvicorn.Server):
    """A server that leaves the signals to the command line."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(app: FastAPI, web: WebSection, listener: socket.socket) -> AsyncIterator["asyncio.Task[None]"]:
    """Serve the pages while the block runs."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ssl_certfile=web.certificate,
        ssl_keyfile=web.key,
        proxy_headers=bool(web.proxies),
        forwarded_allow_ips=list(web.proxies),
        timeout_graceful_shutdown=CLOSING_S,
    )
    try:
        config.load()
    except OSError as error:
        raise ConsoleError(
            f"the certificate of the pages cannot be read: {error}", remedy="Mend certificate and key in [web]."
        ) from error
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="pages")
    try:
        yield serving
    finally:
        server.should_exit = True
        await asyncio.wait([serving], timeout=2 * CLOSING_S)
        serving.cancel()


async def until_ended(serving: "asyncio.Task[None]") -> None:
    """Wait until the pages are served no more, and raise ConsoleError."""
    await asyncio.wait([serving])
    raise ConsoleError("the pages are served no more", remedy="Report this, with the log.")
