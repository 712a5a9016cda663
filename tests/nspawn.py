"""A machine with this host's own systemd and programs, and nothing else of it: up in seconds in systemd-nspawn.

Its /usr is the host's, to be read only, but for /usr/local. What is not told to a script's own file is in `boot.log`.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
INSIDE = Path("/opt/checkout")
"""What the checkout is called in there: where it is here may be hidden from units, as /root is."""
PYTHON = Path("/usr/bin/python3")
MOST_S = 300
_FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:101::/:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\naudio:x:29:\nmessagebus:x:101:\n",
    "etc/hostname": "box\n",
    "etc/machine-id": "",
    "etc/systemd/system/script.service": """[Unit]
After=basic.target dbus.socket

[Service]
Type=exec
ExecStart=/bin/sh -c '/bin/sh /test/script >/test/said 2>&1; echo $? >/test/code; systemctl poweroff --no-block'

[Install]
WantedBy=multi-user.target
""",
}


def _is_there() -> bool:
    """Tell whether machines can be started here: by root, with a Python of the system that makes environments."""
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None or not PYTHON.exists():
        return False
    asked: list[str | Path] = [PYTHON, "-c", "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


marks = [
    pytest.mark.slow,
    pytest.mark.timeout(MOST_S + 60),
    pytest.mark.skipif(
        not _is_there() and "EDGEAGENT_CI" not in os.environ,
        reason="needs root, systemd-nspawn and python3-venv: apt-get install systemd-container python3-venv",
    ),
]


@dataclass(frozen=True)
class Box:
    """A root folder, and `shared`, which is /test in there."""

    root: Path
    shared: Path

    def does(self, script: str, *binds: Path | str) -> tuple[int, str]:
        """Start it, run a script as root, and power it off; return the script's exit code and what it said.

        `binds` are seen there under their own paths, or as HERE:THERE, to be read only.
        """
        (self.shared / "script").write_text(f"set -eu\nexport PYTHONPATH={INSIDE}\n{script}\n")
        (self.shared / "code").unlink(missing_ok=True)
        command: list[str | Path] = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--boot"),
            *("--directory", self.root, "--bind-ro=/usr", f"--bind={self.root}/local:/usr/local"),
            *(f"--bind={self.shared}:/test", *(f"--bind-ro={one}" for one in (f"{CHECKOUT}:{INSIDE}", *binds))),
        ]
        log = self.shared / "boot.log"
        with log.open("wb") as out:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False, timeout=MOST_S)
        assert (self.shared / "code").exists(), log.read_text(errors="replace")[-3000:]
        return int((self.shared / "code").read_text()), (self.shared / "said").read_text()


def box(folder: Path, files: Mapping[str, str] | None = None) -> Box:
    """Make a machine that is not running, with these files."""
    root, shared = folder / "box", folder / "test"
    shared.mkdir(parents=True)
    for name in ("usr/lib", "local", "etc", "var/lib", "run", "tmp", "proc", "sys", "dev", "root", "opt"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    shutil.copy("/usr/lib/os-release", root / "usr/lib")  # else nspawn takes it for no system
    shutil.copy("/etc/ld.so.cache", root / "etc")
    shutil.copytree("/etc/alternatives", root / "etc/alternatives", symlinks=True)
    for name, text in (_FILES | dict(files or {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "script.service").symlink_to("../script.service")
    return Box(root, shared)
