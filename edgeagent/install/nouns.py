"""What is put where, what is known of the machine, and the steps of a plan: all frozen."""

from dataclasses import dataclass
from pathlib import Path

from edgeagent.errors import EdgeAgentError

LOCK, WHEELS, UNITS, PROGRAMS = "requirements.lock", "wheels", "systemd", "libexec"
"""In the folder of a bundle: what is installed, with hashes; its wheels; systemd's files; programs of root."""
USER = "edgeagent"
DAEMON = "edgeagent.service"
FIRST_BOOT = "edgeagent-firstboot.service"
LATER = "edgeagent-firstboot.timer"
ENABLED = (DAEMON, FIRST_BOOT, LATER)
IN_IMAGES = ("edgeagent-growroot.service",)
"""Enabled beside the others where the whole image is ours."""
UNIT_FILES = (*ENABLED, *IN_IMAGES, "edgeagent-update.service", "edgeagent-update.timer")
FILES = {
    **{f"{UNITS}/{name}": f"usr/local/lib/systemd/system/{name}" for name in UNIT_FILES},
    f"{UNITS}/sysusers.d/edgeagent.conf": "usr/local/lib/sysusers.d/edgeagent.conf",
    f"{UNITS}/tmpfiles.d/edgeagent.conf": "usr/local/lib/tmpfiles.d/edgeagent.conf",  # noqa: S108  # no folder for temporary files
    f"{UNITS}/udev/70-edgeagent.rules": "usr/local/lib/udev/rules.d/70-edgeagent.rules",
}
"""From the bundle to the machine. Not in /etc, where an owner's own file of the same name goes before ours."""
IMAGE_FILES = {f"{UNITS}/journald/edgeagent.conf": "usr/local/lib/systemd/journald.conf.d/edgeagent.conf"}
FROM_IMAGE = "venv-image-0"
"""What the environment of an image that is built is called once there is another."""
GROWROOT = f"{PROGRAMS}/growroot"


class InstallError(EdgeAgentError):
    """edgeagent cannot be put on this machine, or not taken away: what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie below a root folder, "/" on a running machine."""

    root: Path = Path("/")
    is_booted: bool = True
    """Systemd runs what is below the root, unless that is another one; not while an image is made in a chroot."""

    @property
    def home(self) -> Path:
        """Return the folder of the program."""
        return self.root / "opt/edgeagent"

    @property
    def link(self) -> Path:
        """Return the link to the environment that is current."""
        return self.home / "venv"

    @property
    def command(self) -> Path:
        """Return the link by which the program is found."""
        return self.root / "usr/local/bin/edgeagent"

    @property
    def settings(self) -> Path:
        """Return the owner's settings."""
        return self.root / "etc/edgeagent/edgeagent.toml"

    @property
    def state(self) -> Path:
        """Return the folder of what must survive: identity, releases, logs of what was done."""
        return self.root / "var/lib/edgeagent"

    @property
    def board(self) -> Path:
        """Return what `edgeagent board apply` has written for the daemon's unit."""
        return self.root / f"etc/systemd/system/{DAEMON}.d/10-board.conf"

    @property
    def is_running(self) -> bool:
        """Tell whether this is the machine itself, and runs."""
        return self.is_booted and not self.is_elsewhere

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether paths are called otherwise here than they will be."""
        return self.root != Path("/")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder with what is installed; `is_whole`: all wheels are there, and no index is asked."""

    folder: Path
    version: str
    is_whole: bool
    files: frozenset[str]
    """Paths in the folder, of systemd's files and of programs."""


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that the environment is made with."""

    path: Path
    version: tuple[int, int]
    has_venv: bool
    is_64_bit: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found on the machine, before anything is changed."""

    places: Places
    is_root: bool
    systemd: int | None
    """Version; None where it is not there, or not what runs the machine."""
    machine: str
    python: Python
    free_bytes: int
    hostname: str
    environments: tuple[str, ...]
    """Names of folders venv-VERSION-NUMBER."""
    current: str | None
    """The one that the link leads to."""
    is_folder: bool
    """The environment in use is a folder, as images are built, and not a link to one."""
    has_seed: bool
    """The boot partition holds what the first boot makes settings of."""
    in_the_way: Path | None
    """What is not ours where a link of ours goes."""
    has_portaudio: bool
    files: tuple[tuple[Path, bytes | None], ...] = ()
    """What systemd's files hold before others take their places; None: it is not there."""

    @property
    def before(self) -> str | None:
        """Return what the environment in use is called once there is another; None where there is none."""
        return FROM_IMAGE if self.is_folder else self.current


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner wants."""

    starts: bool = True
    is_image: bool = False
    """The whole image is ours: its root grows, and its journal stays in memory."""


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make a folder, if it is not there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file, a link or a folder with all that is in it; nothing there is as well."""

    path: Path


@dataclass(frozen=True, slots=True)
class RemoveIfEmpty:
    """Remove a folder in which nothing is left."""

    path: Path


@dataclass(frozen=True, slots=True)
class MakeEnvironment:
    """Make an environment with this interpreter."""

    python: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class InstallWheels:
    """Install what the bundle's lock names, by hash."""

    folder: Path
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Relocate:
    """Write the paths of an environment in another root as they will be there."""

    folder: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Prove:
    """See that an environment imports, and is of this version."""

    folder: Path
    version: str


@dataclass(frozen=True, slots=True)
class Point:
    """Have a link lead there, in one step, after all that was written is on the disk.

    A folder that is where the link goes is set aside, as FROM_IMAGE.
    """

    link: Path
    target: str


@dataclass(frozen=True, slots=True)
class PlaceFile:
    """Put a file in its place, whole or not at all."""

    source: Path
    target: Path
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class PutBack:
    """Have a file hold again what it did; None: it was not there."""

    target: Path
    content: bytes | None


@dataclass(frozen=True, slots=True)
class WriteIfAbsent:
    """Write a text where the owner has written none."""

    target: Path
    text: str
    mode: int = 0o640


@dataclass(frozen=True, slots=True)
class CheckGroups:
    """See that each group that the daemon's unit and its drop-ins name is there: else it would not start."""

    root: Path
    units: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Run a program; `remedy` is told if it fails, and nothing is if it `may_fail`."""

    command: tuple[str, ...]
    remedy: str = ""
    may_fail: bool = False


FileStep = MakeFolder | Remove | RemoveIfEmpty | Point | PlaceFile | PutBack | WriteIfAbsent
Step = FileStep | MakeEnvironment | InstallWheels | Relocate | Prove | CheckGroups | Run
