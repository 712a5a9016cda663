"""Everything outside that a first boot touches: the places, the clock, the daemon, the name of the host."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import EdgeAgentError
from edgeagent.files import write_durably
from edgeagent.provision.clock import Clock, SystemClock
from edgeagent.provision.enrol_file import FOLDER
from edgeagent.provision.first_boot_card import BootCard, find_card
from edgeagent.provision.first_boot_enrolling import Enrolling, enrol_beside
from edgeagent.provision.first_boot_settings import MARK

WAIT_S = 60.0
GROUP = "edgeagent"
SETTINGS = Path("etc/edgeagent/edgeagent.toml")
_UNNAMED = frozenset({"", "localhost", "raspberrypi", "debian", "linux", "edgeagent"})
"""Host names that nobody has chosen."""
_LOCAL = "127.0.1.1"
"""By which Debian finds its own name without a network."""
_RESTART = ("systemctl", "--no-block", "try-restart", "edgeagent.service")


@dataclass(frozen=True, slots=True)
class Board:
    """Everything outside that a first boot touches."""

    root: Path
    card: BootCard
    clock: Clock
    enrolling: Enrolling
    restart: Callable[[], None]
    profile: Callable[[], str]
    """The id of this board's profile."""
    wait_s: float = WAIT_S

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
            socket.sethostname(name)


def restart_daemon() -> None:
    """Have a daemon that runs start anew, with its identity; one that does not run yet is left alone."""
    if shutil.which(_RESTART[0]):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(_RESTART, timeout=30, check=False)  # noqa: S603  # ours


def profile_of(root: Path) -> Callable[[], str]:
    """Return what finds the profile of the board that runs below a root folder."""

    def profile() -> str:
        from edgeagent.board import detection, profiles  # noqa: PLC0415  # only a card without a seed's board needs it

        try:
            return detection.board_of(detection.look(root), profiles.boards()).profile.id
        except EdgeAgentError:
            return "generic"

    return profile


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
        profile=profile_of(root),
        wait_s=wait_s,
    )


def nothing() -> None:
    """Do nothing."""
