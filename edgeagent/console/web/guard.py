"""What stands before every page: hosts, origins, sizes and times of requests, and headers that bind the browser."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 600 << 10
BODY_WITHIN_S = 20.0
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
HSTS = "max-age=31536000"
_TYPES = ("application/x-www-form-urlencoded", "application/json")


class Guard:
    """Refuses what no page should see, and adds headers to every answer."""

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], is_secure: bool, broken: Callable[[Request], Response]
    ) -> None:
        """Stand before an application. `hosts` are the names under which it answers, none for any.

        `broken` says that something went wrong that should not have.
        """
        self._app = app
        self._broken = broken
        self._hosts = frozenset(hosts)
        added = {**HEADERS, **({"strict-transport-security": HSTS} if is_secure else {})}
        self._headers = [(name.encode(), value.encode()) for name, value in added.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        has_begun = False

        async def send_bound(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._added(scope, message)]
            await send(message)

        problem = _refusal(scope["method"], headers, self._hosts)
        if problem is not None:
            await _answer(send_bound, *problem)
            return
        try:
            body = await _body(receive)
        except (TimeoutError, ValueError) as error:
            await _answer(send_bound, 408 if isinstance(error, TimeoutError) else 413, str(error) or "it took too long")
            return
        except ConnectionError:
            return
        try:
            await self._app(scope, _replayed(body, receive), send_bound)
        except Exception:  # whatever it is, it is logged here, and told without its insides
            log.exception("a page broke", extra={"path": scope["path"]})
            if not has_begun:
                await self._tell_broken(scope, receive, send_bound)

    async def _tell_broken(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = self._broken(Request(scope))
        except Exception:  # the page that says so may break for the same reason
            log.exception("the page of errors broke", extra={"path": scope["path"]})
            answer = PlainTextResponse("the console could not do this: report it, with the log", 500)
        await answer(scope, receive, send)

    def _added(self, scope: Scope, message: Message) -> list[tuple[bytes, bytes]]:
        have = {name for name, _ in message.get("headers", ())}
        added = [pair for pair in self._headers if pair[0] not in have]
        if b"cache-control" not in have:
            is_static = scope["path"].startswith("/static/")
            added.append((b"cache-control", b"no-cache" if is_static else b"no-store"))
        return added


def _refusal(method: str, headers: Mapping[str, str], hosts: frozenset[str]) -> tuple[int, str] | None:
    if hosts and headers.get("host", "").lower() not in hosts:
        return 421, "this console is not called so: open it by the address in its settings ([web] origin)"
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
        return 413, f"more than {LARGEST_BODY_BYTES} bytes"
    if method not in UNSAFE:
        return None
    if (int(length) or "transfer-encoding" in headers) and not headers.get("content-type", "").startswith(_TYPES):
        return 415, f"expected {' or '.join(_TYPES)}"
    return None if _is_ours(headers) else (403, "this request comes from a page that is not ours")


def _is_ours(headers: Mapping[str, str]) -> bool:
    """Tell whether no other site has made the browser send this. Programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


async def _body(receive: Receive) -> bytes:
    body = b""
    async with asyncio.timeout(BODY_WITHIN_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            body += bytes(message.get("body", b""))
            if len(body) > LARGEST_BODY_BYTES:
                raise ValueError(f"more than {LARGEST_BODY_BYTES} bytes")
            if not message.get("more_body"):
                return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


async def _answer(send: Send, status: int, problem: str) -> None:
    log.info("refused", extra={"status": status, "problem": problem})
    body = json.dumps({"type": "about:blank", "title": problem, "status": status}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
