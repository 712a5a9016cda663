"""Everything outside that a first boot touches: the places, the clock, the daemon, the name of the host."""

import logging
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgeagent.errors import EdgeAgentError
from edgeagent.files import write_durably
from edgeagent.provision.clock import Clock, SystemClock
from edgeagent.provision.enrol_file import FOLDER, Seed
from edgeagent.provision.first_boot_card import BootCard, find_card
from edgeagent.provision.first_boot_enrolling import Enrolling, enrol_beside
from edgeagent.provision.first_boot_settings import MARK, Hardware
from edgeagent.settings import AgentSettings

if TYPE_CHECKING:
    from edgeagent.board.detection import FoundBoard, FoundHat

log = logging.getLogger(__name__)

WAIT_S = 60.0
GROUP = "edgeagent"
SETTINGS = Path("etc/edgeagent/edgeagent.toml")
_UNNAMED = frozenset({"", "localhost", "raspberrypi", "debian", "linux", "edgeagent"})
"""Host names that nobody has chosen."""
_LOCAL = "127.0.1.1"
"""By which Debian finds its own name without a network."""
_RENAME = ("hostnamectl", "set-hostname")
_RESTART = ("systemctl", "--no-block", "try-restart", "edgeagent.service")


@dataclass(frozen=True, slots=True)
class Board:
    """Everything outside that a first boot touches."""

    root: Path
    card: BootCard
    clock: Clock
    enrolling: Enrolling
    restart: Callable[[], None]
    hardware: Callable[[Seed], Hardware]
    """What the seed says of this board, and what is found out of it."""
    wait_s: float = WAIT_S
    set_up: Callable[[Seed], Iterable[str]] = lambda _: ()
    """Sets up the machine for its board; yields what must be known of it."""

    @property
    def settings_file(self) -> Path:
        """Where the settings of the device are."""
        return self.root / SETTINGS

    @property
    def state_dir(self) -> Path:
        """Where the device keeps what must survive, unless its settings say otherwise."""
        return self.root / "var/lib/edgeagent"


def is_nothing_to_do(root: Path, card: BootCard) -> bool:
    """Tell whether a start can be told by a look or two at the disk that it is not the first one."""
    if card.has_token:
        return False
    try:
        written = (root / SETTINGS).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return written.startswith(MARK) or not card.has_seed


def name_host(root: Path, name: str) -> None:
    """Give the host the device's name, where nobody has given it one."""
    file, hosts = root / "etc/hostname", root / "etc/hosts"
    with suppress(OSError, UnicodeDecodeError):
        if (file.read_text().strip() if file.exists() else "") not in _UNNAMED:
            return
        if hosts.exists():
            lines = [line for line in hosts.read_text().splitlines() if line.split()[:1] != [_LOCAL]]
            write_durably(hosts, "".join(f"{line}\n" for line in [*lines, f"{_LOCAL} {name}"]).encode(), mode=0o644)
        write_durably(file, f"{name}\n".encode(), mode=0o644)
        if root == Path("/"):
            _call_host(name)


def _call_host(name: str) -> None:
    """Have the kernel use the name at once. A unit without CAP_SYS_ADMIN may only have it asked for."""
    try:
        socket.sethostname(name)
    except PermissionError:
        _quietly((*_RENAME, name))


def restart_daemon() -> None:
    """Have a daemon that runs start anew, with its identity; one that does not run yet is left alone."""
    _quietly(_RESTART)


def _quietly(command: tuple[str, ...]) -> None:
    if shutil.which(command[0]):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, timeout=30, check=False)  # noqa: S603  # ours


def hardware_of(root: Path, seed: Seed) -> Hardware:
    """Return the profiles of the board that runs below a root folder: by the seed, else by what the kernel shows.

    Sound hardware is taken only where it says itself what it is, or the seed names one that there is.
    """
    from edgeagent.board.applying import proposals  # noqa: PLC0415  # only a start without settings needs it

    try:
        board, hat = _found(root, seed)
    except EdgeAgentError as error:
        log.warning("the board is not known", extra={"problem": str(error)})
        return Hardware(seed.board or "generic")
    better = tuple((one.table, one.key, one.value) for one in proposals(board.profile, hat, AgentSettings()))
    own = tuple(one for one in better if one[0] not in {"device", "board"})  # those two are written anyway
    return Hardware(seed.board or board.profile.id, hat.profile.id if hat is not None else None, own)


def set_up(root: Path, seed: Seed) -> Iterator[str]:
    """Set the machine up for its board, as `edgeagent board apply` does; yield what went wrong or must be known.

    That is limits and groups of the daemon's unit, config.txt, and the mixer. Nothing of it stops a first boot.
    """
    from edgeagent.board.applying import plan  # noqa: PLC0415  # only a start without settings needs them
    from edgeagent.board.machine import carry_out, on_machine  # noqa: PLC0415

    try:
        board, hat = _found(root, seed)
        wanted = plan(board, () if hat is None else (hat,), on_machine(root), AgentSettings())
    except EdgeAgentError as error:
        yield f"the board is not set up: {error}"
        return
    yield from wanted.notes
    yield from carry_out(wanted, root)
    if any(change.path.name == "config.txt" for change in wanted.changes):
        yield "config.txt has changed: it holds from the next start"


def _found(root: Path, seed: Seed) -> "tuple[FoundBoard, FoundHat | None]":
    """Return the profiles. Raise EdgeAgentError if nothing runs on this board, or a profile is wrong."""
    from edgeagent.board import detection, profiles  # noqa: PLC0415  # only a start without settings needs them

    seen, boards, hats = detection.look(root), profiles.boards(), profiles.hats()
    named = boards.get(seed.board or "")
    board = detection.board_of(seen, boards) if named is None else detection.FoundBoard(named)
    if seed.hat is not None and seed.hat in hats:
        return board, detection.named_hat(seed.hat, seen, hats)
    if seed.hat is not None:
        log.warning("no profile knows this hat", extra={"hat": seed.hat, "known": sorted(hats)})
    return board, next((one for one in detection.hats_of(seen, hats) if one.by == "eeprom"), None)


def this_board(root: Path, boot: Path | None, wait_s: float = WAIT_S) -> Board:
    """Return the board that this runs on; `boot` is its boot partition where that is somewhere else."""
    card = find_card(root) if boot is None else BootCard(boot / FOLDER)
    is_real = root == Path("/")
    return Board(
        root=root,
        card=card,
        clock=SystemClock(root),
        enrolling=enrol_beside,
        restart=restart_daemon if is_real else nothing,
        hardware=partial(hardware_of, root),
        wait_s=wait_s,
        set_up=partial(set_up, root),
    )


def nothing() -> None:
    """Do nothing."""
