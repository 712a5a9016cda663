"""A pair that is added and taken into use, cut off at every change of the disk: what a device finds afterwards."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from update.forgetful_disk import CHANGING, Call, ForgetfulDisk, Policy, calls_of, ordinals

from edgeagent.fleet.identity import KEY, Identity
from edgeagent.fleet.identity_keys import IdentityError
from edgeagent.fleet.identity_store import Identities

POLICIES: tuple[Policy, ...] = ("synced", "names", "some")
CHILD = """
import sys
from pathlib import Path
from edgeagent.fleet.identity_store import Identities
from edgeagent.topics import Address
state, given = Path(sys.argv[1]), Path(sys.argv[2])
identities = Identities(state)
(given / "ready").touch()
key = identities.next_key("file")
identities.add((given / "key.pem").read_bytes(), (given / "certificate.pem").read_text(),
               (given / "ca.pem").read_text(), Address("home", "kitchen"))
identities.adopt()
"""


@dataclass(frozen=True)
class Cuts:
    """A state folder with an old pair, and a new pair in `given` that shall replace it."""

    state: Path
    given: Path
    old: str
    new: str

    def record(self) -> list[Call]:
        """Do it once, whole, and return every changing system call."""
        copy = self.fresh("recorded")
        log = self.given / "log"
        self._run(copy, "-y", "-xx", "-s", "100000", "-o", str(log), "-e", f"trace={','.join(CHANGING)}")
        return calls_of(log.read_text())

    def fresh(self, name: str) -> Path:
        copy = self.given.parent / name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.state, copy, symlinks=True)
        return copy

    def power_cuts(self, calls: list[Call], recorded: Path) -> Iterator[tuple[str, Path]]:
        """Yield each place and policy with the folder that a power cut there leaves."""
        draw = random.Random(7)  # noqa: S311  # which of the lots
        before = self.fresh("recorded")
        disk = ForgetfulDisk(recorded)
        assert before == recorded
        for number, call in enumerate(calls):
            if not disk.apply(call):
                continue
            for policy in POLICIES:
                left = self.given.parent / "left"
                shutil.rmtree(left, ignore_errors=True)
                disk.leave(left, policy, draw)
                for key in left.rglob(f"*{KEY}"):
                    key.chmod(0o600)  # the model has no modes; mkstemp makes no others
                yield f"{policy} after {number} {call.name}", left

    def kills(self, calls: list[Call]) -> Iterator[tuple[str, Path]]:
        """Yield each changing call with the folder that a kill there leaves."""
        begins = next(i for i, call in enumerate(calls) if any(b"ready" in _text(one) for one in call.arguments))
        for place, call, nth in ordinals(calls):
            if place <= begins:
                continue
            copy = self.fresh("killed")
            self._run(copy, "-e", f"inject={call.name}:signal=KILL:when={nth}", is_killed=True)
            yield f"kill at {call.name} {nth}", copy

    def _run(self, state: Path, *strace: str, is_killed: bool = False) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        command = ["strace", "-f", "-qq", *strace, sys.executable, "-c", CHILD, str(state), str(self.given)]
        ended = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
        assert (ended.returncode != 0) == is_killed, (strace, ended.stderr[-2_000:])

    def problem(self, state: Path) -> str:
        """Return what is wrong with what was left, or nothing; then the next start goes on to the new pair."""
        identities = Identities(state)
        try:
            found = identities.current()
            waiting = identities.candidate()
        except IdentityError as error:
            return f"not readable: {error}"
        if found is None or found.serial not in {self.old, self.new}:
            return f"found {found}"
        if waiting is not None and waiting.serial != self.new:
            return f"waits {waiting}"
        return self._finish(identities, waiting)

    def _finish(self, identities: Identities, waiting: Identity | None) -> str:
        try:
            if waiting is None and not (current := identities.current()):
                return "nothing"
            if waiting is None and current is not None and current.serial == self.old:
                identities.next_key("file")
                texts = [(self.given / name).read_text() for name in ("key.pem", "certificate.pem", "ca.pem")]
                identities.add(texts[0].encode(), texts[1], texts[2], current.address)
                waiting = identities.candidate()
            if waiting is not None:
                identities.adopt()
            now = identities.current()
        except IdentityError as error:
            return f"cannot go on: {error}"
        left = sorted(one.name for one in identities.root.iterdir() if one.name.isdecimal())
        if waiting is not None and now is not None and left != [now.folder.name]:
            return f"left behind: {left}"
        return "" if now is not None and now.serial == self.new else f"ended with {now}"


def _text(argument: str) -> bytes:
    return bytes.fromhex(argument.strip('"').replace("\\x", "")) if argument.startswith('"\\x') else b""
