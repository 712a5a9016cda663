"""A repository that owns its keys and can sign anything wrong on purpose, served over HTTP by a server with faults."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

SIGNING = {
    "ed25519": CryptoSigner.generate_ed25519,
    "ecdsa": CryptoSigner.generate_ecdsa,
    "rsa-pss": CryptoSigner.generate_rsa,
    "rsa-pkcs1": lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256"),
}
NEW = CryptoSigner.generate_ed25519


def in_days(days: float) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


class Repository:
    """Signs and publishes; `files` is what a web server would hold. The first version of everything is published."""

    def __init__(self, *, is_consistent: bool = True, has_hashes: bool = False) -> None:
        self.has_hashes = has_hashes
        self.files: dict[str, bytes] = {}
        self.published: set[str] = set()
        self.signers: dict[str, list[CryptoSigner]] = {}
        self.signed: dict[str, Any] = {
            "root": Root(expires=in_days(30), consistent_snapshot=is_consistent),
            "timestamp": Timestamp(expires=in_days(30)),
            "snapshot": Snapshot(expires=in_days(30)),
            "targets": Targets(expires=in_days(30)),
        }
        for role in self.signed:
            self.add_key(role, NEW())
        self.publish("targets", "snapshot", "timestamp", "root")

    @property
    def root(self) -> Root:
        return cast("Root", self.signed["root"])

    @property
    def first_root(self) -> bytes:
        return self.files["metadata/1.root.json"]

    def targets(self, role: str = "targets") -> Targets:
        return cast("Targets", self.signed[role])

    def add_key(self, role: str, signer: CryptoSigner, parent: str = "root") -> None:
        self.signed[parent].add_key(signer.public_key, role)
        self.signers.setdefault(role, []).append(signer)

    def rotate(self, role: str) -> None:
        """Take a role's keys away and give it new ones; the root is to be published."""
        self.root.roles[role].keyids.clear()
        self.signers[role].clear()
        for _ in range(self.root.roles[role].threshold):
            self.add_key(role, NEW())

    def rotate_root(self) -> None:
        """Give the root another key; the next root is signed by the old one and the new one."""
        new = NEW()
        before = self.signers["root"][-1:]
        self.root.roles["root"].keyids.clear()
        self.root.add_key(new.public_key, "root")
        self.signers["root"] = [*before, new]
        self.publish("root")
        self.signers["root"] = [new]

    def publish(self, *roles: str, bump: bool = True) -> None:
        """Sign the next version of the roles in this order, and tell of it in snapshot and timestamp as they stand."""
        for role in roles:
            if bump and role in self.published:
                self.signed[role].version += 1
            self.published.add(role)
            self.put(role, self.sign(role))

    def release(self, *roles: str) -> None:
        """Publish targets roles, and what makes them known."""
        self.publish(*roles, "snapshot", "timestamp")

    def sign(self, role: str) -> bytes:
        metadata = Metadata[Any](deepcopy(self.signed[role]))
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def put(self, role: str, content: bytes) -> None:
        version = self.signed[role].version
        name = quote(role, safe="")
        if role == "root" or (role != "timestamp" and self.root.consistent_snapshot):
            name = f"{version}.{name}"
        self.files[f"metadata/{name}.json"] = content
        told = MetaFile.from_data(version, content, ["sha256"]) if self.has_hashes else MetaFile(version)
        if role == "snapshot":
            self.signed["timestamp"].snapshot_meta = told
        elif role not in {"root", "timestamp"}:
            self.signed["snapshot"].meta[f"{role}.json"] = told

    def add(self, name: str, content: bytes, role: str = "targets", custom: Mapping[str, Any] | None = None) -> None:
        """Add a target; the role is to be released."""
        target = TargetFile.from_data(name, content, ["sha256"])
        if custom is not None:
            target.unrecognized_fields["custom"] = custom
        self.targets(role).targets[name] = target
        self.files[f"targets/{self.path(name, role)}"] = content

    def path(self, name: str, role: str = "targets") -> str:
        folder, slash, last = name.rpartition("/")
        prefix = f"{self.targets(role).targets[name].hashes['sha256']}." if self.root.consistent_snapshot else ""
        return f"{folder}{slash}{prefix}{last}"

    def delegate(
        self,
        role: str,
        paths: list[str] | None = None,
        parent: str = "targets",
        *,
        is_terminating: bool = False,
        prefixes: list[str] | None = None,
    ) -> None:
        """Delegate paths (or hash prefixes) to a role with a key of its own; both are to be released."""
        above = self.targets(parent)
        if above.delegations is None:
            above.delegations = Delegations({}, roles={})
        assert above.delegations.roles is not None
        if prefixes is None and paths is None:
            paths = ["*"]
        above.delegations.roles[role] = DelegatedRole(role, [], 1, is_terminating, paths, prefixes)
        if role not in self.signed:
            self.signed[role] = Targets(expires=in_days(30))
        self.add_key(role, NEW(), parent)

    def delegate_bins(self, prefix: str, bits: int) -> None:
        """Delegate everything to hash bins, which share a key."""
        bins, signer = SuccinctRoles([], 1, bits, prefix), NEW()
        self.targets().delegations = Delegations({}, succinct_roles=bins)
        self.targets().add_key(signer.public_key)
        for role in bins.get_roles():
            self.signed[role] = Targets(expires=in_days(30))
            self.signers[role] = [signer]


Behaviour = Callable[["Request", bytes], None]


class Request(BaseHTTPRequestHandler):
    """One request; a behaviour of its path answers it, or `whole`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server: Server = self.server.__dict__["told"]
        path = self.path.lstrip("/")
        server.asked.append((path, self.headers.get("Range"), self.headers.get("If-Range")))
        content, behaviour = server.files.get(path), server.behaviours.get(path, whole)
        self.close_connection = False
        try:
            if content is None and path not in server.behaviours:
                self.head(404, 0)
            else:
                behaviour(self, content or b"")
        except (ConnectionError, ValueError):
            self.close_connection = True  # the client has gone, as some tests want it

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def wanted(self) -> tuple[int, int] | None:
        told = self.headers.get("Range")
        if told is None:
            return None
        first, last = told.removeprefix("bytes=").split("-")
        return int(first), int(last)

    def wait(self, seconds: float | None = None) -> bool:
        server: Server = self.server.__dict__["told"]
        return server.released.wait(seconds)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def whole(request: Request, content: bytes) -> None:
    wanted = request.wanted()
    if wanted is None:
        request.head(200, len(content))
        request.wfile.write(content)
    elif wanted[0] >= len(content):
        request.head(416, 0)
    else:
        some = content[wanted[0] : wanted[1] + 1]
        request.head(206, len(some), Content_Range=f"bytes {wanted[0]}-{wanted[0] + len(some) - 1}/{len(content)}")
        request.wfile.write(some)


def without_ranges(request: Request, content: bytes) -> None:
    request.head(200, len(content))
    request.wfile.write(content)


def marked(etag: str) -> Behaviour:
    """Serve with an ETag, and the whole file where If-Range names another."""

    def answer(request: Request, content: bytes) -> None:
        wanted = request.wanted()
        if wanted is None or request.headers.get("If-Range") not in {None, etag}:
            request.head(200, len(content), ETag=etag)
            request.wfile.write(content)
        else:
            some = content[wanted[0] : wanted[1] + 1]
            told = f"bytes {wanted[0]}-{wanted[0] + len(some) - 1}/{len(content)}"
            request.head(206, len(some), ETag=etag, Content_Range=told)
            request.wfile.write(some)

    return answer


def cut_after(count: int, times: int = 1, then: Behaviour = whole) -> Behaviour:
    """Cut the connection after so many bytes, so many times."""
    left = [times]

    def answer(request: Request, content: bytes) -> None:
        if not left[0]:
            then(request, content)
            return
        left[0] -= 1
        wanted = request.wanted() or (0, len(content) - 1)
        some = content[wanted[0] : wanted[1] + 1]
        told = {"Content_Range": f"bytes {wanted[0]}-{wanted[1]}/{len(content)}"} if request.wanted() else {}
        request.head(206 if told else 200, len(some), **told)
        request.wfile.write(some[:count])
        request.close_connection = True

    return answer


def endless(request: Request, content: bytes) -> None:
    """Begin with the content, and never end."""
    request.head(200, None)
    request.wfile.write(content)
    while not request.wait(0):
        request.wfile.write(bytes(1 << 16))


def trickle(request: Request, content: bytes) -> None:
    """One byte now and then, headers included."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    request.close_connection = True
    for byte in head + content:
        request.wfile.write(bytes([byte]))
        if request.wait(0.02):
            return


def raw(answer: bytes) -> Behaviour:
    """Answer with these bytes, whatever was asked."""

    def write(request: Request, _content: bytes) -> None:
        request.wfile.write(answer)
        request.close_connection = True

    return write


def redirect(to: str) -> Behaviour:
    def answer(request: Request, _content: bytes) -> None:
        request.head(302, 0, Location=to)

    return answer


def status(code: int) -> Behaviour:
    def answer(request: Request, _content: bytes) -> None:
        request.head(code, 0)

    return answer


@dataclass
class Server:
    """What is served, and how; `asked` are path, Range and If-Range of each request."""

    address: str
    files: dict[str, bytes]
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


@contextmanager
def serving(files: dict[str, bytes], wrap: Callable[[Any], Any] = lambda sock: sock) -> Iterator[Server]:
    """Serve files at their paths until the end of the block."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    made.daemon_threads = True
    scheme = "http" if (wrapped := wrap(made.socket)) is made.socket else "https"
    made.socket = wrapped
    server = Server(f"{scheme}://127.0.0.1:{made.server_address[1]}/", files)
    made.__dict__["told"] = server
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        made.shutdown()
        made.server_close()
        thread.join()
