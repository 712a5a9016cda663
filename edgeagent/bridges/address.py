"""Where a server without passwords may listen: on this machine, unless its owner says otherwise in so many words."""

import asyncio
import errno
import ipaddress
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from edgeagent.errors import SettingsError

ANSWERED_WITHIN_S = 2.0
"""A server that is there takes a connection within this time."""
_ONLY_US = 0o600

Admit = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@asynccontextmanager
async def listening_at(uri: str, admit: Admit, *, beyond_this_machine: bool, limit: int) -> AsyncIterator[None]:
    """Hand every connection to `admit` while the block runs. `uri` is tcp://host:port or unix://path.

    A Unix socket can be opened by this user alone. `limit` is the most bytes that a reader keeps for a line. Raise
    SettingsError if the address is wrong, is not allowed, or is in use.
    """
    if uri.startswith("unix://"):
        path = Path(uri.removeprefix("unix://"))
        server = await asyncio.start_unix_server(admit, sock=_bound(path), limit=limit)
    else:
        path = None
        host, port = _host_and_port(uri, beyond_this_machine=beyond_this_machine)
        try:
            server = await asyncio.start_server(admit, host, port, limit=limit)
        except OSError as error:
            raise _unusable(uri, error) from error
    try:
        yield
    finally:
        server.close()
        if path is not None:
            path.unlink(missing_ok=True)


def _host_and_port(uri: str, *, beyond_this_machine: bool) -> tuple[str, int]:
    try:
        split = urlsplit(uri)
        host, port = split.hostname, split.port
    except ValueError as error:
        raise SettingsError(
            f"[wyoming] uri: {uri:.100}: {error}", remedy="For example tcp://127.0.0.1:10300"
        ) from error
    if split.scheme != "tcp" or not host or port is None or split.username or split.path or split.query:
        remedy = "For example tcp://127.0.0.1:10300, or unix:///run/edgeagent/wyoming.sock"
        raise SettingsError(f"[wyoming] uri: {uri:.100}: expected a host and a port", remedy=remedy)
    if not beyond_this_machine and not _is_loopback(host):
        raise SettingsError(
            f"[wyoming] uri: {uri:.100}: whoever reaches this address could have things done, without a password",
            remedy="Use 127.0.0.1 or a unix:// socket; or, in a network you trust, beyond_this_machine = true.",
        )
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(path: Path) -> socket.socket:
    """Return a socket of this path. It refuses connections until it is listened on, and by then it is ours alone."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_if_stale(path)
        bound.bind(str(path))
        path.chmod(_ONLY_US)
    except OSError as error:
        bound.close()
        raise _unusable(f"unix://{path}", error) from error
    return bound


def _remove_if_stale(path: Path) -> None:
    """Remove a socket that a server left behind when it died. Raise OSError where it is anything else, or in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "something else has this name")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(ANSWERED_WITHIN_S)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _unusable(uri: str, error: OSError) -> SettingsError:
    # asyncio puts a sentence of its own where the reason stands.
    problem = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    if isinstance(error, FileExistsError):
        problem = str(error.strerror)
    return SettingsError(
        f"[wyoming] uri: cannot listen on {uri:.100}: {problem}",
        remedy="Another program may use it: name a free port, or a socket in a folder that can be written to.",
    )
