"""A release of Debian to the packages for arm64 that a lean Raspberry Pi OS lacks, for a bundle.

Rules:
    - apt fetches and checks them, in a folder of its own with nothing of this machine's: only Debian has it.
    - What every such system has is not fetched, and nothing that demands the very version of a part of it.
    - Security updates count: a package that is older than its sister on the image may not fit to it.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgeagent.provision.build.plan import SUITES
from edgeagent.provision.build.programs import run
from edgeagent.provision.errors import ImageError

MIRROR, SECURITY = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
WANTED = ("espeak-ng", "libportaudio2")
"""What the wheels do not bring along: the sound system's library, and a voice."""
THERE = ("alsa-utils", "apt", "bash", "dbus", "network-manager", "openssh-server", "python3-venv", "systemd", "udev")
"""On Raspberry Pi OS Lite, as far as its sources tell: pi-gen's stage 2 has `ssh`, `network-manager`, `python3-venv`,
raspi-config depends on `alsa-utils`, and the others come with every Debian that systemd starts. Seen on no image."""
_LINE = re.compile(r"^'\S+' (?P<name>[a-z0-9][a-z0-9+.-]+)_\S+\.deb ", re.MULTILINE)


def fetched(suite: str, folder: Path, *, mirror: str = MIRROR) -> Sequence[Path]:
    """Return the packages, in this folder. Raise ImageError where there is no apt, or it cannot reach the mirror."""
    if suite not in SUITES:
        raise ImageError(f"suite {suite!r}: expected {' or '.join(SUITES)}", remedy="Take trixie.")
    options = _options(suite, folder / ".apt", mirror)
    run("apt-get", *options, "-q", "update")
    lacking = sorted(_closure(options, (*THERE, *WANTED)) - _closure(options, THERE))
    run("env", "--chdir", folder, "apt-get", *options, "-q", "download", *lacking)
    return sorted(folder.glob("*.deb"))


def _closure(options: Sequence[str], names: Iterable[str]) -> frozenset[str]:
    """Return all that would be installed for these names on a machine with nothing."""
    said = run("apt-get", *options, "-qq", "--print-uris", "--no-install-recommends", "install", *names)
    return frozenset(found["name"] for found in _LINE.finditer(said))


def _options(suite: str, state: Path, mirror: str) -> Sequence[str]:
    """Return what makes apt forget the machine that it is on."""
    for name in ("lists/partial", "archives/partial", "etc"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").write_bytes(b"")
    sources = state / "etc/sources.list"
    places = ((mirror, suite), (mirror, f"{suite}-updates"), (SECURITY, f"{suite}-security"))
    sources.write_text("".join(f"deb [arch=arm64 signed-by={KEYS}] {place} {name} main\n" for place, name in places))
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
