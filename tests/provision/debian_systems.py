"""Debian set up as Raspberry Pi OS is, for this machine's own processor: up in systemd-nspawn in seconds.

What makes a Raspberry Pi OS of it is what pi-gen tells: where cloud-init finds its data (`stage2/04-cloud-init`), that
netplan speaks to NetworkManager, a user 1000 called pi, few packages, `/boot/firmware`. Not there: the firmware and the
kernel of a Raspberry Pi, raspi-config, userconf-pi, raspberrypi-sys-mods, their own cloud-init, and radio.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from provision_images import START
from provision_images import run as run_tool

from edgeagent import __version__
from edgeagent.install.locking import EXTRAS, closure
from edgeagent.install.nouns import LOCK
from edgeagent.provision.build.image import default_cache
from edgeagent.provision.build.plan import SUITES
from edgeagent.provision.build.programs import run
from edgeagent.provision.build.wheels import board_environment, locked, own_wheel, platforms
from edgeagent.provision.bundle import INSTALLER_SOURCE, packed
from edgeagent.provision.packages import KEYS, MIRROR, WANTED

CHECKOUT = Path(__file__).parents[2]
PROCESSOR = platform.machine()
MOST_S = 300
"""A boot that installs takes a minute where nothing else runs."""
REBOOT = 133
"""How systemd-nspawn with --keep-unit ends where the machine asks for a new start (EXIT_FORCE_RESTART)."""
PACKAGES = (
    "systemd-sysv", "systemd-timesyncd", "cloud-init", "netplan.io", "network-manager", "openssh-server",
    "python3-venv", "sudo", "locales", "keyboard-configuration", "console-setup", "tzdata", "iproute2", "dbus",
    "rfkill", "iw", "udev", "ca-certificates", "libpam-systemd", "wpasupplicant",
)  # fmt: skip
_DEBS = "edgeagent-debs"
"""In a root: the packages that a bundle brings, and what they need."""
_FETCHED = (
    f'mkdir -p "$1/{_DEBS}/partial" && chroot "$1" apt-get -y -q -o APT::Sandbox::User=root '
    f"-o Dir::Cache::archives=/{_DEBS} --no-install-recommends --download-only install {' '.join(WANTED)}"
)
_FILES = {
    "etc/hostname": "raspberrypi\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n",
    "etc/machine-id": "",
    "etc/fstab": "",
    "etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg": "datasource_list: [ NoCloud, None ]\n"
    "datasource:\n  NoCloud:\n    seedfrom: file:///boot/firmware\nssh_deletekeys: false\nssh_genkeytypes: []\n",
    "lib/netplan/00-network-manager-all.yaml": "network:\n  version: 2\n  renderer: NetworkManager\n",
    "etc/systemd/system/probe.service": """[Unit]
After=basic.target dbus.socket

[Service]
Type=exec
ExecStart=/bin/sh -c '/bin/sh /probe/script >/probe/said 2>&1; echo $? >/probe/code; systemctl poweroff --no-block'

[Install]
WantedBy=multi-user.target
""",
}
_ALONE = """
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  [ -w "$tree/cgroup.procs" ] || continue
  mkdir -p "$tree/$0"
  echo $$ >"$tree/$0/cgroup.procs"
done
exec "$@"
"""
"""Two systems in one control group would end each other's processes."""


def _is_there() -> bool:
    programs = ("systemd-nspawn", "mmdebstrap", "mcopy", "ssh-keygen")
    return os.geteuid() == 0 and all(map(shutil.which, programs)) and KEYS.exists()


marks = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * MOST_S),
    pytest.mark.skipif(
        not _is_there() and "EDGEAGENT_CI" not in os.environ,
        reason="needs root, and: apt-get install systemd-container mmdebstrap mtools openssh-client",
    ),
]


@dataclass(frozen=True)
class Start:
    """What became of one start of a system: whether it asked for another one, and what the script there has said."""

    reboots: bool
    code: int | None
    """None if the script was not run to its end."""
    said: str
    log: str


@dataclass(frozen=True)
class System:
    """A root folder, what is on its boot partition, and a folder that is /probe in there."""

    root: Path
    boot: Path
    probe: Path

    def takes(self, image: Path) -> None:
        """Copy the boot partition out of an image, by mtools; who mounts a FAT sees every file as a program."""
        shutil.rmtree(self.boot)
        self.boot.mkdir()
        run_tool("mcopy", "-s", "-n", "-i", f"{image}@@{START}", "::*", self.boot)
        for path in self.boot.rglob("*"):
            path.chmod(0o755)

    def starts(self, script: str) -> Start:
        """Start it with the words of its `cmdline.txt`, run a script in it as root, and power it off.

        The words are the first process's own, which is where systemd and cloud-init look for them in a container.
        """
        for name in ("code", "said"):
            (self.probe / name).unlink(missing_ok=True)
        (self.probe / "script").write_text(script)
        words = [one for one in self.command_line if not one.startswith("init=")]  # Raspberry Pi's own, not there
        group = f"edgeagent-{os.getpid()}"
        command = [
            *("sh", "-c", _ALONE, group, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit"),
            *("--private-network", "--console=pipe", "--boot", "--directory", str(self.root)),
            *(f"--bind={self.boot}:/boot/firmware", f"--bind={self.probe}:/probe", "--", *words),
        ]
        log = self.probe / "log"
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}  # systemd 257 starts on no other
        with log.open("wb") as out:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, check=False, timeout=MOST_S
            )
        _forget(group)
        code, said = self.probe / "code", self.probe / "said"
        return Start(
            done.returncode == REBOOT,
            int(code.read_text()) if code.exists() else None,
            said.read_text(errors="replace") if said.exists() else "",
            log.read_text(errors="replace"),
        )

    @property
    def command_line(self) -> list[str]:
        return (self.boot / "cmdline.txt").read_text().split()

    def text(self, path: str) -> str:
        """Return a file of the root that nobody runs."""
        return (self.root / path).read_text()


def system(folder: Path, suite: str) -> System:
    """Lay out a system that nobody has started yet."""
    found = System(folder / "root", folder / "boot", folder / "probe")
    for path in (found.root, found.boot, found.probe):
        path.mkdir(parents=True)
    run("tar", "--numeric-owner", "-C", found.root, f"--exclude=./{_DEBS}", "-xpf", kept(suite))
    for name, text in _FILES.items():
        path = found.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (found.root / "lib/netplan/00-network-manager-all.yaml").chmod(0o600)
    (found.root / "boot/firmware").mkdir(parents=True)
    (found.root / "etc/systemd/system/multi-user.target.wants/probe.service").symlink_to("../probe.service")
    run("chroot", found.root, "useradd", "--create-home", "--uid=1000", "--shell=/bin/bash", "pi")
    return found


def kept(suite: str) -> Path:
    """Return a tar of the root, with its packages configured; a kept one if there is one."""
    recipe = json.dumps([PACKAGES, WANTED, _FETCHED, PROCESSOR])
    target = default_cache() / f"system-{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"part-{os.getpid()}-{target.name}")
        options = (
            "--variant=minbase",
            "--dpkgopt=force-unsafe-io",
            f"--keyring={KEYS}",
            f"--include={','.join(PACKAGES)}",
        )
        run("mmdebstrap", *options, f"--customize-hook={_FETCHED}", suite, unfinished, MIRROR)
        unfinished.replace(target)
    return target


def own_bundle(target: Path, suite: str) -> Path:
    """Make the bundle of this checkout for this machine's processor, in place of a board's."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        debs = packages(folder, suite)
        house = _wheelhouse(suite)
        own = own_wheel(CHECKOUT, folder)
        lock = folder / LOCK
        digest = hashlib.sha256(own.read_bytes()).hexdigest()
        lock.write_text(f"edgeagent=={__version__} --hash=sha256:{digest}\n{(house / 'wanted.txt').read_text()}")
        files = {f"wheels/{path.name}": path for path in (*sorted(house.glob("*.whl")), own)}
        files |= {f"debs/{path.name}": path for path in debs}
        files |= {f"systemd/{path.relative_to(CHECKOUT / 'systemd')}": path for path in _units()}
        files |= {LOCK: lock, "install.sh": CHECKOUT / INSTALLER_SOURCE}
        packed(files, target, python="{}.{}".format(*SUITES[suite].python))
    return target


def packages(folder: Path, suite: str) -> list[Path]:
    """Put into a folder what a bundle brings of Debian's packages, for this processor."""
    run("tar", "-C", folder, "-xf", kept(suite), f"./{_DEBS}")
    return sorted((folder / _DEBS).glob("*.deb"))


def _units() -> list[Path]:
    return [path for path in sorted((CHECKOUT / "systemd").rglob("*")) if path.is_file()]


def _wheelhouse(suite: str) -> Path:
    """Return a folder with the lock's wheels for this processor, and `wanted.txt`, their lines of the lock."""
    python = SUITES[suite].python
    environment = board_environment(python) | {"platform_machine": PROCESSOR}
    lines = locked((CHECKOUT / LOCK).read_text(), closure("edgeagent", EXTRAS, environment), environment)
    text = "".join(f"{one.line}\n" for one in lines)
    name = "{}.{}-{}-{}".format(*python, PROCESSOR, hashlib.sha256(text.encode()).hexdigest()[:16])
    house = default_cache() / f"wheels-here-{name}"
    if not house.exists():
        unfinished = house.with_name(f"part-{os.getpid()}-{house.name}")
        unfinished.mkdir(parents=True)
        (unfinished / "wanted.txt").write_text(text)
        tags = [f"--platform={tag.replace('aarch64', PROCESSOR)}" for tag in platforms(SUITES[suite])]
        board = ("--only-binary=:all:", "--implementation=cp", "--python-version={}.{}".format(*python), *tags)
        checked = ("--no-deps", "--require-hashes", "-r", unfinished / "wanted.txt", "-d", unfinished)
        run(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", *checked, *board)
        unfinished.rename(house)
    return house


def _forget(group: str) -> None:
    """Take away the control groups of a system that has ended."""
    for tree in ("", "unified", "systemd"):
        top = Path("/sys/fs/cgroup", tree, group)
        for folder in sorted((top, *top.rglob("*/")), reverse=True):
            if folder.is_dir():
                folder.rmdir()
