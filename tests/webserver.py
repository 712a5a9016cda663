"""A real web server on this machine that serves ranges, and can cut, hold, forget and change what it serves."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebServer:
    """What is served, and how badly. `asked` are the path and the Range of each request."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, list[int]] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    has_ranges: bool = True
    honours_conditions: bool = True
    declares_length: bool = True
    resets: bool = False
    trickles: int = 0
    holds_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"{self.address}{path}"

    def ranges(self, path: str) -> list[str | None]:
        return [asked for one, asked in self.asked if one == path]


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """Serve until the end of the block; what is held then is let go."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if tls is not None:
        made.socket = tls.wrap_socket(made.socket, server_side=True)
    server = WebServer(f"http{'s' if tls else ''}://127.0.0.1:{made.server_address[1]}")
    made.__dict__["web"] = server
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        made.shutdown()
        made.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        web: WebServer = self.server.__dict__["web"]
        web.asked.append((self.path, self.headers.get("Range")))
        web.conditions.append(self.headers.get("If-Range"))
        if web.refusals.get(self.path):
            self.send_error(web.refusals[self.path].pop(0))
        elif self.path in web.redirects:
            self._head(302, {"Location": web.redirects[self.path]})
        elif self.path not in web.files:
            self.send_error(404)
        else:
            self._serve(web, web.files[self.path])

    def _serve(self, web: WebServer, content: bytes) -> None:
        mark = web.etags.get(self.path)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = not web.honours_conditions or self.headers.get("If-Range") in {None, mark}
        start = int(wanted[1]) if wanted and web.has_ranges and is_same else 0
        if start and start >= len(content):
            self._head(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"ETag": mark} if mark else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if web.declares_length:
            headers["Content-Length"] = str(len(content) - start)
        self._head(206 if start else 200, headers)
        self._send(web, content[start:])

    def _send(self, web: WebServer, content: bytes) -> None:
        try:
            if web.trickles:
                for place in range(0, len(content), web.trickles):
                    self.wfile.write(content[place : place + web.trickles])
                    if web.released.wait(0.02):
                        return
            elif web.holds_after is not None:
                self.wfile.write(content[: web.holds_after])
                web.released.wait()
            elif web.cuts:
                self.wfile.write(content[: web.cuts.pop(0)])
                if web.resets:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.wfile.write(content)
        except ConnectionError:
            return  # the client has gone, as some tests want it

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
