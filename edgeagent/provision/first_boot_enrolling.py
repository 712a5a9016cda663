"""An enrol.toml to an identity, asked for in a process of its own that is the user to whom the state folder belongs.

Rules:
    - The first boot is root's, and the state folder is the daemon's: root writes nothing into it, and follows no link
      that somebody has put there. What comes of an enrolment belongs to the daemon from the start.
    - The file comes on standard input, and its claim lives in memory: no copy of it is left on the card.
    - The answer is one line of JSON; an error is told by its words and its remedy.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from edgeagent.errors import EdgeAgentError
from edgeagent.fleet.enrolling import Wish, enrol
from edgeagent.fleet.identity_keys import IdentityError
from edgeagent.fleet.identity_store import Identities
from edgeagent.provision.enrol_file import LARGEST_BYTES, EnrolFile, read_enrol_file, written
from edgeagent.settings import BrokerSettings, TlsSettings

MORE_S = 60.0
"""What a slow board needs beside the deadline: to start Python, to make a key, to try the identity."""
_MODULE = "edgeagent.provision.first_boot_enrolling"


class Enrolling(Protocol):
    """A way to get an identity: the names of fleet and device, or an EdgeAgentError."""

    def __call__(self, card: EnrolFile, state_dir: Path, serial: str, deadline_s: float) -> tuple[str, str]:
        """Return the names of fleet and device. Raise EdgeAgentError."""
        ...


def enrol_beside(
    card: EnrolFile, state_dir: Path, serial: str, deadline_s: float, *, python: str = sys.executable
) -> tuple[str, str]:
    """Enrol in another process, under the user of the state folder. Raise EdgeAgentError as it was told there."""
    command = [python, "-P", "-m", _MODULE, str(state_dir), serial, str(deadline_s)]
    owner = state_dir.stat()
    other: dict[str, Any] = {}
    if owner.st_uid != os.geteuid():
        other = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    try:
        ended = subprocess.run(  # noqa: S603  # our own module
            command,
            input=written(card),
            stdout=subprocess.PIPE,
            cwd="/",
            timeout=deadline_s + MORE_S,
            check=False,
            **other,
        )
        told = json.loads(ended.stdout[-LARGEST_BYTES:])
        if not isinstance(told, dict):
            raise ValueError("no answer")  # noqa: TRY301, TRY004  # one way out of several
    except PermissionError as error:
        raise IdentityError(
            f"this process may not become the user to whom {state_dir} belongs",
            remedy="Run it as root; a unit needs CAP_SETUID and CAP_SETGID for it.",
        ) from error
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise IdentityError(
            f"the enrolment ended without an answer: {type(error).__name__}", remedy="Look at the journal."
        ) from None  # with what was given to it, the file is in the error
    if "problem" in told:
        raise IdentityError(str(told["problem"]), remedy=str(told.get("remedy", "")))
    return str(told["fleet"]), str(told["device"])


async def enrolled(card: EnrolFile, state_dir: Path, serial: str, deadline_s: float) -> tuple[str, str]:
    """Enrol, and return the names of fleet and device. Raise EdgeAgentError."""
    with _claim(card) as claim:
        wish = Wish(
            broker=BrokerSettings(host=card.broker_host, port=card.broker_port),
            enrolment_port=card.enrolment_port,
            claim=claim,
            fleet=card.fleet,
            serial=serial,
            token=card.token.get_secret_value(),
            deadline_s=deadline_s,
        )
        identity = await enrol(wish, Identities(state_dir))
    return identity.fleet, identity.device


@contextmanager
def _claim(card: EnrolFile) -> Iterator[TlsSettings]:
    """Have the claim as files that are nowhere but in memory, while the block runs."""
    with ExitStack() as open_files:

        def in_memory(name: str, content: str) -> Path:
            descriptor = os.memfd_create(f"edgeagent-{name}")
            open_files.callback(os.close, descriptor)
            os.write(descriptor, content.encode())
            return Path(f"/proc/self/fd/{descriptor}")

        yield TlsSettings(
            ca=in_memory("ca", card.ca),
            certificate=in_memory("claim", card.claim),
            key=in_memory("key", card.claim_key.get_secret_value()),
        )


def main() -> None:
    """Enrol by what comes on standard input; the folder, the serial number and the deadline are arguments."""
    state_dir, serial, deadline_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    try:
        card = read_enrol_file(sys.stdin.buffer.read(LARGEST_BYTES + 1))
        fleet, device = asyncio.run(enrolled(card, state_dir, serial, deadline_s))
        told = {"fleet": fleet, "device": device}
    except EdgeAgentError as error:
        told = {"problem": str(error), "remedy": error.remedy}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
