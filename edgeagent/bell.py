"""Push to talk from the same machine: a socket in the state folder that a button's program, or `edgeagent talk`, rings.

Who may open the socket may ask for an ear, so only the agent's own user may. Nothing is read from it: to connect is to
ring.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from edgeagent.errors import SettingsError

log = logging.getLogger(__name__)

SOCKET = "talk.sock"
BY = "bell"
ANSWERED_WITHIN_S = 2.0
_LISTENING = b"listening\n"


async def answer_rings(folder: Path, ring: Callable[[str], None]) -> None:
    """Call `ring` at every connection, for ever. Where no socket can be made that is said, and all else goes on."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ring(BY)
        writer.write(_LISTENING)
        writer.close()

    path = folder / SOCKET
    try:
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(answer, path)
        path.chmod(0o600)
    except OSError as error:
        log.warning("no push to talk", extra={"socket": str(path), "problem": error.strerror or str(error)})
        return
    async with server:
        await server.serve_forever()


def ring(folder: Path) -> None:
    """Have the daemon with this state folder listen. Raise SettingsError if it does not answer."""
    path = folder / SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(ANSWERED_WITHIN_S)
        try:
            caller.connect(str(path))
            answer = caller.recv(len(_LISTENING))
        except OSError as error:
            remedy = "Start it: edgeagent run, with the same settings, as the same user."
            raise SettingsError(f"{path}: no daemon answers: {error.strerror or error}", remedy=remedy) from error
    if answer != _LISTENING:
        raise SettingsError(f"{path}: something else answers there", remedy="End it, and start edgeagent anew.")
