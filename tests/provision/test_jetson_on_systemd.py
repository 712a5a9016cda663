"""The first boot of a Jetson under real systemd, on another machine: its unit installs while others wait for it."""

import shutil
from pathlib import Path

from installing import INSTALLER, SMALL, bundle
from nspawn import box, marks

from edgeagent.provision.jetson import Overlay, apply

pytestmark = marks
DAEMON = """
import os, socket, sys, time
def main():
    if sys.argv[1] == "first-boot":
        os.makedirs("/etc/edgeagent", exist_ok=True)
        open("/etc/edgeagent/edgeagent.toml", "w").close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect(os.environ["NOTIFY_SOCKET"])
        out.sendall(b"READY=1")
    time.sleep(0 if sys.argv[1] == "first-boot" else 3600)
"""


def test_the_first_boot_ends_with_a_daemon_that_runs_and_a_unit_that_is_disabled(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for one in ("boot", "usr/bin", "usr/lib", "etc/systemd/system/multi-user.target.wants", "opt"):
        (tree / one).mkdir(parents=True)
    (tree / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3\n")
    source = bundle(tmp_path / "bundle", "1.0", SMALL | INSTALLER | {"edgeagent/__main__.py": DAEMON})
    apply(tree, Overlay(source))
    machine = box(tmp_path)
    for part in ("opt", "etc"):
        shutil.copytree(tree / part, machine.root / part, symlinks=True, dirs_exist_ok=True)
    waits = "for n in $(seq 150); do systemctl is-active edgeagent.service >/dev/null && break; sleep 1; done"
    states = "systemctl is-active edgeagent.service edgeagent-firstboot.timer"
    code, said = machine.does(f"{waits}\n{states}\nls /etc/systemd/system/multi-user.target.wants")
    assert (code, said.splitlines()[:2]) == (0, ["active", "active"]), machine.shared.joinpath("boot.log").read_text()
    assert "edgeagent-jetson.service" not in said
    assert {"edgeagent.service", "edgeagent-firstboot.service"} <= set(said.splitlines())
