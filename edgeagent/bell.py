"""Push to talk, mute and answers from the same machine: a socket in the state folder, for buttons and `edgeagent talk`.

One line is read, a wish, and one line answered. Who may open the socket has a say, so only the agent's own user may.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from edgeagent.errors import SettingsError

log = logging.getLogger(__name__)

Wish = Literal["listen", "mute", "unmute", "yes", "no", "update"]

SOCKET = "talk.sock"
BELL = "bell"
"""What the timeline calls whoever rang."""
ANSWERED_WITHIN_S = 2.0
LONGEST_LINE_BYTES = 32
_DONE, _UNKNOWN = b"done\n", b"unknown\n"


async def answer_rings(folder: Path, wanted: Callable[[Wish], None]) -> None:
    """Call `wanted` with every wish, for ever. Where no socket can be made that is said, and all else goes on."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), ANSWERED_WITHIN_S)
            wish = next((wish for wish in get_args(Wish) if line == f"{wish}\n".encode()), None)
            if wish is not None:
                wanted(wish)
            writer.write(_UNKNOWN if wish is None else _DONE)
        except (OSError, ValueError, TimeoutError) as error:  # ValueError: the line was too long
            log.warning("nothing understood at the bell", extra={"problem": str(error)})
        finally:
            writer.close()

    path = folder / SOCKET
    try:
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(answer, path, limit=LONGEST_LINE_BYTES)
        path.chmod(0o600)
    except OSError as error:
        log.warning("no push to talk", extra={"socket": str(path), "problem": error.strerror or str(error)})
        return
    async with server:
        await server.serve_forever()


def ask(folder: Path, wish: Wish) -> None:
    """Tell the daemon with this state folder what is wanted. Raise SettingsError if it does not answer."""
    path = folder / SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(ANSWERED_WITHIN_S)
        try:
            caller.connect(str(path))
            caller.sendall(f"{wish}\n".encode())
            answer = caller.recv(LONGEST_LINE_BYTES)
        except OSError as error:
            remedy = "Start it: edgeagent run, with the same settings, as the same user."
            raise SettingsError(f"{path}: no daemon answers: {error.strerror or error}", remedy=remedy) from error
    if answer != _DONE:
        raise SettingsError(f"{path}: {wish} is not understood there", remedy="Start the daemon of this version.")
