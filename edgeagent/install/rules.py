"""What a machine must be like, before anything is changed on it.

Rules:
- what is wrong is said with what was found and what to type;
- a Python that the daemon cannot see (ProtectHome=) is none.
"""

from pathlib import Path

from edgeagent.install.nouns import Bundle, Facts, InstallError

OLDEST_SYSTEMD = 252
"""Debian 12. Older ones do not know all that our units say."""
PYTHONS = ((3, 11), (3, 13))
MACHINES = ("aarch64", "x86_64")
NEEDED_BYTES = 700 << 20
"""An environment has 400 MB, beside the one that is current, and wheels are unpacked."""
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))


def check(facts: Facts, bundle: Bundle) -> None:
    """Raise InstallError if edgeagent cannot be installed here."""
    check_rights(facts)
    _check_machine(facts)
    _check_python(facts)
    if not bundle.files:
        raise InstallError(f"{bundle.folder}: has no files for systemd", remedy="Make or fetch the bundle again.")
    if facts.in_the_way is not None:
        path = facts.in_the_way
        raise InstallError(f"{path}: is not ours, and in the way", remedy=f"Look at it, then: mv {path} {path}.old")
    if facts.free_bytes < NEEDED_BYTES:
        raise InstallError(
            f"{facts.places.home}: {facts.free_bytes >> 20} MB are free, {NEEDED_BYTES >> 20} MB are needed",
            remedy="Make room: sudo apt-get clean; sudo journalctl --vacuum-size=16M",
        )


def check_rights(facts: Facts) -> None:
    """Raise InstallError for who may not change the machine."""
    if not facts.places.is_elsewhere and not facts.is_root:
        raise InstallError("this needs root", remedy="Type the same with sudo in front.")


def _check_machine(facts: Facts) -> None:
    if facts.machine not in MACHINES or not facts.python.is_64_bit:
        bits = facts.machine if facts.machine not in MACHINES else f"{facts.machine} with 32-bit programs"
        raise InstallError(
            f"this is {bits}; expected {' or '.join(MACHINES)}",
            remedy="Put a 64-bit system on the board, as Raspberry Pi OS (64-bit).",
        )
    if facts.systemd is None:
        where = "no systemd runs this machine" if facts.places.is_running else f"{facts.places.root}: has no systemd"
        raise InstallError(where, remedy="Use Debian 12 or later, or run it by hand: edgeagent run --settings FILE")
    if facts.systemd < OLDEST_SYSTEMD:
        raise InstallError(
            f"systemd {facts.systemd} is too old, expected {OLDEST_SYSTEMD} or later",
            remedy="Upgrade to Debian 12 (bookworm) or later.",
        )


def _check_python(facts: Facts) -> None:
    python, (oldest, newest) = facts.python, PYTHONS
    named = f"Python {python.version[0]}.{python.version[1]} ({python.path})"
    if not oldest <= python.version <= newest:
        raise InstallError(
            f"{named}; expected 3.{oldest[1]} to 3.{newest[1]}",
            remedy="sudo apt-get install python3 python3-venv, or name another by --python.",
        )
    if not python.has_venv:
        raise InstallError(f"{named} cannot make environments", remedy="sudo apt-get install python3-venv")
    if not facts.places.is_elsewhere and any(python.path.is_relative_to(home) for home in _HIDDEN):
        raise InstallError(
            f"{named} is hidden from the daemon, which sees no home folders",
            remedy="sudo apt-get install python3-venv, and name it: --python /usr/bin/python3",
        )
